from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from zcluster.streams.units import BEGIN, CALLS, END, Cursor, StreamId
from zcluster.wire.stream_codec import (
    MAX_MESSAGE_BYTES,
    decode,
    encode,
)

STREAM = StreamId("n1", 1_790_000_000_000, CALLS)
HEAD = list(STREAM)
MESSAGES: list[Message] = [
    Batch(STREAM, 1, (b"g\0a", b"m" * 8, b"g\0b", None), 0),
    Digest(STREAM, 0, 0, 2**64 - 1, False),
    RepairRequest(STREAM, 3, 9),
    Forgotten(STREAM, 3),
    SnapshotRequest(STREAM, Cursor(1, b"key"), 4),
    Chunk(STREAM, 12, BEGIN, END, (b"g\0a", b"m" * 300), True),
    Chunk(STREAM, 12, Cursor(3, b"a"), Cursor(3, b"b"), (), False),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_there_and_back(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_a_later_version_appends_is_ignored(message: Message) -> None:
    fields = msgpack.unpackb(encode(message))
    assert decode(msgpack.packb([*fields, "more", 7])) == message


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [0, *HEAD],
        [9, *HEAD, 1],
        [True, *HEAD, 1, []],
        [0, "no name", 1, CALLS, 1, [b"k", b"m" * 8]],
        [0, "n1", -1, CALLS, 1, [b"k", b"m" * 8]],
        [0, "n1", 1, "secrets", 1, [b"k", b"m" * 8]],
        [0, "n1", 1, [CALLS], 1, [b"k", b"m" * 8]],
        [0, *HEAD, 0, [b"k", b"m" * 8]],
        [0, *HEAD, 1, []],
        [0, *HEAD, 1, [b"k"]],
        [0, *HEAD, 1, ["k", b"m" * 8]],
        [0, *HEAD, 1, [b"", b"m" * 8]],
        [0, *HEAD, 1, [b"k" * (MAX_KEY_BYTES + 1), b"m" * 8]],
        [0, *HEAD, 1, [b"k", b"m" * 7]],
        [0, *HEAD, 1, [b"k", "m" * 8]],
        [0, *HEAD, 1, [b"k", b"m" * (MAX_RECORD_BYTES + 1)]],
        [0, *HEAD, 1, [None, b"m" * 8]],
        [0, *HEAD, True, [b"k", b"m" * 8]],
        [0, *HEAD, 2**53, [b"k", b"m" * 8]],
        [1, *HEAD, 1, 1, 2**64 - 1],
        [1, *HEAD, 1, -1, 1, True],
        [1, *HEAD, 1, 1, 1, 1],
        [2, *HEAD, 0, 5],
        [4, *HEAD, 0, b"", 0],
        [4, *HEAD, 0, b"", 65],
        [4, *HEAD, 1025, b"", 1],
        [4, *HEAD, 1024, b"k", 1],
        [4, *HEAD, 0, "k", 1],
        [5, *HEAD, 1, 3, b"", 3, b"", [], True],
        [5, *HEAD, 1, 0, b"", 3, b"", [b"k", None], True],
        [5, *HEAD, 1, 0, b"", 3, b"", [b"k", b"m" * 8], None],
        {0: 1},
    ],
    ids=str,
)
def test_a_bad_message_is_a_bad_message(fields: object) -> None:
    with pytest.raises(BadMessage):
        decode(msgpack.packb(fields))


def test_a_large_message_is_not_even_read() -> None:
    with pytest.raises(BadMessage) as problem:
        decode(bytes(MAX_MESSAGE_BYTES + 1))
    assert problem.value.kind == "oversized"


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(payload: bytes) -> None:
    try:
        decode(payload)
    except BadMessage:
        pass


VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.binary(max_size=12)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@given(st.integers(0, 6), st.lists(VALUES, max_size=8))
def test_no_fields_raise_anything_else(kind: int, fields: list[object]) -> None:
    try:
        message = decode(msgpack.packb([kind, *HEAD, *fields]))
    except BadMessage:
        return
    assert decode(encode(message)) == message


@given(st.sampled_from(MESSAGES), st.data())
def test_damaged_messages_are_refused_or_read(message: Message, data: st.DataObject) -> None:
    payload = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(payload))
    except BadMessage:
        pass
