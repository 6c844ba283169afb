from __future__ import annotations

from ipaddress import ip_address

import pytest

from zcluster.lab.capture import used_address
from zcluster.lab.verdict import Kind

V4 = ip_address("10.77.9.101").packed
V6 = ip_address("fd77:9::101").packed
OTHER_V6 = ip_address("fd77:9::1").packed
ETHERNET = bytes(12)


def arp(operation: int, sender: bytes) -> bytes:
    head = b"\x08\x06" + b"\x00\x01\x08\x00\x06\x04" + operation.to_bytes(2, "big")
    return ETHERNET + head + bytes(6) + sender + bytes(6) + V4


def ipv4(source: bytes) -> bytes:
    return ETHERNET + b"\x08\x00" + b"\x45" + bytes(11) + source + bytes(4) + bytes(8)


def ipv6(source: bytes, following: int, body: bytes) -> bytes:
    return ETHERNET + b"\x86\xdd" + bytes(6) + bytes([following, 64]) + source + bytes(16) + body


@pytest.mark.parametrize("operation", [1, 2])
def test_arp_claims_its_sender(operation: int) -> None:
    assert used_address(arp(operation, V4)) == (V4, Kind.ARP)


def test_an_arp_probe_claims_nobodys_address() -> None:
    found = used_address(arp(1, bytes(4)))
    assert found is not None
    assert found[0] != V4


def test_traffic_claims_its_source() -> None:
    assert used_address(ipv4(V4)) == (V4, Kind.TRAFFIC)
    assert used_address(ipv6(V6, 17, bytes(8))) == (V6, Kind.TRAFFIC)


def test_a_neighbour_advertisement_claims_its_target() -> None:
    advertisement = bytes([136, 0, 0, 0, 0x20, 0, 0, 0]) + V6
    assert used_address(ipv6(OTHER_V6, 58, advertisement)) == (V6, Kind.NEIGHBOUR)


def test_a_neighbour_solicitation_claims_its_source_and_not_its_target() -> None:
    solicitation = bytes([135, 0, 0, 0, 0, 0, 0, 0]) + V6
    assert used_address(ipv6(OTHER_V6, 58, solicitation)) == (OTHER_V6, Kind.TRAFFIC)


@pytest.mark.parametrize("length", [0, 13, 31])
def test_a_short_frame_claims_nothing(length: int) -> None:
    assert used_address(arp(2, V4)[:length]) is None


def test_an_unknown_kind_of_frame_claims_nothing() -> None:
    assert used_address(ETHERNET + b"\x88\xcc" + bytes(60)) is None
