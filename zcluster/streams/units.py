"""The words of the streams: what names a stream, a record, a place within a snapshot.

A key is bytes: the group, a zero byte, the record's own name; a record of no group (it lives and dies with
its node) begins with the zero byte. A claim ("this stream is the one for that group") is a record too, under
CLAIM + group, so that it stands in the same order as the records that it speaks of.

A record is bytes: eight of a mark, then the body. The mark is a keyed hash that the writer drew for this
version of the record; it travels with it, so that nobody else ever hashes and equal bytes mean one version.
"""

from __future__ import annotations

from typing import NamedTuple

from zcluster.control.units import NodeName

REGISTRATIONS = "registrations"
LIMITS = "limits"
CALLS = "calls"
STREAM_NAMES = (REGISTRATIONS, LIMITS, CALLS)

Key = bytes
Record = bytes
# Key, record, key, record, ... flat, as it comes from the wire. None in a record's place deletes.
Changes = tuple[bytes | None, ...]
GroupBytes = bytes

MARK_BYTES = 8
NO_GROUP: GroupBytes = b""
CLAIM = b"\x01"
_END_OF_CLAIMS = b"\x02"
BUCKETS = 1024


class StreamId(NamedTuple):
    """One writer's life: a restarted node writes a new stream."""

    node: NodeName
    incarnation: int
    name: str


class Cursor(NamedTuple):
    """A place in the order of a snapshot: by bucket, then by key. `key` b"" is a bucket's beginning."""

    bucket: int
    key: Key


BEGIN = Cursor(0, b"")
END = Cursor(BUCKETS, b"")


class Claim(NamedTuple):
    """What makes one stream the one for a group: the higher ballot, then the younger life."""

    counter: int
    incarnation: int
    node: NodeName


def record_key(group: str, name: bytes) -> Key:
    """The key of a record `name` of `group`, "" for none."""
    return group.encode() + b"\0" + name


def claim_key(group: GroupBytes) -> Key:
    """Where a stream says that it is the one for `group`."""
    return CLAIM + group


def is_claim(key: Key) -> bool:
    """Whether a key is a claim; no group's name begins so low."""
    return CLAIM <= key < _END_OF_CLAIMS


def group_of(key: Key) -> GroupBytes:
    """The group that a record belongs to, NO_GROUP for a record of its node alone."""
    return key[: key.find(b"\0")] if b"\0" in key else key


def body_of(record: Record) -> bytes:
    """What the writer put."""
    return record[MARK_BYTES:]
