"""ARP and neighbour discovery frames: made and read, no socket in sight.

What must hold: a frame that is not exactly what its RFC wants raises `BadMessage`; nothing is guessed.

Sources: RFC 826 and RFC 5227 (ARP, probes, announcements), RFC 4861 and RFC 4862 (neighbour discovery).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from zcluster.errors import BadMessage

Address = IPv4Address | IPv6Address

ETHERNET_ARP, ETHERNET_IPV6 = 0x0806, 0x86DD
ALL_NODES = IPv6Address("ff02::1")
SOLICITATION, ADVERTISEMENT = 135, 136

_ARP = struct.Struct(">HHBBH6s4s6s4s")
_ETHERNET = struct.Struct(">6s6sH")
_IPV6 = struct.Struct(">IHBB16s16s")
_NEIGHBOUR = struct.Struct(">BBHI16s")
_REQUEST, _REPLY = 1, 2
_BROADCAST, _NOBODY = b"\xff" * 6, bytes(6)
_SMALLEST = 60  # of an Ethernet frame without its checksum
_OVERRIDE = 0x20000000
_SOURCE_OPTION, _TARGET_OPTION = 1, 2
_ICMPV6 = 58
_HOPS = 255  # RFC 4861 7.1: anything else came through a router


class Kind(StrEnum):
    """What somebody did with an address.

    REPLY answered a question for it; ANNOUNCEMENT called out to have it (ARP); ADVERTISEMENT the same or an
    answer in IPv6; QUERY asked for another address and named this one as its own; PROBE asks whether anybody
    has it and would like to have it itself.
    """

    REPLY = "reply"
    ANNOUNCEMENT = "announcement"
    ADVERTISEMENT = "advertisement"
    QUERY = "query"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Sighting:
    """`mac` ("aa:bb:cc:dd:ee:ff") did `kind` with `address` on `interface`."""

    address: Address
    mac: str
    kind: Kind
    interface: str


def probe(mac: bytes, address: Address) -> bytes:
    """Ask who has the address without naming any as ours (RFC 5227 2.1.1; RFC 4862 5.4.2)."""
    if isinstance(address, IPv4Address):
        return _arp(mac, _REQUEST, bytes(4), _NOBODY, address.packed)
    message = _NEIGHBOUR.pack(SOLICITATION, 0, 0, 0, address.packed)
    return _icmpv6(mac, IPv6Address(0), solicited_node(address), message)


def announcements(mac: bytes, address: Address) -> tuple[bytes, ...]:
    """Say that the address is here: ARP in both forms, for some devices believe one only (RFC 5227 2.3,
    RFC 5944 4.6); an unsolicited advertisement with override (RFC 4861 7.2.6)."""
    if isinstance(address, IPv4Address):
        return (
            _arp(mac, _REQUEST, address.packed, _NOBODY, address.packed),
            _arp(mac, _REPLY, address.packed, _BROADCAST, address.packed),
        )
    option = bytes((_TARGET_OPTION, 1)) + mac
    message = _NEIGHBOUR.pack(ADVERTISEMENT, 0, 0, _OVERRIDE, address.packed) + option
    return (_icmpv6(mac, address, ALL_NODES, message),)


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The multicast group in which the owner of the address is asked (RFC 4291 2.7.1)."""
    return IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + address.packed[13:])


def multicast_mac(group: IPv6Address) -> bytes:
    """The Ethernet group for an IPv6 group (RFC 2464 7)."""
    return b"\x33\x33" + group.packed[12:]


def read(frame: bytes, interface: str) -> Sighting | None:
    """What a whole Ethernet frame says about an address; None if it says nothing of the kind."""
    if len(frame) < _ETHERNET.size:
        raise BadMessage(f"a frame of {len(frame)} bytes on {interface}")
    _destination, source, protocol = _ETHERNET.unpack_from(frame)
    if protocol == ETHERNET_ARP:
        return _read_arp(frame[14:], interface)
    if protocol == ETHERNET_IPV6:
        return _read_neighbour(frame[14:], source, interface)
    return None


def _arp(mac: bytes, operation: int, sender: bytes, target_mac: bytes, target: bytes) -> bytes:
    body = _ARP.pack(1, 0x0800, 6, 4, operation, mac, sender, target_mac, target)
    return (_ETHERNET.pack(_BROADCAST, mac, ETHERNET_ARP) + body).ljust(_SMALLEST, b"\0")


def _icmpv6(mac: bytes, source: IPv6Address, destination: IPv6Address, message: bytes) -> bytes:
    checked = struct.pack(">H", _checksum(source.packed, destination.packed, message))
    message = message[:2] + checked + message[4:]
    header = _IPV6.pack(6 << 28, len(message), _ICMPV6, _HOPS, source.packed, destination.packed)
    return _ETHERNET.pack(multicast_mac(destination), mac, ETHERNET_IPV6) + header + message


def _checksum(source: bytes, destination: bytes, message: bytes) -> int:
    """RFC 4443 2.3: over a pseudo header and the message; 0 over one that carries its own right checksum."""
    data = (
        source + destination + struct.pack(">II", len(message), _ICMPV6) + message + bytes(len(message) & 1)
    )
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


def _read_arp(body: bytes, interface: str) -> Sighting | None:
    if len(body) < _ARP.size:
        raise BadMessage(f"an ARP message of {len(body)} bytes on {interface}")
    hardware, protocol, mac_bytes, address_bytes, operation, mac, sender, _, target = _ARP.unpack_from(body)
    if (hardware, protocol, mac_bytes, address_bytes) != (1, 0x0800, 6, 4):
        raise BadMessage(f"an ARP message that is not of Ethernet and IPv4 on {interface}")
    if operation not in (_REQUEST, _REPLY):
        return None
    if sender == bytes(4):
        if operation == _REPLY or target == bytes(4):
            return None
        return Sighting(IPv4Address(target), mac.hex(":"), Kind.PROBE, interface)
    if sender == target:
        kind = Kind.ANNOUNCEMENT
    else:
        kind = Kind.REPLY if operation == _REPLY else Kind.QUERY
    return Sighting(IPv4Address(sender), mac.hex(":"), kind, interface)


def _read_neighbour(packet: bytes, ethernet_source: bytes, interface: str) -> Sighting | None:
    if len(packet) < _IPV6.size + _NEIGHBOUR.size:
        raise BadMessage(f"a neighbour discovery packet of {len(packet)} bytes on {interface}")
    first, length, following, hops, source, destination = _IPV6.unpack_from(packet)
    message = packet[_IPV6.size : _IPV6.size + length]
    if first >> 28 != 6 or following != _ICMPV6 or hops != _HOPS or len(message) != length:
        raise BadMessage(f"an IPv6 packet that cannot be neighbour discovery on {interface}")
    if length < _NEIGHBOUR.size or _checksum(source, destination, message):
        raise BadMessage(f"a neighbour discovery message with a wrong length or checksum on {interface}")
    kind, code, _sum, _flags, target = _NEIGHBOUR.unpack_from(message)
    if code != 0 or target[0] == 0xFF:
        raise BadMessage(f"a neighbour discovery message that RFC 4861 7.1 forbids on {interface}")
    options = _options(message[_NEIGHBOUR.size :], interface)
    if kind == ADVERTISEMENT:
        mac = options.get(_TARGET_OPTION, ethernet_source)
        return Sighting(IPv6Address(target), mac.hex(":"), Kind.ADVERTISEMENT, interface)
    if kind != SOLICITATION:
        return None
    if source == bytes(16):
        return Sighting(IPv6Address(target), ethernet_source.hex(":"), Kind.PROBE, interface)
    mac = options.get(_SOURCE_OPTION, ethernet_source)
    return Sighting(IPv6Address(source), mac.hex(":"), Kind.QUERY, interface)


def _options(data: bytes, interface: str) -> dict[int, bytes]:
    """The link-layer addresses by option type (RFC 4861 4.6)."""
    found: dict[int, bytes] = {}
    while data:
        size = data[1] * 8 if len(data) >= 2 else 0
        if not 0 < size <= len(data):
            raise BadMessage(f"a neighbour discovery option of a wrong length on {interface}")
        if size == 8:
            found[data[0]] = data[2:8]
        data = data[size:]
    return found
