"""The ear on the telephones' own port: which SIP went to and from the floating addresses, and when.

What must hold: times are the kernel's, as those of the client's probes are; nothing of a frame is kept but the few
words below; what the kernel had no room for is counted.

Sources: packet(7), socket(7) (SO_TIMESTAMPNS), RFC 3261.
"""

from __future__ import annotations

import ipaddress
import re
import select
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf

_ETH_P_IP = 0x0800
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_BUFFER_BYTES = 32 << 20
_SNAP_BYTES = 2048
_READ_AT_MOST = 100_000
_ETHERNET, _UDP = 14, 17
_TIME = struct.Struct("qq")

_CALL_ID = re.compile(rb"\r\n(?:Call-ID|i)\s*:\s*(\S+)", re.IGNORECASE)
_CSEQ = re.compile(rb"\r\nCSeq\s*:\s*(\d{1,10})\s+([A-Z]+)", re.IGNORECASE)
_TO_TAG = re.compile(rb"\r\n(?:To|t)\s*:[^\r\n]*;\s*tag=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SipSeen:
    """One message. `to_telephone`: from the floating `address`; `port` is the telephone's.

    `word`: method or status; `method`: the request's that it is or answers.
    """

    when_ns: int
    to_telephone: bool
    address: str
    port: int
    word: str
    call_id: str
    cseq: int
    is_inside: bool
    method: str = ""


# One side of a call: the floating address that it goes through, and the telephone's port.
Side = tuple[str, int]


@dataclass(slots=True)
class Watch:
    """What has been seen of the calls, by Call-ID; of what the fault does, since `since_ns`.

    `established`: whose INVITE's answer was acknowledged. `reinvited`: when the first INVITE inside the dialog came.
    `steps_back`: Call-IDs whose re-INVITE had no higher CSeq than an earlier request of the same side.
    `ended`: when the first BYE went by, and whether to the telephone; `parted`: whose BYE was answered well.
    `ghosts`: who was invited again although the call had ended, or was never heard of: brought back from the dead.
    """

    since_ns: int = 0
    established: dict[str, Side] = field(default_factory=dict)
    reinvited: dict[str, tuple[Side, int]] = field(default_factory=dict)
    steps_back: set[str] = field(default_factory=set)
    ended: dict[str, tuple[int, bool]] = field(default_factory=dict)
    parted: dict[str, Side] = field(default_factory=dict)
    ghosts: set[str] = field(default_factory=set)
    _counted: dict[str, int] = field(default_factory=dict)

    def begin(self, since_ns: int) -> None:
        """A fault comes now: what is invited again is counted from here."""
        self.since_ns = since_ns
        self.reinvited.clear()
        self.steps_back.clear()

    def note(self, seen: SipSeen) -> None:
        """One more message, in the order of time."""
        side = (seen.address, seen.port)
        if seen.word == "ACK":
            self.established.setdefault(seen.call_id, side)
        elif seen.word == "BYE":
            self.ended.setdefault(seen.call_id, (seen.when_ns, seen.to_telephone))
        elif seen.method == "BYE" and seen.word.startswith("2"):
            self.parted.setdefault(seen.call_id, side)
        if not seen.to_telephone or not seen.word.isalpha() or seen.word == "ACK":
            return
        last = self._counted.get(seen.call_id, -1)
        if seen.word == "INVITE" and seen.is_inside and seen.when_ns >= self.since_ns:
            if seen.call_id not in self.established or seen.call_id in self.parted:
                self.ghosts.add(seen.call_id)
            else:
                if seen.call_id not in self.reinvited and seen.cseq <= last:
                    self.steps_back.add(seen.call_id)
                self.reinvited.setdefault(seen.call_id, (side, seen.when_ns))
        self._counted[seen.call_id] = max(last, seen.cseq)

    def standing(self, side: Side) -> list[str]:
        """The Call-IDs that were established there."""
        return [call for call, each in self.established.items() if each == side]

    def reinvites(self, side: Side) -> list[int]:
        """When each call there was first invited again."""
        return [when_ns for each, when_ns in self.reinvited.values() if each == side]

    def hung_up_alone(self, side: Side, within_ns: int) -> int:
        """How many telephones there hung up so soon after the fault, and were not invited again before."""
        return sum(
            not is_to_telephone
            and self.since_ns <= when_ns < self.since_ns + within_ns
            and when_ns < self.reinvited.get(call, (side, inf))[1]
            for call in self.standing(side)
            for when_ns, is_to_telephone in (self.ended.get(call, (0, True)),)
        )

    def count_parted(self, side: Side) -> int:
        """How many calls there had their BYE answered."""
        return sum(each == side for each in self.parted.values())


class CaptureSocket:
    """A packet socket on one bridge port, in the laboratory's own network namespace."""

    def __init__(self, port: str) -> None:
        """Raises OSError where packet sockets are refused."""
        self._dropped = 0
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        except OSError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind((port, 0x0003))

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def dropped(self) -> int:
        """How many frames the kernel had no room for, in all."""
        _, drops = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self._dropped += drops
        return self._dropped

    def read(self, wait_s: float = 0.0) -> Iterator[tuple[bytes, int]]:
        """What has come: each frame and when, in nanoseconds of the wall. Waits so long for the first one."""
        if wait_s:
            select.select([self._socket], [], [], wait_s)
        with suppress(BlockingIOError):
            for _ in range(_READ_AT_MOST):
                frame, extra, _, _ = self._socket.recvmsg(_SNAP_BYTES, 64)
                yield (
                    frame,
                    next((_nanoseconds(data) for _, kind, data in extra if kind == _SO_TIMESTAMPNS), 0),
                )


class SipCapture:
    """Listens on one bridge port."""

    def __init__(self, port: str, addresses: Sequence[str]) -> None:
        """Raises OSError where packet sockets are refused."""
        self.watch = Watch()
        self._addresses = {ipaddress.IPv4Address(address).packed for address in addresses}
        self._socket = CaptureSocket(port)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def dropped(self) -> int:
        """How many frames the kernel had no room for, in all."""
        return self._socket.dropped()

    def collect(self) -> None:
        """Reads what has come."""
        for frame, when_ns in self._socket.read():
            if (seen := read_frame(frame, when_ns, self._addresses)) is not None:
                self.watch.note(seen)


def read_frame(frame: bytes, when_ns: int, addresses: set[bytes]) -> SipSeen | None:
    """The SIP message in an Ethernet frame to or from one of these addresses (packed), None for all else."""
    if len(frame) < _ETHERNET + 28 or frame[12:14] != _ETH_P_IP.to_bytes(2, "big") or frame[23] != _UDP:
        return None
    source, target = frame[26:30], frame[30:34]
    if (source in addresses) == (target in addresses):
        return None
    start = _ETHERNET + 4 * (frame[14] & 0x0F)
    to_telephone = source in addresses
    (port,) = struct.unpack_from("!H", frame, start + (2 if to_telephone else 0))
    text = frame[start + 8 :]
    first = text.split(b"\r\n", 1)[0].split(b" ")
    call_id, cseq = _CALL_ID.search(text), _CSEQ.search(text)
    if len(first) < 3 or call_id is None or cseq is None:
        return None
    word = first[1] if first[0] == b"SIP/2.0" else first[0]
    return SipSeen(
        when_ns=when_ns,
        to_telephone=to_telephone,
        address=str(ipaddress.IPv4Address(source if to_telephone else target)),
        port=port,
        word=word.decode("ascii", "replace"),
        call_id=call_id[1].decode("utf-8", "replace"),
        cseq=int(cseq[1]),
        is_inside=_TO_TAG.search(text) is not None,
        method=cseq[2].decode("ascii").upper(),
    )


def _nanoseconds(data: bytes) -> int:
    seconds, nanoseconds = _TIME.unpack(data[: _TIME.size])
    return int(seconds * 1_000_000_000 + nanoseconds)
