from __future__ import annotations

from zcluster.supervisor.peers import FORGET_AFTER_MS, LARGEST_PEERS, LIVING_MS, Peers

BEAT_MS = 20


def test_a_new_peer_and_a_new_address_are_news_once() -> None:
    peers = Peers(BEAT_MS)
    assert peers.heard("n2", "hb1", "10.1.0.2", True, 0) == ""
    assert peers.heard("n2", "hb1", "10.1.0.2", False, 20) is None
    assert peers.heard("n2", "hb2", "10.2.0.2", True, 20) == ""
    assert peers.heard("n2", "hb1", "10.1.0.9", True, 40) == "10.1.0.2"
    assert peers.addresses("hb1") == ["10.1.0.9"]


def test_who_is_heard_by_multicast_gets_every_tenth_beat_by_unicast() -> None:
    peers = Peers(BEAT_MS)
    sent = 0
    for sequence in range(100):
        peers.heard("n2", "hb1", "10.1.0.2", True, sequence * BEAT_MS)
        sent += len(peers.unicast("hb1", sequence, sequence * BEAT_MS))
    assert sent == 10


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
    assert [len(peers.unicast("hb1", sequence, later_ms)) for sequence in range(1, 11)] == [0] * 9 + [1]
    assert peers.forget_silent(FORGET_AFTER_MS) == []
    assert peers.forget_silent(FORGET_AFTER_MS + 1) == [("hb1", "10.1.0.2")]
    assert peers.unicast("hb1", 10, 0) == []


def test_peers_are_bounded() -> None:
    peers = Peers(BEAT_MS)
    for number in range(LARGEST_PEERS + 5):
        peers.heard(f"n{number}", "hb1", f"10.1.{number // 250}.{number % 250}", True, 0)
    assert len(peers.addresses("hb1")) == LARGEST_PEERS
