"""Runs a piece of work as the first process of a private world, and clears everything away after it.

What must hold: when the work ends, however it ends, no process, namespace or mount of it is left, and its
directory is removed unless it is to be kept. Three processes see to that: the caller (who owns the directory
and passes signals on), a keeper (who unshares) and the first process of the new process-id namespace (who
does the work). Each dies with the one before it, and with the last the kernel kills all the others.

Every directory is locked while its laboratory lives, so that one left by a killed caller is recognised and
removed by the next start.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from zcluster.errors import LabError, ZclusterError
from zcluster.lab import namespaces
from zcluster.lab.program import this_program

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
_LOCK = "lock"
_PROCESS = "process.json"
RUN = "run"
_BASE_TRIES = 100
_LOOK_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class RunningWorld:
    """A laboratory that lives now: its directory, and its first process as everybody else sees it."""

    directory: Path
    process: int


def run_in_world(work: Callable[[Path], int], *, keep: bool = False) -> int:
    """Run `work(directory)` in a private world and return its exit status.

    An error of ours inside `work` becomes one line on standard error and status 1; SIGINT and SIGTERM to the
    caller raise KeyboardInterrupt inside `work`, and a second one ends it at once.
    """
    with _new_directory(keep) as directory:
        sys.stdout.flush()
        sys.stderr.flush()
        caller = os.getpid()
        keeper = os.fork()
        if keeper == 0:
            _end_with(lambda: _keep(work, directory, caller))
        return _wait_passing(keeper, (signal.SIGINT, signal.SIGTERM))


def running_worlds() -> list[RunningWorld]:
    """This user's laboratories that live now, the newest first."""
    found: list[tuple[float, RunningWorld]] = []
    for directory in _base_path().glob("lab-*"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            if _is_locked(directory):
                process = int(json.loads((directory / _PROCESS).read_text())["process"])
                found.append((directory.stat().st_mtime, RunningWorld(directory, process)))
    return [world for _, world in sorted(found, key=lambda item: item[0], reverse=True)]


def newest_world() -> RunningWorld:
    """The laboratory started last. Raises LabError when none is running."""
    worlds = running_worlds()
    if not worlds:
        raise LabError(
            f"no laboratory of yours is running: start one with `{this_program()} lab up` in another terminal"
        )
    if len(worlds) > 1:
        print(
            f"{len(worlds)} laboratories are running; this is the newest, {worlds[0].directory}",
            file=sys.stderr,
        )
    return worlds[0]


def _base_path() -> Path:
    return Path(tempfile.gettempdir()) / f"zcluster-lab-{os.geteuid()}"


def _base_directory() -> Path:
    base = _base_path()
    base.mkdir(mode=0o700, exist_ok=True)
    status = base.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o077 or base.is_symlink():
        raise LabError(f"{base} is not a private directory of yours: remove it")
    return base


@contextlib.contextmanager
def _new_directory(keep: bool) -> Iterator[Path]:
    with contextlib.ExitStack() as held:
        # Nobody else may clear up between the making of a directory and its lock.
        with _base_locked() as base:
            _remove_abandoned(base)
            directory = Path(tempfile.mkdtemp(prefix="lab-", dir=base))
            held.enter_context(_locked(directory))
        (directory / RUN).mkdir()
        try:
            yield directory
        finally:
            if keep:
                print(f"kept: {directory}", file=sys.stderr)
            else:
                shutil.rmtree(directory, ignore_errors=True)
    with _base_locked() as base:
        if not list(base.glob("lab-*")):
            shutil.rmtree(base)


@contextlib.contextmanager
def _base_locked() -> Iterator[Path]:
    """The base directory, locked; made anew if the last one to leave took it away meanwhile."""
    for _ in range(_BASE_TRIES):
        base = _base_directory()
        with contextlib.ExitStack() as held:
            try:
                lock = held.enter_context(_locked(base))
                is_ours = os.path.samestat(os.fstat(lock), (base / _LOCK).stat())
            except FileNotFoundError:
                continue
            if is_ours:
                yield base
                return
    raise LabError(f"{_base_path()} comes and goes: end the other laboratories, then try again")


def _keep(work: Callable[[Path], int], directory: Path, caller: int) -> int:
    namespaces.die_with_parent(caller)
    # A terminal's Ctrl-C reaches every process in the foreground; the caller alone passes it on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    namespaces.enter_private_world()
    ready_read, ready_write = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(ready_read)
        _end_with(lambda: _first_process(work, directory, ready_write))
    os.close(ready_write)
    os.read(ready_read, 1)
    os.close(ready_read)
    with contextlib.suppress(OSError):
        unfinished = directory / f"{_PROCESS}.new"
        unfinished.write_text(json.dumps({"process": first}))
        unfinished.replace(directory / _PROCESS)
    return _wait_passing(first, (signal.SIGTERM,))


def _first_process(work: Callable[[Path], int], directory: Path, ready: int) -> int:
    # The parent is in another process-id namespace, so getppid() reads 0 whether it lives or not: that it
    # still lived when the death signal was set is known from the pipe, which otherwise is broken.
    namespaces.die_with_parent(0)
    os.write(ready, b"r")
    os.close(ready)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt_once)
    namespaces.mount_own_processes()
    namespaces.mount("tmpfs", directory / RUN, "tmpfs", namespaces.MS_NOSUID | namespaces.MS_NODEV)
    return work(directory)


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    del frame
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with(step: Callable[[], int]) -> None:
    """Run one step of a forked process and end the process with its status, whatever happens."""
    status = EXIT_FAILED
    try:
        status = step()
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    except ZclusterError as error:
        print(f"zcluster: {error}", file=sys.stderr)
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else EXIT_FAILED
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _wait_passing(process: int, signals: tuple[signal.Signals, ...]) -> int:
    """Wait for a child; pass the first of `signals` on as SIGTERM, a second one as SIGKILL."""
    awaited = {*signals, signal.SIGCHLD}
    # Blocked and fetched, not handled: a signal between a handler's installation and waitpid() would be lost.
    former = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    passed = 0
    try:
        while True:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else EXIT_FAILED
            came = signal.sigtimedwait(awaited, _LOOK_EVERY_S)
            if came is not None and came.si_signo != signal.SIGCHLD:
                passed += 1
                os.kill(process, signal.SIGTERM if passed == 1 else signal.SIGKILL)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[int]:
    with (directory / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _is_locked(directory: Path) -> bool:
    with (directory / _LOCK).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _remove_abandoned(base: Path) -> None:
    for directory in base.glob("lab-*"):
        with contextlib.suppress(OSError):
            if not _is_locked(directory):
                shutil.rmtree(directory, ignore_errors=True)
