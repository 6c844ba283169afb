"""The way to each peer on each link, measured only while somebody asks for the status.

What must hold: asking never waits: the kernel is asked in the side thread, and what it said last time is the answer;
what is older than LARGEST_AGE_MS is none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from zcluster.adapters.round_trips import round_trips
from zcluster.control.units import LinkName, NodeName
from zcluster.supervisor.side_thread import SideThread

EVERY_MS = 2000
LARGEST_AGE_MS = 15_000

Places = Callable[[NodeName], Iterable[tuple[LinkName, str]]]


class RoundTrips:
    """Of connections to or from `ports`; `places` knows where a node was heard."""

    def __init__(
        self,
        ports: Collection[int],
        places: Places,
        side_thread: SideThread,
        measure: Callable[[Collection[int]], Mapping[str, int]] = round_trips,
    ) -> None:
        self._ports = frozenset(ports)
        self._places = places
        self._side_thread = side_thread
        self._measure = measure
        self._asked_ms: int | None = None
        self._known: Mapping[str, int] = {}

    def of(self, nodes: Iterable[NodeName], now_ms: int) -> dict[tuple[NodeName, LinkName], int]:
        """Microseconds by node and link, as far as they are known; the next asking is told to begin."""
        if self._asked_ms is None or now_ms - self._asked_ms >= EVERY_MS:
            if self._asked_ms is not None and now_ms - self._asked_ms > LARGEST_AGE_MS:
                self._known = {}
            self._asked_ms = now_ms
            self._side_thread.submit(self._look)
        known = self._known
        return {
            (node, link): known[address]
            for node in nodes
            for link, address in self._places(node)
            if address in known
        }

    def _look(self) -> None:
        # One reference is put in the place of another: nobody sees half of it.
        self._known = self._measure(self._ports)
