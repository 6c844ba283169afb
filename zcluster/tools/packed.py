"""Values that came as JSON, as MessagePack.

What must hold: whatever JSON can say comes out as something: half a surrogate pair as "?", a number that is too large
as a text, and what is nested too deeply as null.
"""

from __future__ import annotations

import msgpack

NOTHING: bytes = msgpack.packb(None)


def packed(value: object) -> bytes:
    """The bytes of one value."""
    try:
        body: bytes = msgpack.packb(value, default=str, unicode_errors="replace")
    except (ValueError, RecursionError):
        body = NOTHING
    return body


def packed_map(**fields: bytes) -> bytes:
    """A map of values that are packed already."""
    head: bytes = msgpack.Packer(autoreset=True).pack_map_header(len(fields))
    return head + b"".join(packed(key) + value for key, value in fields.items())


def packed_array(items: list[bytes]) -> bytes:
    """An array likewise."""
    head: bytes = msgpack.Packer(autoreset=True).pack_array_header(len(items))
    return head + b"".join(items)
