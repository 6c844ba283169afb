"""One bridge port's ear: a packet ring that keeps every frame in which the host uses a floating address.

What must hold: listening costs no system call and no wake-up while a trial runs. The kernel filters, stamps
and stores; the laboratory reads when it has time. A full ring is never silent: what was dropped is counted.

Sources: Documentation/networking/packet_mmap.rst (TPACKET_V2), linux/if_packet.h, linux/filter.h, RFC 826
(ARP), RFC 4861 section 4.4 (neighbour advertisement).
"""

from __future__ import annotations

import ctypes
import ipaddress
import mmap
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from zcluster.lab.verdict import Kind

_SOL_PACKET = 263
_PACKET_RX_RING = 5
_PACKET_STATISTICS = 6
_PACKET_VERSION = 10
_TPACKET_V2 = 1
_SO_ATTACH_FILTER = 26
_STATUS_USER = 1
_FRAME_BYTES = 256
_BLOCK_BYTES = 1 << 16
_HEADER = struct.Struct("=IIIHHII")  # status, length, snapped, mac offset, net offset, seconds, nanoseconds
_SNAP_BYTES = 96

_ETH_P_ALL = 3
_ETH_IPV4, _ETH_ARP, _ETH_IPV6 = 0x0800, 0x0806, 0x86DD
_TYPE, _ARP_SENDER, _V4_SOURCE, _V6_SOURCE, _V6_NEXT, _ICMP6_TYPE, _ND_TARGET = 12, 28, 26, 22, 20, 54, 62
_ICMPV6, _ADVERTISEMENT = 58, 136
_PACKET_OUTGOING = 4

_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30  # BPF_LD | size | BPF_ABS
_JUMP_EQUAL, _JUMP_GREATER, _JUMP_AT_LEAST, _RETURN = 0x15, 0x25, 0x35, 0x06
_PACKET_TYPE = 0xFFFFF000 + 4  # SKF_AD_OFF + SKF_AD_PKTTYPE


@dataclass(frozen=True, slots=True)
class Use:
    """One frame in which a host used an address."""

    when_ns: int
    address: str
    kind: Kind


class Capture:
    """The ring of one port. Owned by the observer."""

    def __init__(self, port: str, addresses: Sequence[str], frames: int) -> None:
        self._addresses = {ipaddress.ip_address(address).packed: address for address in addresses}
        self._frames = frames
        self._next = 0
        self._dropped = 0
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._attach(_program(addresses))
        self._socket.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V2)
        size = frames * _FRAME_BYTES
        request = struct.pack("IIII", _BLOCK_BYTES, size // _BLOCK_BYTES, _FRAME_BYTES, frames)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_RX_RING, request)
        self._ring = mmap.mmap(self._socket.fileno(), size, mmap.MAP_SHARED)
        self._socket.bind((port, _ETH_P_ALL))

    def close(self) -> None:
        """Stop listening; what was not read is lost."""
        self._ring.close()
        self._socket.close()

    def read(self) -> Iterator[Use]:
        """Everything that came since the last reading, in the order of time."""
        for _ in range(self._frames):
            offset = self._next * _FRAME_BYTES
            status, _, snapped, start, _, seconds, nanoseconds = _HEADER.unpack_from(self._ring, offset)
            if not status & _STATUS_USER:
                return
            frame = self._ring[offset + start : offset + start + snapped]
            struct.pack_into("=I", self._ring, offset, 0)  # TP_STATUS_KERNEL: the place is free again
            self._next = (self._next + 1) % self._frames
            use = self._read_frame(frame, seconds * 1_000_000_000 + nanoseconds)
            if use is not None:
                yield use

    def dropped(self) -> int:
        """How many frames the ring had no room for, in all."""
        _, drops = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self._dropped += drops
        return self._dropped

    def _read_frame(self, frame: bytes, when_ns: int) -> Use | None:
        found = used_address(frame)
        if found is None or found[0] not in self._addresses:
            return None
        return Use(when_ns, self._addresses[found[0]], found[1])

    def _attach(self, program: bytes) -> None:
        buffer = ctypes.create_string_buffer(program)
        filter_program = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_program)


def used_address(frame: bytes) -> tuple[bytes, Kind] | None:
    """The address that a frame's sender claims by it (packed), and how; None if it claims none."""
    if len(frame) < _ARP_SENDER + 4:
        return None
    (kind,) = struct.unpack_from("!H", frame, _TYPE)
    if kind == _ETH_ARP:
        return frame[_ARP_SENDER : _ARP_SENDER + 4], Kind.ARP
    if kind == _ETH_IPV4:
        return frame[_V4_SOURCE : _V4_SOURCE + 4], Kind.TRAFFIC
    if kind != _ETH_IPV6 or len(frame) < _ICMP6_TYPE:
        return None
    advertises = len(frame) >= _ND_TARGET + 16 and frame[_V6_NEXT] == _ICMPV6
    if advertises and frame[_ICMP6_TYPE] == _ADVERTISEMENT:
        return frame[_ND_TARGET : _ND_TARGET + 16], Kind.NEIGHBOUR
    return frame[_V6_SOURCE : _V6_SOURCE + 16], Kind.TRAFFIC


def _program(addresses: Sequence[str]) -> bytes:
    """The kernel's filter: whatever a host sends whose claimed address lies in the range of `addresses`.

    Coarse on purpose (a range of the last four bytes): what it lets through is read exactly afterwards.
    """
    low_v4, high_v4 = _range(addresses, 4)
    low_v6, high_v6 = _range(addresses, 16)
    lines: list[tuple[int, int, str | None, str | None] | str] = [
        (_LOAD_BYTE, _PACKET_TYPE, None, None),
        (_JUMP_EQUAL, _PACKET_OUTGOING, "drop", None),
        (_LOAD_HALF, _TYPE, None, None),
        (_JUMP_EQUAL, _ETH_ARP, "arp", None),
        (_JUMP_EQUAL, _ETH_IPV4, "v4", None),
        (_JUMP_EQUAL, _ETH_IPV6, "v6", "drop"),
        "arp",
        (_LOAD_WORD, _ARP_SENDER, None, None),
        (_JUMP_AT_LEAST, low_v4, None, "drop"),
        (_JUMP_GREATER, high_v4, "drop", "keep"),
        "v4",
        (_LOAD_WORD, _V4_SOURCE, None, None),
        (_JUMP_AT_LEAST, low_v4, None, "drop"),
        (_JUMP_GREATER, high_v4, "drop", "keep"),
        "v6",
        (_LOAD_BYTE, _V6_NEXT, None, None),
        (_JUMP_EQUAL, _ICMPV6, None, "v6 source"),
        (_LOAD_BYTE, _ICMP6_TYPE, None, None),
        (_JUMP_EQUAL, _ADVERTISEMENT, None, "v6 source"),
        (_LOAD_WORD, _ND_TARGET + 12, None, None),
        (_JUMP_AT_LEAST, low_v6, None, "drop"),
        (_JUMP_GREATER, high_v6, "drop", "keep"),
        "v6 source",
        (_LOAD_WORD, _V6_SOURCE + 12, None, None),
        (_JUMP_AT_LEAST, low_v6, None, "drop"),
        (_JUMP_GREATER, high_v6, "drop", "keep"),
        "keep",
        (_RETURN, _SNAP_BYTES, None, None),
        "drop",
        (_RETURN, 0, None, None),
    ]
    return _assemble(lines)


def _range(addresses: Sequence[str], length: int) -> tuple[int, int]:
    packed = [ipaddress.ip_address(address).packed for address in addresses]
    lasts = [int.from_bytes(address[-4:], "big") for address in packed if len(address) == length]
    return (min(lasts), max(lasts)) if lasts else (0xFFFFFFFF, 0)


def _assemble(lines: Sequence[tuple[int, int, str | None, str | None] | str]) -> bytes:
    places: dict[str, int] = {}
    count = 0
    for line in lines:
        if isinstance(line, str):
            places[line] = count
        else:
            count += 1
    far: Callable[[str | None, int], int] = lambda label, at: places[label] - at - 1 if label else 0  # noqa: E731
    code = bytearray()
    for line in lines:
        if not isinstance(line, str):
            operation, operand, if_true, if_false = line
            at = len(code) // 8
            code += struct.pack("=HBBI", operation, far(if_true, at), far(if_false, at), operand)
    return bytes(code)
