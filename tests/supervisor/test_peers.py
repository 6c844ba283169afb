from __future__ import annotations

from itertools import pairwise

from zcluster.supervisor.peers import (
    BUS_SILENCE_BEATS,
    FORGET_AFTER_MS,
    LARGEST_PEERS,
    LATE_MS,
    LEAST_BUS_SILENCE_MS,
    LIVING_MS,
    LONGEST_BUS_PATIENCES,
    MULTICAST_LATELY_BEATS,
    UNICAST_EVERY_BEATS,
    Peers,
)

BEAT_MS = 20


def test_a_new_peer_and_a_new_address_are_news_once() -> None:
    peers = Peers(BEAT_MS)
    assert peers.heard("n2", "hb1", "10.1.0.2", True, 0) == ""
    assert peers.heard("n2", "hb1", "10.1.0.2", False, 20) is None
    assert peers.heard("n2", "hb2", "10.2.0.2", True, 20) == ""
    assert peers.heard("n2", "hb1", "10.1.0.9", True, 40) == "10.1.0.2"
    assert peers.addresses("hb1") == ["10.1.0.9"]
    assert peers.places("n2") == (("hb1", "10.1.0.9"), ("hb2", "10.2.0.2"))
    assert peers.places("n3") == ()


def test_who_is_heard_by_multicast_gets_few_beats_by_unicast() -> None:
    peers = Peers(BEAT_MS)
    sent = 0
    for sequence in range(100):
        peers.heard("n2", "hb1", "10.1.0.2", True, sequence * BEAT_MS)
        sent += len(peers.unicast("hb1", sequence, sequence * BEAT_MS))
    assert sent == 100 // UNICAST_EVERY_BEATS


def test_who_hears_us_late_gets_every_beat_by_unicast_and_on_the_bus() -> None:
    peers = Peers(BEAT_MS)
    for node in ("n2", "n3"):
        peers.heard(node, "hb1", f"10.1.0.{node[1]}", True, 1000)
    assert not peers.is_bus_needed(1000)
    assert peers.unicast("hb1", 1, 1000) == []
    peers.hears_us_late("n2", 1020)
    assert peers.is_bus_needed(1020)
    assert peers.unicast("hb1", 1, 1020) == ["10.1.0.2"]
    for node in ("n2", "n3"):
        peers.heard(node, "hb1", f"10.1.0.{node[1]}", True, 1020 + LATE_MS)
    assert not peers.is_bus_needed(1020 + LATE_MS)
    assert peers.unicast("hb1", 1, 1020 + LATE_MS) == []


def test_who_is_heard_by_unicast_alone_gets_every_beat_so() -> None:
    peers = Peers(BEAT_MS)
    peers.heard("n2", "hb1", "10.1.0.2", True, 0)
    sent = 0
    for sequence in range(1, 101):
        peers.heard("n2", "hb1", "10.1.0.2", False, sequence * BEAT_MS)
        sent += len(peers.unicast("hb1", sequence, sequence * BEAT_MS))
    assert sent >= 94


def test_who_is_silent_gets_few_until_it_is_forgotten() -> None:
    peers = Peers(BEAT_MS)
    peers.heard("n2", "hb1", "10.1.0.2", True, 0)
    later_ms = LIVING_MS + 1
    sent = [len(peers.unicast("hb1", sequence, later_ms)) for sequence in range(1, UNICAST_EVERY_BEATS + 1)]
    assert sent == [0] * (UNICAST_EVERY_BEATS - 1) + [1]
    assert peers.forget_silent(FORGET_AFTER_MS) == []
    assert peers.forget_silent(FORGET_AFTER_MS + 1) == [("hb1", "10.1.0.2")]
    assert peers.unicast("hb1", UNICAST_EVERY_BEATS, 0) == []


def test_peers_are_bounded() -> None:
    peers = Peers(BEAT_MS)
    for number in range(LARGEST_PEERS + 5):
        peers.heard(f"n{number}", "hb1", f"10.1.{number // 250}.{number % 250}", True, 0)
    assert len(peers.addresses("hb1")) == LARGEST_PEERS


def test_when_a_switch_begins_to_drop_multicast_unicast_takes_over_both_ways() -> None:
    """IGMP snooping without a querier: multicast works, and minutes later it does not."""
    nodes = {"n1": Peers(BEAT_MS), "n2": Peers(BEAT_MS)}
    dropped_ms = 300_000
    silences: list[int] = []
    heard_ms = dict.fromkeys(nodes, 0)
    for sequence in range(1, (dropped_ms + 5000) // BEAT_MS):
        now_ms = sequence * BEAT_MS
        for sender, receiver in (("n1", "n2"), ("n2", "n1")):
            is_multicast = now_ms < dropped_ms
            has_unicast = bool(nodes[sender].unicast("ring1", sequence, now_ms))
            if is_multicast or has_unicast:
                silences.append(now_ms - heard_ms[receiver])
                heard_ms[receiver] = now_ms
                nodes[receiver].heard(sender, "ring1", f"10.1.0.{sender[1]}", is_multicast, now_ms)
    assert max(silences) <= (MULTICAST_LATELY_BEATS + 2) * BEAT_MS
    assert silences[-100:] == [BEAT_MS] * 100, "every beat, for good"


def test_a_bus_that_stays_silent_beside_datagrams_is_begun_anew_with_patience() -> None:
    peers = Peers(BEAT_MS)
    tries = []
    for now_ms in range(0, 60_000, 500):
        peers.heard("n2", "hb1", "10.1.0.2", True, now_ms)
        if peers.deaf_on_bus(now_ms):
            tries.append(now_ms)
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert tries[0] == LEAST_BUS_SILENCE_MS + 500
    assert gaps[0] == 2 * LEAST_BUS_SILENCE_MS + 500
    assert max(gaps) == LONGEST_BUS_PATIENCES * LEAST_BUS_SILENCE_MS + 500
    peers.heard_on_bus("n2", "hb1", 60_000)
    peers.heard("n2", "hb1", "10.1.0.2", True, 60_000)
    assert peers.deaf_on_bus(60_000) == []
    peers.heard("n2", "hb1", "10.1.0.2", True, 60_001 + LEAST_BUS_SILENCE_MS)
    assert peers.deaf_on_bus(60_001 + LEAST_BUS_SILENCE_MS) == [("hb1", "10.1.0.2")], (
        "and soon, once it had been heard"
    )
    assert peers.deaf_on_bus(90_000) == [], "a peer that is silent everywhere is not asked for its bus"


def test_slow_beats_are_given_a_longer_silence_on_the_bus() -> None:
    peers = Peers(100)
    deaf_ms = None
    for now_ms in range(0, 10_000, 100):
        peers.heard("n2", "hb1", "10.1.0.2", True, now_ms)
        if peers.deaf_on_bus(now_ms) and deaf_ms is None:
            deaf_ms = now_ms
    assert deaf_ms == BUS_SILENCE_BEATS * 100 + 100


def test_a_beat_from_somewhere_teaches_no_address_and_keeps_the_known_one_alive() -> None:
    peers = Peers(BEAT_MS)
    assert peers.heard("n2", "hb1", "", True, 0) is None
    assert peers.addresses("hb1") == []
    peers.heard("n2", "hb1", "10.1.0.2", True, 20)
    assert peers.heard("n2", "hb1", "", True, 600_010) is None
    assert peers.forget_silent(600_030) == []
    assert peers.addresses("hb1") == ["10.1.0.2"]
