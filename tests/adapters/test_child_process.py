from __future__ import annotations

import os
import select
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from zcluster.adapters.child_process import DATA_STANDING, SHED, ChildProcess, shed_capabilities, spawn
from zcluster.errors import KernelRefused

LIMIT_S = 20.0


@contextmanager
def running(script: str) -> Iterator[tuple[ChildProcess, socket.socket]]:
    """A child that runs `script` with `other`, a socket to us; it is ended behind the test."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here.settimeout(LIMIT_S)
    lines = f"import os, socket, sys, time; other = socket.socket(fileno={there.fileno()})\n"
    child = spawn((sys.executable, "-I", "-c", lines + script), there.fileno())
    there.close()
    with here:
        yield child, here
        child.kill()
        assert child.reap(LIMIT_S)


def test_a_child_has_the_one_descriptor_and_no_other() -> None:
    with Path("/dev/null").open() as mine:
        os.set_inheritable(mine.fileno(), False)
        script = "other.send(','.join(sorted(os.listdir('/proc/self/fd'))).encode()); time.sleep(9)"
        with running(script) as (child, here):
            assert child.pid > 0
            seen = set(here.recv(1000).decode().split(","))
    # 0 to 2, the socket, and the one that lists the directory.
    assert len(seen) == 5
    assert {"0", "1", "2"} < seen


def test_its_end_is_seen_and_told_in_words() -> None:
    with running("sys.exit(3)") as (child, here):
        assert here.recv(10) == b""
        assert select.select([child], [], [], LIMIT_S)[0]
        assert child.reap() == "ended with status 3"


def test_a_kill_is_told_in_words() -> None:
    with running("time.sleep(99)") as (child, _):
        assert child.reap() == ""
        assert not select.select([child], [], [], 0)[0]
        child.kill()
        assert child.reap(LIMIT_S) == "was ended by SIGKILL"
        child.kill()  # an ended one is nobody's


def test_what_cannot_be_started_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KernelRefused, match="cannot be started"):
        spawn((str(tmp_path / "none"),), 0)


def test_a_child_is_an_ordinary_process_without_the_rights_to_move_addresses() -> None:
    """Also where this process has them: the thread that starts children gives them up, and it alone."""
    script = (
        "status = open('/proc/self/status').read(); field = lambda name: status.split(name)[1].split()[0]\n"
        'other.send(f\'{os.sched_getscheduler(0)} {field("CapEff:")} {field("VmLck:")}\'.encode())\n'
        "time.sleep(9)"
    )
    seen: list[str] = []

    def start() -> None:
        shed_capabilities()
        with running(script) as (_, here):
            seen.append(here.recv(1000).decode())

    before = Path("/proc/self/status").read_text().split("CapBnd:")[1].split()[0]
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    policy, effective, locked = seen[0].split()
    assert int(policy) == os.SCHED_OTHER
    assert int(locked) == 0
    assert [capability for capability in SHED if int(effective, 16) >> capability & 1] == []
    assert Path("/proc/self/status").read_text().split("CapBnd:")[1].split()[0] == before


def test_it_has_more_of_a_busy_host_than_others_where_that_is_allowed() -> None:
    script = "other.recv(9); other.send(str(os.getpriority(os.PRIO_PROCESS, 0)).encode()); time.sleep(9)"
    is_allowed = os.geteuid() == 0
    with running(script) as (_, here):
        here.send(b"started")
        expected = DATA_STANDING.niceness if is_allowed else os.getpriority(os.PRIO_PROCESS, 0)
        assert int(here.recv(100)) == expected


def test_it_goes_before_us_where_memory_runs_out() -> None:
    script = "other.recv(9); other.send(open('/proc/self/oom_score_adj').read().encode()); time.sleep(9)"
    ours = Path("/proc/self/oom_score_adj")
    before = ours.read_text()
    ours.write_text("7")
    try:
        with running(script) as (_, here):
            here.send(b"started")
            assert here.recv(100).strip() == b"0"
    finally:
        ours.write_text(before)
