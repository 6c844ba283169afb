"""A program that is run for one event: started, watched, and ended with all its children when it takes too long.

What must hold: nothing here waits, whatever the program does. It reads its input from a file in memory and writes into
a pipe of which only the end is kept; it has its own session, so that its children end with it; it gets its signals as
any program does, though we ignore ours, and no descriptor and no variable of ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

KEPT_OUTPUT_BYTES = 1024
PIECE_BYTES = 16 << 10
MOST_PIECES = 4
# One that a dead disk holds in the kernel, or that runs as somebody else, does not end by being told once.
KILL_AGAIN_MS = 5000
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending(NamedTuple):
    """`status` as a shell has it, minus the signal's number where one ended it; None where it was never begun.

    `output`: the last line of what it wrote, "" for nothing.
    """

    status: int | None
    output: str
    is_late: bool = False

    @property
    def text(self) -> str:
        """For people."""
        if self.is_late:
            return "it took too long and was ended"
        if self.status is None:
            return self.output
        how = f"exit status {self.status}" if self.status >= 0 else f"ended by signal {-self.status}"
        return f"{how}: {self.output}" if self.output else how


class Program:
    """One run. `limit_ms` is when it is ended, or ended again, in monotonic milliseconds."""

    def __init__(
        self, command: Sequence[str], given: bytes, variables: Mapping[str, str], limit_ms: int
    ) -> None:
        self.limit_ms = limit_ms
        self._is_late = False
        self._output = bytearray()
        self._refusal = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._descriptor = -1
        self._pipe, their_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._begin(command, given, variables, their_end)
        except (OSError, ValueError) as error:
            self._refusal = f"{command[0]} cannot be run: {getattr(error, 'strerror', None) or error}"
        finally:
            os.close(their_end)

    def _begin(self, command: Sequence[str], given: bytes, variables: Mapping[str, str], output: int) -> None:
        os.set_blocking(output, True)
        stdin = os.memfd_create("event", os.MFD_CLOEXEC)
        try:
            os.write(stdin, given)
            os.lseek(stdin, 0, os.SEEK_SET)
            with _signals_as_usual():
                self._process = subprocess.Popen(
                    list(command),
                    stdin=stdin,
                    stdout=output,
                    stderr=output,
                    env=dict(variables),
                    cwd="/",
                    start_new_session=True,
                )
            self._descriptor = os.pidfd_open(self._process.pid)
        finally:
            os.close(stdin)

    def filenos(self) -> tuple[int, ...]:
        """Readable when it has written or ended."""
        return tuple(descriptor for descriptor in (self._descriptor, self._pipe) if descriptor >= 0)

    def look(self, now_ms: int) -> Ending | None:
        """How it ended; None while it runs."""
        self._read()
        if self._process is None:
            self._close()
            return Ending(None, self._refusal)
        if now_ms >= self.limit_ms and self._process.poll() is None:
            self._is_late = True
            self.limit_ms = now_ms + KILL_AGAIN_MS
            self._kill()
        status = self._process.poll()
        if status is None:
            return None
        self._read()
        self._close()
        return Ending(status, self._last_line(), self._is_late)

    def end(self) -> None:
        """End it now, with its children, whatever it was about to do."""
        if self._process is not None and self._process.poll() is None:
            self._kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
        self._close()

    def _kill(self) -> None:
        assert self._process is not None
        # Not reaped yet, so the number is still that of its session and group.
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read(self) -> None:
        for _ in range(MOST_PIECES if self._pipe >= 0 else 0):
            try:
                piece = os.read(self._pipe, PIECE_BYTES)
            except OSError:
                return
            if not piece:
                os.close(self._pipe)
                self._pipe = -1
                return
            self._output = (self._output + piece)[-KEPT_OUTPUT_BYTES:]

    def _last_line(self) -> str:
        lines = self._output.decode("utf-8", "replace").strip().splitlines() or [""]
        return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in lines[-1])

    def _close(self) -> None:
        for descriptor in self.filenos():
            os.close(descriptor)
        self._pipe = self._descriptor = -1


@contextmanager
def _signals_as_usual() -> Iterator[None]:
    """What is ignored stays ignored over execve(2), and what has a handler does not: so it has one for that moment."""
    ignored = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_IGN]
    changed: list[signal.Signals] = []
    try:
        for number in ignored:
            with suppress(ValueError):  # only the main thread may; the tools process has no other
                signal.signal(number, lambda _number, _frame: None)
                changed.append(number)
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_IGN)
