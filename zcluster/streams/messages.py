"""What nodes say to each other about streams. `wire/stream_codec.py` gives the bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from zcluster.streams.units import Changes, Cursor, StreamId


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive changes, the first of sequence `first` (sequences begin with 1)."""

    stream: StreamId
    first: int
    changes: Changes
    size_bytes: int = field(compare=False)

    @property
    def last(self) -> int:
        """The sequence of the last change."""
        return self.first + len(self.changes) // 2 - 1


@dataclass(frozen=True, slots=True)
class Digest:
    """What a stream looks like after `sequence`: how many records, and the sum of their marks mod 2^64.

    From its writer: `is_whole` says that everything that the switch knew before is in it. From anybody else
    it says how far the sender's copy of a stream without a writer reaches, and whether it has no hole.
    """

    stream: StreamId
    sequence: int
    count: int
    total: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """Send me the changes `first` to `last` again. -> Batches, or `Forgotten`."""

    stream: StreamId
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The log of this stream does not reach back to `first` any more: ask for a snapshot."""

    stream: StreamId
    first: int


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """Send me up to `chunks` chunks from `begin` on. The sender of chunks keeps no state for it."""

    stream: StreamId
    begin: Cursor
    chunks: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Every record from `begin` up to but not `end`, as it was after `sequence`: key, record, key, record."""

    stream: StreamId
    sequence: int
    begin: Cursor
    end: Cursor
    records: tuple[bytes, ...]
    is_whole: bool


Message = Batch | Digest | RepairRequest | Forgotten | SnapshotRequest | Chunk
