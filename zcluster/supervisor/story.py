"""The story ring: the last things told in the cluster, this node's own and its peers', for `zcluster why`.

What must hold: bounded; nothing is told twice (a peer's record may come over several links); order is that of
arrival, because clocks of hosts differ, and each record taken in has a place, counted from 1 without a gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from zcluster.adapters.journal import Record
from zcluster.codes.ends import ENDING, Said, ends

LARGEST_RECORDS = 500

Identity = tuple[str, int, int] | tuple[str, int, str]


class Story:
    """The ring of one node. `newest` is the place of its last record, 0 before the first."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records: deque[Record] = deque()
        self._known: set[Identity] = set()
        self.newest = 0
        for record in records:
            self.add(record)

    def add(self, record: Record) -> bool:
        """Keep the record; false when it is there already."""
        identity = _identity(record)
        if identity in self._known:
            return False
        if len(self._records) == LARGEST_RECORDS:
            self._known.discard(_identity(self._records.popleft()))
        self._known.add(identity)
        self._records.append(record)
        self.newest += 1
        return True

    @property
    def oldest(self) -> int:
        """The place of the first record that is still here; `newest` + 1 where there is none."""
        return self.newest + 1 - len(self._records)

    def after(self, place: int, most: int) -> list[tuple[int, Record]]:
        """At most `most` records behind that place, with theirs; the first that are still here."""
        first = max(place + 1, self.oldest)
        start = first - self.oldest
        return list(enumerate(islice(self._records, start, start + most), first))

    def about(self, group: str) -> list[Record]:
        """The records that name the group, and those that name none; all of them for ""."""
        if not group:
            return list(self._records)
        return [record for record in self._records if record.facts.get("group", group) == group]

    def last_takeover(self, group: str, epoch: int) -> Record | None:
        """The record of that epoch's opening, if it is still in the ring; also under the number that it had before."""
        for record in reversed(self._records):
            facts = record.facts
            if record.code == "epoch-exchanged" and (facts.get("group"), facts.get("epoch")) == (
                group,
                epoch,
            ):
                before = facts.get("before")
                epoch = before if type(before) is int else epoch
            if record.code == "takeover" and facts.get("group") == group and facts.get("epoch") == epoch:
                return record
        return None

    def alarms(self, since_ms: int) -> list[Record]:
        """The latest alarm of each text told since that wall-clock time, oldest first; not what a later record ended
        (`zcluster.codes.ends`).
        """
        found: dict[str, Record] = {}
        for record in self._records:
            if found and record.code in ENDING:
                said = _said(record)
                found = {text: alarm for text, alarm in found.items() if not ends(said, _said(alarm))}
            if record.level == "alarm" and record.at_ms >= since_ms:
                found.pop(record.text, None)
                found[record.text] = record
        return list(found.values())


def _said(record: Record) -> Said:
    facts = record.facts
    return Said(record.code, record.node, str(facts.get("group") or ""), str(facts.get("node") or ""))


def _identity(record: Record) -> Identity:
    """Where the node did not number it, the same words at the same millisecond are the same record."""
    if record.number:
        return record.node, record.incarnation, record.number
    return record.node, record.at_ms, record.text
