from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.wire import sample_beat
from tests.wire.samples import ORDINARY, ORDINARY_REPORT, beats, reports
from zcluster.control.messages import Ack, Beat, Claim, Report
from zcluster.control.units import NodeState, Pair
from zcluster.errors import BadMessage
from zcluster.wire import bounds, codec, report
from zcluster.wire.beacon import Envelope
from zcluster.wire.codec import BeatDecoder, BeatEncoder
from zcluster.wire.keys import derive

Fields = dict[Any, Any]


def fields_of(payload: bytes) -> Fields:
    found: Fields = msgpack.unpackb(payload, strict_map_key=False)
    return found


def slow_of(payload: bytes) -> Fields:
    return fields_of(zlib.decompress(fields_of(payload)[codec.SLOW]))


def payload_of(fields: Fields, slow: Fields | None = None) -> bytes:
    if slow is not None:
        fields = {**fields, codec.SLOW: zlib.compress(msgpack.packb(slow))}
    packed: bytes = msgpack.packb(fields)
    return packed


PAYLOAD = BeatEncoder().encode(ORDINARY)
FAST = fields_of(PAYLOAD)
SLOW = slow_of(PAYLOAD)


# The round trip


@given(beats)
def test_a_beat_comes_back_as_it_went(beat: Beat) -> None:
    assert BeatDecoder().decode(BeatEncoder().encode(beat)) == beat


@given(
    st.lists(beats | st.builds(ORDINARY._replace, sequence=st.integers(0, 99), report=reports), max_size=6)
)
def test_one_encoder_and_decoder_carry_any_stream(stream: list[Beat]) -> None:
    encoder, decoder = BeatEncoder(), BeatDecoder()
    for beat in stream:
        assert decoder.decode(encoder.encode(beat)) == beat


def test_types_come_back_as_they_went() -> None:
    beat = BeatDecoder().decode(PAYLOAD)
    assert type(beat.report.state) is NodeState
    assert type(beat.acks["b"].pairs[0]) is Pair
    assert type(beat.report.claims[0]) is Claim


# The same object while nothing changed


def test_an_unchanged_report_is_the_same_object() -> None:
    encoder, decoder = BeatEncoder(), BeatDecoder()
    first = decoder.decode(encoder.encode(ORDINARY))
    later = ORDINARY._replace(
        sequence=42, acks={**ORDINARY.acks, "c": ORDINARY.acks["c"]._replace(sequence=9)}
    )
    second = decoder.decode(encoder.encode(later))
    assert second == later
    assert second.report is first.report


def test_a_report_stays_the_same_object_when_only_acknowledged_pairs_change() -> None:
    encoder, decoder = BeatEncoder(), BeatDecoder()
    first = decoder.decode(encoder.encode(ORDINARY))
    later = ORDINARY._replace(acks={"b": Ack(1, 2, (Pair("g2", 5),)), "d": Ack(3, 4, ())})
    second = decoder.decode(encoder.encode(later))
    assert second == later
    assert second.report is first.report


def test_an_equal_report_in_another_object_decodes_to_the_same() -> None:
    decoder = BeatDecoder()
    first = decoder.decode(BeatEncoder().encode(ORDINARY))
    copied = Report(*ORDINARY_REPORT)
    assert copied is not ORDINARY_REPORT
    second = decoder.decode(BeatEncoder().encode(ORDINARY._replace(report=copied)))
    assert second.report is first.report


@pytest.mark.parametrize(
    "acks",
    [
        {},
        {"b": ORDINARY.acks["b"]},
        {"c": ORDINARY.acks["c"], "b": ORDINARY.acks["b"]},
        {"b": ORDINARY.acks["b"], "d": ORDINARY.acks["c"]},
        {"b": ORDINARY.acks["b"]._replace(incarnation=7), "c": ORDINARY.acks["c"]},
        {"b": ORDINARY.acks["b"]._replace(pairs=()), "c": ORDINARY.acks["c"]},
    ],
)
def test_every_change_of_acknowledgements_is_carried(acks: dict[str, Ack]) -> None:
    encoder, decoder = BeatEncoder(), BeatDecoder()
    decoder.decode(encoder.encode(ORDINARY))
    changed = ORDINARY._replace(acks=acks)
    assert decoder.decode(encoder.encode(changed)) == changed


def test_reports_of_two_nodes_are_kept_apart() -> None:
    decoder = BeatDecoder()
    one = decoder.decode(BeatEncoder().encode(ORDINARY))
    other = ORDINARY._replace(node="b", report=ORDINARY_REPORT._replace(generation=4))
    assert decoder.decode(BeatEncoder().encode(other)).report.generation == 4
    assert decoder.decode(PAYLOAD).report is one.report


def test_more_nodes_than_are_kept_still_decode() -> None:
    decoder = BeatDecoder()
    for number in range(bounds.MAX_NODES + 10):
        beat = ORDINARY._replace(node=f"n{number}")
        assert decoder.decode(BeatEncoder().encode(beat)) == beat
    assert decoder.decode(PAYLOAD) == ORDINARY


# Room for a later minor version


def test_unknown_fields_are_ignored() -> None:
    slow = {**SLOW, 99: {"new": [1, 2]}, "word": None}
    slow[report.CLAIMS] = [[*row, "appended", 5] for row in slow[report.CLAIMS]]
    slow[report.HEADS] = [[*row, 1.5] for row in slow[report.HEADS]]
    slow[report.DOCUMENT] = [*slow[report.DOCUMENT], None, ["pin"]]  # the seventh is the freeze
    assert BeatDecoder().decode(payload_of({**FAST, 77: [b"later"]}, slow)) == ORDINARY


def test_an_earlier_version_says_nothing_of_its_switch_nor_of_its_clock() -> None:
    assert {report.BUILD, report.SWITCHNAME}.isdisjoint(SLOW)
    read = BeatDecoder().decode(PAYLOAD)
    assert (read.report.build, read.report.switchname) == ("", "")
    assert codec.read_fast(PAYLOAD).wall_ms is None


@given(beats, st.none() | st.integers(0, 2**53 - 1))
def test_a_wall_clock_is_carried_beside_the_same_beat(beat: Beat, wall_ms: int | None) -> None:
    fast = codec.read_fast(BeatEncoder().encode(beat, wall_ms))
    assert fast.wall_ms == wall_ms
    assert BeatDecoder().complete(fast) == beat


def test_a_wall_clock_never_makes_a_beat_too_long() -> None:
    for nodes in range(30, 70):
        beat = sample_beat(nodes, 2**40 - 1)
        plain, told = BeatEncoder().encode(beat), BeatEncoder().encode(beat, 2**53 - 1)
        assert len(told) <= max(len(plain), bounds.MAX_PAYLOAD_BYTES)
        assert (codec.read_fast(told).wall_ms is None) is (
            len(plain) + codec.WALL_BYTES > bounds.MAX_PAYLOAD_BYTES
        )


def test_the_switch_of_a_node_costs_less_than_ninety_bytes() -> None:
    known = ORDINARY_REPORT._replace(
        build="1.11.3-dev.64bit-abcdef:5f0c82d1", switchname="pbx1.frankfurt.telephones.example.net"
    )
    one = len(BeatEncoder().encode(ORDINARY._replace(report=known)))
    assert len(PAYLOAD) < one < len(PAYLOAD) + 90


# What is too much or of the wrong kind

OPTIONAL_SLOW = {report.FOUNDING, report.DOCUMENT, report.PROPOSAL, report.ACCEPTANCE}

LONG = "n" * 65
BAD_NAMES = ["", LONG, "with space", "ä", "a/b", "a\n", 5, None, b"a", ["a"]]
BAD_COUNTERS = [-1, 2**48 + 1, 1.0, True, None, "1"]
BAD_NUMBERS = [-1, 2**53, 2**63, 1.0, True, None, "1", [1]]


def faults(field: int, values: Iterable[Any]) -> list[tuple[int, Any]]:
    return [(field, value) for value in values]


FAST_FAULTS: list[tuple[int, Any]] = [
    *faults(codec.NODE, BAD_NAMES),
    *faults(codec.INCARNATION, BAD_NUMBERS),
    *faults(codec.SEQUENCE, (*BAD_NUMBERS, 2**40)),
    *faults(codec.ACKED, (None, 5, {}, [], [1, 2], "0123456789", b"", bytes(9), bytes(11), bytes(15))),
    *faults(codec.WALL, (-1, 2**53, 1.0, True, "1", [1])),
    *faults(codec.SLOW, (None, "text", 5, [], b"", b"not zlib", bytes(2000))),
]
NAMED_ROWS = [[[bad, 1, True]] for bad in BAD_NAMES] + [[["g", bad, True]] for bad in BAD_COUNTERS]
SLOW_FAULTS: list[tuple[int, Any]] = [
    *faults(report.CLUSTER_ID, ("n" * 80, *BAD_NAMES[2:])),
    *faults(report.GENERATION, BAD_COUNTERS),
    *faults(report.STATE, ("UNKNOWN", "master", "", None, 4, [])),
    *faults(report.CLAIMS, (*NAMED_ROWS, [["g", 1]], [["g", 1, 1]], ["g"], None, {}, "g")),
    (report.CLAIMS, [["g", 1, True]] * (bounds.MAX_GROUPS + 1)),
    (report.CLAIMS, [["g", 1, True, *range(20)]]),
    *[(report.GRANTS, [["g", 1, bad, True]]) for bad in BAD_NAMES],
    *faults(report.GRANTS, ([["g", 1, "h", None]], [["g", -1, "h", True]], [["g", 1, "h"]], None)),
    *[(report.RELEASES, [["g", 1, bad, "stop"]]) for bad in BAD_NAMES[1:]],
    *faults(report.RELEASES, ([["g", 1, "", "a b"]], [["g", 1, "", LONG]], None)),
    (report.RELEASES, [["g", 1, "", "stop"]] * (bounds.MAX_RELEASES + 1)),
    *faults(report.ASKS, ([["", "g", ""]], [["i", "", ""]], [["i", "g", LONG]], None)),
    (report.ASKS, [["i", "g", ""]] * (bounds.MAX_ASKS + 1)),
    *faults(report.UNREADY, (["x" * 81], ["a\nb"], ["\x1b[2J"], [5], ["x"] * 9, None, "x")),
    *faults(report.MACS, (bytes(5), bytes(6 * 65), "aa:bb", None, [1])),
    *faults(report.FOUNDING, (5, [], ["c", ["a", "a"], True], ["c", ["a"], 1], ["c", [LONG], True])),
    (report.FOUNDING, ["c", [f"n{number}" for number in range(bounds.MAX_NODES + 1)], True]),
    *faults(report.DOCUMENT, (5, [], ["c", -1, []], ["c", 1, ["a", "a"]], ["c", 1, None], [1, 1, []])),
    *faults(report.PROPOSAL, (5, [], [1, [1, "a"]], [1, [-1, "a"], None], [1, [1, LONG], None])),
    *faults(report.ACCEPTANCE, (5, [], [1, [1, "a"], [0, ""]], [1, [1, "a"], 5, None])),
    *faults(report.IS_AMNESIAC, (None, 1, "x")),
    *faults(report.CONTINUES, BAD_NUMBERS),
    *faults(report.VERSION, ("v" * 65, "1\n", None, 1)),
    *faults(report.BUILD, ("b" * 33, "1\n", None, 1)),
    *faults(report.SWITCHNAME, ("s" * 65, "\x1b[2J", None, b"s")),
    *faults(report.SETTINGS_DIGEST, (LONG, "ä", None, b"d")),
    *faults(report.HEADS, (None, {}, [["b", 1, []], ["b", 1, []]], [["b", 1]], [["b", 2**53, []]])),
    (report.HEADS, [["b", 1, [["g"]]], ["c", 1, []]]),
    (report.HEADS, [["b", 1, [["g", -1]]], ["c", 1, []]]),
    (report.HEADS, [["b", 1, [["g", 1]] * (bounds.MAX_GROUPS + 1)], ["c", 1, []]]),
]


@pytest.mark.parametrize(("field", "bad"), FAST_FAULTS)
def test_a_bad_fast_field_is_refused(field: int, bad: object) -> None:
    with pytest.raises(BadMessage):
        BeatDecoder().decode(payload_of({**FAST, field: bad}))


@pytest.mark.parametrize(("field", "bad"), SLOW_FAULTS)
def test_a_bad_slow_field_is_refused(field: int, bad: object) -> None:
    with pytest.raises(BadMessage):
        BeatDecoder().decode(payload_of(FAST, {**SLOW, field: bad}))


@pytest.mark.parametrize("field", [*FAST])
def test_a_missing_fast_field_is_refused(field: int) -> None:
    with pytest.raises(BadMessage):
        BeatDecoder().decode(payload_of({key: value for key, value in FAST.items() if key != field}))


@pytest.mark.parametrize("field", sorted({*SLOW} - OPTIONAL_SLOW))
def test_a_missing_slow_field_is_refused(field: int) -> None:
    with pytest.raises(BadMessage):
        BeatDecoder().decode(payload_of(FAST, {key: value for key, value in SLOW.items() if key != field}))


def test_the_refusal_says_what() -> None:
    with pytest.raises(BadMessage, match="unready: not printable text of at most 80 characters") as refusal:
        BeatDecoder().decode(payload_of(FAST, {**SLOW, report.UNREADY: ["\x07"]}))
    assert refusal.value.kind == "malformed"


def test_a_report_that_inflates_without_end_is_refused() -> None:
    bomb = zlib.compress(bytes(1_000_000), 9)
    assert len(bomb) < bounds.MAX_COMPRESSED_BYTES
    with pytest.raises(BadMessage, match="too long"):
        BeatDecoder().decode(payload_of({**FAST, codec.SLOW: bomb}))


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x"])
def test_a_report_cut_or_followed_by_something_is_refused(change: Any) -> None:
    with pytest.raises(BadMessage, match="report: cut short, too long, or followed"):
        BeatDecoder().decode(payload_of({**FAST, codec.SLOW: change(FAST[codec.SLOW])}))


def test_what_was_refused_leaves_no_trace() -> None:
    decoder = BeatDecoder()
    first = decoder.decode(PAYLOAD)
    with pytest.raises(BadMessage):
        decoder.decode(payload_of(FAST, {**SLOW, report.STATE: "UNKNOWN"}))
    assert decoder.decode(PAYLOAD).report is first.report


# Whatever the bytes, nothing but BadMessage

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 15) | st.text(max_size=3), inner)
    ),
    max_leaves=12,
)


def decode_or_refuse(payload: bytes) -> None:
    try:
        beat = BeatDecoder().decode(payload)
    except BadMessage:
        return
    # What was accepted is within all bounds: our own writer can carry it.
    assert BeatDecoder().decode(BeatEncoder().encode(beat)) == beat


@given(st.binary(max_size=400))
def test_random_bytes(payload: bytes) -> None:
    decode_or_refuse(payload)


@given(anything)
def test_random_messagepack(value: object) -> None:
    decode_or_refuse(msgpack.packb(value))


@given(st.sampled_from([*FAST]), anything)
def test_a_random_fast_field(field: int, value: object) -> None:
    decode_or_refuse(payload_of({**FAST, field: value}))


@given(st.sampled_from([*SLOW]), anything)
def test_a_random_slow_field(field: int, value: object) -> None:
    decode_or_refuse(payload_of(FAST, {**SLOW, field: value}))


@given(st.integers(0, len(PAYLOAD) - 1), st.integers(0, 255))
def test_a_changed_byte(place: int, value: int) -> None:
    decode_or_refuse(PAYLOAD[:place] + bytes((value,)) + PAYLOAD[place + 1 :])


@given(st.integers(0, 5000), st.integers(0, 255))
def test_a_changed_byte_of_the_slow_part(place: int, value: int) -> None:
    plain = zlib.decompress(FAST[codec.SLOW])
    place %= len(plain)
    changed = plain[:place] + bytes((value,)) + plain[place + 1 :]
    decode_or_refuse(payload_of({**FAST, codec.SLOW: zlib.compress(changed)}))


@pytest.mark.parametrize("length", range(len(PAYLOAD)))
def test_every_truncation_is_refused(length: int) -> None:
    with pytest.raises(BadMessage):
        BeatDecoder().decode(PAYLOAD[:length])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x91" * 5000,
        b"\x81\x90\x00",
        b"\x81\x81\x00\x00\x00",
        b"\xdf\xff\xff\xff\xff",
        b"\xc1",
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xc7\x0c\xff\xff\xff\xff\xff" + bytes(8),
        b"\xa1\xff",
        PAYLOAD + b"\x00",
    ],
)
def test_known_ways_to_trip_a_messagepack_reader(payload: bytes) -> None:
    with pytest.raises(BadMessage):
        BeatDecoder().decode(payload)


# What we send ourselves


@pytest.mark.parametrize(
    "beat",
    [
        ORDINARY._replace(node="with space"),
        ORDINARY._replace(incarnation=2**53),
        ORDINARY._replace(sequence=-1),
        ORDINARY._replace(acks={"b": Ack(2**70, 1, ())}),
        ORDINARY._replace(acks={LONG: Ack(1, 1, ())}),
        ORDINARY._replace(report=ORDINARY_REPORT._replace(state=NodeState.UNKNOWN)),
        ORDINARY._replace(report=ORDINARY_REPORT._replace(macs=("AA:BB:CC:DD:EE:FF",))),
        ORDINARY._replace(report=ORDINARY_REPORT._replace(claims=(Claim("g", -1, True),))),
        ORDINARY._replace(report=ORDINARY_REPORT._replace(version="\ud800")),
    ],
)
def test_a_beat_that_peers_would_drop_is_not_written(beat: Beat) -> None:
    with pytest.raises(BadMessage):
        BeatEncoder().encode(beat)


@given(st.lists(st.text(max_size=300), max_size=20))
def test_any_reasons_are_made_to_fit(reasons: list[str]) -> None:
    beat = ORDINARY._replace(report=ORDINARY_REPORT._replace(unready=tuple(reasons)))
    read = BeatDecoder().decode(BeatEncoder().encode(beat))
    assert len(read.report.unready) == min(len(reasons), bounds.MAX_REASONS)
    assert all(each.isprintable() for each in read.report.unready)


def test_twenty_nodes_fit_1400_bytes() -> None:
    sealed = Envelope([derive(bytes(32))]).seal(BeatEncoder().encode(sample_beat(20, 2**40 - 1)))
    assert len(sealed) <= 1400


def test_reasons_give_way_to_what_matters() -> None:
    beat = sample_beat(50, 2**31)
    # Text without any pattern, so that compression does not help.
    noise = tuple(
        "".join(chr(33 + (part * part * 31 + row * 57) % 94) for part in range(80)) for row in range(8)
    )
    beat = beat._replace(report=beat.report._replace(unready=noise))
    sealed = Envelope([derive(bytes(32))]).seal(BeatEncoder().encode(beat))
    assert len(sealed) <= bounds.MAX_DATAGRAM_BYTES
    assert BeatDecoder().decode(BeatEncoder().encode(beat)).report.unready == tuple(
        each[: codec.SHORT_REASON_CHARACTERS] for each in noise[: codec.SHORT_REASONS]
    )
