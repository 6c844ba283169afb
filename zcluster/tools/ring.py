"""What the local daemon told lately, with its numbers: what a subscriber that missed something can ask for.

What must hold: bounded in records and in bytes; numbers rise, and where one is missing the daemon had it no more; all
are of one life of the daemon, for a number means nothing beyond it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from zcluster.adapters.journal import Record
from zcluster.tools.packed import NOTHING, packed, packed_map

LARGEST_RECORDS = 2000
LARGEST_BYTES = 2 << 20


class Entry(NamedTuple):
    """A record under its number; `body` is the record's `plain` form as MessagePack."""

    number: int
    node: str
    body: bytes


class Ring:
    """The newest records of life `incarnation` of the daemon, which answers as `node`. Empty before it answered."""

    def __init__(self, largest_records: int = LARGEST_RECORDS, largest_bytes: int = LARGEST_BYTES) -> None:
        self.node = ""
        self.incarnation = 0
        self.newest = 0
        self._largest_records = largest_records
        self._largest_bytes = largest_bytes
        self._bytes = 0
        self._entries: deque[Entry] = deque()

    def begin(self, node: str, incarnation: int) -> None:
        """The daemon answers: what is here of another life goes."""
        if (node, incarnation) != (self.node, self.incarnation):
            self.node, self.incarnation = node, incarnation
            self.newest = self._bytes = 0
            self._entries.clear()

    def add(self, number: int, record: Record) -> None:
        """The next record; one with a number that is no news is none."""
        if number <= self.newest:
            return
        self.newest = number
        entry = Entry(number, record.node, _body(record))
        self._entries.append(entry)
        self._bytes += len(entry.body)
        while len(self._entries) > self._largest_records or self._bytes > self._largest_bytes:
            self._bytes -= len(self._entries.popleft().body)

    def last(self) -> Entry | None:
        """The newest entry."""
        return self._entries[-1] if self._entries else None

    @property
    def before_first(self) -> int:
        """The number before that of the oldest entry: from here on everything that is left comes."""
        return self._entries[0].number - 1 if self._entries else self.newest

    def after(self, number: int, largest_bytes: int) -> list[Entry]:
        """What came after that number, oldest first, as much as `largest_bytes` hold, but one at least."""
        found: list[Entry] = []
        size = 0
        start = bisect_right(self._entries, number, key=attrgetter("number"))
        for entry in islice(self._entries, start, None):
            size += len(entry.body)
            if found and size > largest_bytes:
                break
            found.append(entry)
        return found


def _body(record: Record) -> bytes:
    fields = {key: packed(value) for key, value in record.plain().items()}
    if fields["facts"] == NOTHING:
        fields["facts"] = packed({"left_out": "nested too deeply"})
    return packed_map(**fields)
