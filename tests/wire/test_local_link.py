from __future__ import annotations

import socket

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcluster.errors import BadMessage
from zcluster.wire import bounds
from zcluster.wire.local_link import (
    LARGEST_MESSAGE_BYTES,
    LARGEST_PACKET_BYTES,
    LEVELS,
    MOST_FACTS,
    MOST_FIGURES,
    MOST_LINKS,
    Completeness,
    Figures,
    Groups,
    Health,
    Message,
    OwnGroup,
    PacketReader,
    PeerPlace,
    Peers,
    Stop,
    SwitchIdentity,
    Told,
    packets,
)

MESSAGES: list[Message] = [
    Peers(
        (PeerPlace("pbx2", 1_790_000_000_000, (("ring1", "10.77.1.2"), ("ring2", "fd77:2::2"))),),
        (("sip1", "pbx2"),),
    ),
    Peers(),
    Groups((OwnGroup("sip1", 7, True), OwnGroup("sip2", 9, False))),
    Groups(),
    Stop(),
    Health("switch", "the event socket is closed"),
    Health("switch", ""),
    Completeness((("pbx2", 40), ("pbx3", 100)), False, "pbx2: 40 %"),
    Told("alarm", "calls-lost", "3 calls were lost", {"calls": 3, "uuids": ("a", "b"), "why": None, "is_all": True}),
    Figures({"events": 7, "worst_turn_us": 2**40}),
    SwitchIdentity("FreeSWITCH Version 1.11.3-dev~64bit ( 64bit)", "fsA"),
    SwitchIdentity("", ""),
]  # fmt: skip


def read(*found: bytes) -> list[Message]:
    reader = PacketReader()
    return [message for packet in found if (message := reader.read(packet)) is not None]


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_there_and_back(message: Message) -> None:
    assert read(*packets(message)) == [message]


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_what_a_later_version_appends_is_ignored(message: Message) -> None:
    fields = msgpack.unpackb(packets(message)[0][1:])
    assert read(b"\0" + msgpack.packb([*fields, "more", 7])) == [message]


def largest() -> Peers:
    """A cluster at every bound."""
    name = "n" * (bounds.MAX_TOKEN_CHARACTERS - 3)
    addresses = tuple(
        (f"{name}{link:03}", f"fd77:ffff:ffff:ffff:ffff:ffff:ffff:{link:04x}") for link in range(MOST_LINKS)
    )
    nodes = tuple(
        PeerPlace(f"{name}{node:03}", bounds.INCARNATION_END - 1, addresses)
        for node in range(bounds.MAX_NODES)
    )
    return Peers(
        nodes, tuple((f"{name}{place:03}", f"{name}{place:03}") for place in range(bounds.MAX_GROUPS))
    )


def test_the_largest_cluster_passes_a_socket_of_usual_size() -> None:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader, found = PacketReader(), []
    with here, there:
        there.setblocking(False)
        here.setblocking(False)
        for packet in packets(largest()):
            assert here.send(packet) == len(packet)
            found.append(reader.read(there.recv(LARGEST_PACKET_BYTES)))
    assert len(found) > 2
    assert [message for message in found if message is not None] == [largest()]


def test_a_message_after_a_broken_one_is_read() -> None:
    reader = PacketReader()
    with pytest.raises(BadMessage):
        reader.read(b"\0" + b"\xc1")
    reader.read(packets(largest())[0])
    with pytest.raises(BadMessage):
        reader.read(b"\2what is this")
    assert reader.read(packets(Stop())[0]) == Stop()


def test_the_largest_facts_are_a_message_still() -> None:
    facts = {"\U0001f4de" * 60 + str(n): ("\U0001f4de" * 300,) * 50 for n in range(100)}
    (found,) = read(*packets(Told("info", "code", "text", facts)))
    assert isinstance(found, Told)
    assert len(found.facts) == MOST_FACTS


def test_pieces_without_end_are_refused() -> None:
    reader = PacketReader()
    piece = b"\1" + bytes(LARGEST_PACKET_BYTES - 1)
    for _ in range(LARGEST_MESSAGE_BYTES // (len(piece) - 1)):
        assert reader.read(piece) is None
    with pytest.raises(BadMessage, match="too many"):
        reader.read(piece)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        7,
        [99],
        [0, []],
        [0, [["no name!", 1, []]], []],
        [0, [["pbx2", -1, []]], []],
        [0, [["pbx2", 1, [["ring1", "pbx2.example.net"]]]], []],
        [0, [["pbx2", 1, [["ring1", "10.77.1.2; reboot"]]]], []],
        [0, [["pbx2", 1, []]] * (bounds.MAX_NODES + 1), []],
        [0, [], [["sip1", ""]]],
        [1, [["sip1", 7, 1]]],
        [1, [["sip1", -7, True]]],
        [16, "", "no subject"],
        [16, "switch", "two\nlines"],
        [16, "switch", "x" * 201],
        [17, [["pbx2", 101]], False, ""],
        [17, [["pbx2", True]], False, ""],
        [17, [], 0, ""],
        [18, "shout", "code", "text", {}],
        [18, "info", "", "text", {}],
        [18, "info", "code", "\x1b[2J", {}],
        [18, "info", "code", "text", []],
        [18, "info", "code", "text", {"a": {"b": 1}}],
        [18, "info", "code", "text", {"a": [[1]]}],
        [18, "info", "code", "text", {"a": b"bytes"}],
        [18, "info", "code", "text", {str(n): n for n in range(MOST_FACTS + 1)}],
        [19, {"events": 1.5}],
        [19, {"": 1}],
        [19, {1: 1}],
        [19, {str(n): n for n in range(MOST_FIGURES + 1)}],
    ],
)
def test_what_is_out_of_bounds_is_refused(fields: object) -> None:
    with pytest.raises(BadMessage):
        read(b"\0" + msgpack.packb(fields))


_text = st.text(max_size=1200)
_names = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
_facts = st.dictionaries(
    _text,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _text,
        lambda inner: st.lists(inner, max_size=5).map(tuple),
        max_leaves=8,
    ),
    max_size=70,
)
_percents = st.lists(st.tuples(_names, st.integers(0, 100)), max_size=128).map(tuple)
_own = st.lists(st.builds(OwnGroup, _names, st.integers(0, 2**48), st.booleans()), max_size=128).map(tuple)
_messages = st.one_of(
    st.builds(Health, st.text(min_size=1), _text),
    st.builds(Told, st.sampled_from(LEVELS), st.text(min_size=1), _text, _facts),
    st.builds(Figures, st.dictionaries(st.text(min_size=1), st.integers(), max_size=300)),
    st.builds(Completeness, _percents, st.booleans(), _text),
    st.builds(Groups, _own),
    st.builds(SwitchIdentity, _text, _text),
)


@given(_messages)
def test_whatever_is_sent_can_be_read(message: Message) -> None:
    (found,) = read(*packets(message))
    assert type(found) is type(message)
    # Sent once more it is the same: what had to be cut was cut the first time.
    assert read(*packets(found)) == [found]


@given(st.lists(st.binary(max_size=64) | st.binary(max_size=64).map(lambda tail: b"\0" + tail), max_size=4))
def test_any_packets_are_read_or_refused(found: list[bytes]) -> None:
    reader = PacketReader()
    for packet in found:
        try:
            reader.read(packet)
        except BadMessage:
            continue


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.sampled_from([0, 1, 2, 16, 17, 18, 19, 20]), st.lists(_plain, max_size=5))
def test_any_fields_of_a_kind_are_read_or_refused(kind: int, fields: list[object]) -> None:
    try:
        read(b"\0" + msgpack.packb([kind, *fields]))
    except BadMessage:
        pass
