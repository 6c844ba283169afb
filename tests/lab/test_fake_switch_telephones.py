"""The laboratory around the fake switch: what is counted of calls, the cluster's file, the command line."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
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
from zcluster.lab.telephones import (
    CALLER_PORT,
    CARRIER_PORT,
    CallCount,
    Tally,
    count_calls,
    count_disturbed,
    read_tally,
    spread,
)

TARGET = "10.77.9.101"
OTHER = "10.77.9.102"
CALLERS, CARRIER = (TARGET, CALLER_PORT), (TARGET, CARRIER_PORT)
FLOATING = IPv4Address(TARGET).packed
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
    return SipSeen(when_ns, True, TARGET, port, word, call, cseq, is_inside)


def test_a_message_to_a_telephone_is_read_from_its_frame() -> None:
    found = read_frame(frame(request("INVITE", "9000", 7, "t1")), 5, ADDRESSES)
    assert found == SipSeen(5, True, TARGET, CALLER_PORT, "INVITE", "call-9000", 7, True, "INVITE")
    outside = read_frame(frame(request("INVITE", "9000")), 5, ADDRESSES)
    assert outside is not None
    assert not outside.is_inside


def test_a_message_from_a_telephone_names_the_telephones_own_port() -> None:
    found = read_frame(frame(request("ACK", "9000", 1, "t1"), PHONE, FLOATING, 5060), 5, ADDRESSES)
    assert found is not None
    assert (found.to_telephone, found.address, found.port) == (False, TARGET, 5060)


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


def stand(watch: Watch, *calls: str, port: int = CARRIER_PORT) -> None:
    """Their answers are acknowledged."""
    for call in calls:
        watch.note(seen("ACK", 1, port, call, 1))


def test_a_reinvite_counts_once_for_a_call_and_only_after_the_fault() -> None:
    watch = Watch(since_ns=100)
    stand(watch, "a", "b")
    watch.note(seen("INVITE", 10, CARRIER_PORT, "b", 1, is_inside=False))
    watch.note(seen("INVITE", 99, CALLER_PORT, "a", 4))
    for when_ns in (150, 160):
        watch.note(seen("INVITE", when_ns, CALLER_PORT, "a", 5))
    watch.note(seen("INVITE", 170, CARRIER_PORT, "b", 2))
    watch.note(seen("BYE", 180, CARRIER_PORT, "c", 9))
    assert (watch.reinvites(CALLERS), watch.reinvites(CARRIER)) == ([150], [170])
    assert watch.steps_back == set()


def test_a_cseq_that_is_no_higher_is_seen_but_a_copy_of_the_reinvite_is_none() -> None:
    watch = Watch()
    stand(watch, "a", "b")
    watch.note(seen("INVITE", 1, CARRIER_PORT, "a", 7, is_inside=False))
    watch.note(seen("INVITE", 2, CARRIER_PORT, "a", 7))
    watch.note(seen("INVITE", 3, CARRIER_PORT, "b", 8))
    watch.note(seen("INVITE", 4, CARRIER_PORT, "b", 8))
    assert watch.steps_back == {"a"}


def test_a_call_stands_when_its_answer_is_acknowledged() -> None:
    watch = Watch()
    watch.note(SipSeen(1, False, TARGET, CALLER_PORT, "ACK", "a", 1, True))
    watch.note(seen("ACK", 2, CARRIER_PORT, "b", 1))
    watch.note(seen("ACK", 3, CARRIER_PORT, "b", 1))
    watch.note(seen("200", 3, CARRIER_PORT, "c", 1))
    assert (watch.standing(CALLERS), watch.standing(CARRIER)) == (["a"], ["b"])


def test_the_last_line_of_the_statistics_counts() -> None:
    assert read_tally(STATISTICS.format(3, 1)) == Tally(3, 1)
    for text in ("", "a;b\n", STATISTICS.format("x", 1)):
        with pytest.raises(LabError):
            read_tally(text)


def test_a_call_is_recovered_when_both_sides_were_invited_again_and_ended_well() -> None:
    watch = Watch(since_ns=1_000_000_000)
    for call in range(3):
        stand(watch, f"a{call}", f"b{call}")
        watch.note(seen("INVITE", 1_100_000_000 + call * 1_000_000, CALLER_PORT, f"a{call}", 5))
        watch.note(seen("INVITE", 1_200_000_000, CARRIER_PORT, f"b{call}", 5))
    assert count_calls(4, watch, TARGET, CALLER_PORT, None) == CallCount(4, 3, 100.0, 200.0)
    assert count_calls(4, watch, TARGET, CALLER_PORT, Tally(3, 1)).recovered == 0
    part(watch, "b0", OTHER)
    part(watch, "b1", TARGET)
    assert count_calls(4, watch, TARGET, CALLER_PORT, Tally(4, 0)) == CallCount(4, 1, 100.0, 200.0)
    assert count_calls(4, watch, TARGET, CALLER_PORT, Tally(0, 4)).recovered == 0
    assert count_calls(4, Watch(), TARGET, CALLER_PORT, Tally(4, 0)) == CallCount(4, 0, None, None)


def part(watch: Watch, call: str, address: str) -> None:
    """The carrier answers the BYE of that call."""
    watch.note(SipSeen(5, False, address, CARRIER_PORT, "200", call, 9, True, "BYE"))


def test_a_second_fault_counts_anew_but_knows_the_numbers_of_before() -> None:
    watch = Watch(since_ns=100)
    stand(watch, "a")
    watch.note(seen("INVITE", 150, CALLER_PORT, "a", 5))
    watch.begin(200)
    assert watch.reinvites(CALLERS) == []
    watch.note(seen("INVITE", 250, CALLER_PORT, "a", 5))
    assert (watch.reinvites(CALLERS), watch.steps_back) == ([250], {"a"})


def test_who_is_invited_again_after_the_end_or_out_of_nowhere_is_a_ghost() -> None:
    watch = Watch(since_ns=100)
    stand(watch, "a", "b")
    part(watch, "a", TARGET)
    for call in ("a", "b", "c"):
        watch.note(seen("INVITE", 200, CARRIER_PORT, call, 5))
    assert (watch.reinvites(CARRIER), watch.ghosts) == ([200], {"a", "c"})


def call_of_another(watch: Watch, number: int) -> None:
    """It stands, at its caller as a0, at the carrier as b0."""
    watch.note(SipSeen(10, False, OTHER, CALLER_PORT, "ACK", f"a{number}", 1, True, "ACK"))
    watch.note(SipSeen(10, True, OTHER, CARRIER_PORT, "ACK", f"b{number}", 1, True, "ACK"))


def bye(watch: Watch, when_ns: int, call: str, port: int, *, to_telephone: bool) -> None:
    watch.note(SipSeen(when_ns, to_telephone, OTHER, port, "BYE", call, 9, True, "BYE"))


def test_calls_of_other_masters_are_undisturbed_until_their_callers_hang_up() -> None:
    watch = Watch(since_ns=100)
    for number in range(2):
        call_of_another(watch, number)
        bye(watch, 500 + number, f"a{number}", CALLER_PORT, to_telephone=False)
        bye(watch, 500 + number, f"b{number}", CARRIER_PORT, to_telephone=True)
    assert count_disturbed(watch, 2, OTHER, CALLER_PORT, Tally(2, 0)) == 0
    assert count_disturbed(watch, 2, OTHER, CALLER_PORT, Tally(1, 1)) == 1


@pytest.mark.parametrize("side", ["caller is hung up on", "callee is hung up on", "callee is invited"])
def test_whatever_comes_to_a_call_of_another_master_disturbs_it(side: str) -> None:
    watch = Watch(since_ns=100)
    for number in range(2):
        call_of_another(watch, number)
    if side == "caller is hung up on":
        bye(watch, 200, "a0", CALLER_PORT, to_telephone=True)
    elif side == "callee is hung up on":
        bye(watch, 200, "b0", CARRIER_PORT, to_telephone=True)
    else:
        watch.note(SipSeen(200, True, OTHER, CARRIER_PORT, "INVITE", "b0", 9, True, "INVITE"))
    assert count_disturbed(watch, 2, OTHER, CALLER_PORT, None) == 1
    bye(watch, 500, "a1", CALLER_PORT, to_telephone=False)
    assert count_disturbed(watch, 2, OTHER, CALLER_PORT, Tally(2, 0)) == 1


@given(st.integers(1, 1000), st.integers(1, 20))
def test_calls_are_spread_evenly_and_none_is_forgotten(calls: int, targets: int) -> None:
    shares = spread(calls, [str(number) for number in range(targets)])
    assert sum(shares.values()) == calls
    assert max(shares.values()) - min(shares.values()) <= 1
    assert min(shares.values()) > 0


def test_a_line_with_calls_has_their_keys_last() -> None:
    calls = CallCount(100, 99, 250.5, 800.1)
    result = Result("kill-host", "standard", "g1", "n1", "n4", 191.5, False, 2, calls)
    assert list(json.loads(result.line()))[-4:] == [
        "calls",
        "recovered",
        "first_reinvite_ms",
        "last_reinvite_ms",
    ]
    assert result.words().endswith("99 of 100 calls recovered, the last invited again after 800 ms")
    beside = replace(result, calls=replace(calls, others=20, others_disturbed=1))
    assert list(json.loads(beside.line()).items())[-2:] == [("others", 20), ("others_disturbed", 1)]
    assert beside.words().endswith(", 1 of 20 other calls disturbed")


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


def test_callers_that_give_up_before_they_are_invited_again_are_told_from_lost_calls() -> None:
    watch = Watch()
    for call in ("waits", "gives-up", "late", "never"):
        watch.note(from_telephone("ACK", 10, call))
    watch.begin(100)
    watch.note(from_telephone("BYE", 150, "gives-up"))
    watch.note(seen("INVITE", 200, CALLER_PORT, "waits", 5))
    watch.note(seen("INVITE", 200, CALLER_PORT, "gives-up", 5))
    watch.note(from_telephone("BYE", 300, "waits"))
    watch.note(from_telephone("BYE", 9000, "late"))
    assert watch.hung_up_alone(CALLERS, within_ns=1000) == 1
    assert watch.hung_up_alone(CARRIER, within_ns=1000) == 0


def from_telephone(word: str, when_ns: int, call: str) -> SipSeen:
    return SipSeen(when_ns, False, TARGET, CALLER_PORT, word, call, 1, True, word)
