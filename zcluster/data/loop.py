"""The loop of the data process: what moves addresses first, then time, then bulk in slices.

What must hold: in every turn the switch and the control process are read before anything else, and the pulse's time
is told before bulk is looked at; bulk gets a slice of SLICE_MS and then its next turn, so that a snapshot of a
million records makes no pulse later than a slice. Nothing here waits but for what is watched.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

SLICE_MS = 5
LONGEST_WAIT_MS = 200


class Watched(Protocol):
    """Something that is waited for."""

    def filenos(self) -> Sequence[int]:
        """What to wait on; the same for its whole life."""

    def deadline(self) -> int | None:
        """When its turn is due even if nothing is readable."""


class Source(Watched, Protocol):
    """Something that is read from in every turn."""

    def turn(self, now_ms: int) -> None:
        """Read what is there, a bounded amount; do what is due."""


class Bulk(Watched, Protocol):
    """What may take long, in pieces."""

    @property
    def has_more(self) -> bool:
        """Whether there is something to do without waiting."""

    def piece(self, now_ms: int) -> bool:
        """A piece of far less than SLICE_MS; whether there is another one."""


class Timed(Protocol):
    """The cores."""

    def deadline(self) -> int:
        """When `tick` is due."""

    def tick(self, are_all_read: bool) -> None:
        """What time makes due."""


@dataclass(slots=True)
class LoopFigures:
    """What the loop measured of itself."""

    turns: int = 0
    busy_us: int = 0
    worst_turn_us: int = 0
    worst_oversleep_ms: int = 0


def monotonic_ms() -> int:
    """Milliseconds of the monotonic clock, rounded down."""
    return time.monotonic_ns() // 1_000_000


class Loop:
    """`urgent` are read in their order, then the cores' time is told, then `later`, then a slice of `bulk`."""

    def __init__(
        self,
        urgent: Sequence[Source],
        cores: Timed,
        later: Sequence[Source],
        bulk: Sequence[Bulk],
        is_over: Callable[[], bool],
    ) -> None:
        self.figures = LoopFigures()
        self._urgent = tuple(urgent)
        self._cores = cores
        self._later = tuple(later)
        self._bulk = tuple(bulk)
        self._is_over = is_over
        self._poll = select.epoll()
        self._watched: tuple[Watched, ...] = (*urgent, *later, *bulk)
        for watched in self._watched:
            for descriptor in watched.filenos():
                self._poll.register(descriptor, select.EPOLLIN)

    def run(self) -> None:
        """Turn until it is over."""
        while not self._is_over():
            self.turn()

    def close(self) -> None:
        """Give the descriptor back."""
        self._poll.close()

    def turn(self, longest_wait_ms: int = LONGEST_WAIT_MS) -> None:
        """One turn."""
        now_ms = monotonic_ms()
        due_ms = max(now_ms, min(self._due_ms(), now_ms + longest_wait_ms))
        self._poll.poll((due_ms - now_ms) / 1000, 1)
        began_ns = time.perf_counter_ns()
        overslept_ms = monotonic_ms() - due_ms
        for source in self._urgent:
            source.turn(monotonic_ms())
        has_more = any(bulk.has_more for bulk in self._bulk)
        # A backlog puts the streams' time off, but not for ever: they mend what is lost by it.
        self._cores.tick(not has_more or self._cores_are_late())
        for source in self._later:
            source.turn(monotonic_ms())
        self._slice()
        self._count(time.perf_counter_ns() - began_ns, overslept_ms)

    def _due_ms(self) -> int:
        now_ms = monotonic_ms()
        if any(bulk.has_more for bulk in self._bulk):
            return now_ms
        dues = [each.deadline() for each in self._watched]
        return min(
            now_ms + LONGEST_WAIT_MS, self._cores.deadline(), *(due for due in dues if due is not None)
        )

    def _cores_are_late(self) -> bool:
        return monotonic_ms() - self._cores.deadline() > LONGEST_WAIT_MS

    def _slice(self) -> None:
        for bulk in self._bulk:
            until_ns = time.monotonic_ns() + SLICE_MS * 1_000_000 // len(self._bulk)
            while bulk.piece(monotonic_ms()) and time.monotonic_ns() < until_ns:
                pass

    def _count(self, length_ns: int, overslept_ms: int) -> None:
        figures = self.figures
        length_us = length_ns // 1000
        figures.turns += 1
        figures.busy_us += length_us
        figures.worst_turn_us = max(figures.worst_turn_us, length_us)
        figures.worst_oversleep_ms = max(figures.worst_oversleep_ms, overslept_ms)
