from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zcluster.adapters import realtime

ROOT = str(Path(__file__).parents[2])


def run(script: str, *prefix: str) -> dict[str, object]:
    """What a process of its own prints: what is asked for here belongs to a whole process."""
    whole = f"import sys; sys.path.insert(0, {ROOT!r})\n{script}"
    done = subprocess.run(
        [*prefix, sys.executable, "-c", whole], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


PREPARE = """
import gc, json, os
from zcluster.adapters.realtime import prepare
standing = prepare(7, is_collecting=False)
policy = os.sched_getscheduler(0)
locked = [line for line in open('/proc/self/status') if line.startswith('VmLck')][0].split()[1]
child = os.popen('chrt -p $$').read()
print(json.dumps({'granted': [standing.has_real_time, standing.has_locked_memory],
    'refusals': standing.refusals, 'is_rr': policy & 0xff == os.SCHED_RR,
    'priority': os.sched_getparam(0).sched_priority, 'locked_kib': int(locked),
    'frozen': gc.get_freeze_count(), 'collecting': gc.isenabled(), 'child': child}))
"""


@pytest.mark.kernel
def test_everything_is_granted_to_a_privileged_process() -> None:
    told = run(PREPARE)
    assert told["granted"] == [True, True]
    assert told["refusals"] == []
    assert told["is_rr"] is True
    assert told["priority"] == 7
    assert isinstance(told["locked_kib"], int)
    assert told["locked_kib"] > 1000
    assert isinstance(told["frozen"], int)
    assert told["frozen"] > 1000
    assert told["collecting"] is False
    assert "SCHED_OTHER" in str(told["child"]), "children are ordinary"


@pytest.mark.kernel
def test_what_is_refused_is_said_with_its_mend() -> None:
    script = "import resource; resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))\n" + PREPARE
    told = run(script, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all")
    assert told["granted"] == [False, False]
    assert isinstance(told["refusals"], list)
    assert len(told["refusals"]) == 2
    assert "LimitRTPRIO" in told["refusals"][0]
    assert told["refusals"][1].endswith("the limit is 64 KiB; set LimitMEMLOCK=infinity")
    assert told["is_rr"] is False
    assert told["locked_kib"] == 0


@pytest.mark.kernel
def test_priority_zero_asks_for_no_scheduling() -> None:
    told = run(PREPARE.replace("prepare(7,", "prepare(0,"))
    assert told["granted"] == [False, True]
    assert told["refusals"] == []
    assert told["is_rr"] is False


def test_the_clock_is_monotonic_in_whole_milliseconds() -> None:
    before_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    now_ms = realtime.monotonic_ms()
    after_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert before_ns // 1_000_000 <= now_ms <= after_ns // 1_000_000


def test_suspension_is_the_difference_of_two_clocks() -> None:
    assert realtime.suspended_ms() >= 0
    assert abs(realtime.suspended_ms() - realtime.suspended_ms()) <= 1


def test_the_tick_is_one_of_those_that_kernels_have() -> None:
    assert round(realtime.tick_ms(), 2) in {1.0, 3.33, 4.0, 10.0}


def test_the_ticks_lag_is_mostly_below_two_ticks() -> None:
    lags_ms = []
    for _count in range(200):
        time.sleep(0.0005)
        lags_ms.append(realtime.tick_lag_ms())
    lags_ms.sort()
    assert lags_ms[0] >= 0
    assert lags_ms[100] < 2 * realtime.tick_ms()
