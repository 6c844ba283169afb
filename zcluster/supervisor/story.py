"""The story ring: the last things told in the cluster, this node's own and its peers', for `zcluster why`.

What must hold: bounded; nothing is told twice (a peer's record may come over several links); order is that of
arrival, because clocks of hosts differ.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from zcluster.adapters.journal import Record

LARGEST_RECORDS = 500


class Story:
    """The ring of one node."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records: deque[Record] = deque(records, LARGEST_RECORDS)

    def add(self, record: Record) -> bool:
        """Keep the record; false when it is there already."""
        for known in reversed(self._records):
            if known.at_ms == record.at_ms and known.node == record.node and known.text == record.text:
                return False
        self._records.append(record)
        return True

    def about(self, group: str) -> list[Record]:
        """The records that name the group, and those that name none; all of them for ""."""
        if not group:
            return list(self._records)
        return [record for record in self._records if record.facts.get("group", group) == group]

    def last_takeover(self, group: str, epoch: int) -> Record | None:
        """The record of that epoch's opening, if it is still in the ring."""
        for record in reversed(self._records):
            facts = record.facts
            if record.code == "takeover" and facts.get("group") == group and facts.get("epoch") == epoch:
                return record
        return None

    def alarms(self, since_ms: int) -> list[Record]:
        """The latest alarm of each text told since that wall-clock time, oldest first."""
        found: dict[str, Record] = {}
        for record in self._records:
            if record.level == "alarm" and record.at_ms >= since_ms:
                found.pop(record.text, None)
                found[record.text] = record
        return list(found.values())
