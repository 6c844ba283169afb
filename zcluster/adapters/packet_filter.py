"""Classic BPF programs: the kernel hands up only ARP and neighbour discovery about the addresses we watch.

What must hold: a frame that a program drops could not have told us anything. Frames of other hosts, of VLANs
above the interface (the kernel marks both as somebody else's) and our own are dropped by their packet type.

Sources: linux/filter.h; net/core/dev.c (a tagged frame without its VLAN interface becomes PACKET_OTHERHOST).
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Address

from zcluster.adapters.neighbour_frames import ADVERTISEMENT, SOLICITATION

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand

MAXIMUM_LISTED = 256  # more addresses than this are sorted out by us: programs count as socket memory

_WORD, _HALF, _BYTE = 0x20, 0x28, 0x30  # load from the frame at an offset
_EQUAL, _GREATER, _RETURN = 0x15, 0x25, 0x06
_PACKET_TYPE = 0xFFFFF000 + 4  # SKF_AD_OFF + SKF_AD_PKTTYPE
_MULTICAST = 2  # PACKET_HOST 0, PACKET_BROADCAST 1, PACKET_MULTICAST 2; above: not for us, or from us
_ALL, _NOTHING = 0xFFFF, 0
_SO_ATTACH_FILTER = 26

_DROP: Instruction = (_RETURN, 0, 0, _NOTHING)
_TAKE: Instruction = (_RETURN, 0, 0, _ALL)
_ONLY_FOR_US: tuple[Instruction, ...] = ((_WORD, 0, 0, _PACKET_TYPE), (_GREATER, 0, 1, _MULTICAST), _DROP)


def arp(watched: Collection[IPv4Address]) -> list[Instruction]:
    """ARP whose sender is watched, or is nobody (a probe) and the target is watched."""
    return [
        *_ONLY_FOR_US,
        (_WORD, 0, 0, 28),  # the sender
        (_EQUAL, 0, 1, 0),
        (_WORD, 0, 0, 38),  # a probe: the target counts
        *_listed(int(address) for address in watched),
    ]


def neighbour_discovery(watched: Collection[IPv6Address]) -> list[Instruction]:
    """Advertisements and probes for, and questions from, addresses whose last four bytes are watched."""
    return [
        *_ONLY_FOR_US,
        (_HALF, 0, 0, 20),  # next header and hop limit
        (_EQUAL, 1, 0, 58 << 8 | 255),
        _DROP,
        (_BYTE, 0, 0, 54),
        (_EQUAL, 4, 0, ADVERTISEMENT),
        (_EQUAL, 1, 0, SOLICITATION),
        _DROP,
        (_WORD, 0, 0, 34),  # the end of the source
        (_EQUAL, 0, 1, 0),
        (_WORD, 0, 0, 74),  # an advertisement or a probe: the target counts
        *_listed(int(address) & 0xFFFFFFFF for address in watched),
    ]


def attach(packets: socket.socket, program: list[Instruction]) -> None:
    """Put the program before a socket; what was there is replaced. Raises OSError."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    held = ctypes.create_string_buffer(code, len(code))
    packets.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(held))
    )


def _listed(values: Iterable[int]) -> list[Instruction]:
    """Take the frame if the loaded word is one of these."""
    known = sorted(set(values))
    if len(known) > MAXIMUM_LISTED:
        return [_TAKE]
    tests: list[Instruction] = []
    for value in known:
        tests += [(_EQUAL, 0, 1, value), _TAKE]
    return [*tests, _DROP]
