"""The data process without its daemon, as a process of its own."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data import lone_process
from tests.data.fakes import RECOVERY
from zcluster.adapters.orphan import LIMIT_S
from zcluster.wire.local_link import LARGEST_PACKET_BYTES, Figures, PacketReader

PATIENCE_S = 30.0

# What hangs, in ways of its own: in the kernel, in Python, in code that keeps the interpreter, at the very end.
HANGS = {
    "sleeping": "time.sleep(600)",
    "turning": "while True: pass",
    "keeping the interpreter": "time.sleep(1); ctypes.PyDLL(None).sleep(600)",
    "ending": "atexit.register(time.sleep, 600); sys.exit(0)",
}


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here.settimeout(PATIENCE_S)
    with here, there:
        yield here, there


def hanging(how: str, there: socket.socket) -> subprocess.Popen[bytes]:
    script = (
        "import atexit, ctypes, signal, sys, time\n"
        "from zcluster.adapters.orphan import end_with_the_other_side\n"
        "import socket\n"
        f"other = socket.socket(fileno={there.fileno()})\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "end_with_the_other_side(other.fileno(), 0.2)\n"
        "other.send(b'ready')\n"
        f"{how}\n"
    )
    return subprocess.Popen((sys.executable, "-c", script), pass_fds=(there.fileno(),))


@pytest.mark.parametrize("how", [name for name in HANGS if name != "keeping the interpreter"])
def test_whatever_it_does_it_ends_with_its_daemon(
    how: str, ends: tuple[socket.socket, socket.socket]
) -> None:
    here, there = ends
    child = hanging(HANGS[how], there)
    there.close()
    try:
        assert here.recv(100) == b"ready"
        child.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)
        here.close()
        assert child.wait(PATIENCE_S) == -signal.SIGALRM
    finally:
        child.kill()


def test_code_that_keeps_the_interpreter_is_ended_too(ends: tuple[socket.socket, socket.socket]) -> None:
    """Once the time is set: the clock is the kernel's."""
    here, there = ends
    child = hanging(HANGS["keeping the interpreter"], there)
    there.close()
    try:
        assert here.recv(100) == b"ready"
        here.close()
        assert child.wait(PATIENCE_S) == -signal.SIGALRM
    finally:
        child.kill()


def test_it_is_soon_enough_for_the_service_manager() -> None:
    assert LIMIT_S < 2


@pytest.mark.parametrize("phase", ["starting", "running", "the core database is locked"])
def test_the_real_one_ends_by_itself(
    phase: str, tmp_path: Path, ends: tuple[socket.socket, socket.socket]
) -> None:
    here, there = ends
    locked = sqlite3.connect(tmp_path / "core.db", isolation_level=None)
    locked.executescript(RECOVERY)
    command = (sys.executable, lone_process.__file__, str(there.fileno()), str(tmp_path))
    child = subprocess.Popen(command, pass_fds=(there.fileno(),))
    there.close()
    try:
        if phase != "starting":
            until_it_turns(here)
        if phase == "the core database is locked":
            locked.execute("BEGIN EXCLUSIVE")
        here.close()
        # On a busy machine an ending that waits for something may be cut short; one that does not is not.
        allowed = (0,) if phase == "running" else (0, -signal.SIGALRM)
        assert child.wait(PATIENCE_S) in allowed
    finally:
        child.kill()
        locked.close()


def until_it_turns(here: socket.socket) -> None:
    reader = PacketReader()
    while not isinstance(reader.read(here.recv(LARGEST_PACKET_BYTES)), Figures):
        pass
