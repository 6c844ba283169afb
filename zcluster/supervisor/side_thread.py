"""The threads beside the loop: for work that waits on a disk, or on a lock of the kernel that others hold.

What must hold: handing work in never blocks; the work waiting is bounded and what does not fit is refused, so
that the caller decides what a refusal means; what follows from it is done in the loop, in order, through one
descriptor that the loop polls. A side thread never touches the core, the packet rules or a socket in use.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from zcluster.control.events import Event

LARGEST_WAITING_ERRANDS = 256
STOP_WAIT_S = 1.0

Sequel = Callable[[], Sequence[Event]]
Errand = Callable[[], Sequel | None]


def say(*events: Event) -> Sequel:
    """The sequel that only tells the core."""
    return lambda: events


class SideThread:
    """Runs errands one after another; the sequel of each, if it returns one, is run by `receive`.

    An errand that raises is a defect: the error is kept, and the next `receive` raises it in the loop.
    `priority` of SCHED_RR, 0 for none: an ordinary thread that loses its processor while it holds the
    interpreter's lock would make the loop wait behind every busy program of the host.
    """

    def __init__(self, name: str, priority: int = 0) -> None:
        self._priority = priority
        self._errands: queue.Queue[Errand | None] = queue.Queue(LARGEST_WAITING_ERRANDS)
        self._results: deque[Sequel | BaseException] = deque()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """Readable when there are sequels."""
        return self._wake

    def submit(self, errand: Errand) -> bool:
        """Hand an errand in; false when too many are waiting (what it waits for stands still)."""
        try:
            self._errands.put_nowait(errand)
        except queue.Full:
            return False
        return True

    def receive(self) -> list[Event]:
        """Run the sequels of the errands that ended since, in their order; the events of all."""
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return []
        events: list[Event] = []
        while self._results:
            result = self._results.popleft()
            if isinstance(result, BaseException):
                raise result
            events.extend(result())
        return events

    def stop(self) -> bool:
        """End after what waits is done, within a bound; false when what it waits for would not let it."""
        if not self.submit_end():
            return False
        self._thread.join(STOP_WAIT_S)
        is_done = not self._thread.is_alive()
        if is_done:
            os.close(self._wake)
        return is_done

    def submit_end(self) -> bool:
        """Ask the thread to end behind what waits; false when the queue stays full for the bound."""
        try:
            self._errands.put(None, timeout=STOP_WAIT_S)
        except queue.Full:
            return False
        return True

    def _work(self) -> None:
        if self._priority:
            with suppress(OSError):  # refused to the loop as well, which says so
                os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(self._priority))
        while (errand := self._errands.get()) is not None:
            try:
                result: Sequel | BaseException | None = errand()
            except Exception as error:
                result = error
            if result is not None:
                self._results.append(result)
                os.eventfd_write(self._wake, 1)
