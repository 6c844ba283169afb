"""What is told of audio: which frames are RTP, and how long a stream was silent because of a fault."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest

from zcluster.lab.rtp_capture import Silence, read_stream, silence

ADDRESS = "10.77.9.101"
FLOATING, PHONE = IPv4Address(ADDRESS).packed, IPv4Address("10.77.9.250").packed
ADDRESSES = {FLOATING: ADDRESS}
RTP = b"\x80\x00" + bytes(170)
MS = 1_000_000


def frame(payload: bytes, source: bytes = FLOATING, source_port: int = 20_000, port: int = 30_000) -> bytes:
    udp = struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, source, PHONE)
    return bytes(12) + b"\x08\x00" + ip + udp


def test_audio_from_a_floating_address_is_known_by_its_ports() -> None:
    assert read_stream(frame(RTP), ADDRESSES) == (ADDRESS, 20_000, 30_000)


@pytest.mark.parametrize(
    "other",
    [
        frame(RTP, source=PHONE),
        frame(b"INVITE sip:9000@lab SIP/2.0\r\n", source_port=5060),
        frame(b"TEST"),
        frame(RTP)[:30],
        b"",
    ],
)
def test_all_else_is_no_audio(other: bytes) -> None:
    assert read_stream(other, ADDRESSES) is None


def test_the_longest_gap_that_a_fault_made_is_told_for_each_stream() -> None:
    heard = {
        (ADDRESS, 1, 30_000): [0, 20 * MS, 420 * MS, 440 * MS, 4000 * MS],
        (ADDRESS, 2, 30_000): [0, 900 * MS, 910 * MS, 1210 * MS],
        (ADDRESS, 3, 30_000): [0, 30 * MS],
        (ADDRESS, 4, 30_000): [2000 * MS, 2020 * MS],
        ("10.77.9.102", 5, 30_000): [0, 1500 * MS],
    }
    gone = silence(heard, ADDRESS, fault_ns=901 * MS, after_ms=300)
    assert gone == Silence(streams=3, lost=1, gaps_ms=(300.0, 3560.0))
    assert gone.facts() == {"streams": 3, "lost": 1, "gap_median_ms": 1930.0, "gap_worst_ms": 3560.0}


def test_audio_that_never_was_has_no_gap() -> None:
    assert silence({}, ADDRESS, 0, 0).facts()["gap_worst_ms"] is None
