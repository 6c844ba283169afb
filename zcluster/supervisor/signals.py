"""SIGTERM, SIGINT and SIGUSR2 as something the loop can read; and the bound on an orderly stop.

What must hold: SIGUSR2 asks for a planned restart, as `zcluster restart-daemon` does. The others are a wish to
stop, handed to the core as an event; the process ends within the bound even if nobody takes over and a disk
stands still; a second one does not wait for the bound.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Sequence

from zcluster.control.events import Event, RestartAsked, StopAsked

STOP_LIMIT_MS = 2000
STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
RESTARTING_SIGNAL = signal.SIGUSR2
ASKED_BY_SIGNAL = "signal"  # the identity of a restart that nobody waits to be answered


class StopSignals:
    """A descriptor that is readable when the process was asked to stop. It is a chore: the bound.

    `give_up` is called when the bound is reached. Make it in the main thread.
    """

    def __init__(self, clock: Callable[[], int], give_up: Callable[[], None]) -> None:
        self._clock = clock
        self._give_up = give_up
        self._limit_ms: int | None = None
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        self._before = {
            number: signal.signal(number, _nothing) for number in (*STOPPING_SIGNALS, RESTARTING_SIGNAL)
        }

    def fileno(self) -> int:
        """Readable after a signal."""
        return self._reading.fileno()

    def receive(self) -> list[Event]:
        """The first stopping signal becomes the event, a second ends at once; or a restart is asked for."""
        try:
            numbers = self._reading.recv(64)
        except BlockingIOError:
            return []
        events: list[Event] = []
        for number in numbers:
            if number == RESTARTING_SIGNAL:
                events.append(RestartAsked(ASKED_BY_SIGNAL))
            if number not in STOPPING_SIGNALS:
                continue
            if self._limit_ms is None:
                self._limit_ms = self._clock() + STOP_LIMIT_MS
                events.append(StopAsked())
            else:
                self._limit_ms = self._clock()
        return events

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was asked."""
        return self._limit_ms is not None

    def deadline(self) -> int | None:
        """When the stop must be over."""
        return self._limit_ms

    def run(self, now_ms: int) -> Sequence[Event]:
        """The bound is reached."""
        self._give_up()
        return ()

    def close(self) -> None:
        """Put everything back."""
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._reading.close()
        self._writing.close()


def _nothing(_number: int, _frame: object) -> None:
    """The number has been written to the wake-up descriptor; that is all."""
