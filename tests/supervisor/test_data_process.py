"""The real daemon with its real data process beside the laboratory's switch: what dies, and what moves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.world_check import passes_in_world
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import SwitchKind, make_plan
from zcluster.supervisor.daemon import EXIT_RESTART
from zcluster.supervisor.data_words import VERDICT_MS

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]

GROUP = "g1"
START_LIMIT_S = 30


@contextmanager
def cluster(directory: Path) -> Iterator[Laboratory]:
    """Three nodes with a switch each, one group, all ready."""
    lab = Laboratory(directory, make_plan(3, 1, "standard", SwitchKind.FAKE))
    try:
        lab.build()
        lab.wait_until_well()
        yield lab
    except BaseException:
        print(lab.log_tails())
        raise
    finally:
        lab.close()


def switch_of(lab: Laboratory, node: str) -> dict[str, Any]:
    """What the node's status says of its switch."""
    return dict(lab.statuses()[node]["switch"])


def stays(lab: Laboratory, holder: str, until: Callable[[], bool]) -> None:
    """Nothing moves until then, nor for as long as a verdict takes after it."""
    lab.wait_for(until, START_LIMIT_S, "the next data process has seen the switch")
    end_s = time.monotonic() + VERDICT_MS / 1000 + 1
    while time.monotonic() < end_s:
        assert lab.ownership(GROUP).holder == holder
        time.sleep(0.1)
    for address in lab.plan.floating:
        assert address not in lab.silent_addresses()


def test_neither_the_death_of_the_data_process_nor_a_planned_restart_moves_anything() -> None:
    def check(directory: Path) -> None:
        with cluster(directory) as lab:
            holder = lab.ownership(GROUP).holder
            first = switch_of(lab, holder)
            assert (first["is_known"], first["problems"], first["restarts"]) == (True, [], 0)
            epoch = lab.ownership(GROUP).epoch
            for status in lab.statuses().values():
                rows = status["nodes"]
                assert len({row["switchname"] for row in rows}) == len(rows)
                assert {row["build"] for row in rows} == {rows[0]["build"]} != {""}
                offsets = [row["clock_offset_ms"] for row in rows if not row["is_self"]]
                assert all(abs(offset) < 100 for offset in offsets), "one clock for all of them"

            os.kill(first["pid"], signal.SIGKILL)
            lab.wait_for(lambda: switch_of(lab, holder)["restarts"] == 1, START_LIMIT_S, "it is begun anew")
            stays(lab, holder, lambda: switch_of(lab, holder)["is_known"])
            assert lab.ownership(GROUP).epoch == epoch

            daemon = lab.daemon_of(holder)
            daemon.signal(signal.SIGUSR2)
            assert daemon.wait(3.0) == EXIT_RESTART
            lab.start_daemon(holder)
            lab.wait_until_well()
            stays(lab, holder, lambda: switch_of(lab, holder)["is_known"])
            assert "goes on with g1" in lab.log_of(holder).read_text()
            assert "data-ended" in lab.log_of(holder).read_text()

    passes_in_world(check)


def test_the_death_of_the_switch_moves_the_group_at_once() -> None:
    def check(directory: Path) -> None:
        with cluster(directory) as lab:
            holder = lab.ownership(GROUP).holder
            lab.switch_of(holder).signal(signal.SIGKILL)
            lab.wait_for(lambda: lab.ownership(GROUP).holder not in ("", holder), 5, "another holder")
            lab.wait_for(lambda: not lab.silent_addresses(), 5, "it answers there")
            story = lab.log_of(holder).read_text()
            assert "closed and released (health)" in story
            assert "event socket closed" in switch_of(lab, holder)["problems"][0]
            row = {each["name"]: each for each in lab.statuses()[holder]["nodes"]}[holder]
            assert row["state"] == "FAILED"

    passes_in_world(check)
