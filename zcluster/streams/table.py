"""One stream's records in memory: packed bytes in buckets, with a running digest.

What must hold: nothing but a key and bytes is kept for a record, no operation is longer than one bucket is
wide, and the digest is that of exactly what is here. A thousand small dictionaries instead of one: none takes
a noticeable time to grow, and a snapshot can be cut by them without remembering anything between its parts.
The bucket of a key is its CRC-32, the same on every host, so that a part of a snapshot replaces a part of a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from struct import Struct
from typing import cast
from zlib import crc32

from zcluster.streams.units import BUCKETS, END, Changes, Cursor, GroupBytes, Key, Record, is_claim

_MASK = BUCKETS - 1
_TOTAL_MASK = (1 << 64) - 1
_mark = Struct("<Q").unpack_from
_counter = Struct("<8xQ").unpack_from
RECORD_OVERHEAD_BYTES = 8


class Table:
    """Records by key. `claims` are those records that say for which groups this stream is the one."""

    __slots__ = ("_buckets", "_total", "claim_changes", "claims", "count")

    def __init__(self) -> None:
        self._buckets: list[dict[Key, Record]] = [{} for _ in range(BUCKETS)]
        self._total = 0
        self.count = 0
        self.claims: dict[GroupBytes, int] = {}
        self.claim_changes = 0

    @property
    def total(self) -> int:
        """The sum of all marks, modulo 2^64."""
        return self._total & _TOTAL_MASK

    def get(self, key: Key) -> Record | None:
        """The packed record, None where there is none."""
        return self._buckets[crc32(key) & _MASK].get(key)

    def items(self) -> Iterator[tuple[Key, Record]]:
        """All records, claims among them, in no order that means anything."""
        for bucket in self._buckets:
            yield from bucket.items()

    def bucket(self, place: int) -> Iterator[tuple[Key, Record]]:
        """The records of one of the BUCKETS, claims among them."""
        yield from self._buckets[place].items()

    def apply(self, changes: Changes) -> None:
        """Put and delete in order. Deleting what is not there changes nothing."""
        buckets, total, count = self._buckets, 0, self.count
        keys = cast(tuple[Key, ...], changes[::2])
        # The inner loop of every copy. What can be done for all keys at once is.
        for key, record, place in zip(keys, changes[1::2], map(crc32, keys), strict=True):
            bucket = buckets[place & _MASK]
            old = bucket.get(key)
            if old is not None:
                total -= _mark(old)[0]
            if record is not None:
                total += _mark(record)[0]
                count += old is None
                bucket[key] = record
            elif old is not None:
                count -= 1
                del bucket[key]
        self._total, self.count = (self._total + total) & _TOTAL_MASK, count
        if keys and min(keys) < b"\x02":
            self._note_claims(changes)

    def read(self, begin: Cursor, limit_bytes: int) -> tuple[Cursor, tuple[bytes, ...]]:
        """The records from `begin` on, key and record in turn, about `limit_bytes`; and where they end."""
        found: list[bytes] = []
        size, place = 0, begin.bucket
        if begin.key and place < BUCKETS:
            return self._read_part(begin, limit_bytes)
        while place < BUCKETS:
            bucket = self._buckets[place]
            width = (
                sum(map(len, bucket)) + sum(map(len, bucket.values())) + RECORD_OVERHEAD_BYTES * len(bucket)
            )
            if size + width > limit_bytes:
                if size:
                    return Cursor(place, b""), tuple(found)
                return self._read_part(Cursor(place, b""), limit_bytes)
            found.extend(chain.from_iterable(bucket.items()))
            size += width
            place += 1
        return END, tuple(found)

    def _read_part(self, begin: Cursor, limit_bytes: int) -> tuple[Cursor, tuple[bytes, ...]]:
        """A bucket too wide for one chunk, in the order of its keys. One record is taken at least."""
        bucket = self._buckets[begin.bucket]
        found: list[bytes] = []
        size = 0
        for key in sorted(key for key in bucket if key >= begin.key):
            record = bucket[key]
            if size and size + len(key) + len(record) > limit_bytes:
                return Cursor(begin.bucket, key), tuple(found)
            found += (key, record)
            size += len(key) + len(record) + RECORD_OVERHEAD_BYTES
        return Cursor(begin.bucket + 1, b""), tuple(found)

    def difference(self, begin: Cursor, end: Cursor, records: tuple[bytes, ...]) -> Changes:
        """The changes that make the part from `begin` to `end` be exactly `records`.

        Raises ValueError when a record does not belong to that part.
        """
        if not _belong(records[::2], begin, end):
            raise ValueError("a record outside its chunk")
        part = self._part(begin, end)
        if not part:
            return records
        fields = iter(records)
        fresh = dict(zip(fields, fields, strict=True))
        changes: list[bytes | None] = []
        for key, old in part:
            new = fresh.pop(key, None)
            if new != old:
                changes += (key, new)
        for key, new in fresh.items():
            changes += (key, new)
        return tuple(changes)

    def _part(self, begin: Cursor, end: Cursor) -> list[tuple[Key, Record]]:
        if not begin.key and not end.key:
            return [item for bucket in self._buckets[begin.bucket : end.bucket] for item in bucket.items()]
        last = end.bucket if end.key else end.bucket - 1
        return [
            (key, record)
            for place in range(begin.bucket, min(last + 1, BUCKETS))
            for key, record in self._buckets[place].items()
            if begin <= (place, key) < end
        ]

    def _note_claims(self, changes: Changes) -> None:
        for key, record in zip(changes[::2], changes[1::2], strict=True):
            assert key is not None
            if not is_claim(key):
                continue
            self.claim_changes += 1
            if record is None:
                self.claims.pop(key[1:], None)
            else:
                self.claims[key[1:]] = _counter(record)[0] if len(record) == 16 else 0


def _belong(keys: tuple[bytes, ...], begin: Cursor, end: Cursor) -> bool:
    if begin.key or end.key:
        return all(begin <= (crc32(key) & _MASK, key) < end for key in keys)
    return all(begin.bucket <= crc32(key) & _MASK < end.bucket for key in keys)
