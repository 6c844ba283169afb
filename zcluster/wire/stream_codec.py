"""Messages about streams as bytes: MessagePack arrays of kind, node, incarnation, name, then the kind's own.

    0 batch     first, [key, record or nil, key, ...]
    1 digest    sequence, count, total, is_whole
    2 repair    first, last
    3 forgotten first
    4 snapshot  bucket, key, chunks
    5 chunk     sequence, bucket, key, bucket, key, [key, record, ...], is_whole

What must hold: only BadMessage leaves the decoder, whatever the bytes; no field, and no message, is larger than
its bound. What a later minor version appends to an array is cut off. Keys and records stay what they are, so
reading a batch costs no work for each of its records but the check of type and length.
"""

from __future__ import annotations

import msgpack

from zcluster.errors import BadMessage
from zcluster.streams.limits import MAX_KEY_BYTES, MAX_RECORD_BYTES
from zcluster.streams.messages import (
    Batch,
    Chunk,
    Digest,
    Forgotten,
    Message,
    RepairRequest,
    SnapshotRequest,
)
from zcluster.streams.units import BUCKETS, MARK_BYTES, STREAM_NAMES, Changes, Cursor, StreamId
from zcluster.wire import bounds

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_ITEMS = 2 * 65536
MAX_CHUNKS = 64
HEAD_FIELDS = 4
TOTAL_END = 2**64


def encode(message: Message) -> bytes:
    """The bytes of a message."""
    stream = message.stream
    fields: tuple[object, ...]
    match message:
        case Batch(_, first, changes):
            fields = (0, *stream, first, changes)
        case Digest(_, sequence, count, total, is_whole):
            fields = (1, *stream, sequence, count, total, is_whole)
        case RepairRequest(_, first, last):
            fields = (2, *stream, first, last)
        case Forgotten(_, first):
            fields = (3, *stream, first)
        case SnapshotRequest(_, begin, chunks):
            fields = (4, *stream, *begin, chunks)
        case Chunk(_, sequence, begin, end, records, is_whole):
            fields = (5, *stream, sequence, *begin, *end, records, is_whole)
    payload: bytes = msgpack.packb(fields)
    return payload


def decode(payload: bytes) -> Message:
    """The message in an authenticated `payload`; raises BadMessage."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise BadMessage(f"stream message: more than {MAX_MESSAGE_BYTES} bytes", "oversized")
    try:
        fields = msgpack.unpackb(payload, use_list=False, max_map_len=0, max_ext_len=0)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as problem:
        raise BadMessage(f"stream message: not MessagePack ({type(problem).__name__})") from problem
    if type(fields) is not tuple or len(fields) < HEAD_FIELDS + 1:
        raise BadMessage("stream message: not an array of its fields")
    stream = _stream(fields[1], fields[2], fields[3])
    rest = fields[HEAD_FIELDS:]
    match fields[0]:
        case 0:
            first, changes = _row(rest, 2)
            return Batch(stream, _sequence(first, 1), _changes(changes), len(payload))
        case 1:
            sequence, count, total, is_whole = _row(rest, 4)
            whole = bounds.flag(is_whole, "whole")
            return Digest(stream, _sequence(sequence), _sequence(count), _total(total), whole)
        case 2:
            first, last = _row(rest, 2)
            return RepairRequest(stream, _sequence(first, 1), _sequence(last))
        case 3:
            return Forgotten(stream, _sequence(_row(rest, 1)[0], 1))
        case 4:
            bucket, key, chunks = _row(rest, 3)
            return SnapshotRequest(stream, _cursor(bucket, key), _chunks(chunks))
        case 5:
            return _chunk(stream, _row(rest, 7))
        case _:
            raise BadMessage("stream message: of an unknown kind", "kind")


def _stream(node: object, incarnation: object, name: object) -> StreamId:
    if name not in STREAM_NAMES:
        raise BadMessage("stream: of an unknown name", "name")
    return StreamId(bounds.name(node, "node"), bounds.incarnation(incarnation, "incarnation"), str(name))


def _row(rest: tuple[object, ...], width: int) -> tuple[object, ...]:
    if len(rest) < width:
        raise BadMessage(f"stream message: not {width} fields of its own")
    return rest[:width]


def _sequence(value: object, least: int = 0) -> int:
    if type(value) is int and least <= value < bounds.SEQUENCE_END:
        return value
    raise BadMessage(f"sequence: not a number of {least} to 2^53")


def _total(value: object) -> int:
    if type(value) is int and 0 <= value < TOTAL_END:
        return value
    raise BadMessage("total: not a number below 2^64")


def _chunks(value: object) -> int:
    if type(value) is int and 1 <= value <= MAX_CHUNKS:
        return value
    raise BadMessage(f"chunks: not a number of 1 to {MAX_CHUNKS}")


def _cursor(bucket: object, key: object) -> Cursor:
    if type(bucket) is not int or not 0 <= bucket <= BUCKETS:
        raise BadMessage(f"bucket: not a number of 0 to {BUCKETS}")
    if type(key) is not bytes or len(key) > MAX_KEY_BYTES or (bucket == BUCKETS and key):
        raise BadMessage(f"cursor: not a key of at most {MAX_KEY_BYTES} bytes")
    return Cursor(bucket, key)


def _chunk(stream: StreamId, fields: tuple[object, ...]) -> Chunk:
    sequence, bucket, key, end_bucket, end_key, records, is_whole = fields
    begin, end = _cursor(bucket, key), _cursor(end_bucket, end_key)
    if begin >= end and begin.bucket < BUCKETS:
        raise BadMessage("chunk: ends before it begins")
    whole = bounds.flag(is_whole, "whole")
    return Chunk(stream, _sequence(sequence), begin, end, _records(records), whole)


def _changes(value: object) -> Changes:
    """Key, record or None, ...: at least one change."""
    if type(value) is not tuple or not 2 <= len(value) <= MAX_ITEMS or len(value) % 2:
        raise BadMessage("changes: not pairs of key and record")
    _check_keys(value[::2])
    _check_records([record for record in value[1::2] if record is not None])
    return value


def _records(value: object) -> tuple[bytes, ...]:
    if type(value) is not tuple or len(value) > MAX_ITEMS or len(value) % 2:
        raise BadMessage("records: not pairs of key and record")
    if value:
        _check_keys(value[::2])
        _check_records(value[1::2])
    return value


def _check_keys(keys: tuple[object, ...]) -> None:
    if set(map(type, keys)) != {bytes}:
        raise BadMessage("keys: not all bytes")
    lengths = set(map(len, keys))  # type: ignore[arg-type]
    if min(lengths) < 1 or max(lengths) > MAX_KEY_BYTES:
        raise BadMessage(f"keys: not all of 1 to {MAX_KEY_BYTES} bytes")


def _check_records(records: tuple[object, ...] | list[object]) -> None:
    if not records:
        return
    if set(map(type, records)) != {bytes}:
        raise BadMessage("records: not all bytes")
    lengths = set(map(len, records))  # type: ignore[arg-type]
    if min(lengths) < MARK_BYTES or max(lengths) > MAX_RECORD_BYTES:
        raise BadMessage(f"records: not all of {MARK_BYTES} to {MAX_RECORD_BYTES} bytes")
