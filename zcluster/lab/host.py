"""One host of the laboratory: namespaces held by one small process, and the programs that run inside.

What must hold: a host has its own network, host name and /run; every program started in it belongs to it and
to a process group of its own, so that "all processes of the host" can be killed or stopped as a whole. A host
that loses power loses its kernel's state too (addresses, packet filter): a returning host is a new namespace.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from zcluster.errors import LabError
from zcluster.lab import namespaces
from zcluster.lab.network import configure_host_interfaces, prepare_host_kernel
from zcluster.lab.plan import HostPlan

_LAST_DESCRIPTOR = 4096
_GONE_WITHIN_S = 5.0
RUN_DIRECTORY = Path("/run/zcluster")
STATE_DIRECTORY = Path("/run/zcluster-state")


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a host's directories really lie: `run` in memory and wiped with the power, `state` on the disk."""

    run: Path
    state: Path

    def make(self) -> None:
        """Make both, empty or as they were. Raises LabError where a host's own /run would hide them."""
        if self.run.resolve().is_relative_to("/run"):
            raise LabError(f"{self.run} is in /run, which each host has for itself: set TMPDIR elsewhere")
        for directory in (self.run, self.state):
            directory.mkdir(parents=True, exist_ok=True)

    def lose_power(self) -> None:
        """Wipe what lies in memory."""
        shutil.rmtree(self.run)


class Program:
    """A program (or a function) that runs inside a host, the leader of its own process group."""

    def __init__(self, name: str, process: int) -> None:
        self.name = name
        self.process = process
        self._status: int | None = None

    def is_running(self) -> bool:
        """Whether it has not ended yet (a stopped one has not)."""
        if self._status is None:
            process, status = os.waitpid(self.process, os.WNOHANG)
            if process:
                self._status = status
        return self._status is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and everything it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, number)

    def wait(self, timeout_s: float) -> int:
        """Its exit status (negative: the signal that ended it). Raises LabError when it is still running."""
        until = time.monotonic() + timeout_s
        while self.is_running():
            if time.monotonic() > until:
                raise LabError(f"{self.name} did not end within {timeout_s:g} s")
            time.sleep(0.005)
        assert self._status is not None
        return os.waitstatus_to_exitcode(self._status)


class Host:
    """A host that is powered on. Owned by the laboratory's first process; not for threads."""

    def __init__(self, plan: HostPlan, storage: Storage) -> None:
        self.plan = plan
        self.programs: list[Program] = []
        storage.make()
        self._storage = storage
        self._go_read, self._go_write = os.pipe()
        self._done_read, self._done_write = os.pipe()
        self.process = self._fork_holder()
        self._await(b"n", "its namespaces")
        self._process_fd = os.pidfd_open(self.process)

    def configure(self) -> None:
        """Address the interfaces, once the cables are laid. Raises LabError."""
        os.write(self._go_write, b"g")
        self._await(b"d", "its addresses")

    def start(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Program:
        """Run a command inside, its output appended to `log`. It has the laboratory's own privileges."""

        def become() -> NoReturn:
            with log.open("ab") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            os.execve(command[0], list(command), dict(environment))

        return self.fork(name, become)

    def fork(self, name: str, work: Callable[[], None]) -> Program:
        """Run a Python function inside, in a process of its own that ends with it."""
        process = os.fork()
        if process == 0:
            _in_child(lambda: self._enter_and(work))
        program = Program(name, process)
        self.programs.append(program)
        return program

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to every process of the host: its programs, the newest first, then what somebody started
        in it by hand.
        """
        for program in reversed(self.programs):
            if program.is_running():
                program.signal(number)
        for process in self._visitors():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def power_off(self) -> None:
        """Kill every process and let the namespaces go. The caller has cut the cables."""
        self.signal_all(signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)
        for program in self.programs:
            program.wait(_GONE_WITHIN_S)
        os.waitpid(self.process, 0)
        for descriptor in (self._process_fd, self._go_write, self._done_read):
            os.close(descriptor)

    def _visitors(self) -> list[int]:
        """The processes in the host's network that no program of ours leads, as those of `zcluster lab shell`."""
        own = {self.process, *(program.process for program in self.programs)}
        network = os.readlink(f"/proc/{self.process}/ns/net")
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            process = int(entry.name)
            with contextlib.suppress(OSError):  # it has just ended
                is_inside = process not in own and os.readlink(entry / "ns" / "net") == network
                if is_inside and os.getpgid(process) not in own:
                    found.append(process)
        return found

    def _enter_and(self, work: Callable[[], None]) -> None:
        os.setpgid(0, 0)
        namespaces.join(self._process_fd, namespaces.HOST_NAMESPACES)
        work()

    def _fork_holder(self) -> int:
        process = os.fork()
        if process == 0:
            _in_child(self._hold)
        os.close(self._go_read)
        os.close(self._done_write)
        return process

    def _hold(self) -> None:
        os.setsid()
        # Copies of the laboratory's sockets and pipes must not live on in here.
        kept = sorted((self._go_read, self._done_write))
        _close_except(kept)
        namespaces.unshare(namespaces.HOST_NAMESPACES)
        namespaces.set_host_name(self.plan.name)
        self._mount_own_run()
        prepare_host_kernel()
        os.write(self._done_write, b"n")
        if os.read(self._go_read, 1) != b"g":
            return
        configure_host_interfaces(self.plan)
        os.write(self._done_write, b"d")
        _close_except([])
        while True:
            signal.pause()

    def _mount_own_run(self) -> None:
        namespaces.mount("tmpfs", Path("/run"), "tmpfs", namespaces.MS_NOSUID | namespaces.MS_NODEV)
        for seen_as, lies_in in ((RUN_DIRECTORY, self._storage.run), (STATE_DIRECTORY, self._storage.state)):
            seen_as.mkdir()
            namespaces.mount(str(lies_in), seen_as, None, namespaces.MS_BIND)

    def _await(self, expected: bytes, what: str) -> None:
        if os.read(self._done_read, 1) != expected:
            raise LabError(f"host {self.plan.name} could not make {what} (the reason stands above)")


def _close_except(kept: Sequence[int]) -> None:
    first = 3
    for descriptor in kept:
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, _LAST_DESCRIPTOR)


def _in_child(work: Callable[[], None]) -> NoReturn:
    """End a forked process with its work: nothing of the parent's clean-up may run in it."""
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        work()
        status = 0
    except BaseException as error:
        print(f"laboratory: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
