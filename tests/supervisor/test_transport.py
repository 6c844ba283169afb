"""Two transports on the loopback interface, with real sockets, where no multicast passes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from tests.wire.crowd import crowded
from tests.wire.samples import ORDINARY
from zcluster.adapters.bus import Bus, BusKeys
from zcluster.control.actions import Action
from zcluster.control.events import BeatReceived, Event
from zcluster.control.messages import Beat
from zcluster.control.timing import PRESETS
from zcluster.supervisor.chronicle import wall_ms
from zcluster.supervisor.loop import Loop, monotonic_ms
from zcluster.supervisor.side_thread import SideThread
from zcluster.supervisor.transport import Place, Transport
from zcluster.wire.beacon import Envelope
from zcluster.wire.codec import BeatEncoder
from zcluster.wire.keys import derive
from zcluster.wire.reader import BeatReader
from zcluster.wire.shorter import TOO_LONG

pytestmark = pytest.mark.kernel

KEYS = derive(b"t" * 32)
TIMING = PRESETS["standard"]


def plain(sequence: int) -> Beat:
    return ORDINARY._replace(sequence=sequence, acks={})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Side:
    """One node's transport and loop; a core that only listens and beats."""

    is_over = False

    def __init__(self, name: str, address: str, beacon_port: int, bus_port: int) -> None:
        self.name = name
        self.heard: list[BeatReceived] = []
        self._sequence = 0
        self._incarnation = wall_ms()
        self._deadline_ms = monotonic_ms()
        self.beat: Callable[[int], Beat] = plain
        self._open = ExitStack()
        kernel = SideThread("kernel")
        self._open.callback(kernel.stop)
        place = Place("ring1", "lo", address, "", beacon_port, bus_port, 1)
        self.transport = Transport(
            name,
            [place],
            BeatReader((KEYS,), name, self._incarnation),
            BeatEncoder(),
            Envelope((KEYS,)),
            Bus(BusKeys(KEYS.server, KEYS.client)),
            TIMING,
            kernel.submit,
        )
        self._open.callback(self.transport.close)
        self._loop = Loop(self, self, (self.transport,))
        self._open.callback(self._loop.close)
        self._loop.watch(kernel.fileno(), kernel.receive)
        self.transport.attach(self._loop, monotonic_ms(), lambda _bodies: None)

    def deadline(self) -> int:
        return self._deadline_ms

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        if isinstance(event, BeatReceived):
            self.heard.append(event)
        if now_ms >= self._deadline_ms:
            self._deadline_ms = now_ms + TIMING.beat_ms
            self._sequence += 1
            beat = self.beat(self._sequence)._replace(node=self.name, incarnation=self._incarnation)
            self.transport.send(beat, now_ms)
        return []

    def perform(self, _action: Action, _now_ms: int) -> Sequence[Event]:
        return ()

    def turn(self) -> None:
        self._loop.turn()

    def close(self) -> None:
        self._open.close()


Pair = Callable[[int, int], tuple[Side, Side]]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Makes n1 and n2, whose datagrams and buses meet where their ports are the same (the difference is 0)."""
    made: list[Side] = []

    def make(beacons_apart: int, buses_apart: int) -> tuple[Side, Side]:
        beacon, bus = free_port(), free_port()
        for number, name in enumerate(("n1", "n2")):
            address = f"127.77.0.{number + 1}"
            made.append(Side(name, address, beacon + number * beacons_apart, bus + number * buses_apart))
        return made[0], made[1]

    yield make
    for side in made:
        side.close()


def both_until(sides: tuple[Side, Side], condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, [side.transport.counts for side in sides]
        for side in sides:
            side.turn()


def test_a_listed_peer_is_sent_every_beat_and_answers_without_a_list(pair: Pair) -> None:
    sides = one, other = pair(0, 3)
    one.transport.listed("ring1", ("127.77.0.2",))
    both_until(sides, lambda: len(one.heard) >= 10 and len(other.heard) >= 10)
    sequences = [event.beat.sequence for event in other.heard]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    assert {event.beat.node for event in one.heard} == {"n2"}


def test_a_beat_too_long_for_its_datagram_is_heard_without_the_document(pair: Pair) -> None:
    sides = one, other = pair(0, 3)
    one.transport.listed("ring1", ("127.77.0.2",))
    one.beat = crowded
    both_until(sides, lambda: len(other.heard) >= 4)
    assert {event.beat.report.document for event in other.heard} == {None}
    assert one.transport.counts["beats_shortened"] >= 4
    assert one.transport.problems() == {"all links": TOO_LONG}
    one.beat = plain
    before = len(other.heard)
    both_until(sides, lambda: len(other.heard) >= before + 4)
    assert other.heard[-1].beat.report.document is not None
    assert one.transport.problems() == {}


def test_where_udp_is_filtered_the_bus_finds_a_listed_peer(pair: Pair) -> None:
    sides = one, other = pair(3, 0)
    for side, address in ((one, "127.77.0.2"), (other, "127.77.0.1")):
        side.transport.listed("ring1", (address,))
    both_until(sides, lambda: len(one.heard) >= 20 and len(other.heard) >= 20)
    sequences = [event.beat.sequence for event in other.heard[-5:]]
    assert sequences == list(range(sequences[0], sequences[0] + 5)), "every beat, as nothing else brings any"


def test_a_peer_that_leaves_the_list_is_let_go(pair: Pair) -> None:
    sides = one, other = pair(3, 0)
    one.transport.listed("ring1", ("127.77.0.2",))
    both_until(sides, lambda: len(one.heard) >= 5)
    one.transport.listed("ring1", ())
    settled_ms = monotonic_ms() + 300
    both_until(sides, lambda: monotonic_ms() > settled_ms)
    before = len(one.heard)
    settled_ms = monotonic_ms() + 300
    both_until(sides, lambda: monotonic_ms() > settled_ms)
    assert len(one.heard) == before
    assert other.heard == []


def test_a_bus_that_is_silent_beside_datagrams_is_begun_anew_within_seconds(pair: Pair) -> None:
    sides = one, other = pair(0, 3)
    one.transport.listed("ring1", ("127.77.0.2",))
    began_ms = monotonic_ms()
    both_until(sides, lambda: one.transport.counts["bus_reconnects"] > 0)
    assert monotonic_ms() - began_ms > 2000
    assert other.transport.counts["bus_reconnects"] <= 1


def test_where_a_peer_speaks_from_is_learned_though_it_is_looked_at_only_now_and_then(pair: Pair) -> None:
    sides = one, other = pair(0, 3)
    settled_ms = monotonic_ms() + 3000  # nothing new for longer than it is watched for
    both_until(sides, lambda: monotonic_ms() > settled_ms)
    one.transport.listed("ring1", ("127.77.0.2",))
    both_until(sides, lambda: one.transport.places("n2") == (("ring1", "127.77.0.2"),))
    assert other.transport.places("n1") == (("ring1", "127.77.0.1"),)
