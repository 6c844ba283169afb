"""The terminal while top has it: raw keys, the other screen, no cursor; and given back in every case.

What must hold: whatever ends the program (a key, an exception, SIGTERM, SIGHUP, SIGQUIT) or stops it for a while
(SIGTSTP), the terminal is before that as it was found. Signals only leave a note; the loop reads it.
Sources: termios(3), signal(7), xterm's ctlseqs.
"""

from __future__ import annotations

import os
import signal
import socket
import termios
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType

from zcluster.console.top.state import Size

# The other screen, no cursor, no wrapping at the edge; all clear once.
ENTER = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J\x1b[H"
LEAVE = b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
CLEAR = b"\x1b[0m\x1b[2J"
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT)
NOTED = (*ENDING, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)
READ_BYTES = 4096
FALLBACK = Size(80, 24)
_Handler = Callable[[int, FrameType | None], object] | int | None


class Terminal:
    """A context: inside it the terminal is ours. `input_fd` and `output_fd` are terminals."""

    def __init__(self, input_fd: int, output_fd: int) -> None:
        self._input = input_fd
        self._output = output_fd
        self._before: list[object] | None = None
        self._handlers: dict[int, _Handler] = {}
        self._notes, self._noting = socket.socketpair()
        self._notes.setblocking(False)
        self._noting.setblocking(False)
        self._wakeup = -1

    def __enter__(self) -> Terminal:
        self._before = termios.tcgetattr(self._input)
        self._wakeup = signal.set_wakeup_fd(self._noting.fileno(), warn_on_full_buffer=False)
        try:
            for number in NOTED:
                self._handlers[number] = signal.signal(number, _noted)
            self.take()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        self._notes.close()
        self._noting.close()

    def filenos(self) -> tuple[int, int]:
        """Keys, and notes of signals."""
        return (self._input, self._notes.fileno())

    def take(self) -> None:
        """Make the terminal ours."""
        assert self._before is not None, "taken inside the context"
        ours = list(self._before)
        local, control = ours[3], ours[6]
        assert isinstance(local, int), "termios gives numbers"
        assert isinstance(control, list), "termios gives a list of characters"
        # Signals stay the terminal's: Ctrl-C and Ctrl-Z are known to everybody.
        ours[3] = local & ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
        characters = list(control)
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0
        ours[6] = characters
        termios.tcsetattr(self._input, termios.TCSADRAIN, ours)  # type: ignore[arg-type]
        self.write(ENTER)

    def give_back(self) -> None:
        """As it was found. A terminal that is gone needs nothing."""
        if self._before is None:
            return
        with suppress(OSError):
            self.write(LEAVE)
        with suppress(termios.error):
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]

    def stop(self) -> None:
        """Give the terminal back, stand still until somebody wakes us, and take it again."""
        self.give_back()
        ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        # Here we are awake again.
        signal.signal(signal.SIGTSTP, ours)
        self.take()

    def write(self, data: bytes) -> None:
        """All of it. Raises OSError when the terminal is gone."""
        while data:
            data = data[os.write(self._output, data) :]

    def read(self) -> bytes:
        """What was typed; b"" when the terminal is gone."""
        try:
            return os.read(self._input, READ_BYTES)
        except OSError:
            return b""

    def signals(self) -> list[int]:
        """The numbers of the signals that came."""
        try:
            return list(self._notes.recv(READ_BYTES))
        except OSError:
            return []

    def size(self) -> Size:
        """Of the terminal now."""
        try:
            found = os.get_terminal_size(self._output)
        except OSError:
            return FALLBACK
        return Size(found.columns, found.lines) if found.columns > 0 and found.lines > 0 else FALLBACK


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The wake-up descriptor has the note; without a handler of ours the signal would end us."""
