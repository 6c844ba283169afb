from __future__ import annotations

import ctypes
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.world_check import passes_in_world
from zcluster.errors import LabError
from zcluster.lab.world import newest_world, run_in_world, running_worlds

pytestmark = pytest.mark.kernel

NOBODY = 65534
PR_SET_DUMPABLE = 4


@pytest.fixture(autouse=True)
def own_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Worlds of other tests that run beside this one lie elsewhere."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert list(tmp_path.glob("zcluster-lab-*")) == []


def processes_that_say(word: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_the_status_of_the_work_is_returned() -> None:
    assert run_in_world(lambda _: 7) == 7


def test_an_error_of_ours_is_one_line_and_status_1(capfd: pytest.CaptureFixture[str]) -> None:
    def work(_: Path) -> int:
        raise LabError("the floor is missing: lay one")

    assert run_in_world(work) == 1
    assert capfd.readouterr().err == "zcluster: the floor is missing: lay one\n"


def test_a_defect_keeps_its_trace(capfd: pytest.CaptureFixture[str]) -> None:
    def work(_: Path) -> int:
        raise ZeroDivisionError

    assert run_in_world(work) == 1
    assert "Traceback" in capfd.readouterr().err


def test_the_work_is_alone_in_its_namespaces() -> None:
    outside = {name: os.readlink(f"/proc/self/ns/{name}") for name in ("net", "mnt", "uts")}

    def check(directory: Path) -> None:
        assert os.getpid() == 1
        for name, link in outside.items():
            assert os.readlink(f"/proc/self/ns/{name}") != link
        assert (directory / "run").stat().st_dev != directory.stat().st_dev  # memory, not disk

    passes_in_world(check)


def test_a_running_world_is_found_and_an_ended_one_is_not() -> None:
    def check(directory: Path) -> None:
        until = time.monotonic() + 5
        while not (directory / "process.json").exists() and time.monotonic() < until:
            time.sleep(0.01)
        assert [world.directory for world in running_worlds()] == [directory]

    passes_in_world(check)
    with pytest.raises(LabError, match="zcluster lab up"):
        newest_world()


def test_what_is_kept_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    def work(directory: Path) -> int:
        (directory / "n1.log").write_text("hello")
        return 0

    assert run_in_world(work, keep=True) == 0
    kept = Path(capfd.readouterr().err.removeprefix("kept: ").strip())
    assert (kept / "n1.log").read_text() == "hello"
    # The next start clears away what nobody holds any more.
    assert run_in_world(lambda _: 0) == 0
    assert not kept.exists()


def start_world_with_a_sleeper(word: str) -> int:
    """Forks a caller whose world holds a process that can be recognised; returns the caller."""
    caller = os.fork()
    if caller == 0:

        def work(_: Path) -> int:
            if os.fork() == 0:
                os.execv("/bin/sh", ["sh", "-c", f"sleep 60 # {word}; true"])
            time.sleep(60)
            return 0

        try:
            os._exit(run_in_world(work))
        finally:
            os._exit(99)
    until = time.monotonic() + 5
    while not processes_that_say(word) and time.monotonic() < until:
        time.sleep(0.01)
    assert processes_that_say(word)
    return caller


def comes_true_that_nobody_says(word: str) -> bool:
    until = time.monotonic() + 5
    while processes_that_say(word) and time.monotonic() < until:
        time.sleep(0.01)
    return not processes_that_say(word)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_caller_takes_everything_with_it(number: signal.Signals) -> None:
    word = f"zcluster-sleeper-{os.getpid()}-{number.name}"
    caller = start_world_with_a_sleeper(word)
    os.kill(caller, number)
    _, status = os.waitpid(caller, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert comes_true_that_nobody_says(word)


def test_a_killed_caller_takes_everything_with_it() -> None:
    word = f"zcluster-sleeper-{os.getpid()}-SIGKILL"
    caller = start_world_with_a_sleeper(word)
    os.kill(caller, signal.SIGKILL)
    os.waitpid(caller, 0)
    assert comes_true_that_nobody_says(word)
    assert run_in_world(lambda _: 0) == 0  # and the directory it could not remove goes now


def test_an_ordinary_user_gets_a_world_too(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        # pytest's own directory is closed to others.
        monkeypatch.setattr(tempfile, "tempdir", "/tmp")

    def work(_: Path) -> int:
        return 7 if os.geteuid() == 0 and os.getpid() == 1 else 1

    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                become_nobody()
            os._exit(run_in_world(work))
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7


def become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    # A process that changed its user may not write its own /proc files until it says so (prctl(2)); one that
    # was started by an ordinary user may.
    assert ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0
