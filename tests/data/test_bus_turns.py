from __future__ import annotations

from typing import cast

from zcluster.adapters.stream_bus import PeerAddress, Received, StreamBus
from zcluster.data.bus_turns import FETCHED_MESSAGES, LONGEST_LATE_MS, BusTurns
from zcluster.data.heart import Heart
from zcluster.streams.events import PathChanged
from zcluster.wire.local_link import PeerPlace


class Bus:
    """What waits, and when `run` was called. Its deadline stands until it is."""

    def __init__(self, waiting: int) -> None:
        self.waiting = [Received("n2", b"%d" % number) for number in range(waiting)]
        self.due_ms = 1000
        self.ran: list[int] = []
        self.fetched: list[int] = []

    @property
    def has_more(self) -> bool:
        return bool(self.waiting)

    def deadline(self) -> int:
        return self.due_ms

    def receive(self, limit: int, now_ms: int) -> list[Received]:
        received, self.waiting = self.waiting[:limit], self.waiting[limit:]
        self.fetched.append(len(received))
        return received

    def run(self, now_ms: int) -> list[str]:
        self.ran.append(now_ms)
        self.due_ms = now_ms + 200
        return ["n3"]

    def set_peers(self, peers: tuple[PeerAddress, ...], now_ms: int) -> list[str]:
        return [peer.node for peer in peers]


class Ear:
    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.moved: list[PathChanged] = []

    def take_body(self, sender: str, body: bytes) -> None:
        self.bodies.append(body)

    def take_peer(self, event: PathChanged) -> None:
        self.moved.append(event)


def made(waiting: int) -> tuple[BusTurns, Bus, Ear]:
    bus, ear = Bus(waiting), Ear()
    return BusTurns(cast(StreamBus, bus), lambda: cast(Heart, ear)), bus, ear


def test_a_piece_is_one_message_and_all_come_in_their_order() -> None:
    turns, bus, ear = made(20)
    pieces = 0
    while turns.piece(0):
        pieces += 1
        assert len(ear.bodies) == pieces
    assert not turns.has_more
    assert ear.bodies == [b"%d" % number for number in range(20)]
    assert max(bus.fetched) <= FETCHED_MESSAGES


def take_all(turns: BusTurns, now_ms: int) -> None:
    while turns.has_more:
        turns.piece(now_ms)


def test_silence_is_judged_when_nothing_waits_but_not_never() -> None:
    turns, bus, ear = made(3)
    take_all(turns, 1010)
    assert bus.ran == [], "what came may end a silence"
    turns.piece(1010)
    assert bus.ran == [1010]
    bus.waiting = [Received("n2", b"x")] * 100
    take_all(turns, 1210 + LONGEST_LATE_MS)
    assert bus.ran == [1010, 1210 + LONGEST_LATE_MS]
    assert ear.moved == [PathChanged("n3")] * 2


def test_who_is_reached_another_way_is_told() -> None:
    turns, _, ear = made(0)
    turns.set_peers((PeerPlace("n2", 7, (("hb1", "127.0.0.2"),)),))
    assert ear.moved == [PathChanged("n2")]
