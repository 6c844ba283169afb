"""The client: asks every floating address for an echo every 2 ms, and remembers what came back when.

What must hold: it measures and is not measured. It runs in its own process in a host of its own, above the
daemons' priority where it may, sends from one socket per family, and stamps answers with the kernel's own
receive time, so that a late wake-up of the process cannot lengthen a gap. Its kernel's neighbour cache is the
real one: an address that moved is only found again if its new holder says so on the wire.

The record lies in memory shared with the laboratory: per address a ring of (sent, answered) pairs in ns of
the wall clock, the clock of the kernel's packet time stamps. Only the client writes, only the laboratory reads.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import socket
import struct
import time
from collections.abc import Sequence

from zcluster.lab.gaps import LATE_NS, Gap, Probe, longest_gap

PROBE_INTERVAL_NS = 2_000_000
RING_PROBES = 32_768  # 65 s at 2 ms
PRIORITY = 80  # SCHED_RR; above whatever the daemons take

_WORDS_PER_ADDRESS = 1 + 2 * RING_PROBES
_WORD_BYTES = 8
_BEFORE_NS = 200_000_000  # read this much before a fault, to know the last answer
_IDENTIFIER = 0x7A63
_ECHO_REQUEST_V4, _ECHO_REPLY_V4 = 8, 0
_ECHO_REQUEST_V6, _ECHO_REPLY_V6 = 128, 129
_SO_TIMESTAMPNS = 35
_ICMP_FILTER = 1  # linux/icmp.h
_ICMP6_FILTER = 1  # linux/icmpv6.h
_SOL_RAW = 255
_BODY = struct.Struct("!BBHHHHI")  # type, code, checksum, identifier, sequence, address index, count
_TIME = struct.Struct("qq")
_DRAIN_AT_MOST = 4096


class ProbeRecord:
    """The shared record. Make it before the client's process is forked."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = tuple(addresses)
        self._memory = mmap.mmap(-1, len(self.addresses) * _WORDS_PER_ADDRESS * _WORD_BYTES)
        self._words = memoryview(self._memory).cast("q")

    def sent(self, index: int, when_ns: int) -> int:
        """Note a probe of address number `index`; returns its count."""
        base = index * _WORDS_PER_ADDRESS
        count = self._words[base]
        slot = base + 1 + 2 * (count % RING_PROBES)
        self._words[slot + 1] = 0
        self._words[slot] = when_ns
        self._words[base] = count + 1
        return count

    def answered(self, index: int, count: int, when_ns: int) -> None:
        """Note the answer to a probe, unless its place in the ring has been used again."""
        if index >= len(self.addresses):
            return
        base = index * _WORDS_PER_ADDRESS
        newest = self._words[base]
        if newest - RING_PROBES < count < newest:
            slot = base + 1 + 2 * (count % RING_PROBES)
            if self._words[slot + 1] == 0:
                self._words[slot + 1] = when_ns

    def probes(self, address: str, since_ns: int) -> list[Probe]:
        """The probes of an address sent at or after `since_ns`, as far back as the ring goes."""
        base = self.addresses.index(address) * _WORDS_PER_ADDRESS
        count = self._words[base]
        found: list[Probe] = []
        for number in range(count - 1, max(-1, count - RING_PROBES), -1):
            slot = base + 1 + 2 * (number % RING_PROBES)
            probe = Probe(self._words[slot], self._words[slot + 1])
            if probe.sent_ns < since_ns:
                break
            found.append(probe)
        found.reverse()
        return found

    def outage(self, address: str, since_ns: int) -> Gap | None:
        """The longest gap of an address since a fault; None if nothing was missed."""
        return longest_gap(self.probes(address, since_ns - _BEFORE_NS), since_ns, time.time_ns())

    def is_answering(self, address: str, for_ms: int) -> bool:
        """Whether the address has answered every probe for that long (but for those still on their way)."""
        now_ns = time.time_ns()
        recent = self.probes(address, now_ns - for_ms * 1_000_000 - LATE_NS)
        settled = [probe for probe in recent if probe.sent_ns <= now_ns - LATE_NS]
        return bool(settled) and not any(probe.is_missed for probe in settled)

    def first_answer_ns(self, address: str, since_ns: int) -> int | None:
        """When the address first answered at or after `since_ns`; None if it has not."""
        times = [probe.answered_ns for probe in self.probes(address, since_ns - _BEFORE_NS)]
        return min((when for when in times if when >= since_ns), default=None)


def probe_forever(record: ProbeRecord) -> None:
    """The client's process: never returns; it is killed with its host."""
    _take_priority()
    gc.collect()
    gc.freeze()
    gc.disable()
    asker_v4, asker_v6 = _echo_socket_v4(), _echo_socket_v6()
    targets = [_target(index, address) for index, address in enumerate(record.addresses)]
    due_ns = time.monotonic_ns()
    while True:
        for index, family, destination in targets:
            _ask(record, asker_v4 if family == socket.AF_INET else asker_v6, index, family, destination)
        _drain(record, asker_v4, _ECHO_REPLY_V4)
        _drain(record, asker_v6, _ECHO_REPLY_V6)
        due_ns += PROBE_INTERVAL_NS
        ahead_ns = due_ns - time.monotonic_ns()
        if ahead_ns > 0:
            time.sleep(ahead_ns / 1e9)
        else:
            due_ns = time.monotonic_ns()  # the machine stood still; do not make up for lost probes


def _target(index: int, address: str) -> tuple[int, int, tuple[str, int]]:
    return index, socket.AF_INET6 if ":" in address else socket.AF_INET, (address, 0)


def _ask(
    record: ProbeRecord, asker: socket.socket, index: int, family: int, destination: tuple[str, int]
) -> None:
    count = record.sent(index, time.time_ns())
    sequence, short_count = count & 0xFFFF, count & 0xFFFFFFFF
    kind = _ECHO_REQUEST_V4 if family == socket.AF_INET else _ECHO_REQUEST_V6
    checksum = 0  # of IPv6 the kernel makes it (RFC 3542, section 3.1)
    if family == socket.AF_INET:
        total = (kind << 8) + _IDENTIFIER + sequence + index + (short_count >> 16) + (short_count & 0xFFFF)
        total = (total & 0xFFFF) + (total >> 16)
        checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    # An unreachable neighbour or a full queue is what is being measured: the probe stays unanswered.
    with contextlib.suppress(OSError):
        asker.sendto(_BODY.pack(kind, 0, checksum, _IDENTIFIER, sequence, index, short_count), destination)


def _drain(record: ProbeRecord, listener: socket.socket, reply: int) -> None:
    for _ in range(_DRAIN_AT_MOST):
        try:
            data, ancillary, _, _ = listener.recvmsg(128, 64)
        except BlockingIOError:
            return
        except OSError:
            continue  # a host-unreachable report for an earlier probe
        if reply == _ECHO_REPLY_V4:
            data = data[(data[0] & 0x0F) * 4 :]
        if len(data) != _BODY.size or not ancillary:
            continue
        kind, _, _, identifier, _, index, count = _BODY.unpack(data)
        if kind == reply and identifier == _IDENTIFIER:
            seconds, nanoseconds = _TIME.unpack(ancillary[0][2])
            record.answered(index, count, seconds * 1_000_000_000 + nanoseconds)


def _echo_socket_v4() -> socket.socket:
    probe = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    probe.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("I", 0xFFFFFFFF & ~(1 << _ECHO_REPLY_V4)))
    return _prepared(probe)


def _echo_socket_v6() -> socket.socket:
    probe = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    blocked = [0xFFFFFFFF] * 8
    blocked[_ECHO_REPLY_V6 >> 5] &= ~(1 << (_ECHO_REPLY_V6 & 31))
    probe.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("8I", *blocked))
    return _prepared(probe)


def _prepared(probe: socket.socket) -> socket.socket:
    probe.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    probe.setblocking(False)
    return probe


def _take_priority() -> None:
    # Without the privilege the client measures all the same; kernel time stamps keep it honest.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
