from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tests.adapters.wire import (
    BROADCAST,
    Wire,
    add_address,
    arp_frame,
    delete_link,
    is_advertisement,
    neighbour_frame,
    set_link,
)
from zcluster.adapters.gate import Gate
from zcluster.adapters.neighbour_frames import Kind, Sighting
from zcluster.adapters.neighbours import Neighbours
from zcluster.adapters.packet_filter import MAXIMUM_LISTED

pytestmark = pytest.mark.kernel

V4, V6 = ip_address("10.77.0.9"), ip_address("fd77::9")
WATCHED = (V4, V6)


@pytest.fixture
def neighbours(wire: Wire) -> Iterator[Neighbours]:
    """Ears of the host on h0, for one address of each kind."""
    with wire.host.inside():
        made = Neighbours(["h0"], WATCHED)
        yield made
    made.close()


def heard(neighbours: Neighbours, wait_s: float = 0.1) -> list[Sighting]:
    """All that comes in until nothing more does."""
    found: list[Sighting] = []
    while select.select([neighbours], [], [], wait_s)[0]:
        found += neighbours.receive()
        wait_s = 0.02
    return found


def text(mac: bytes) -> str:
    return mac.hex(":")


def test_a_probe_is_answered_by_who_has_the_address(wire: Wire, neighbours: Neighbours) -> None:
    with wire.other.inside():
        add_address("o0", str(V4), 32)
        add_address("o0", str(V6), 128)
    theirs = text(wire.station.mac)
    assert neighbours.probe("h0", V4)
    assert heard(neighbours) == [Sighting(V4, theirs, Kind.REPLY, "h0")]
    assert neighbours.probe("h0", V6)
    assert heard(neighbours) == [Sighting(V6, theirs, Kind.ADVERTISEMENT, "h0")]


def test_a_probe_for_what_nobody_has_stays_unanswered(neighbours: Neighbours) -> None:
    assert neighbours.probe("h0", V4)
    assert neighbours.probe("h0", V6)
    assert heard(neighbours) == []


def test_a_closed_gate_does_not_answer_our_probe(wire: Wire, neighbours: Neighbours) -> None:
    """The question of a claimant to the former holder, whose addresses are still on the interface."""
    with wire.other.inside():
        add_address("o0", str(V4), 32)
        add_address("o0", str(V6), 128)
        gate = Gate()
        gate.install(WATCHED, ["o0"])
    neighbours.probe("h0", V4)
    neighbours.probe("h0", V6)
    assert heard(neighbours) == []
    gate.arm(1, WATCHED, 30_000)
    gate.point(WATCHED, 1)
    neighbours.probe("h0", V4)
    neighbours.probe("h0", V6)
    assert [sighting.kind for sighting in heard(neighbours)] == [Kind.REPLY, Kind.ADVERTISEMENT]
    gate.shut()


def test_everything_that_others_do_with_the_address_is_seen(wire: Wire, neighbours: Neighbours) -> None:
    mac = wire.station.mac
    for frame in (
        arp_frame(mac, 1, str(V4), str(V4)),
        arp_frame(mac, 2, str(V4), "10.77.0.1"),
        arp_frame(mac, 1, str(V4), "10.77.0.1"),
        arp_frame(mac, 1, "0.0.0.0", str(V4)),
        neighbour_frame(mac, 136, str(V6), "ff02::1", str(V6)),
        neighbour_frame(mac, 135, "::", "ff02::1:ff00:9", str(V6)),
        neighbour_frame(mac, 135, str(V6), "ff02::1:ff00:1", "fd77::1"),
    ):
        wire.station.send(frame)
    assert sorted(sighting.kind for sighting in heard(neighbours)) == sorted(
        [
            Kind.ANNOUNCEMENT,
            Kind.REPLY,
            Kind.QUERY,
            Kind.PROBE,
            Kind.ADVERTISEMENT,
            Kind.PROBE,
            Kind.QUERY,
        ]
    )


def test_the_kernel_keeps_back_what_is_not_watched(wire: Wire, neighbours: Neighbours) -> None:
    """Not even the descriptor becomes readable."""
    mac = wire.station.mac
    wire.station.send(arp_frame(mac, 1, "10.77.0.2", "10.77.0.9"))  # only asks
    wire.station.send(arp_frame(mac, 2, "10.77.0.8", "10.77.0.1"))
    wire.station.send(arp_frame(mac, 2, str(V4), "10.77.0.1", to=b"\x02\0\0\0\0\x55"))  # for another host
    wire.station.send(neighbour_frame(mac, 136, "fd77::8", "ff02::1", "fd77::8"))
    wire.station.send(neighbour_frame(mac, 135, "fd77::2", "ff02::1:ff00:9", str(V6)))  # only asks
    wire.station.send(neighbour_frame(mac, 133, "fd77::9", "ff02::2", "fd77::9"))
    with wire.other.inside():
        speaker = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    speaker.sendto(b"x", ("fd77::1", 9))
    speaker.close()
    assert not select.select([neighbours], [], [], 0.1)[0]


def test_another_low_half_of_an_ipv6_address_is_not_ours(wire: Wire, neighbours: Neighbours) -> None:
    """The kernel compares four bytes of sixteen; we compare the rest."""
    wire.station.send(neighbour_frame(wire.station.mac, 136, "fd78::9", "ff02::1", "fd78::9"))
    assert select.select([neighbours], [], [], 0.2)[0]
    assert neighbours.receive() == []


def test_own_frames_are_never_sighted(wire: Wire, neighbours: Neighbours) -> None:
    neighbours.probe("h0", V4)
    neighbours.announce("h0", V4)
    neighbours.announce("h0", V6)
    assert heard(neighbours) == []
    wire.station.send(arp_frame(wire.port.mac, 1, str(V4), str(V4)))  # sent back by a loop in the network
    assert heard(neighbours) == []
    other = b"\x02\0\0\0\0\x99"
    wire.station.send(arp_frame(other, 1, str(V4), str(V4)))
    assert len(heard(neighbours)) == 1
    neighbours.bind(["h0"], own_macs=[text(other)])
    wire.station.send(arp_frame(other, 1, str(V4), str(V4)))
    assert heard(neighbours) == []


def test_malformed_frames_are_counted_and_dropped(wire: Wire, neighbours: Neighbours) -> None:
    good = arp_frame(wire.station.mac, 2, str(V4), "10.77.0.1")
    wire.station.send(good[:14] + b"\0\6" + good[16:])  # another hardware type
    wire.station.send(neighbour_frame(wire.station.mac, 136, str(V6), "ff02::1", str(V6))[:-1] + b"\xee")
    assert heard(neighbours) == []
    assert neighbours.malformed == 2
    wire.station.send(good)
    assert len(heard(neighbours)) == 1


def test_announcements_reach_the_network(wire: Wire, neighbours: Neighbours) -> None:
    wire.station.flush()
    assert neighbours.announce("h0", V4)
    for operation in (1, 2):
        assert wire.station.hear(
            lambda frame, wanted=operation: (  # type: ignore[misc]
                frame[:6] == BROADCAST and frame[21] == wanted and frame[28:32] == V4.packed == frame[38:42]
            )
        )
    assert neighbours.announce("h0", V6)
    assert wire.station.hear(lambda frame: is_advertisement(frame, str(V6)))


def test_an_announcement_behind_a_closed_gate_is_reported_as_not_sent(
    wire: Wire, neighbours: Neighbours
) -> None:
    gate = Gate()
    gate.install(WATCHED, ["h0"])
    assert not neighbours.announce("h0", V4)
    assert not neighbours.announce("h0", V6)
    assert neighbours.probe("h0", V4), "to ask is free"
    gate.arm(1, WATCHED, 30_000)
    gate.point(WATCHED, 1)
    assert neighbours.announce("h0", V4)
    assert neighbours.announce("h0", V6)
    gate.shut()


def test_the_neighbours_kernel_believes_the_announcement(wire: Wire, neighbours: Neighbours) -> None:
    """What counts: its packets go to us afterwards."""
    add_address("h0", str(V4), 32)
    with wire.other.inside():
        speaker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.station.send(arp_frame(b"\x02\0\0\0\0\x66", 2, str(V4), "10.77.0.2", to=wire.station.mac))
    speaker.sendto(b"learn", (str(V4), 9))
    time.sleep(0.05)
    wire.port.flush()
    neighbours.announce("h0", V4)
    time.sleep(0.02)
    speaker.sendto(b"to the new holder", (str(V4), 9))
    found = wire.port.hear(lambda frame: b"to the new holder" in frame)
    speaker.close()
    assert found is not None
    assert found[:6] == wire.port.mac


def test_what_is_watched_can_change(wire: Wire, neighbours: Neighbours) -> None:
    neighbours.watch([ip_address("10.77.0.2"), ip_address("fd77::2")])
    neighbours.probe("h0", ip_address("10.77.0.2"))
    neighbours.probe("h0", ip_address("fd77::2"))
    assert [str(sighting.address) for sighting in heard(neighbours)] == ["10.77.0.2", "fd77::2"]
    wire.station.send(arp_frame(wire.station.mac, 1, str(V4), str(V4)))
    assert heard(neighbours) == []


@pytest.mark.parametrize("count", [MAXIMUM_LISTED, MAXIMUM_LISTED + 1, 1000])
def test_many_watched_addresses(wire: Wire, neighbours: Neighbours, count: int) -> None:
    base4, base6 = int(ip_address("10.80.0.0")), int(ip_address("fd80::"))
    many = [ip_address(base4 + number) for number in range(count - 1)]
    many += [ip_address(base6 + number) for number in range(count - 1)]
    neighbours.watch([*many, V4, V6])
    for frame in (
        arp_frame(wire.station.mac, 1, str(V4), str(V4)),
        neighbour_frame(wire.station.mac, 136, str(V6), "ff02::1", str(V6)),
    ):
        wire.station.send(frame)
    assert {sighting.address for sighting in heard(neighbours)} == {V4, V6}


def test_interfaces_may_be_missing_go_and_come(wire: Wire, neighbours: Neighbours) -> None:
    neighbours.bind(["h0", "h1", "absent0"])
    assert neighbours.missing == ("absent0",)
    assert not neighbours.probe("absent0", V4)
    delete_link("h1")
    assert not neighbours.probe("h1", V4)
    assert heard(neighbours) == []
    set_link("h0", False)
    assert not neighbours.probe("h0", V4)
    assert heard(neighbours) == []
    set_link("h0", True)
    assert neighbours.probe("h0", V4)
    neighbours.bind(["h0", "h1"])
    assert neighbours.missing == ("h1",)


def test_a_flood_is_taken_in_portions(wire: Wire, neighbours: Neighbours) -> None:
    frame = arp_frame(wire.station.mac, 1, str(V4), str(V4))
    for _count in range(200):
        wire.station.send(frame)
    time.sleep(0.05)
    assert len(neighbours.receive()) == 128
    assert len(neighbours.receive()) == 72
    assert neighbours.receive() == []
