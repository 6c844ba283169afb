"""The bodies of records: MessagePack lists, bounded, and never trusted when they come from a peer."""

from __future__ import annotations

from typing import Any

import msgpack

from zcluster.errors import BadMessage

LARGEST_ITEMS = 4096
LARGEST_TEXT_BYTES = 64 * 1024


def pack(fields: tuple[object, ...]) -> bytes:
    """A record's body. Texts with bytes that are no UTF-8 survive."""
    packed: bytes = msgpack.packb(fields, use_bin_type=True, unicode_errors="surrogateescape")
    return packed


def unpack(body: bytes, width: int) -> tuple[Any, ...]:
    """The first `width` fields of a body; later ones are a newer version's. Raises BadMessage."""
    try:
        fields = msgpack.unpackb(
            body,
            use_list=False,
            raw=False,
            unicode_errors="surrogateescape",
            max_array_len=LARGEST_ITEMS,
            max_map_len=LARGEST_ITEMS,
            max_str_len=LARGEST_TEXT_BYTES,
            max_bin_len=LARGEST_TEXT_BYTES,
        )
    except (ValueError, TypeError, msgpack.UnpackException) as problem:
        raise BadMessage(f"record: no MessagePack: {problem}") from problem
    if not isinstance(fields, tuple) or len(fields) < width:
        raise BadMessage(f"record: not a list of {width} fields or more")
    return fields[:width]
