"""The bounds of everything a peer may send, and the checks that hold values to them.

What must hold: each check returns the value in its proper type or raises BadMessage that names the
field. No value from the network reaches the core without one of these.
"""

from __future__ import annotations

import re

from zcluster.control.units import Pair
from zcluster.errors import BadMessage

# An Ethernet frame of 1500 bytes less the IPv4 and UDP headers: a beat is never fragmented.
MAX_DATAGRAM_BYTES = 1472
HEADER_BYTES = 5
MAC_BYTES = 16
MAX_PAYLOAD_BYTES = MAX_DATAGRAM_BYTES - HEADER_BYTES - MAC_BYTES

MAX_COUNTER = 2**48
INCARNATION_END = 2**53
SEQUENCE_END = 2**53
# A beat's is carried in so many bytes; at a hundred beats a second that lasts for 348 years.
BEAT_SEQUENCE_BYTES = 5
BEAT_SEQUENCE_END = 2 ** (8 * BEAT_SEQUENCE_BYTES)
MAX_NODES = 128
MAX_GROUPS = 128
MAX_RELEASES = 128
MAX_ASKS = 32
MAX_REASONS = 8
MAX_HARDWARE_ADDRESSES = 64
MAX_REASON_CHARACTERS = 80
MAX_TOKEN_CHARACTERS = 64
MAX_BUILD_CHARACTERS = 32
# The founder's name and its incarnation.
MAX_CLUSTER_ID_CHARACTERS = MAX_TOKEN_CHARACTERS + 1 + 14
MAX_ROW_FIELDS = 16
MAX_REPORT_BYTES = 65536
MAX_COMPRESSED_BYTES = MAX_PAYLOAD_BYTES

_is_token = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_TOKEN_CHARACTERS}}}").fullmatch

_is_cluster_id = re.compile(rf"[A-Za-z0-9._-]{{0,{MAX_CLUSTER_ID_CHARACTERS}}}").fullmatch


def name(value: object, field: str) -> str:
    """A node, group or other name: 1 to 64 of letters, digits, dot, underscore and hyphen."""
    if type(value) is str and _is_token(value):
        return value
    raise BadMessage(f"{field}: not a name of 1 to {MAX_TOKEN_CHARACTERS} characters of A-Z a-z 0-9 . _ -")


def name_or_empty(value: object, field: str) -> str:
    """A name, or "" where there is none."""
    return "" if value == "" else name(value, field)


def cluster_id(value: object, field: str) -> str:
    """The id that a founding gave the cluster, "" before it: the founder's name, a hyphen, hexadecimals."""
    if type(value) is str and _is_cluster_id(value):
        return value
    raise BadMessage(f"{field}: not a cluster id of at most {MAX_CLUSTER_ID_CHARACTERS} characters")


def text(value: object, field: str, limit: int) -> str:
    """Printable text of at most `limit` characters: it ends on operators' terminals."""
    if type(value) is str and len(value) <= limit and value.isprintable():
        return value
    raise BadMessage(f"{field}: not printable text of at most {limit} characters")


def counter(value: object, field: str) -> int:
    """A ballot counter or generation, 0 to 2^48."""
    if type(value) is int and 0 <= value <= MAX_COUNTER:
        return value
    raise BadMessage(f"{field}: not a count of 0 to 2^48")


def incarnation(value: object, field: str) -> int:
    """Wall-clock milliseconds at a node's start, below 2^53."""
    if type(value) is int and 0 <= value < INCARNATION_END:
        return value
    raise BadMessage(f"{field}: not an incarnation below 2^53")


def sequence(value: object, field: str) -> int:
    """The number of a beat within its incarnation, below 2^53."""
    if type(value) is int and 0 <= value < SEQUENCE_END:
        return value
    raise BadMessage(f"{field}: not a sequence below 2^53")


def beat_sequence(value: object, field: str) -> int:
    """The same, as beats carry it: below 2^40."""
    if type(value) is int and 0 <= value < BEAT_SEQUENCE_END:
        return value
    raise BadMessage(f"{field}: not a sequence below 2^40")


def flag(value: object, field: str) -> bool:
    """A true boolean, not a number that looks like one."""
    if type(value) is bool:
        return value
    raise BadMessage(f"{field}: not a boolean")


def items(value: object, field: str, limit: int) -> list[object]:
    """A list of at most `limit` items."""
    if type(value) is list and len(value) <= limit:
        return value
    raise BadMessage(f"{field}: not a list of at most {limit} items")


def row(value: object, field: str, width: int) -> list[object]:
    """A record of `width` fields; what a later minor version appends is cut off."""
    if type(value) is list and width <= len(value) <= MAX_ROW_FIELDS:
        return value[:width]
    raise BadMessage(f"{field}: not a record of {width} fields")


def names(value: object, field: str) -> tuple[str, ...]:
    """At most 128 node names, none twice."""
    found = tuple(name(each, field) for each in items(value, field, MAX_NODES))
    if len(set(found)) != len(found):
        raise BadMessage(f"{field}: a name stands twice")
    return found


def pairs(value: object, field: str) -> tuple[Pair, ...]:
    """At most 128 pairs of group and counter."""
    rows = [row(each, field, 2) for each in items(value, field, MAX_GROUPS)]
    return tuple(Pair(name(group, field), counter(count, field)) for group, count in rows)
