from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.samples import ORDINARY, WALL_MS
from zcluster.control.events import BeatReceived, BeatRepeated
from zcluster.control.messages import Beat
from zcluster.wire.beacon import Envelope
from zcluster.wire.bounds import MAX_DATAGRAM_BYTES, MAX_NODES
from zcluster.wire.codec import BeatEncoder
from zcluster.wire.keys import derive
from zcluster.wire.reader import FUTURE_MS, LATE_BEATS, MAX_COPIES, REMEMBERED_BEATS, BeatReader

KEYS = [derive(b"k" * 32)]
ENVELOPE = Envelope(KEYS)
OWN_INCARNATION = WALL_MS - 1000


def sealed(beat: Beat) -> bytes:
    return ENVELOPE.seal(BeatEncoder().encode(beat))


def numbered(sequence: int, incarnation: int = WALL_MS) -> bytes:
    return sealed(ORDINARY._replace(sequence=sequence, incarnation=incarnation))


@pytest.fixture
def reader() -> BeatReader:
    return BeatReader(KEYS, "me", OWN_INCARNATION)


def test_a_beat_is_received_once_and_repeated_on_other_links(reader: BeatReader) -> None:
    datagram = sealed(ORDINARY)
    assert reader.read(datagram, "left", WALL_MS) == BeatReceived(ORDINARY, "left")
    assert reader.read(datagram, "right", WALL_MS) == BeatRepeated("a", WALL_MS, 41, "right")
    assert reader.read(bytes(datagram), "left", WALL_MS) == BeatRepeated("a", WALL_MS, 41, "left")
    assert reader.counts == {}


def test_a_beat_that_tells_its_clock_is_noted_once_and_only_when_it_is_new(reader: BeatReader) -> None:
    def told(sequence: int, said_ms: int) -> bytes:
        return ENVELOPE.seal(BeatEncoder().encode(ORDINARY._replace(sequence=sequence), said_ms))

    reader.read(numbered(1), "left", WALL_MS)
    assert reader.clocks.offsets() == {}
    reader.read(told(3, WALL_MS + 900), "left", WALL_MS)
    assert reader.clocks.offsets() == {"a": 900}
    reader.read(told(3, WALL_MS + 900), "right", WALL_MS - 5000)
    reader.read(told(2, WALL_MS + 9000), "left", WALL_MS)
    assert reader.clocks.offsets() == {"a": 900}


def test_newer_beats_of_the_same_report_share_it(reader: BeatReader) -> None:
    first = reader.read(numbered(1), "left", WALL_MS)
    second = reader.read(numbered(2), "left", WALL_MS)
    assert isinstance(first, BeatReceived)
    assert isinstance(second, BeatReceived)
    assert second.beat.report is first.beat.report


def test_an_old_beat_with_another_report_does_not_displace_it(reader: BeatReader) -> None:
    first = reader.read(numbered(10), "left", WALL_MS)
    other = ORDINARY._replace(sequence=9, report=ORDINARY.report._replace(generation=99))
    assert reader.read(sealed(other), "left", WALL_MS) is None
    second = reader.read(numbered(11), "left", WALL_MS)
    assert isinstance(first, BeatReceived)
    assert isinstance(second, BeatReceived)
    assert second.beat.report is first.beat.report


@pytest.mark.parametrize("behind", [1, REMEMBERED_BEATS - 1, REMEMBERED_BEATS, REMEMBERED_BEATS + 5])
def test_a_copy_delayed_on_another_link_is_late(reader: BeatReader, behind: int) -> None:
    for sequence in range(20):
        reader.read(numbered(sequence), "left", WALL_MS)
    assert reader.read(numbered(19 - behind), "right", WALL_MS) is None
    assert reader.counts == {"late": 1}


def test_a_beat_that_was_overtaken_is_late(reader: BeatReader) -> None:
    reader.read(numbered(20), "left", WALL_MS)
    assert reader.read(numbered(19), "right", WALL_MS) is None
    assert reader.counts == {"late": 1}


def test_a_long_gone_beat_is_a_replay(reader: BeatReader) -> None:
    reader.read(numbered(LATE_BEATS + 5), "left", WALL_MS)
    assert reader.read(numbered(6), "left", WALL_MS) is None
    assert reader.counts == {"late": 1}
    assert reader.read(numbered(5), "left", WALL_MS) is None
    assert reader.counts == {"late": 1, "replayed": 1}


def test_an_older_incarnation_is_a_replay_whatever_its_sequence(reader: BeatReader) -> None:
    old = numbered(10**6, WALL_MS - 1)
    assert isinstance(reader.read(old, "left", WALL_MS), BeatReceived)
    assert isinstance(reader.read(numbered(0), "left", WALL_MS), BeatReceived)
    assert reader.read(old, "left", WALL_MS) is None
    assert reader.read(numbered(10**7, WALL_MS - 1), "left", WALL_MS) is None
    assert reader.counts == {"replayed": 2}


def test_the_same_sequence_in_other_bytes_is_taken_once(reader: BeatReader) -> None:
    assert isinstance(reader.read(numbered(5), "left", WALL_MS), BeatReceived)
    other = ORDINARY._replace(sequence=5, acks={})
    assert reader.read(sealed(other), "left", WALL_MS) is None
    assert reader.counts == {"late": 1}


def test_a_beat_is_not_repeated_without_end(reader: BeatReader) -> None:
    datagram = numbered(1)
    events = [reader.read(datagram, "left", WALL_MS) for _ in range(MAX_COPIES + 10)]
    assert isinstance(events[0], BeatReceived)
    assert all(isinstance(event, BeatRepeated) for event in events[1 : MAX_COPIES + 1])
    assert events[MAX_COPIES + 1 :] == [None] * 9
    assert reader.counts == {"replayed": 9}


def test_a_day_ahead_is_accepted_and_more_is_not(reader: BeatReader) -> None:
    assert reader.read(numbered(1, WALL_MS + FUTURE_MS + 1), "left", WALL_MS) is None
    assert reader.counts == {"future": 1}
    assert isinstance(reader.read(numbered(1, WALL_MS + FUTURE_MS), "left", WALL_MS), BeatReceived)


def test_our_own_beats_and_those_of_a_twin_are_told_apart(reader: BeatReader) -> None:
    mine = ORDINARY._replace(node="me")
    assert reader.read(sealed(mine._replace(incarnation=OWN_INCARNATION)), "left", WALL_MS) is None
    assert reader.read(sealed(mine._replace(incarnation=OWN_INCARNATION - 9)), "left", WALL_MS) is None
    assert reader.counts == {"own": 2}
    assert reader.read(sealed(mine._replace(incarnation=OWN_INCARNATION + 1)), "left", WALL_MS) is None
    assert reader.counts == {"own": 2, "twin": 1}


def test_more_nodes_than_the_bound_are_not_heard(reader: BeatReader) -> None:
    for number in range(MAX_NODES):
        beat = ORDINARY._replace(node=f"n{number}")
        assert isinstance(reader.read(sealed(beat), "left", WALL_MS), BeatReceived)
    assert reader.read(sealed(ORDINARY._replace(node="late-comer")), "left", WALL_MS) is None
    assert reader.counts == {"crowded": 1}
    again = ORDINARY._replace(node="n0", sequence=42)
    assert isinstance(reader.read(sealed(again), "left", WALL_MS), BeatReceived)


@pytest.mark.parametrize(
    ("datagram", "kind"),
    [
        (b"", "short"),
        (b"zc", "short"),
        (bytes(MAX_DATAGRAM_BYTES + 1), "oversized"),
        (bytes(100), "magic"),
        (b"zc\x07" + bytes(100), "version"),
        (Envelope([derive(b"f" * 32)]).seal(b"x"), "key"),
        (numbered(1)[:-1] + b"\x00", "mac"),
        (ENVELOPE.seal(b"not msgpack"), "malformed"),
        (ENVELOPE.seal(msgpack.packb({0: "a"})), "malformed"),
        (ENVELOPE.seal(msgpack.packb({0: "a", 1: 1, 2: 1, 3: [], 4: b"x"})), "malformed"),
    ],
)
def test_what_is_dropped_is_counted_by_kind(reader: BeatReader, datagram: bytes, kind: str) -> None:
    assert reader.read(datagram, "left", WALL_MS) is None
    assert reader.counts == {kind: 1}
    assert isinstance(reader.read(sealed(ORDINARY), "left", WALL_MS), BeatReceived)


def test_a_malformed_beat_does_not_use_up_its_sequence(reader: BeatReader) -> None:
    assert reader.read(ENVELOPE.seal(msgpack.packb({0: "a", 1: WALL_MS, 2: 99})), "left", WALL_MS) is None
    assert isinstance(reader.read(numbered(1), "left", WALL_MS), BeatReceived)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real beat with something done to it."""
    datagram = numbered(draw(st.integers(0, 3)))
    place = draw(st.integers(0, len(datagram) - 1))
    changed = datagram[:place] + bytes((draw(st.integers(0, 255)),)) + datagram[place + 1 :]
    return draw(
        st.sampled_from(
            [datagram, changed, datagram[:place], datagram + datagram[:place], datagram[place:], datagram * 9]
        )
    )


@given(
    st.lists(st.binary(max_size=1600) | damaged(), max_size=30), st.integers(WALL_MS - 2 * FUTURE_MS, WALL_MS)
)
def test_every_datagram_is_an_event_or_one_count(stream: list[bytes], wall_ms: int) -> None:
    reader = BeatReader(KEYS, "me", OWN_INCARNATION)
    newest = -1
    for number, datagram in enumerate(stream):
        before = reader.counts.total()
        event = reader.read(datagram, f"link-{number}", wall_ms)
        assert (event is None) == (reader.counts.total() == before + 1)
        match event:
            case BeatReceived(beat=beat):
                assert datagram == numbered(beat.sequence)
                assert beat.sequence > newest
                newest = beat.sequence
            case BeatRepeated():
                assert datagram == numbered(event.sequence)
                assert event.sequence == newest


@given(st.lists(st.integers(0, 150), max_size=60))
def test_any_order_hands_in_each_sequence_once_and_upwards(order: list[int]) -> None:
    reader = BeatReader(KEYS, "me", OWN_INCARNATION)
    beats = {sequence: numbered(sequence) for sequence in set(order)}
    taken = []
    for sequence in order:
        event = reader.read(beats[sequence], "left", WALL_MS)
        if isinstance(event, BeatReceived):
            taken.append(event.beat.sequence)
    assert taken == sorted(set(taken))
    assert not taken or taken[-1] == max(order)


def test_an_older_life_that_goes_on_speaking_is_counted(reader: BeatReader) -> None:
    reader.read(numbered(1), "left", WALL_MS)
    for sequence in range(1, 8):
        for link in ("left", "right"):
            assert reader.read(numbered(sequence, WALL_MS - 5), link, WALL_MS) is None
    assert reader.take_older() == {"a": 7}
    assert reader.take_older() == {}
    assert reader.read(numbered(3, WALL_MS - 5), "left", WALL_MS) is None


def test_old_datagrams_sent_again_do_not_count_twice(reader: BeatReader) -> None:
    reader.read(numbered(1), "left", WALL_MS)
    for _ in range(3):
        reader.read(numbered(4, WALL_MS - 5), "left", WALL_MS)
    assert reader.take_older() == {"a": 1}
    reader.read(numbered(4, WALL_MS - 5), "left", WALL_MS)
    assert reader.take_older() == {}
