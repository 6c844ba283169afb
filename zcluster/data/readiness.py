"""Is this node's copy of the others' records good enough to take over from them?

What must hold: pure. Not before we heard who lives; then when every living peer's streams are complete, or after
PATIENCE_MS, for a peer whose own data process is dead must not keep everybody from being ready. What was complete
once stays good enough while it mends: a repaired gap is seconds, a slave that is none is an outage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zcluster.control.units import NodeName
from zcluster.streams.units import STREAM_NAMES
from zcluster.wire.local_link import Completeness

PATIENCE_MS = 30_000
COMPLETE = 100
LARGEST_NAMED = 3


class Readiness:
    """`started_ms`: when this process began, on the clock of `judge`."""

    def __init__(self, started_ms: int) -> None:
        self._until_ms = started_ms + PATIENCE_MS
        self._complete: set[NodeName] = set()
        self.is_ready = False
        self.lacking: tuple[NodeName, ...] = ()

    def judge(
        self, alive: Sequence[NodeName] | None, streams: Mapping[NodeName, Mapping[str, int]], now_ms: int
    ) -> Completeness:
        """`alive` is None while nothing is known of it. `streams`: percent by node and stream."""
        if alive is None:
            return Completeness((), False, "the control process has not said yet who lives")
        percents = {node: _percent(streams.get(node, {})) for node in alive}
        self._complete &= set(alive)
        self._complete |= {node for node, percent in percents.items() if percent == COMPLETE}
        self.lacking = tuple(node for node in alive if node not in self._complete)
        is_ready = not self.lacking or now_ms >= self._until_ms
        reason = ""
        if not is_ready:
            named = ", ".join(f"{node} {percents[node]} %" for node in self.lacking[:LARGEST_NAMED])
            more = len(self.lacking) - LARGEST_NAMED
            reason = f"the copy is not complete: {named}" + (f" and {more} more" if more > 0 else "")
        self.is_ready = is_ready
        return Completeness(tuple(percents.items()), is_ready, reason)


def _percent(streams: Mapping[str, int]) -> int:
    """Of all streams of a node; one of which nothing was heard has nothing. 100 only when all have."""
    return sum(streams.get(name, 0) for name in STREAM_NAMES) // len(STREAM_NAMES)
