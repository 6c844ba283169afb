from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from zcluster.adapters.local_channel import MOST_WAITING, LocalChannel, pair

PACKET_BYTES = 16 * 1024


@pytest.fixture
def ends() -> Iterator[tuple[LocalChannel, LocalChannel]]:
    here, there = pair()
    other = LocalChannel(there)
    yield here, other
    here.close()
    other.close()


def received(channel: LocalChannel) -> list[bytes]:
    return channel.receive(PACKET_BYTES, 1000)


def filled(channel: LocalChannel) -> int:
    """Send until the other side takes no more; how many packets it took."""
    sent = 0
    while not channel.waits():
        channel.send([bytes(PACKET_BYTES)])
        sent += 1
    return sent - 1


def test_packets_keep_their_borders_and_their_order(ends: tuple[LocalChannel, LocalChannel]) -> None:
    here, there = ends
    here.send([b"a", b"bc"])
    here.send([b"d"], state="x")
    assert received(there) == [b"a", b"bc", b"d"]
    there.send([b"back"])
    assert received(here) == [b"back"]
    assert received(here) == []


def test_of_a_state_that_cannot_leave_the_newest_alone_waits(ends: tuple[LocalChannel, LocalChannel]) -> None:
    here, there = ends
    taken = filled(here)
    for number in range(1000):
        here.send([b"peers", b"%d" % number], state="peers")
        here.send([b"groups %d" % number], state="groups")
    here.send([b"stop"])
    assert here.waits()
    assert received(there) == [bytes(PACKET_BYTES)] * taken
    here.flush()
    assert not here.waits()
    assert received(there) == [bytes(PACKET_BYTES), b"peers", b"999", b"groups 999", b"stop"]
    assert not here.counts


def test_a_message_that_left_in_part_leaves_whole(ends: tuple[LocalChannel, LocalChannel]) -> None:
    here, there = ends
    here.send([bytes([number]) + bytes(PACKET_BYTES - 1) for number in range(64)], state="peers")
    assert here.waits()
    here.send([b"newer"], state="peers")
    found: list[bytes] = []
    while len(found) < 65:
        found += received(there)
        here.flush()
    assert [packet[0] for packet in found[:64]] == list(range(64))
    assert found[64] == b"newer"


def test_what_waits_is_bounded(ends: tuple[LocalChannel, LocalChannel]) -> None:
    here, _ = ends
    filled(here)
    for _ in range(MOST_WAITING + 10):
        here.send([b"told"])
    assert here.counts["unsent"] == 10


@pytest.mark.parametrize("is_sending", [True, False])
def test_the_end_of_the_other_side_is_seen_and_nothing_waits_for_it(is_sending: bool) -> None:
    here, there = pair()
    there.close()
    if is_sending:
        here.send([b"anybody?"])
        assert not here.waits()
    assert received(here) == []
    assert here.is_over
    here.close()


def test_the_last_words_are_read_though_they_were_answered_in_vain() -> None:
    here, there = pair()
    there.send(b"farewell")
    there.close()
    here.send([b"wait!"])
    assert received(here) == [b"farewell"]
    here.close()


def test_the_last_words_of_one_that_did_not_listen_are_read() -> None:
    here, there = pair()
    here.send([b"are you there?"])
    there.send(b"farewell")
    there.close()
    assert received(here) == [b"farewell"]
    assert here.is_over
    here.close()


def test_the_last_words_of_the_other_side_are_read() -> None:
    here, there = pair()
    there.send(b"farewell")
    there.close()
    assert received(here) == [b"farewell"]
    assert here.is_over
    here.close()


def test_no_child_inherits_an_end_by_accident() -> None:
    here, there = pair()
    with there:
        assert not there.get_inheritable()
        assert not os.get_inheritable(here.fileno())
    here.close()
