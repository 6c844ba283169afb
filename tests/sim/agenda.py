"""A list of what is to come, for tests of single parts of the simulator."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any


class Agenda:
    """Calls in the order of their times."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = 0
        self._items: list[tuple[float, int, Callable[[Any], None], Any]] = []

    def at(self, when: float, call: Callable[[Any], None], argument: Any) -> None:
        self._order += 1
        heappush(self._items, (when, self._order, call, argument))

    def run(self, until: float = 1e9) -> None:
        while self._items and self._items[0][0] <= until:
            self.now, _, call, argument = heappop(self._items)
            call(argument)
