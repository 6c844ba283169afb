from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from tests.adapters.wire import arp_frame, neighbour_frame
from zcluster.adapters import neighbour_frames
from zcluster.adapters.neighbour_frames import Kind, Sighting, read
from zcluster.errors import BadMessage

OURS = bytes.fromhex("020000000001")
THEIRS = bytes.fromhex("0200000000aa")
MAC = "02:00:00:00:00:aa"
V4, V6 = IPv4Address("10.77.0.9"), IPv6Address("fd77::1:2:9")


def test_an_arp_probe_is_bit_for_bit_what_rfc_5227_wants() -> None:
    assert neighbour_frames.probe(OURS, V4) == bytes.fromhex(
        "ffffffffffff 020000000001 0806 0001 0800 06 04 0001"
        "020000000001 00000000 000000000000 0a4d0009" + "00" * 18
    )


def test_arp_announcements_come_in_both_forms() -> None:
    request, reply = neighbour_frames.announcements(OURS, V4)
    assert request[:42] == arp_frame(OURS, 1, "10.77.0.9", "10.77.0.9")
    assert reply[:42] == arp_frame(OURS, 2, "10.77.0.9", "10.77.0.9", target_mac=b"\xff" * 6)


def test_an_ipv6_probe_and_announcement_match_an_independent_builder() -> None:
    group = "ff02::1:ff02:9"
    assert neighbour_frames.probe(OURS, V6) == neighbour_frame(OURS, 135, "::", group, str(V6))
    (announced,) = neighbour_frames.announcements(OURS, V6)
    assert announced == neighbour_frame(OURS, 136, str(V6), "ff02::1", str(V6), 0x20000000)


@pytest.mark.parametrize(
    ("frame", "address", "kind"),
    [
        (arp_frame(THEIRS, 2, "10.77.0.9", "10.77.0.1"), V4, Kind.REPLY),
        (arp_frame(THEIRS, 1, "10.77.0.9", "10.77.0.9"), V4, Kind.ANNOUNCEMENT),
        (arp_frame(THEIRS, 2, "10.77.0.9", "10.77.0.9"), V4, Kind.ANNOUNCEMENT),
        (arp_frame(THEIRS, 1, "10.77.0.9", "10.77.0.1"), V4, Kind.QUERY),
        (arp_frame(THEIRS, 1, "0.0.0.0", "10.77.0.9"), V4, Kind.PROBE),
        (neighbour_frame(THEIRS, 136, str(V6), "ff02::1", str(V6)), V6, Kind.ADVERTISEMENT),
        (neighbour_frame(THEIRS, 135, "::", "ff02::1:ff02:9", str(V6)), V6, Kind.PROBE),
        (neighbour_frame(THEIRS, 135, str(V6), "ff02::1:ff00:1", "fd77::1"), V6, Kind.QUERY),
    ],
)
def test_each_way_to_show_up_is_read(frame: bytes, address: IPv4Address | IPv6Address, kind: Kind) -> None:
    assert read(frame, "eth0") == Sighting(address, MAC, kind, "eth0")


def test_what_says_nothing_is_nothing() -> None:
    assert read(arp_frame(THEIRS, 1, "0.0.0.0", "0.0.0.0"), "eth0") is None
    assert read(arp_frame(THEIRS, 3, "10.77.0.9", "10.77.0.1"), "eth0") is None
    assert read(neighbour_frame(THEIRS, 133, "fd77::1", "ff02::2", str(V6)), "eth0") is None
    assert read(bytes(12) + b"\x08\x00" + bytes(60), "eth0") is None


def test_every_cut_of_a_frame_is_refused_or_says_the_same() -> None:
    for frame in (
        arp_frame(THEIRS, 2, "10.77.0.9", "10.77.0.1"),
        neighbour_frame(THEIRS, 136, str(V6), "ff02::1", str(V6)),
    ):
        for length in range(len(frame)):
            with pytest.raises(BadMessage):
                read(frame[:length], "eth0")


def test_every_flipped_bit_of_a_neighbour_message_is_refused() -> None:
    """All that the checksum covers: the addresses and the message."""
    frame = neighbour_frame(THEIRS, 136, str(V6), "ff02::1", str(V6))
    for position in range(14 + 8, len(frame)):
        for bit in range(8):
            broken = bytearray(frame)
            broken[position] ^= 1 << bit
            with pytest.raises(BadMessage):
                read(bytes(broken), "eth0")


def test_a_packet_through_a_router_is_refused() -> None:
    frame = bytearray(neighbour_frame(THEIRS, 136, str(V6), "ff02::1", str(V6)))
    frame[21] = 254
    with pytest.raises(BadMessage, match="cannot be neighbour discovery"):
        read(bytes(frame), "eth0")


def test_an_option_of_no_length_does_not_hang() -> None:
    frame = neighbour_frame(THEIRS, 136, str(V6), "ff02::1", str(V6))
    broken = bytearray(frame)
    broken[79] = 0
    broken[56:58] = bytes(2)
    packet = bytes(broken)
    checksum = neighbour_frames._checksum(packet[22:38], packet[38:54], packet[54:])
    broken[56:58] = checksum.to_bytes(2, "big")
    with pytest.raises(BadMessage, match="option"):
        read(bytes(broken), "eth0")


def test_groups_and_their_macs() -> None:
    group = neighbour_frames.solicited_node(V6)
    assert group == ip_address("ff02::1:ff02:9")
    assert neighbour_frames.multicast_mac(group) == bytes.fromhex("3333ff020009")
