"""The stream that this node writes: its own records, in one order, sent in batches.

What must hold: every change has the next sequence; a snapshot at any moment plus the changes after its
sequence are exactly the table; nothing kept for others grows without bound.
"""

from __future__ import annotations

from hashlib import blake2b

from zcluster.streams.limits import MAX_KEY_BYTES, MAX_RECORD_BYTES, StreamLimits
from zcluster.streams.log import ChangeLog
from zcluster.streams.messages import Batch, Chunk, Digest, Forgotten
from zcluster.streams.table import Table
from zcluster.streams.units import (
    END,
    MARK_BYTES,
    Cursor,
    GroupBytes,
    Key,
    Record,
    StreamId,
    claim_key,
    group_of,
)


class Writer:
    """Own records. `digest_key` (16 to 64 random bytes) stays here: marks are drawn with it, never checked."""

    def __init__(self, stream: StreamId, digest_key: bytes, limits: StreamLimits) -> None:
        self.stream = stream
        self.table = Table()
        self.sequence = 0
        self.is_whole = False
        self._limits = limits
        self._digest_key = digest_key
        self._log = ChangeLog(limits.log_records, limits.log_bytes)
        self._pending: list[bytes | None] = []
        self._pending_bytes = 0
        self._pending_until_ms = 0
        self._closed: list[Batch] = []
        self._tombstones: dict[Key, int] = {}

    def put(self, key: Key, body: bytes, now_ms: int) -> int:
        """Write a record; returns its sequence. Raises ValueError for one larger than peers take."""
        if not 0 < len(key) <= MAX_KEY_BYTES or len(body) > MAX_RECORD_BYTES - MARK_BYTES:
            raise ValueError(f"{self.stream.name}: a key of {len(key)} or a body of {len(body)} bytes")
        return self.put_record(key, self._mark(key, body) + body, now_ms)

    def put_record(self, key: Key, record: Record, now_ms: int) -> int:
        """Write a record as another stream packed it, mark and all: the same version under a new writer."""
        self._tombstones.pop(key, None)
        return self._change(key, record, now_ms)

    def delete(self, key: Key, now_ms: int) -> bool:
        """Remove a record and remember that; False when there is none."""
        if self.table.get(key) is None:
            return False
        self._bury(key, now_ms)
        self._change(key, None, now_ms)
        return True

    def drop(self, key: Key, now_ms: int) -> None:
        """Remove a record because its former writer did. That is no word of ours: it may bring it back."""
        if self.table.get(key) is not None:
            self._change(key, None, now_ms)

    def claim(self, group: GroupBytes, counter: int, now_ms: int) -> None:
        """Say that this stream is the one for `group` from here on."""
        self.put(claim_key(group), counter.to_bytes(8, "little"), now_ms)

    def retract(self, group: GroupBytes, now_ms: int) -> None:
        """Another stream is the one for `group` now: the claim goes first, then the records (`remove`)."""
        self._change(claim_key(group), None, now_ms)

    def remove(self, group: GroupBytes, place: int, now_ms: int) -> int:
        """Take the group's records out of one of the BUCKETS; returns how many records were looked at."""
        keys = [key for key, _ in self.table.bucket(place)]
        for key in keys:
            if group_of(key) == group:
                self._change(key, None, now_ms)
        return len(keys)

    def is_buried(self, key: Key, now_ms: int) -> bool:
        """Whether this key was deleted here not long ago."""
        return self._tombstones.get(key, now_ms) > now_ms

    def deadline(self) -> int | None:
        """When the open batch is old enough to be sent."""
        if self._closed:
            return 0
        return self._pending_until_ms if self._pending else None

    def batches(self, now_ms: int) -> list[Batch]:
        """The batches that are due now."""
        if self._pending and now_ms >= self._pending_until_ms:
            self._close()
        due, self._closed = self._closed, []
        return due

    def flush(self) -> list[Batch]:
        """All that is not sent yet."""
        self._close()
        due, self._closed = self._closed, []
        return due

    def digest(self) -> Digest:
        """What the stream looks like. Right for readers only after `flush`."""
        return Digest(self.stream, self.sequence, self.table.count, self.table.total, self.is_whole)

    def repair(self, first: int, last: int) -> list[Batch] | Forgotten:
        """The changes that somebody missed."""
        self._close()
        found = self._log.between(first, last, self._limits.repair_bytes)
        return Forgotten(self.stream, first) if found is None else found

    def chunks(self, begin: Cursor, count: int) -> list[Chunk]:
        """Up to `count` consecutive parts of a snapshot as it is now."""
        return read_chunks(self.stream, self.table, self.sequence, self.is_whole, begin, count, self._limits)

    def _mark(self, key: Key, body: bytes) -> bytes:
        version = (self.sequence + 1).to_bytes(8, "little")
        return blake2b(version + key + b"\0" + body, digest_size=MARK_BYTES, key=self._digest_key).digest()

    def _change(self, key: Key, record: Record | None, now_ms: int) -> int:
        if not self._pending:
            self._pending_until_ms = now_ms + self._limits.batch_age_ms
        self.table.apply((key, record))
        self.sequence += 1
        self._pending += (key, record)
        self._pending_bytes += len(key) + (0 if record is None else len(record)) + 8
        full = len(self._pending) >= 2 * self._limits.batch_records
        if full or self._pending_bytes >= self._limits.batch_bytes:
            self._close()
        return self.sequence

    def _close(self) -> None:
        if not self._pending:
            return
        first = self.sequence - len(self._pending) // 2 + 1
        batch = Batch(self.stream, first, tuple(self._pending), self._pending_bytes)
        self._pending, self._pending_bytes = [], 0
        self._log.append(batch)
        self._closed.append(batch)

    def _bury(self, key: Key, now_ms: int) -> None:
        stones = self._tombstones
        # In the order of their end: a key that dies again moves to the end.
        stones.pop(key, None)
        stones[key] = now_ms + self._limits.tombstone_ms
        while stones:
            oldest = next(iter(stones))
            if stones[oldest] > now_ms and len(stones) <= self._limits.tombstones:
                return
            del stones[oldest]


def read_chunks(
    stream: StreamId,
    table: Table,
    sequence: int,
    is_whole: bool,
    begin: Cursor,
    count: int,
    limits: StreamLimits,
) -> list[Chunk]:
    """Up to `count` consecutive chunks of a table that stands at `sequence`, at least one."""
    found: list[Chunk] = []
    while len(found) < min(count, limits.chunks_asked) and (begin < END or not found):
        end, records = table.read(begin, limits.chunk_bytes)
        found.append(Chunk(stream, sequence, begin, end, records, is_whole))
        begin = end
    return found
