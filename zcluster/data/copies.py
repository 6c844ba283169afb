"""The replicated tables as the telephony core reads them."""

from __future__ import annotations

from collections.abc import Iterator

from zcluster.streams.replicator import Replicator
from zcluster.streams.tables import Entry
from zcluster.streams.units import Key


class ReplicatedCopies:
    """All that a replicator has: see `telephony.part.Copies`."""

    def __init__(self, replicator: Replicator) -> None:
        self._tables = replicator.tables

    def entries(self, name: str) -> Iterator[Entry]:
        """Every record of the streams of that name once. Take all you need before you return to the loop."""
        return self._tables[name].entries()

    def bucket(self, name: str, place: int) -> list[Entry]:
        """The records of one of the `streams.units.BUCKETS`: a walk that may pause between them."""
        return self._tables[name].bucket(place)

    def get(self, name: str, key: Key) -> Entry | None:
        """The record under this key."""
        return self._tables[name].get(key)
