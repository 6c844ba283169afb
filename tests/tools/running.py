"""An outlet that has its turns in a thread of its own, as the loop of the tools process gives them."""

from __future__ import annotations

import queue
import select
import threading
from collections.abc import Callable
from types import TracebackType

from zcluster.tools.loop import monotonic_ms
from zcluster.tools.outlet import Outlet

LONGEST_WAIT_MS = 20
LIMIT_S = 30


class Running:
    """Turns `outlet` until the `with` ends, and closes it. `do` lets the thread do something between two turns."""

    def __init__(self, outlet: Outlet, clock: Callable[[], int] = monotonic_ms) -> None:
        self._outlet = outlet
        self._clock = clock
        self._wishes: queue.SimpleQueue[tuple[Callable[[], None], threading.Event]] = queue.SimpleQueue()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()
        self._outlet.close()

    def do(self, wish: Callable[[], None]) -> None:
        """Have it done, and wait until it is."""
        done = threading.Event()
        self._wishes.put((wish, done))
        assert done.wait(LIMIT_S)

    def _run(self) -> None:
        while not self._is_over:
            poll = select.poll()
            for descriptor in self._outlet.filenos():
                poll.register(descriptor, select.POLLIN)
            deadline = self._outlet.deadline()
            wait_ms = (
                LONGEST_WAIT_MS
                if deadline is None
                else min(max(deadline - self._clock(), 0), LONGEST_WAIT_MS)
            )
            poll.poll(wait_ms)
            while not self._wishes.empty():
                wish, done = self._wishes.get()
                wish()
                done.set()
            self._outlet.turn(self._clock())
