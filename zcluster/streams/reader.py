"""A copy of a stream that another node writes, or wrote.

What must hold: changes are applied once and in their order, whatever is lost, doubled or overtaken; what is
missing is asked for, one request at a time, seldomer each time; a copy that calls itself complete equals its
writer's table at `applied`. A stream begins empty at sequence 0, so a new copy is exact from its first moment
and merely has a gap; when the log does not reach back, a snapshot replaces the copy part by part while it
still answers. Changes that come meanwhile wait for the snapshot's end.
"""

from __future__ import annotations

from typing import NamedTuple

from zcluster.streams.limits import StreamLimits
from zcluster.streams.log import ChangeLog
from zcluster.streams.messages import Batch, Chunk, Digest, Forgotten, RepairRequest, SnapshotRequest
from zcluster.streams.table import Table
from zcluster.streams.units import BEGIN, BUCKETS, END, Changes, GroupBytes, StreamId
from zcluster.streams.writer import read_chunks

# A survivor that does not answer so many requests is asked no more; another may have the same.
MAX_UNANSWERED = 4


class Applied(NamedTuple):
    """What changed in a copy. `is_part` when a snapshot did it: then what went may have gone long ago."""

    changes: Changes
    is_part: bool


class Copy:
    """One remote stream. The replicator says whom to ask (`target`) and whether its writer is gone."""

    def __init__(self, stream: StreamId, limits: StreamLimits) -> None:
        self.stream = stream
        self.table = Table()
        # The table's claims when it was last a whole: a snapshot brings records in the order of their buckets, so
        # that a claim in it may come before the records that it speaks of.
        self.claims: dict[GroupBytes, int] = {}
        self.claim_changes = 0
        self.applied = 0
        self.known = 0
        self.is_whole = False
        self.is_orphan = False
        # Exact until a gap was stepped over; partial when not even one snapshot came to its end.
        self.is_exact = True
        self.is_partial = False
        self.is_readable = False
        self.target: str | None = stream.node
        self.resyncs = 0
        self._limits = limits
        self._goal: int | None = None
        self._log = ChangeLog(limits.copy_log_records, limits.copy_log_bytes)
        self._held: dict[int, Batch] = {}
        self._held_bytes = 0
        self._is_filling = False
        self._cursor = BEGIN
        self._base = 0
        self._credit = 0
        self._ask_at_ms: int | None = None
        self._wait_ms = limits.request_ms
        self._unanswered = 0
        self._applied: list[Applied] = []

    # -- what it is

    @property
    def is_complete(self) -> bool:
        """Whether it equals the writer's table, apart from what is on its way."""
        reached = self._goal is not None and self.applied >= self._goal
        return reached and not self._is_filling and not self.is_partial and (self.is_whole or self.is_orphan)

    @property
    def percent(self) -> int:
        """How much is here; 100 only when complete."""
        if self.is_complete:
            return 100
        if self._is_filling:
            return min(99, self._cursor.bucket * 100 // BUCKETS)
        return min(99, self.applied * 100 // max(self.known, self._goal or 0, 1))

    @property
    def behind(self) -> int:
        """How many changes its writer, or another survivor, is known to be ahead."""
        return max(0, max(self.known, self._goal or 0) - self.applied)

    def digest(self) -> Digest:
        """What this copy looks like, for the other survivors of its writer."""
        is_whole = self.is_complete and self.is_exact
        return Digest(self.stream, self.applied, self.table.count, self.table.total, is_whole)

    def take(self) -> list[Applied]:
        """What was applied since the last call."""
        taken, self._applied = self._applied, []
        return taken

    # -- what comes in

    def receive_batch(self, batch: Batch, now_ms: int) -> None:
        """Apply, hold back or ignore."""
        if batch.last <= self.applied and not self._is_filling:
            return
        self.known = max(self.known, batch.last)
        if self._is_filling or batch.first > self.applied + 1:
            self._hold(batch)
        else:
            self._apply_batch(batch)
            if self._held:
                self._drain()
        self._want(now_ms)

    def receive_digest(self, digest: Digest, now_ms: int) -> None:
        """The writer says how far it is: find what was lost last, and what no gap can show."""
        self.is_whole = digest.is_whole
        self._learn_end(digest)
        if digest.sequence == self.applied and not self._is_filling and not self._equals(digest):
            self.resyncs += 1
            self.fill(now_ms)
        self._want(now_ms)

    def receive_holding(self, digest: Digest, sender: str, now_ms: int) -> None:
        """Another survivor says how far its copy is. This stream has no writer: one survivor is asked at a time.

        A copy without a hole never takes a snapshot from one that has holes.
        """
        if self.target not in (None, sender):
            return
        is_bad = self._is_filling or not self.is_exact
        if (
            digest.is_whole
            and is_bad
            and (self._is_filling or self.is_partial or digest.sequence >= self.applied)
        ):
            if self.target is None:
                self.fill(now_ms)
        elif self._is_filling or digest.sequence <= self.applied:
            return
        if self.target is None:
            self._unanswered = 0
        self.target = sender
        self.known = self._goal = max(self.applied, digest.sequence)
        self._want(now_ms)

    def lost(self) -> RepairRequest | None:
        """What all survivors are asked for: the holes before what is held back here."""
        if not self.is_orphan or self._is_filling or not self._held:
            return None
        return RepairRequest(self.stream, self.applied + 1, max(self._held))

    def orphan(self) -> None:
        """The writer is gone: nobody is asked until a survivor says that it has more."""
        self.is_orphan = True
        self.target = None

    def unorphan(self, now_ms: int) -> None:
        """The writer is back, with the same life."""
        self.is_orphan = False
        self.target = self.stream.node
        if not self.is_exact:
            self.fill(now_ms)
        self.hurry(now_ms)

    def receive_forgotten(self, forgotten: Forgotten, now_ms: int) -> None:
        """The log does not reach back to what is missing."""
        if not self._is_filling and forgotten.first == self.applied + 1:
            self.fill(now_ms)

    def receive_chunk(self, chunk: Chunk, now_ms: int) -> None:
        """The next part of a snapshot. Raises ValueError for one whose records do not belong to it."""
        is_first = chunk.begin == BEGIN
        if (
            not self._is_filling
            or chunk.begin != self._cursor
            or (chunk.sequence < self._base and not is_first)
        ):
            return
        changes = self.table.difference(chunk.begin, chunk.end, chunk.records)
        self._apply(changes, True)
        if is_first:
            self._base = chunk.sequence
        self._goal = max(self._goal or 0, chunk.sequence)
        self.known = max(self.known, chunk.sequence)
        self._cursor = chunk.end
        self._credit -= 1
        self._unanswered = 0
        self._wait_ms = self._limits.request_ms
        self._ask_at_ms = now_ms if self._credit <= 0 else now_ms + self._wait_ms
        if self._cursor >= END:
            self._end_fill(chunk.is_whole, now_ms)

    # -- what it wants

    def fill(self, now_ms: int) -> None:
        """Begin a snapshot."""
        self._is_filling = True
        self._wait_ms = self._limits.request_ms
        self._cursor = BEGIN
        self._base = 0
        self._credit = 0
        self._ask_at_ms = now_ms

    def ask(self, now_ms: int) -> RepairRequest | SnapshotRequest | None:
        """The request that is due now, if any."""
        if self.target is None or self._ask_at_ms is None or now_ms < self._ask_at_ms:
            return None
        self._unanswered += 1
        if self.is_orphan and self._unanswered > MAX_UNANSWERED:
            self.target = None
            return None
        self._ask_at_ms = now_ms + self._wait_ms
        self._wait_ms = min(2 * self._wait_ms, self._limits.request_at_most_ms)
        if self._is_filling:
            self._credit = self._limits.chunks_asked
            return SnapshotRequest(self.stream, self._cursor, self._credit)
        last = min(self.known, min(self._held) - 1) if self._held else self.known
        if last <= self.applied:
            self._ask_at_ms = self.target = None
            return None
        return RepairRequest(self.stream, self.applied + 1, last)

    def hurry(self, now_ms: int) -> None:
        """The way to the target changed: what is under way may be lost, so ask at once."""
        self._wait_ms = self._limits.request_ms
        if self._ask_at_ms is not None:
            self._ask_at_ms = now_ms

    def deadline(self) -> int | None:
        """When `ask` will have something to say."""
        return None if self.target is None else self._ask_at_ms

    def settle(self) -> None:
        """The writer is gone and no survivor has more: step over what is missing, keep what is here."""
        if self._is_filling:
            self.is_partial = not self.is_readable
            self.is_exact = False
            self._is_filling = False
            self.applied = max(self.applied, self._base)
        while self._held:
            self.is_exact = False
            self.applied = max(self.applied, min(self._held) - 1)
            self._drain()
        self.known = self._goal = self.applied
        self._ask_at_ms = self.target = None
        self.is_readable = True
        self._show_claims()

    @property
    def is_lacking(self) -> bool:
        """Whether something is known to be missing."""
        return self._is_filling or self.applied < self.known or bool(self._held)

    # -- what others may ask of it

    def repair(self, first: int, last: int) -> list[Batch] | Forgotten:
        """The changes that another survivor missed."""
        found = self._log.between(first, last, self._limits.repair_bytes)
        if found is None:
            # What comes after a hole is worth having too: it will be held back there as it was here.
            found = self._log.after(first, last, self._limits.repair_bytes)
        found += [self._held[each] for each in sorted(self._held) if first <= each <= last]
        return found or Forgotten(self.stream, first)

    def chunks(self, request: SnapshotRequest) -> list[Chunk]:
        """Parts of this copy, for another survivor; none before it is complete."""
        if not self.is_complete or not self.is_exact:
            return []
        return read_chunks(
            self.stream, self.table, self.applied, True, request.begin, request.chunks, self._limits
        )

    # -- inside

    def _equals(self, digest: Digest) -> bool:
        return digest.count == self.table.count and digest.total == self.table.total

    def _learn_end(self, digest: Digest) -> None:
        self.known = max(self.known, digest.sequence)
        if self._goal is None:
            self._goal = digest.sequence

    def _show_claims(self) -> None:
        is_new = self.claim_changes != self.table.claim_changes
        if is_new and not self._is_filling and self.applied >= (self._goal or 0):
            self.claims = dict(self.table.claims)
            self.claim_changes = self.table.claim_changes

    def _want(self, now_ms: int) -> None:
        """Set or clear the time of the next request."""
        self._show_claims()
        if self.is_complete:
            self.is_readable = True
        if not self.is_lacking:
            self._ask_at_ms = None
            self._wait_ms = self._limits.request_ms
            if self.is_orphan:
                self.target = None
        elif self._ask_at_ms is None:
            self._ask_at_ms = now_ms + self._limits.gap_ms

    def _hold(self, batch: Batch) -> None:
        if batch.first in self._held or len(self._held) >= self._limits.held_batches:
            return
        if self._held_bytes + batch.size_bytes <= self._limits.held_bytes:
            self._held[batch.first] = batch
            self._held_bytes += batch.size_bytes

    def _apply_batch(self, batch: Batch) -> None:
        """The part of a batch that is new. Progress: the next request need not wait longer than the first."""
        changes = batch.changes
        if batch.first <= self.applied:
            changes = changes[2 * (self.applied + 1 - batch.first) :]
        self._apply(changes, False)
        self.applied = batch.last
        self._log.append(batch)
        self._unanswered = 0
        self._ask_at_ms = None
        self._wait_ms = self._limits.request_ms

    def _apply(self, changes: Changes, is_part: bool) -> None:
        self.table.apply(changes)
        if changes:
            self._applied.append(Applied(changes, is_part))

    def _drain(self) -> None:
        for first in sorted(self._held):
            if first > self.applied + 1:
                return
            batch = self._held.pop(first)
            self._held_bytes -= batch.size_bytes
            if batch.last > self.applied:
                self._apply_batch(batch)

    def _end_fill(self, is_whole: bool, now_ms: int) -> None:
        self._is_filling = False
        self.is_partial = False
        self.is_exact = True
        self.is_whole = self.is_whole or is_whole
        self.applied = self._base
        self._log.clear()
        self._ask_at_ms = None
        self._drain()
        self._want(now_ms)
