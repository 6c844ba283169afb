"""The events that one hook has still to be told, in their order, and when each is tried.

What must hold: pure. Bounded; one at a time; a later event never overtakes an earlier one. What fails is tried again,
later each time, until its tries are used up. What there is no room for is the oldest that waits: it is counted, and
told once, and with the next event.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

from zcluster.config.configuration import Hook
from zcluster.tools.hooks_event import Event, Told

MOST_EVENTS = 256
BACKOFF_MS = (1000, 2000, 5000, 10_000, 30_000, 60_000)


class HookQueue:
    """Of one hook, at the node `here` of `cluster`. `complain` gets a line for people. Times are monotonic."""

    def __init__(self, hook: Hook, cluster: str, here: str, complain: Callable[[str], None]) -> None:
        self.hook = hook
        self.counts: Counter[str] = Counter()
        self._cluster = cluster
        self._here = here
        self._complain = complain
        self._events: deque[Event] = deque()
        self._is_running = False
        self._attempt = 0
        self._due_ms: int | None = None
        self._dropped = self._told_dropped = 0
        self._is_overflow_told = False

    def __len__(self) -> int:
        return len(self._events)

    def pending(self) -> Iterable[Event]:
        """What is still to be told, the one that is being told included."""
        return tuple(self._events)

    def add(self, event: Event) -> Event | None:
        """One more; the one that had to go for it."""
        self._events.append(event)
        if len(self._events) <= MOST_EVENTS:
            return None
        place = 1 if self._is_running else 0
        gone = self._events[place]
        del self._events[place]
        if place == 0:
            self._next_one()
        self._dropped += 1
        self.counts["dropped"] += 1
        if not self._is_overflow_told:
            self._is_overflow_told = True
            self._complain(f"the hook {self.hook.name} is too slow: of its events the oldest are dropped")
        return gone

    def deadline(self) -> int | None:
        """When the first event is to be tried; None while it is, or while there is none."""
        if self._is_running or not self._events:
            return None
        return self._due_ms if self._due_ms is not None else 0

    def begin(self, now_ms: int) -> Told | None:
        """What to try now. Say how it ended before the next."""
        due_ms = self.deadline()
        if due_ms is None or due_ms > now_ms:
            return None
        self._is_running = True
        self._attempt += 1
        self._told_dropped = self._dropped
        self.counts["tried"] += 1
        return Told(self._events[0], self.hook.name, self._cluster, self._here, self._attempt, self._dropped)

    def succeeded(self) -> Event:
        """It is told."""
        self.counts["told"] += 1
        self._dropped -= self._told_dropped
        return self._finish()

    def failed(self, why: str, now_ms: int, *, is_final: bool) -> Event | None:
        """It is not told; the event, where it is given up. `is_final`: another try is of no use."""
        self.counts["failed"] += 1
        key, code = self._events[0].key, self._events[0].record.code
        if not is_final and self._attempt < self.hook.attempts:
            if self._attempt == 1:
                self._complain(
                    f"the hook {self.hook.name} failed for {code} ({key}): {why}; it is tried again"
                )
            self._is_running = False
            self._due_ms = now_ms + BACKOFF_MS[min(self._attempt, len(BACKOFF_MS)) - 1]
            return None
        self.counts["given_up"] += 1
        self._complain(f"the hook {self.hook.name} is given up for {code} ({key}): {why}")
        return self._finish()

    def _finish(self) -> Event:
        event = self._events.popleft()
        self._is_running = False
        self._next_one()
        if not self._events:
            self._is_overflow_told = False
        return event

    def _next_one(self) -> None:
        self._attempt = 0
        self._due_ms = None
