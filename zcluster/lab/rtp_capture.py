"""The ear for audio: when RTP came from each floating address to the telephones.

What must hold: times are the kernel's; nothing of a packet is kept but when it came; one thread reads, and nobody
asks before it has ended. Sources: packet(7), RFC 3550 (5.1: the version in the first two bits).
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from threading import Event, Thread

from zcluster.lab.sip_capture import CaptureSocket

SIP_PORT = 5060
_ETH_P_IP = b"\x08\x00"
_ETHERNET, _UDP = 14, 17
_LEAST_RTP = 12
_WAIT_S = 0.2
_NS_PER_MS = 1_000_000

# A direction of a call: the floating address and the port that it comes from, which a takeover keeps, and the
# telephone's port, which is one for all calls of a sipp.
Stream = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Silence:
    """Of the audio through one address. `gaps_ms`: the longest of each stream that came back, ascending.

    `lost`: streams of which nothing came `after_ms` after the fault or later.
    """

    streams: int
    lost: int
    gaps_ms: tuple[float, ...]

    def facts(self) -> dict[str, object]:
        """For the JSON line."""
        return {
            "streams": self.streams,
            "lost": self.lost,
            "gap_median_ms": round(median(self.gaps_ms), 1) if self.gaps_ms else None,
            "gap_worst_ms": round(max(self.gaps_ms), 1) if self.gaps_ms else None,
        }


class RtpCapture:
    """Listens on one bridge port from its making to `end`."""

    def __init__(self, port: str, addresses: Sequence[str]) -> None:
        """Raises OSError where packet sockets are refused."""
        self._heard: dict[Stream, list[int]] = {}
        self._addresses = {ipaddress.IPv4Address(address).packed: address for address in addresses}
        self._socket = CaptureSocket(port)
        self._is_over = Event()
        self._thread = Thread(target=self._listen, name="rtp", daemon=True)
        self._thread.start()

    def end(self) -> Mapping[Stream, Sequence[int]]:
        """What came, in nanoseconds of the wall. Raises OverflowError when frames found no room."""
        self._is_over.set()
        self._thread.join()
        dropped = self._socket.dropped()
        self._socket.close()
        if dropped:
            raise OverflowError(f"{dropped} frames of audio found no room")
        return self._heard

    def _listen(self) -> None:
        while not self._is_over.is_set():
            for frame, when_ns in self._socket.read(_WAIT_S):
                if (stream := read_stream(frame, self._addresses)) is not None:
                    self._heard.setdefault(stream, []).append(when_ns)


def read_stream(frame: bytes, addresses: Mapping[bytes, str]) -> Stream | None:
    """Which stream an Ethernet frame from one of these addresses (packed) is of, None for what is no RTP."""
    if len(frame) < _ETHERNET + 28 or frame[12:14] != _ETH_P_IP or frame[23] != _UDP:
        return None
    address = addresses.get(frame[26:30])
    start = _ETHERNET + 4 * (frame[14] & 0x0F)
    with suppress(struct.error):
        source, target, length = struct.unpack_from("!HHH", frame, start)
        is_rtp = length >= 8 + _LEAST_RTP and len(frame) > start + 8 and frame[start + 8] >> 6 == 2
        if address is not None and is_rtp and SIP_PORT not in (source, target):
            return address, source, target
    return None


def silence(heard: Mapping[Stream, Sequence[int]], address: str, fault_ns: int, after_ms: float) -> Silence:
    """How long the audio through `address` was gone because of a fault; streams that began later do not count."""
    gaps, lost, streams = [], 0, 0
    for (where, *_), times in heard.items():
        if where != address or times[0] >= fault_ns:
            continue
        streams += 1
        if times[-1] < fault_ns + after_ms * _NS_PER_MS:
            lost += 1
            continue
        gaps.append(
            max(after - before for before, after in pairwise(times) if after >= fault_ns) / _NS_PER_MS
        )
    return Silence(streams, lost, tuple(sorted(gaps)))
