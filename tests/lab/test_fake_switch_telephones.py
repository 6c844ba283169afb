"""The laboratory around the fake switch: what is counted of calls, the cluster's file, the command line."""

from __future__ import annotations

import json
import struct
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.fake_phones import request
from zcluster.cli import commands
from zcluster.config.load import read_bytes
from zcluster.errors import LabError
from zcluster.lab.catalogue import FAULTS
from zcluster.lab.commands import SWITCH_FAULTS
from zcluster.lab.configuration import cluster_file
from zcluster.lab.fake_switch.settings import read_plan
from zcluster.lab.plan import SwitchKind, make_plan
from zcluster.lab.result import Result
from zcluster.lab.sip_capture import SipSeen, Watch, read_frame
from zcluster.lab.switches import CORE_DB, fake_switch_command, write_password
from zcluster.lab.telephones import CALLER_PORT, CARRIER_PORT, CallCount, Tally, count_calls, read_tally

FLOATING = IPv4Address("10.77.9.101").packed
PHONE = IPv4Address("10.77.9.250").packed
ADDRESSES = {FLOATING}
STATISTICS = (
    "StartTime;SuccessfulCall(P);SuccessfulCall(C);FailedCall(P);FailedCall(C)\n1;0;0;0;0\n2;3;{};0;{}\n"
)


def frame(payload: bytes, source: bytes = FLOATING, target: bytes = PHONE, port: int = CALLER_PORT) -> bytes:
    """An Ethernet frame with a datagram from port 5060 to `port`."""
    udp = struct.pack("!HHHH", 5060, port, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, source, target)
    return bytes(12) + b"\x08\x00" + ip + udp


def seen(word: str, when_ns: int, port: int, call: str, cseq: int, is_inside: bool = True) -> SipSeen:
    return SipSeen(when_ns, True, port, word, call, cseq, is_inside)


def test_a_message_to_a_telephone_is_read_from_its_frame() -> None:
    found = read_frame(frame(request("INVITE", "9000", 7, "t1")), 5, ADDRESSES)
    assert found == SipSeen(5, True, CALLER_PORT, "INVITE", "call-9000", 7, True)
    outside = read_frame(frame(request("INVITE", "9000")), 5, ADDRESSES)
    assert outside is not None
    assert not outside.is_inside


def test_a_message_from_a_telephone_names_the_telephones_own_port() -> None:
    found = read_frame(frame(request("ACK", "9000", 1, "t1"), PHONE, FLOATING, 5060), 5, ADDRESSES)
    assert found is not None
    assert (found.to_telephone, found.port) == (False, 5060)


@pytest.mark.parametrize(
    "other",
    [
        frame(request("INVITE", "9000"), PHONE, PHONE),
        frame(b"\x80\x00" + bytes(160)),
        frame(request("INVITE", "9000")).replace(b"Call-ID", b"Calling"),
        b"",
    ],
)
def test_what_is_no_sip_of_a_floating_address_is_passed_over(other: bytes) -> None:
    assert read_frame(other, 5, ADDRESSES) is None


@given(st.binary(max_size=200), st.integers(0, 600))
def test_no_frame_breaks_the_reading(junk: bytes, end: int) -> None:
    read_frame(junk, 0, ADDRESSES)
    read_frame(frame(junk), 0, ADDRESSES)
    read_frame(frame(request("INVITE", "9000", 7, "t1"))[:end], 0, ADDRESSES)


def test_a_reinvite_counts_once_for_a_call_and_only_after_the_fault() -> None:
    watch = Watch(since_ns=100)
    watch.note(seen("INVITE", 10, CARRIER_PORT, "b", 1, is_inside=False))
    watch.note(seen("INVITE", 99, CALLER_PORT, "a", 4))
    for when_ns in (150, 160):
        watch.note(seen("INVITE", when_ns, CALLER_PORT, "a", 5))
    watch.note(seen("INVITE", 170, CARRIER_PORT, "b", 2))
    watch.note(seen("BYE", 180, CARRIER_PORT, "c", 9))
    assert (watch.reinvites(CALLER_PORT), watch.reinvites(CARRIER_PORT)) == ([150], [170])
    assert watch.steps_back == set()


def test_a_cseq_that_is_no_higher_is_seen_but_a_copy_of_the_reinvite_is_none() -> None:
    watch = Watch()
    watch.note(seen("INVITE", 1, CARRIER_PORT, "a", 7, is_inside=False))
    watch.note(seen("INVITE", 2, CARRIER_PORT, "a", 7))
    watch.note(seen("INVITE", 3, CARRIER_PORT, "b", 8))
    watch.note(seen("INVITE", 4, CARRIER_PORT, "b", 8))
    assert watch.steps_back == {"a"}


def test_a_call_stands_when_its_answer_is_acknowledged() -> None:
    watch = Watch()
    watch.note(SipSeen(1, False, CALLER_PORT, "ACK", "a", 1, True))
    watch.note(seen("ACK", 2, CARRIER_PORT, "b", 1))
    watch.note(seen("ACK", 3, CARRIER_PORT, "b", 1))
    watch.note(seen("200", 3, CARRIER_PORT, "c", 1))
    assert (watch.count_established(CALLER_PORT), watch.count_established(CARRIER_PORT)) == (1, 1)


def test_the_last_line_of_the_statistics_counts() -> None:
    assert read_tally(STATISTICS.format(3, 1)) == Tally(3, 1)
    for text in ("", "a;b\n", STATISTICS.format("x", 1)):
        with pytest.raises(LabError):
            read_tally(text)


def test_a_call_is_recovered_when_both_sides_were_invited_again_and_ended_well() -> None:
    watch = Watch(since_ns=1_000_000_000)
    for call in range(3):
        watch.note(seen("INVITE", 1_100_000_000 + call * 1_000_000, CALLER_PORT, f"a{call}", 5))
        watch.note(seen("INVITE", 1_200_000_000, CARRIER_PORT, f"b{call}", 5))
    assert count_calls(4, watch, Tally(3, 1), Tally(2, 2)) == CallCount(4, 2, 100.0, 200.0)
    assert count_calls(4, watch, Tally(4, 0), Tally(4, 0)).recovered == 3
    assert count_calls(4, Watch(), Tally(4, 0), Tally(4, 0)) == CallCount(4, 0, None, None)


def test_a_line_with_calls_has_the_promised_keys_behind_the_others() -> None:
    calls = CallCount(100, 99, 250.5, 800.1)
    result = Result("kill-host", "standard", "g1", "n1", "n4", 191.5, False, 2, calls)
    assert list(json.loads(result.line()))[-4:] == [
        "calls",
        "recovered",
        "first_reinvite_ms",
        "last_reinvite_ms",
    ]
    assert result.words().endswith("99 of 100 calls recovered, the last invited again after 800 ms")


def test_the_file_with_a_switch_is_one_that_the_daemon_takes() -> None:
    plan = make_plan(5, 3, "standard", SwitchKind.FAKE)
    reading = read_bytes(cluster_file(plan, Path("/tmp/key"), Path("/tmp/password")).encode())
    assert reading.faults == ()
    configuration = reading.configuration
    assert configuration is not None
    assert configuration.switch is not None
    assert configuration.switch.core_db == CORE_DB
    assert [group.profiles for group in configuration.groups] == [("g1",), ("g2",), ("g3",)]


def test_every_node_has_every_profile_in_standby(tmp_path: Path) -> None:
    plan = make_plan(3, 2, "standard", SwitchKind.FAKE)
    for node in ("n1", "n2"):
        switch = read_plan(Path(fake_switch_command(plan, node, tmp_path)[-1]))
        assert switch.switchname == node
        assert [(each.name, each.address) for each in switch.profiles] == [
            ("g1", "10.77.9.101"),
            ("g2", "10.77.9.102"),
        ]
        assert switch.begins_in_standby
        assert switch.password == write_password(tmp_path).read_text().strip()


def test_the_faults_of_a_switch_need_one() -> None:
    assert [name for name, fault in FAULTS.items() if fault.needs_switch] == list(SWITCH_FAULTS)
    for words in (["--fault", "kill-switch"], ["--fault", "kill-host", "--calls", "5"]):
        result = CliRunner().invoke(commands, ["lab", "trial", *words, "--switch", "none"])
        assert (result.exit_code, "need one" in result.output) == (2, True)
