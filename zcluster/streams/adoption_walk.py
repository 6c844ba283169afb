"""Taking a group's records over, bucket by bucket, so that a million of them are no long turn.

What must hold: at its end our stream has of the group exactly what its source has and what nobody claimed, but for
what our switch said since, as if all had been taken in one moment: a record of theirs that changes meanwhile is
looked at again in the end.
"""

from __future__ import annotations

from zcluster.streams.table import Table
from zcluster.streams.tables import Tables
from zcluster.streams.units import BUCKETS, GroupBytes, Key, Record, StreamId, group_of


class AdoptionWalk:
    """Of one group. `source` is whose records they are, None for nobody's; `touched`: see `Adoption`."""

    def __init__(self, group: GroupBytes, source: StreamId | None, is_own: bool, touched: set[Key]) -> None:
        self.group = group
        self.source = source
        self.records = 0
        self._is_own = is_own
        self._touched = touched
        self._place = 0
        self._again: dict[Key, None] = {}

    def hear(self, key: Key) -> None:
        """Another stream changed this record of the group."""
        self._again[key] = None

    def step(self, tables: Tables, limit_records: int, now_ms: int) -> int:
        """Take over about so many records, at least a bucket; how many were looked at. Over when `is_done`."""
        looked = 0
        theirs = self._theirs(tables)
        while self._place < BUCKETS and looked < limit_records:
            place, self._place = self._place, self._place + 1
            if theirs is not None:
                looked += self._take_over(tables, theirs, place, now_ms)
            looked += self._take_unclaimed(tables, place, now_ms)
        if self._place >= BUCKETS:
            for key in self._again:
                self._look_again(tables, theirs, key, now_ms)
            self._again.clear()
        return looked

    @property
    def is_done(self) -> bool:
        """Whether our stream has everything."""
        return self._place >= BUCKETS

    def _theirs(self, tables: Tables) -> Table | None:
        return None if self.source is None or self._is_own else tables.table(self.source)

    def _take_over(self, tables: Tables, theirs: Table, place: int, now_ms: int) -> int:
        """Make our part of the group theirs."""
        own, looked = tables.own, 0
        for key, _ in list(own.table.bucket(place)):
            looked += 1
            if group_of(key) == self.group and key not in self._touched and theirs.get(key) is None:
                own.drop(key, now_ms)
        for key, record in theirs.bucket(place):
            looked += 1
            if group_of(key) == self.group and key not in self._touched:
                self.records += 1
                if own.table.get(key) != record:
                    own.put_record(key, record, now_ms)
        return looked

    def _take_unclaimed(self, tables: Tables, place: int, now_ms: int) -> int:
        """What a master wrote who died before it could claim."""
        looked = 0
        for stream, copy in tables.copies.items():
            if not copy.is_orphan or self.group in copy.claims:
                continue
            for key, record in tables.table(stream).bucket(place):
                looked += 1
                if group_of(key) == self.group:
                    self._take_one(tables, key, record, now_ms)
        return looked

    def _take_one(self, tables: Tables, key: Key, record: Record, now_ms: int) -> None:
        own = tables.own
        if key not in self._touched and not own.is_buried(key, now_ms) and own.table.get(key) is None:
            own.put_record(key, record, now_ms)
            self.records += 1

    def _look_again(self, tables: Tables, theirs: Table | None, key: Key, now_ms: int) -> None:
        own = tables.own
        record = None if theirs is None else theirs.get(key)
        if record is not None and key not in self._touched and own.table.get(key) != record:
            own.put_record(key, record, now_ms)
        elif record is None and theirs is not None and key not in self._touched:
            own.drop(key, now_ms)
        for copy in tables.copies.values():
            unclaimed = copy.table.get(key) if copy.is_orphan and self.group not in copy.claims else None
            if unclaimed is not None:
                self._take_one(tables, key, unclaimed, now_ms)
