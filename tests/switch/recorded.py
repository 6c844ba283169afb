"""The captured bytes of a real FreeSWITCH, and a framer so simple that it can be trusted (see captures/INDEX.md)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "captures"
FROM_MOD_HASH = "hash-remote-client-requests"
# Taken twice, one after the other, so that identifiers and times differ.
TAKEN_APART = {"bgapi", "sendevent-loopback"}


class Sent(NamedTuple):
    """What the client sent when it had received `offset` bytes."""

    offset: int
    data: bytes


class Block(NamedTuple):
    """One frame: its header block and its body."""

    head: bytes
    body: bytes


NAMES = tuple(sorted(path.name.removesuffix(".recv") for path in FOLDER.glob("*.recv")))
SPOKEN = tuple(name for name in NAMES if name != FROM_MOD_HASH)
PAIRS = tuple(sorted({name.removesuffix(".plain") for name in NAMES if name.endswith(".plain")}))


@cache
def received(name: str) -> bytes:
    return (FOLDER / f"{name}.recv").read_bytes()


@cache
def sent(name: str) -> tuple[Sent, ...]:
    rest = (FOLDER / f"{name}.sent").read_bytes()
    records = []
    while rest:
        head, rest = rest.split(b"\n", 1)
        offset, length = (int(number) for number in head.removeprefix(b"@").split())
        data, rest = rest[:length], rest[length:]
        records.append(Sent(offset, data))
        if not data.endswith(b"\n"):
            rest = rest.removeprefix(b"\n")
    return tuple(records)


def blocks(data: bytes) -> list[Block]:
    """Every frame of a whole recording."""
    found = []
    while data:
        head, data = data.split(b"\n\n", 1)
        length = re.search(rb"Content-Length: (\d+)", head)
        size = int(length[1]) if length else 0
        found.append(Block(head, data[:size]))
        data = data[size:]
    return found
