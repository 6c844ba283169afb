"""What the local daemon told lately, with its numbers: what a subscriber that missed something can ask for.

What must hold: bounded in records and in bytes; numbers rise, and where one is missing the daemon had it no more; all
are of one life of the daemon, for a number means nothing beyond it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import islice
from typing import NamedTuple

import msgpack

from zcluster.adapters.journal import Record

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
        entry = Entry(number, record.node, msgpack.packb(record.plain(), default=str))
        self._entries.append(entry)
        self._bytes += len(entry.body)
        while len(self._entries) > self._largest_records or self._bytes > self._largest_bytes:
            self._bytes -= len(self._entries.popleft().body)

    def last(self) -> Entry | None:
        """The newest entry."""
        return self._entries[-1] if self._entries else None

    def after(self, number: int, largest_bytes: int) -> list[Entry]:
        """What came after that number, oldest first, as much as `largest_bytes` hold, but one at least."""
        numbers = [entry.number for entry in self._entries]
        found: list[Entry] = []
        size = 0
        for entry in islice(self._entries, bisect_right(numbers, number), None):
            size += len(entry.body)
            if found and size > largest_bytes:
                break
            found.append(entry)
        return found
