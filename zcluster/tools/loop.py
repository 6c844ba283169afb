"""The loop of the tools process: wait for the first thing to do, then give every part its turn.

What must hold: nothing here waits but for what is watched and what is due; each part does a bounded amount in a turn
(what it leaves over it tells by a deadline that has come), so that one that has much to do keeps none waiting for
long. What is watched is asked anew in each turn: descriptors come and go.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

LONGEST_WAIT_MS = 1000


class Part(Protocol):
    """What has a turn: the feed, and every outlet (`zcluster.tools.outlet`)."""

    def filenos(self) -> tuple[int, ...]:
        """What to wait on for reading; it may change from turn to turn."""

    def deadline(self) -> int | None:
        """When `turn` is due at the latest, in monotonic milliseconds; None for not at all."""

    def turn(self, now_ms: int) -> None:
        """Do what is due and what has become readable, a bounded amount of it."""


@dataclass(slots=True)
class LoopFigures:
    """What the loop measured of itself. A turn is everything between two waits."""

    turns: int = 0
    busy_us: int = 0
    worst_turn_us: int = 0


def monotonic_ms() -> int:
    """Milliseconds of the monotonic clock, rounded down."""
    return time.monotonic_ns() // 1_000_000


class Loop:
    """Gives each of `parts` its turn, in their order, until `is_over`. `end`: readable when it shall look."""

    def __init__(self, end: int, parts: Sequence[Part], is_over: Callable[[], bool]) -> None:
        self.figures = LoopFigures()
        self._end = end
        self._parts = tuple(parts)
        self._is_over = is_over

    def run(self) -> None:
        """Turn until it is over."""
        while not self._is_over():
            self.turn()

    def turn(self, longest_wait_ms: int = LONGEST_WAIT_MS) -> None:
        """One turn."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        for part in self._parts:
            for descriptor in part.filenos():
                poll.register(descriptor, select.POLLIN)
        poll.poll(self._wait_ms(longest_wait_ms))
        began_ns = time.perf_counter_ns()
        for part in self._parts:
            part.turn(monotonic_ms())
        self._count(time.perf_counter_ns() - began_ns)

    def _wait_ms(self, longest_wait_ms: int) -> int:
        dues = (part.deadline() for part in self._parts)
        first_ms = min((due for due in dues if due is not None), default=None)
        if first_ms is None:
            return longest_wait_ms
        return min(max(first_ms - monotonic_ms(), 0), longest_wait_ms)

    def _count(self, length_ns: int) -> None:
        figures = self.figures
        length_us = length_ns // 1000
        figures.turns += 1
        figures.busy_us += length_us
        figures.worst_turn_us = max(figures.worst_turn_us, length_us)
