"""The disk of one host: writes wait their turn, take time, sometimes fail, and a crash loses what was not synced."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from zcluster.control.actions import StoreDurable
from zcluster.control.document import Durable
from zcluster.control.events import Event, Stored, StoreFailed

QUICK_MS = (1.0, 12.0)
SLOW_MS = (50.0, 400.0)

Scheduler = Callable[[float, Callable[[object], None], object], None]


@dataclass(slots=True)
class _Write:
    action: StoreDurable
    life: int


class Disk:
    """One file, replaced whole. `content` is what a start would read."""

    __slots__ = ("_at", "_deliver", "_queue", "_random", "content", "failing_until", "slow_until")

    def __init__(
        self, content: Durable, random: Random, at: Scheduler, deliver: Callable[[int, Event], None]
    ) -> None:
        self.content = content
        self.slow_until = 0.0
        self.failing_until = 0.0
        self._random = random
        self._at = at
        self._deliver = deliver
        self._queue: deque[_Write] = deque()

    def store(self, action: StoreDurable, life: int, now: float) -> None:
        """Queue a write of the process of that life."""
        self._queue.append(_Write(action, life))
        if len(self._queue) == 1:
            self._begin(now)

    def crash(self) -> None:
        """Process or power is gone: the write under way landed just in time or did not, the others never do."""
        while len(self._queue) > 1:
            self._queue.pop()
        if self._queue:
            write = self._queue.popleft()
            if self._random.random() < 0.5:
                self.content = write.action.durable

    def _begin(self, now: float) -> None:
        low, high = SLOW_MS if now < self.slow_until else QUICK_MS
        write = self._queue[0]
        done = now + self._random.uniform(low, high)
        self._at(done, self._written, (write, done))

    def _written(self, entry: object) -> None:
        assert isinstance(entry, tuple)
        write, now = entry
        if self._queue and self._queue[0] is write:
            self._finish(write, now < self.failing_until)
            if self._queue:
                self._begin(now)

    def _finish(self, write: _Write, failed: bool) -> None:
        self._queue.popleft()
        number = write.action.number
        if failed:
            self._deliver(write.life, StoreFailed(number, "no space left on device"))
        else:
            self.content = write.action.durable
            self._deliver(write.life, Stored(number))
