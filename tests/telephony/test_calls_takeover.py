"""The other node died; its group is ours. Every trap of FREESWITCH.md (a and d) that a takeover can fall into."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.telephony.calls_world import (
    WALL_MS,
    World,
    answered_without_row,
    bridged,
    record_of,
    ringing,
)
from tests.telephony.twin_switch import BUILD, call_xml
from zcluster.streams.events import MessageReceived
from zcluster.streams.messages import Batch
from zcluster.streams.units import CALLS, StreamId, body_of, claim_key, record_key
from zcluster.telephony.actions import LoadRows
from zcluster.telephony.call_record import CallRecord, pack_call, unpack_call
from zcluster.telephony.events import Answered, GroupWon, Row, RowsChanged, SwitchOpened, Unanswered
from zcluster.telephony.lane import GRACE_MS
from zcluster.telephony.metadata import NTP_UNIX_S, read_variables
from zcluster.telephony.takeover import (
    LIVES_HERE,
    NO_METADATA,
    NO_PARTNER,
    NOT_BROUGHT_BACK,
    OTHER_BUILD,
    OTHER_PROFILE,
    READ_LEGS,
    UNKNOWN_BUILD,
    UNREADABLE,
    WAS_RINGING,
)


def world_with(records: dict[str, CallRecord], group: str = "g1") -> World:
    """The switch is here, the other node told us its calls, and died."""
    world = World()
    world.open_switch()
    world.settle(100)
    world.claim_theirs("g1", "g2")
    world.give_calls(records, group)
    world.die()
    return world


def taken_over(records: dict[str, CallRecord]) -> World:
    world = world_with(records)
    world.win("g1")
    world.settle(100)
    world.open("g1")
    world.settle()
    return world


def loaded(world: World) -> list[Row]:
    return [row for load in world.loads for row in load.rows]


def test_both_legs_of_a_call_come_back_and_are_counted() -> None:
    world = taken_over(bridged("a", "b"))
    assert set(world.switch.sessions) == {"a", "b"}
    assert world.lost() == {}
    facts = world.summary()
    assert (facts["recovered"], facts["lost"], facts["source"]) == (2, 0, "dead")
    assert world.records("g1") == {"a", "b"}
    assert world.switch.rows[0].runtime_uuid == "core-1"


def test_rows_are_in_the_table_before_the_addresses_are_open_and_recovered_after() -> None:
    world = world_with(bridged("a", "b"))
    world.win("g1")
    world.settle(1000)
    assert {row.uuid for row in world.switch.rows} == {"a", "b"}
    assert not any("recover" in name for name in world.ran)
    assert not world.switch.sessions
    world.open("g1")
    world.settle(1000)
    assert set(world.switch.sessions) == {"a", "b"}


def test_a_group_without_calls_is_woken_from_standby() -> None:
    world = taken_over({})
    assert world.switch.standby == {"sip2"}


def test_the_profile_is_woken_at_once_when_the_records_are_late() -> None:
    world = World()
    world.open_switch()
    world.win("g1")
    world.open("g1")
    world.settle(100)
    assert "sip1" not in world.switch.standby
    world.claim_theirs("g1")
    world.give_calls(bridged("a", "b"))
    world.die()
    world.settle()
    assert set(world.switch.sessions) == {"a", "b"}


def test_batches_are_whole_calls_longest_first_and_never_overlap() -> None:
    records: dict[str, CallRecord] = {}
    for place, answered_s in enumerate(("500", "100", "300", "200", "400")):
        records |= bridged(f"a{place}", f"b{place}", answered_s=answered_s)
    world = taken_over(records)
    batches = [sorted(row.uuid for row in load.rows) for load in world.loads]
    assert batches == [["a1", "a3", "b1", "b3"], ["a2", "a4", "b2", "b4"], ["a0", "b0"]]
    assert world.summary()["recovered"] == 10


def test_many_calls_are_read_in_parts_and_the_longest_of_all_still_come_first() -> None:
    """The longest is read last; a profile in standby is not woken before, for its calls come with it."""
    records: dict[str, CallRecord] = {}
    for place in range(READ_LEGS + 10):
        records |= bridged(f"a{place}", f"b{place}", answered_s=str(2000 - place))
    world = world_with(records)
    world.most_looked_at = 0
    world.win("g1")
    world.open("g1")
    assert not world.loads
    while not world.loads:
        world.wait(1)
        assert not any("recover" in run.command.name for run, _ in world.jobs)
    assert {row.uuid for row in loaded(world)} == {
        f"{leg}{READ_LEGS + each}" for leg in "ab" for each in (8, 9)
    }
    assert 0 < world.most_looked_at <= READ_LEGS
    world.settle(600)
    world.send([record_key("g1", b"a0"), None, record_key("g1", b"b0"), None])
    world.give_calls(bridged("late", "later", answered_s="1"))
    world.settle(15_000)
    assert set(world.switch.sessions) == {*records, "late", "later"} - {"a0", "b0"}
    assert world.lost() == {}
    assert world.most_looked_at <= READ_LEGS


def test_profiles_of_a_group_share_a_batch_and_recover_side_by_side() -> None:
    world = taken_over(bridged("a", "b", "sip1", "sip1b"))
    assert len(world.loads) == 1
    recovers = [name for name in world.ran if name.endswith("recover")]
    assert sorted(recovers) == ["bgapi sofia profile sip1 recover", "bgapi sofia profile sip1b recover"]
    assert set(world.switch.sessions) == {"a", "b"}


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_a_paused_switch_recovers_nothing_and_loses_nothing(direction: str) -> None:
    """`recover` deletes the rows of a paused switch; one direction is enough, and `pause_check` alone hides it."""
    world = world_with(bridged("a", "b"))
    world.pause(direction)
    world.win("g1")
    world.open("g1")
    world.settle(3000)
    assert not any(name.endswith("recover") or "resume" in name for name in world.ran)
    assert direction in world.health["recovery"]
    assert world.lost() == {}
    world.resume()
    world.settle()
    assert set(world.switch.sessions) == {"a", "b"}
    assert world.health["recovery"] == ""


def test_a_group_that_leaves_a_paused_switch_leaves_its_records_and_no_rows() -> None:
    world = world_with(bridged("a", "b"))
    world.pause("inbound")
    world.win("g1")
    world.open("g1")
    world.settle(1000)
    world.lose("g1")
    world.settle(1000)
    assert world.switch.rows == []
    assert world.records("g1") == {"a", "b"}
    assert world.health["recovery"], "it is not fit for the group as long as it is paused"
    world.resume()
    world.settle(1000)
    assert world.health["recovery"] == ""


def test_cseq_is_above_all_that_the_dead_master_sent() -> None:
    world = taken_over(bridged("a", "b") | {"c": record_of("c", sip_invite_cseq="200000000")})
    half = ((WALL_MS // 1000 + NTP_UNIX_S) >> 1) & 0x7FFFFFF
    values = {row.uuid: int(read_variables(row.metadata)["sip_invite_cseq"]) for row in loaded(world)}
    assert half + 600 <= values["a"] == values["b"] <= half + 610
    assert values["c"] == 200_000_600
    assert all(row.metadata.count(b"<sip_invite_cseq>") == 1 for row in loaded(world))


def test_cseq_is_unset_once_the_re_invite_is_out() -> None:
    world = world_with(bridged("a", "b"))
    world.win("g1")
    world.open("g1")
    while not world.switch.running:
        world.work()
    world.tell_events()
    assert not any("sip_invite_cseq" in run.command.name for run, _ in world.jobs)
    world.settle()
    unset = [name for name in world.ran if "uuid_setvar" in name]
    assert sorted(unset) == ["api uuid_setvar a sip_invite_cseq", "api uuid_setvar b sip_invite_cseq"]


def test_a_second_takeover_begins_above_the_first() -> None:
    """Also within the two seconds in which the formula gives the same number."""
    world = taken_over({"a": record_of("a")})
    first = int(read_variables(loaded(world)[0].metadata)["sip_invite_cseq"])
    world.kill_switch()
    world.open_switch()
    world.settle()
    assert set(world.switch.sessions) == {"a"}
    assert int(read_variables(loaded(world)[1].metadata)["sip_invite_cseq"]) >= first + 600


def test_the_others_know_with_which_cseq_a_leg_begins_before_it_is_loaded() -> None:
    """Who takes over from us before our switch wrote a row of it must begin above that."""
    world = world_with({"a": record_of("a")})
    world.win("g1")
    assert isinstance(world.tables[-1], LoadRows)
    (row,) = world.tables[-1].rows
    (record,) = [body for key, body in world.replicator.tables[CALLS].own.table.items() if key.endswith(b"a")]
    assert unpack_call(body_of(record)).cseq == int(read_variables(row.metadata)["sip_invite_cseq"])


def test_a_lone_leg_runs_its_extension_without_announcements() -> None:
    world = taken_over({"a": record_of("a")} | bridged("b", "c"))
    skips = {row.uuid: b"recovery_skip_announcement" in row.metadata for row in loaded(world)}
    assert skips == {"a": True, "b": False, "c": False}


@pytest.mark.parametrize(
    ("direction", "address", "loads"),
    [
        ("inbound", "fd77%3A9%3A%3A250", "[fd77:9::250]"),
        ("inbound", "%5Bfd77%3A9%3A%3A250%5D", "[fd77:9::250]"),
        ("inbound", "10.77.9.250", "10.77.9.250"),
        ("outbound", "fd77%3A9%3A%3A250", "fd77:9::250"),
    ],
)
def test_the_route_back_to_an_ipv6_caller_has_brackets(direction: str, address: str, loads: str) -> None:
    """The switch makes a URI of it as it stands; of a bare one none, and the call is lost."""
    world = taken_over({"a": record_of("a", direction=direction, sip_network_ip=address)})
    assert read_variables(loaded(world)[0].metadata)["sip_network_ip"] == loads


def test_a_bond_that_outlived_its_bridge_is_not_loaded() -> None:
    """With it the switch would wait for the other leg, in vain and for ever."""
    world = taken_over({"a": record_of("a", signal_bond="b", last_bridge_to="b")})
    assert "signal_bond" not in read_variables(loaded(world)[0].metadata)
    assert set(world.switch.sessions) == {"a"}


def test_half_a_bridge_is_not_brought_back() -> None:
    world = taken_over({"a": record_of("a", signal_bond="gone", bridge_to="gone")})
    assert world.lost() == {"a": NO_PARTNER}
    assert not world.loads


def test_a_leg_whose_partner_still_rang_comes_back_alone() -> None:
    world = taken_over({"a": record_of("a", originate_signal_bond="b"), "b": ringing()})
    assert world.lost() == {"b": WAS_RINGING}
    assert set(world.switch.sessions) == {"a"}
    assert world.switch.mute() == []


def test_the_two_legs_may_be_of_two_groups() -> None:
    world = World()
    world.open_switch()
    world.claim_theirs("g1", "g2")
    both = bridged("a", "b", "sip1", "sip2")
    world.give_calls({"a": both["a"]}, "g1")
    world.give_calls({"b": both["b"]}, "g2")
    world.die()
    for group in ("g1", "g2"):
        world.win(group)
        world.open(group)
    world.settle()
    assert set(world.switch.sessions) == {"a", "b"}
    assert world.lost() == {}


def test_half_a_call_waits_until_the_group_of_the_other_half_is_open() -> None:
    world = World()
    world.open_switch()
    world.claim_theirs("g1", "g2")
    both = bridged("a", "b", "sip1", "sip2")
    world.give_calls({"a": both["a"]}, "g1")
    world.give_calls({"b": both["b"]}, "g2")
    world.die()
    world.win("g1")
    world.win("g2")
    world.open("g1")
    world.settle(1000)
    assert not world.switch.sessions
    world.open("g2")
    world.settle()
    assert set(world.switch.sessions) == {"a", "b"}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (ringing(), WAS_RINGING),
        (answered_without_row(), NO_METADATA),
        (record_of("x", build="FreeSWITCH Version 1.10"), OTHER_BUILD),
        (record_of("x", build=""), UNKNOWN_BUILD),
        (record_of("x", profile="sip2"), OTHER_PROFILE),
        (CallRecord("sip1", "core", BUILD, state="answered", metadata=b"no zlib"), UNREADABLE),
    ],
    ids=["ringing", "no row yet", "other build", "unknown build", "other profile", "unreadable"],
)
def test_what_cannot_be_brought_back_is_listed_with_the_reason(record: CallRecord, reason: str) -> None:
    world = taken_over(bridged("a", "b") | {"x": record})
    assert world.lost() == {"x": reason}
    assert all("x" not in {row.uuid for row in load.rows} for load in world.loads)
    assert world.records("g1") == {"a", "b"}
    told = [tell for tell in world.told if tell.code == "call-lost"]
    assert [(tell.facts["uuid"], tell.facts["reason"], tell.facts["node"]) for tell in told] == [
        ("x", reason, "dead")
    ]
    assert world.summary()["reasons"] == {reason: 1}


def test_a_record_that_is_none_is_listed_and_removed() -> None:
    world = world_with({})
    world.send([record_key("g1", b"x"), b"12345678garbage"])
    world.win("g1")
    world.open("g1")
    world.settle()
    assert world.lost() == {"x": UNREADABLE}
    assert world.records("g1") == set()


@pytest.mark.parametrize("name", [b"two words", b"new\nline", b"quo'te", b"\xff\xfe"])
def test_no_uuid_of_a_peer_reaches_the_switch_that_could_say_something_else(name: bytes) -> None:
    world = world_with({})
    world.send([record_key("g1", name), b"12345678" + pack_call(record_of("x"))])
    world.win("g1")
    world.open("g1")
    world.settle()
    assert [call.reason for call in world.calls.lost()] == [UNREADABLE]
    assert not world.loads
    assert world.records("g1") == set()


def test_what_the_switch_does_not_bring_back_is_lost_after_it_was_asked() -> None:
    world = world_with(bridged("a", "b"))
    world.win("g1")
    world.settle(100)
    # Another program took the row away.
    world.switch.rows = [row for row in world.switch.rows if row.uuid == "a"]
    world.open("g1")
    world.settle()
    assert world.lost() == {"b": NOT_BROUGHT_BACK}
    assert "api uuid_exists b" in world.ran


def test_no_call_is_called_lost_because_its_events_were() -> None:
    world = world_with(bridged("a", "b"))
    world.win("g1")
    world.settle(100)
    world.open("g1")
    while world.work():
        world.switch.events = []
    world.lose_events()
    for _ in range(60):
        while world.work():
            pass
        world.wait(100)
    assert world.lost() == {}
    assert world.summary()["recovered"] == 2


def test_a_call_that_its_phone_refused_is_lost() -> None:
    world = world_with(bridged("a", "b"))
    world.win("g1")
    world.open("g1")
    while not world.switch.sessions:
        world.work()
    world.tell_events()
    world.switch.hang_up("a", "NORMAL_TEMPORARY_FAILURE")
    world.switch.hang_up("b")
    world.settle()
    assert world.lost() == {"a": "ended as soon as it was back: NORMAL_TEMPORARY_FAILURE"}
    assert world.records("g1") == set()


def test_recover_that_deletes_the_rows_does_not_delete_the_records() -> None:
    """The loaded row goes before the switch has written its own: for the row log the call is gone a moment."""
    world = world_with({"a": record_of("a")})
    world.win("g1")
    world.open("g1")
    while not world.switch.running:
        world.work()
    world.tell_events()
    world.hear(RowsChanged((("a", None),)))
    assert world.records("g1") == {"a"}


def test_the_event_of_a_recovered_leg_does_not_replace_its_metadata() -> None:
    world = world_with({"a": record_of("a")})
    world.win("g1")
    world.open("g1")
    while not world.switch.running:
        world.work()
    world.tell_events()
    world.kill_switch()
    world.open_switch()
    world.settle()
    assert set(world.switch.sessions) == {"a"}


def test_late_news_of_the_dead_master_counts() -> None:
    world = world_with({"a": record_of("a"), "b": record_of("b")})
    world.win("g1")
    world.settle(100)
    world.give_calls({"late": record_of("late")})
    world.open("g1")
    world.settle(3000)
    world.give_calls({"later": record_of("later"), "rang": ringing()})
    world.settle()
    assert set(world.switch.sessions) == {"a", "b", "late", "later"}
    assert world.lost() == {"rang": WAS_RINGING}


def test_a_call_that_ended_meanwhile_is_not_loaded() -> None:
    records: dict[str, CallRecord] = {}
    for place in range(3):
        records |= bridged(f"a{place}", f"b{place}", answered_s=str(place + 1))
    world = world_with(records)
    world.win("g1")
    world.settle(300)
    world.send([record_key("g1", b"a2"), None, record_key("g1", b"b2"), None])
    world.settle(300)
    world.open("g1")
    world.settle()
    assert set(world.switch.sessions) == {"a0", "b0", "a1", "b1"}
    assert world.lost() == {}


def test_a_lapse_stops_what_would_be_spoken_into_a_closed_gate() -> None:
    world = world_with(bridged("a", "b"))
    world.win("g1")
    world.settle(100)
    world.open("g1")
    world.lapse("g1")
    world.settle(4000)
    assert not world.switch.sessions
    assert world.lost() == {}
    world.open("g1")
    world.settle()
    assert set(world.switch.sessions) == {"a", "b"}


def test_opening_again_disturbs_nobody() -> None:
    world = taken_over(bridged("a", "b"))
    before = len(world.ran)
    world.lapse("g1")
    world.open("g1")
    world.win("g1")
    world.settle()
    assert len(world.ran) == before
    assert set(world.switch.sessions) == {"a", "b"}


def test_a_group_that_is_lost_ends_its_calls_and_keeps_their_records_for_the_next() -> None:
    world = taken_over(bridged("a", "b"))
    world.switch.begin("mine", "sip2")
    world.win("g2")
    world.open("g2")
    world.settle(300)
    world.lose("g1")
    world.settle(1000)
    assert set(world.switch.sessions) == {"mine"}
    assert world.switch.standby == {"sip1", "sip1b"}
    assert world.records("g1") == {"a", "b"}


def test_a_group_lost_in_the_middle_of_a_recover_ends_what_it_brings() -> None:
    world = world_with(bridged("a", "b"))
    world.win("g1")
    world.open("g1")
    while not world.switch.running:
        world.work()
    world.lose("g1")
    world.settle(4000)
    assert not world.switch.sessions
    assert not world.switch.rows
    assert world.switch.standby == {"sip1", "sip1b", "sip2"}
    assert world.records("g1") == {"a", "b"}
    assert world.lost() == {}
    world.win("g1")
    world.open("g1")
    world.settle()
    assert world.switch.standby == {"sip2"}, "it was put to rest meanwhile"
    assert set(world.switch.sessions) == {"a", "b"}


def test_calls_of_a_lost_group_end_at_once_even_while_others_come_back() -> None:
    world = taken_over({"a": record_of("a")})
    world.give_calls({"b": record_of("b")})
    world.wait(1000)
    while not world.switch.running:
        world.work()
    world.lose("g1")
    assert any("hupall" in run.command.name for run, _ in world.jobs)


def test_a_group_lost_and_won_again_brings_the_calls_back() -> None:
    """Their rows are of our own life now, which `recover` would not take."""
    world = taken_over(bridged("a", "b"))
    world.lose("g1")
    world.win("g1")
    world.open("g1")
    world.settle()
    assert set(world.switch.sessions) == {"a", "b"}
    assert world.lost() == {}
    assert world.switch.standby == {"sip2"}


def test_rows_of_a_lost_ballot_are_not_recovered_by_the_next() -> None:
    world = world_with({"a": record_of("a")})
    world.win("g1")
    world.settle(100)
    assert [row.uuid for row in world.switch.rows] == ["a"]
    world.lose("g1")
    world.win("g1")
    world.send([record_key("g1", b"a"), None])
    world.open("g1")
    world.settle()
    assert not world.switch.sessions


def test_rows_of_an_earlier_life_go_before_anything_recovers() -> None:
    world = World()
    world.switch.rows.append(Row("core-0", "sofia", "sip1", "me", "stale", call_xml("stale", "sip1")))
    world.is_table_locked = True
    world.open_switch()
    world.win("g1")
    world.open("g1")
    world.settle(7000)
    assert not any("recover" in name for name in world.ran)
    assert world.health["core-db"], "a table that cannot be written is this node's fault"
    world.is_table_locked = False
    world.settle()
    assert world.switch.standby == {"sip2"}
    assert not world.switch.sessions
    assert world.health["core-db"] == ""


def test_a_locked_table_delays_the_calls_but_not_the_profile() -> None:
    world = world_with(bridged("a", "b"))
    world.is_table_locked = True
    world.win("g1")
    world.open("g1")
    world.settle(2000)
    world.is_table_locked = False
    world.settle()
    assert set(world.switch.sessions) == {"a", "b"}
    assert world.lost() == {}


def test_a_switch_that_starts_anew_gets_the_calls_from_our_own_records() -> None:
    world = taken_over(bridged("a", "b"))
    world.switch.begin("c", "sip1")
    world.settle(300)
    world.kill_switch()
    world.settle(500)
    assert world.records("g1") == {"a", "b", "c"}, "whoever adopts them needs them"
    world.open_switch()
    world.settle()
    assert set(world.switch.sessions) == {"a", "b", "c"}
    assert world.switch.standby == {"sip2"}


def test_a_switch_that_starts_anew_in_the_middle_of_a_takeover() -> None:
    records: dict[str, CallRecord] = {}
    for place in range(4):
        records |= bridged(f"a{place}", f"b{place}")
    world = world_with(records)
    world.win("g1")
    world.open("g1")
    while len(world.loads) < 2:
        world.tell_events()
        world.tell_rows()
        world.work()
    world.kill_switch()
    world.open_switch()
    world.settle()
    assert set(world.switch.sessions) == set(records)
    assert world.lost() == {}


def test_a_connection_that_breaks_while_calls_come_back_loses_none() -> None:
    world = world_with(bridged("a", "b") | bridged("c", "d") | bridged("e", "f"))
    world.win("g1")
    world.open("g1")
    while not world.switch.running:
        world.work()
    world.disconnect()
    world.wait(50)
    world.open_switch()
    world.settle()
    assert set(world.switch.sessions) == {"a", "b", "c", "d", "e", "f"}
    assert world.lost() == {}


def test_a_profile_that_is_not_up_yet_is_tried_again() -> None:
    """After a start of the switch the event socket answers before its profiles run."""
    world = world_with({"a": record_of("a")})
    world.win("g1")
    world.open("g1")
    refused = 0
    while refused < 3:
        for run, _ in list(world.jobs):
            if run.command.name == "bgapi sofia profile sip1 recover":
                world.jobs = [each for each in world.jobs if each[0] is not run]
                world.hear(Answered(run.purpose, "Invalid Profile [sip1]"))
                refused += 1
                break
        else:
            if not world.work():
                world.wait(100)
    world.settle()
    assert set(world.switch.sessions) == {"a"}
    assert [tell.code for tell in world.told].count("profile-not-recovered") == 1


def test_two_groups_at_once() -> None:
    world = World()
    world.open_switch()
    world.claim_theirs("g1", "g2")
    world.give_calls(bridged("a", "b"), "g1")
    world.give_calls(bridged("c", "d", "sip2"), "g2")
    world.die()
    for group in ("g1", "g2"):
        world.win(group)
    for group in ("g2", "g1"):
        world.open(group)
    world.settle()
    assert set(world.switch.sessions) == {"a", "b", "c", "d"}
    assert world.summary("g2")["recovered"] == 2


def test_nothing_is_concluded_before_the_grace_is_over() -> None:
    world = world_with({"a": record_of("a"), "b": ringing()})
    world.win("g1")
    world.open("g1")
    world.settle(GRACE_MS - 200)
    assert world.lost() == {}
    world.settle(1000)
    assert world.lost() == {"b": WAS_RINGING}


def test_answers_for_others_and_from_the_past_change_nothing() -> None:
    world = world_with(bridged("a", "b"))
    world.win("g1")
    for purpose in ("calls:recover:sip1:999", "limits:x:1", "calls:", "calls:check:g1:1:2"):
        world.hear(Answered(purpose, "false"))
        world.hear(Unanswered(purpose, "late"))
    world.open("g1")
    world.settle()
    assert set(world.switch.sessions) == {"a", "b"}


def test_another_build_here_recovers_nothing_but_holds_the_address() -> None:
    world = World()
    world.is_open = True
    world.hear(SwitchOpened("core-1", "another build", "me", False))
    world.claim_theirs("g1")
    world.give_calls(bridged("a", "b"))
    world.die()
    world.win("g1")
    world.open("g1")
    world.settle()
    assert world.switch.standby == {"sip2"}
    assert world.lost() == {"a": OTHER_BUILD, "b": OTHER_BUILD}


def test_a_switch_that_is_about_to_shut_down_recovers_nothing() -> None:
    world = world_with(bridged("a", "b"))
    world.switch.is_leaving = True
    world.win("g1")
    world.open("g1")
    world.settle(2000)
    assert not any(name.endswith("recover") for name in world.ran)
    assert "shut down" in world.health["recovery"]
    assert world.lost() == {}


def test_a_call_is_not_loaded_while_it_still_lives_here() -> None:
    """The switch would say "Duplicate UUID!" and drop the row."""
    world = taken_over(bridged("a", "b"))
    world.switch.stuck = {"a", "b"}
    world.lose("g1")
    world.settle(300)
    loads = len(world.loads)
    world.win("g1")
    world.open("g1")
    world.settle(1000)
    assert len(world.loads) == loads
    for uuid in ("a", "b"):
        world.switch.hang_up(uuid, "MANAGER_REQUEST")
    world.settle()
    assert set(world.switch.sessions) == {"a", "b"}
    assert world.lost() == {}


def test_a_call_that_never_ends_here_is_lost_in_the_end() -> None:
    world = taken_over({"a": record_of("a")})
    world.switch.stuck = {"a"}
    world.lose("g1")
    world.settle(300)
    world.win("g1")
    world.open("g1")
    world.settle()
    assert world.lost() == {"a": LIVES_HERE}


def test_what_cannot_be_put_to_rest_is_told_and_not_tried_for_ever() -> None:
    world = taken_over({"a": record_of("a")})
    world.switch.broken = {"sip1"}
    world.switch.stuck = {"a"}
    world.lose("g1")
    world.settle(60_000)
    told = [tell for tell in world.told if tell.code == "calls-not-ended"]
    assert [tell.facts["legs"] for tell in told] == [1]
    assert sum(name.endswith("sip1 rescan") for name in world.ran) <= 10


def test_no_command_touches_more_than_the_profiles_of_the_group() -> None:
    """`sofia recover`, `recover flush` and a bare `hupall` reach what is not ours to reach."""
    world = taken_over(bridged("a", "b"))
    world.lose("g1")
    world.settle(3000)
    for name in world.ran:
        words = name.split()
        if "hupall" in words:
            assert words[2:5] == ["MANAGER_REQUEST", "sofia_profile_name", words[4]]
        if "recover" in words or "rescan" in words:
            assert words[1:3] == ["sofia", "profile"]
        assert not {"flush", "stop", "start", "restart", "resume"} & set(words)


def test_what_a_late_recover_brings_of_a_lost_group_is_hung_up_until_it_is_gone() -> None:
    """`hupall` passes over channels that are not up yet."""
    world = world_with(bridged("a", "b"))
    world.win("g1")
    world.open("g1")
    while not world.switch.running:
        world.work()
    world.switch.stuck = {"a", "b"}
    world.lose("g1")
    world.settle(500)
    assert set(world.switch.sessions) == {"a", "b"}
    world.switch.stuck.clear()
    world.settle(4000)
    assert not world.switch.sessions
    assert world.records("g1") == {"a", "b"}


def test_what_was_on_its_way_back_when_this_process_died_comes_back_in_its_next_life() -> None:
    """The streams do not adopt what our own earlier life wrote by this very ballot."""
    world = World(incarnation=2)
    earlier = StreamId("me", 1, CALLS)
    home = replace(record_of("home"), runtime_uuid="core-1")
    records = {"away": record_of("away"), "home": home, "rang": ringing()}
    changes: list[bytes | None] = []
    for uuid, record in records.items():
        changes += [record_key("g1", uuid.encode()), len(changes).to_bytes(8, "little") + pack_call(record)]
    changes += [claim_key(b"g1"), b"theclaim" + (2).to_bytes(8, "little")]
    world.stream(MessageReceived(Batch(earlier, 1, tuple(changes), 100), "n3"))
    world.switch.begin("home", "sip1")
    world.open_switch()
    world.settle(300)
    world.win("g1")
    world.open("g1")
    world.settle()
    assert set(world.switch.sessions) == {"away", "home"}
    assert [row.uuid for row in loaded(world)] == ["away"]
    assert world.records("g1") == {"away", "home"}
    world.stream(MessageReceived(Batch(earlier, 5, (record_key("g1", b"home"), None), 100), "n3"))
    world.settle()
    assert set(world.switch.sessions) == {"away", "home"}


def test_calls_that_ended_with_another_master_do_not_come_back_from_what_our_earlier_life_wrote() -> None:
    """We lost power as master, another took over, the calls ended there, and now it dies while we are here anew."""
    world = World(incarnation=2)
    earlier = StreamId("me", 1, CALLS)
    record = (0).to_bytes(8, "little") + pack_call(record_of("ended"))
    changes = (record_key("g1", b"ended"), record, claim_key(b"g1"), b"theclaim" + (0).to_bytes(8, "little"))
    world.stream(MessageReceived(Batch(earlier, 1, changes, 100), "n3"))
    world.open_switch()
    world.settle(300)
    world.claim_theirs("g1", "g2")
    world.give_calls({"a": record_of("a")}, "g1")
    world.die()
    # The streams take a while to adopt a group, longer than the switch to be told of it.
    world.hear(GroupWon("g1", world.counter + 1))
    world.settle(50)
    world.win("g1")
    world.open("g1")
    world.settle()
    assert set(world.switch.sessions) == {"a"}
    assert world.records("g1") == {"a"}
    world.stream(MessageReceived(Batch(earlier, 3, (record_key("g1", b"late"), record), 100), "n3"))
    world.settle()
    assert set(world.switch.sessions) == {"a"}


def test_nothing_comes_back_before_the_hanging_up_is_done() -> None:
    """A `hupall` that is still on its way would end what the recover has just brought back."""
    world = taken_over({"a": record_of("a")})
    recovered = world.ran.count("bgapi sofia profile sip1 recover")
    world.lose("g1")
    world.win("g1")
    world.open("g1")
    for _ in range(50):
        others = [place for place, (run, _) in enumerate(world.jobs) if "hupall" not in run.command.name]
        if not world.tables and not others:
            break
        world.work(others[0] if others else 0)
        world.tell_events()
    assert world.ran.count("bgapi sofia profile sip1 recover") == recovered
    assert not world.switch.running
    world.settle()
    assert set(world.switch.sessions) == {"a"}
