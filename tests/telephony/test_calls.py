"""What our own switch says becomes records, and only what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.telephony.calls_world import SETTINGS, World, bridged, record_of
from tests.telephony.twin_switch import BUILD, call_xml
from zcluster.streams.units import CALLS, body_of, record_key
from zcluster.switch.esl import EslReader
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.telephony.actions import ChangeRecords, DropForeignRows, Run, StreamIsWhole, Tell
from zcluster.telephony.call_record import CallRecord, unpack_call
from zcluster.telephony.events import (
    Answered,
    EventsLost,
    GroupOpened,
    Happened,
    PeersChanged,
    Row,
    RowsChanged,
    SwitchClosed,
    SwitchOpened,
)
from zcluster.telephony.metadata import read_variables
from zcluster.telephony.settings import GroupSettings, TelephonySettings

CAPTURES = Path(__file__).parent.parent / "switch" / "captures"
VIP = TelephonySettings("me", (GroupSettings("vip", ("vip1",)),))


def recorded(name: str) -> list[SwitchEvent]:
    frames = EslReader().feed((CAPTURES / f"{name}.recv").read_bytes())
    return [frame for frame in frames if isinstance(frame, SwitchEvent)]


def holding(settings: TelephonySettings = SETTINGS, core_uuid: str = "core-1") -> World:
    world = World(settings)
    world.is_open = True
    world.switch.core_uuid = core_uuid
    world.hear(SwitchOpened(core_uuid, BUILD, "me", False))
    world.hear_all([])
    for group in settings.groups:
        world.win(group.name)
        world.open(group.name)
    world.settle(300)
    return world


def record(world: World, uuid: str, group: str = "g1") -> CallRecord | None:
    entry = world.replicator.tables[CALLS].get(record_key(group, uuid.encode()))
    return None if entry is None else unpack_call(body_of(entry.record))


def row(uuid: str, profile: str = "sip1", core_uuid: str = "core-1", **variables: str) -> Row:
    return Row(core_uuid, "sofia", profile, "me", uuid, call_xml(uuid, profile, "inbound", 1000, **variables))


def rows(*changes: Row) -> RowsChanged:
    return RowsChanged(tuple((each.uuid, each) for each in changes))


def happened(name: str, uuid: str, profile: str = "sip1", **headers: str) -> Happened:
    named = {key.replace("_", "-"): value for key, value in headers.items() if not key.startswith("variable")}
    named |= {key: value for key, value in headers.items() if key.startswith("variable")}
    channel = {"Event-Name": name, "Unique-ID": uuid, "Channel-Name": f"sofia/{profile}/100@192.0.2.1"}
    return Happened(SwitchEvent(channel | named))


def test_a_call_from_its_first_ring_to_its_end() -> None:
    world = holding()
    world.hear(
        happened("CHANNEL_CREATE", "a", Caller_Caller_ID_Number="100", Caller_Destination_Number="200")
    )
    ringing = record(world, "a")
    assert ringing is not None
    assert (ringing.state, ringing.caller, ringing.callee, ringing.metadata) == ("ringing", "100", "200", b"")
    world.hear(happened("CHANNEL_ANSWER", "a"))
    answered = record(world, "a")
    assert answered is not None
    assert (answered.state, answered.metadata) == ("answered", b"")
    world.hear(
        rows(row("a", signal_bond="b", bridge_to="b", limit_usage_outbound_carrier1="2", limit_usage="2"))
    )
    tracked = record(world, "a")
    assert tracked is not None
    assert (tracked.partner, tracked.limits, tracked.build) == ("b", ("outbound_carrier1",), BUILD)
    assert tracked.metadata
    world.hear(happened("CHANNEL_HANGUP_COMPLETE", "a"))
    assert record(world, "a") is None


def test_the_recorded_call_of_a_real_switch_becomes_and_ends() -> None:
    core_uuid = recorded("call-bridged.json")[0].get("Core-UUID")
    world = holding(VIP, core_uuid)
    seen: dict[str, set[str]] = {}
    for event in recorded("call-bridged.json"):
        world.hear(Happened(event))
        for uuid in world.records("vip"):
            found = record(world, uuid, "vip")
            assert found is not None
            seen.setdefault(uuid, set()).add(f"{found.direction} {found.state} {found.caller}>{found.callee}")
    assert seen == {
        "b253a4be-0900-4d8a-b672-143c40ab8e36": {"inbound ringing sipp>9123", "inbound answered sipp>9123"},
        "ae5abe5b-c8cb-47bc-b695-c0bdb5c8a783": {"outbound ringing sipp>123", "outbound answered sipp>123"},
    }
    assert world.records("vip") == set()


def test_the_recorded_rows_of_a_real_switch() -> None:
    recorded_rows = json.loads((CAPTURES / "recovery-rows-one-call.json").read_text())
    core_uuid = recorded_rows[0]["runtime_uuid"]
    world = holding(VIP, core_uuid)
    for each in recorded_rows:
        fields = (
            each["runtime_uuid"],
            each["technology"],
            each["profile_name"],
            each["hostname"],
            each["uuid"],
        )
        world.hear(rows(Row(*fields, each["metadata"].encode())))
    outbound, inbound = (record(world, each["uuid"], "vip") for each in recorded_rows)
    assert outbound is not None
    assert inbound is not None
    assert outbound.partner == recorded_rows[1]["uuid"]
    assert inbound.partner == recorded_rows[0]["uuid"]
    assert (inbound.caller, inbound.callee, inbound.started_s) == ("sipp", "9123", 1_795_459_010)
    assert (outbound.direction, inbound.direction, inbound.limits) == ("outbound", "inbound", ())
    assert inbound.answered_s == 1_795_459_010


def test_the_recorded_recovery_of_a_real_switch_is_seen() -> None:
    """Its CHANNEL_CREATE says recovered; nothing else ever answers again."""
    events = recorded("recover-on-B.json")
    created = {each.get("Unique-ID") for each in events if each.name == "CHANNEL_CREATE"}
    world = World(VIP)
    world.is_open = True
    world.switch.core_uuid = events[0].get("Core-UUID")
    world.hear(SwitchOpened(world.switch.core_uuid, BUILD, "me", False))
    world.claim_theirs("vip")
    first, second = sorted(created)
    world.give_calls(bridged(first, second, "vip1"), "vip")
    world.die()
    world.win("vip")
    world.settle(100)
    world.switch.rows.clear()
    world.open("vip")
    world.settle(300)
    for event in events[: len(events) // 2]:
        world.hear(Happened(event))
    world.settle()
    assert world.summary("vip")["recovered"] == 2
    assert not any("uuid_exists" in name for name in world.ran)


def test_a_row_of_a_profile_of_no_group_is_counted_and_left() -> None:
    world = holding()
    world.hear(rows(row("a", "own")))
    world.hear(happened("CHANNEL_CREATE", "b", "own"))
    assert world.calls.counts["row of a profile of no group"] == 1
    assert list(world.replicator.tables[CALLS].entries()) == []


def test_a_row_that_comes_after_the_hangup_brings_nothing_back() -> None:
    """Event and row log are two ways; the row log lags by up to 0.2 s."""
    world = holding()
    world.hear(happened("CHANNEL_CREATE", "a"))
    world.hear(happened("CHANNEL_HANGUP_COMPLETE", "a"))
    world.hear(rows(row("a")))
    assert record(world, "a") is None
    world.hear(happened("CHANNEL_DESTROY", "a"))
    world.hear(rows(row("a")))
    assert record(world, "a") is None
    world.hear(RowsChanged((("a", None),)))
    assert record(world, "a") is None


def test_a_deleted_row_alone_ends_a_record() -> None:
    world = holding()
    world.hear(rows(row("a")))
    world.hear(RowsChanged((("a", None),)))
    assert record(world, "a") is None


def test_all_rows_end_what_is_not_among_them_but_no_ringing_call() -> None:
    world = holding()
    world.hear(rows(row("a"), row("b")))
    world.hear(happened("CHANNEL_CREATE", "rings"))
    world.hear_all([row("a")])
    assert world.records("g1") == {"a", "rings"}


def test_a_row_that_another_life_wrote_in_place_of_ours_ends_a_record() -> None:
    world = holding()
    world.hear(rows(row("a"), row("b")))
    world.hear_all([row("a", core_uuid="core-0"), row("b")])
    assert world.records("g1") == {"b"}


def test_what_goes_after_all_were_listed_while_closed_is_noticed_too() -> None:
    world = holding()
    world.hear(rows(row("a"), row("b")))
    world.hear(SwitchClosed("connection reset"))
    world.hear_all([row("a"), row("b"), row("old", core_uuid="core-0")])
    world.hear_all([row("a"), row("b")])
    world.hear(RowsChanged((("b", None), ("c", row("c")))))
    world.hear(SwitchOpened("core-1", BUILD, "me", True))
    assert world.records("g1") == {"a", "c"}


def test_rows_of_another_life_are_no_calls_of_ours() -> None:
    world = holding()
    world.hear(rows(row("a", core_uuid="core-0")))
    assert record(world, "a") is None


def test_a_switch_that_dies_leaves_its_records() -> None:
    world = holding()
    world.hear(rows(row("a")))
    world.hear(happened("CHANNEL_CREATE", "rings"))
    world.hear(SwitchClosed("connection reset"))
    world.hear_all([])
    world.wait(5000)
    assert world.records("g1") == {"a", "rings"}


def test_a_switch_that_ends_its_calls_properly_takes_their_records_along() -> None:
    """`fsctl shutdown` hangs up: what it deletes while the socket is closed has ended."""
    world = holding()
    world.hear(rows(row("a"), row("b")))
    world.hear(SwitchClosed("shutdown"))
    world.hear(RowsChanged((("a", None),)))
    assert world.records("g1") == {"b"}


def test_what_ended_while_the_conversation_was_closed_is_noticed() -> None:
    world = holding()
    world.hear(rows(row("a"), row("b")))
    world.hear(SwitchClosed("connection reset"))
    world.hear_all([row("b")])
    assert world.records("g1") == {"a", "b"}
    world.hear(SwitchOpened("core-1", BUILD, "me", True))
    assert world.records("g1") == {"b"}


def test_rows_of_the_next_life_may_come_before_its_conversation() -> None:
    world = holding()
    world.hear(SwitchClosed("connection reset"))
    world.hear(rows(row("new", core_uuid="core-2")))
    world.hear(SwitchOpened("core-2", BUILD, "me", False))
    assert record(world, "new") is not None


@pytest.mark.parametrize("rows_first", [True, False])
def test_the_stream_is_whole_when_switch_and_rows_are_known(rows_first: bool) -> None:
    world = World()
    opened = SwitchOpened("core-1", BUILD, "me", False)
    if rows_first:
        assert StreamIsWhole(CALLS) not in world.hear_all([row("a")])
        assert StreamIsWhole(CALLS) in world.hear(opened)
    else:
        assert StreamIsWhole(CALLS) not in world.hear(opened)
        assert StreamIsWhole(CALLS) not in world.hear(rows(row("a")))
        assert StreamIsWhole(CALLS) in world.hear_all([row("a")])
    assert StreamIsWhole(CALLS) not in world.hear_all([])


def test_what_was_here_before_the_group_was_ours_is_told_when_it_is() -> None:
    """The streams take no record of a group that is not ours: after a restart of this process rows come first."""
    world = World()
    world.hear(SwitchOpened("core-1", BUILD, "me", False))
    world.hear_all([row("a")])
    world.hear(happened("CHANNEL_CREATE", "rings"))
    assert world.records("g1") == set()
    world.win("g1")
    assert world.records("g1") == {"a", "rings"}


def test_an_earlier_life_is_cleared_away_with_the_first_word_of_the_new_one() -> None:
    world = World()
    actions = world.hear(SwitchOpened("core-1", BUILD, "me", False))
    assert [each.core_uuid for each in actions if isinstance(each, DropForeignRows)] == ["core-1"]
    actions = world.hear(SwitchOpened("core-1", BUILD, "me", True))
    assert not any(isinstance(each, DropForeignRows) for each in actions)


def test_ringing_calls_that_were_there_before_us_are_asked_for() -> None:
    world = World()
    world.switch.begin("rings", "sip1", ringing=True)
    world.switch.begin("talks", "sip1")
    world.switch.events.clear()
    world.open_switch()
    world.win("g1")
    world.settle(300)
    ringing, talking = record(world, "rings"), record(world, "talks")
    assert ringing is not None
    assert ringing.state == "ringing"
    assert talking is not None
    assert talking.metadata


def test_lost_events_end_what_has_ended_but_not_by_the_list_alone() -> None:
    """The list is read from a database that lags; a session that it does not name is asked for by its uuid."""
    world = holding()
    for uuid in ("a", "gone"):
        world.switch.begin(uuid, "sip1", ringing=True)
    world.tell_events()
    world.switch.hang_up("gone")
    world.lose_events()
    listing = next(run for run, _ in world.jobs if "show channels" in run.command.name)
    world.jobs.clear()
    world.hear(Answered(listing.purpose, '{"row_count":0}'))
    assert world.records("g1") == {"a", "gone"}
    world.settle(300)
    assert world.records("g1") == {"a"}


@pytest.mark.parametrize(
    "text", ["-ERR", "", "[]", '{"rows":3}', '{"rows":[3,{"uuid":4},{"uuid":"x y"}]}', "[" * 9999]
)
def test_a_list_that_is_none_ends_nothing(text: str) -> None:
    world = holding()
    world.switch.begin("a", "sip1", ringing=True)
    world.tell_events()
    world.hear(EventsLost("some"))
    listing = next(run for run, _ in world.jobs if "show channels" in run.command.name)
    world.jobs.clear()
    world.hear(Answered(listing.purpose, text))
    world.settle(300)
    assert world.records("g1") == {"a"}


def test_limits_of_recovered_calls_are_counted_where_the_switch_does_not() -> None:
    world = World()
    world.open_switch()
    world.claim_theirs("g1")
    world.give_calls(bridged("a", "b", limit_usage_out_carrier="1"))
    lone = record_of("lone", limit_usage_out_carrier="1", limit_usage_in_total="1")
    world.give_calls({"lone": replace(lone, reruns=("out_carrier",))})
    world.die()
    world.settle(100)
    world.win("g1")
    everything = {"in_total": 1, "out_carrier": 2}
    assert world.calls.recovered_limits() == everything, "nobody counts them while they are not back"
    world.open("g1")
    world.settle(500)
    assert {uuid: each.is_recovered for uuid, each in world.switch.sessions.items()} == dict.fromkeys(
        "ab", True
    ) | {"lone": True}
    world.switch.begin("mine", "sip1", limit_usage_out_carrier="1")
    world.settle(500)
    # The twin's lone leg ran no `limit` again in its own row, so it is ours to count there.
    assert world.calls.recovered_limits()["out_carrier"] >= 2
    for uuid in ("a", "b", "lone"):
        world.switch.hang_up(uuid)
    world.settle(500)
    assert world.calls.recovered_limits() == {}


def test_calls_of_a_group_that_another_node_holds_end_here() -> None:
    """This process began after the group was lost; nobody told it."""
    world = World()
    world.switch.begin("a", "sip1")
    world.open_switch()
    world.settle(300)
    world.hear(PeersChanged(("n2",), (("g1", "n2"),)))
    world.settle(3000)
    assert set(world.switch.sessions) == {"a"}, "the news of our own winning it may be under way"
    world.settle(4000)
    assert not world.switch.sessions


def of_another(world: World) -> list[Tell]:
    return [each for each in world.told if each.code == "calls-of-another"]


def test_a_killed_switch_has_no_calls_of_another() -> None:
    """We remember its legs, for whoever takes them over; it has none."""
    world = holding()
    world.switch.begin("a", "sip1")
    world.settle(500)
    world.kill_switch()
    world.lose("g1")
    world.hear(PeersChanged(("n2",), (("g1", "n2"),)))
    world.settle(8000)
    assert of_another(world) == []
    world.open_switch()
    world.settle(8000)
    assert of_another(world) == []


def test_a_conversation_that_comes_back_shows_calls_of_another() -> None:
    world = World()
    world.switch.begin("a", "sip1")
    world.open_switch()
    world.settle(300)
    world.disconnect()
    world.hear(PeersChanged(("n2",), (("g1", "n2"),)))
    world.open_switch()
    world.settle(8000)
    assert len(of_another(world)) == 1
    assert not world.switch.sessions


def test_another_holder_of_a_group_that_is_ours_by_now_ends_nothing() -> None:
    world = World()
    world.switch.begin("a", "sip1")
    world.open_switch()
    world.settle(300)
    world.hear(PeersChanged(("n2",), (("g1", "n2"),)))
    world.win("g1")
    world.settle(8000)
    assert set(world.switch.sessions) == {"a"}


def test_metadata_that_is_too_large_is_left_out_and_counted() -> None:
    world = holding()
    noise = "".join(sha256(bytes([place % 256, place // 256])).hexdigest() for place in range(3000))
    world.hear(rows(row("a", noise=noise)))
    found = record(world, "a")
    assert found is not None
    assert found.metadata == b""
    assert world.calls.counts["metadata too large"] == 1


def test_no_key_material_is_told() -> None:
    secret = "inline:c2VjcmV0"
    world = World()
    world.open_switch()
    world.claim_theirs("g1")
    world.give_calls(
        {"a": record_of("a", srtp_remote_audio_crypto_key=secret), "b": record_of("b", build="other")}
    )
    world.die()
    world.win("g1")
    world.open("g1")
    world.settle()
    assert read_variables(world.loads[0].rows[0].metadata)["srtp_remote_audio_crypto_key"] == secret
    assert secret not in repr(world.told)
    assert secret not in repr(world.calls.lost())


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from(
                    ["CHANNEL_CREATE", "CHANNEL_ANSWER", "CHANNEL_HANGUP_COMPLETE", "CHANNEL_DESTROY", ""]
                ),
                st.text(max_size=5),
                st.dictionaries(
                    st.sampled_from(
                        [
                            "Channel-Name",
                            "variable_sofia_profile_name",
                            "variable_recovered",
                            "variable_signal_bond",
                            "Caller-Channel-Created-Time",
                            "Caller-Caller-ID-Number",
                        ]
                    ),
                    st.one_of(
                        st.text(max_size=9), st.sampled_from(["sip1", "true", "sofia/sip1/x", "9" * 30])
                    ),
                ),
            ),
            st.builds(
                Row, *(st.sampled_from(["core-1", "sofia", "sip1", "x"]) for _ in range(5)), st.binary()
            ),
        ),
        max_size=20,
    )
)
def test_no_event_and_no_row_of_a_switch_is_too_strange(
    heard: list[Row | tuple[str, str, dict[str, str]]],
) -> None:
    world = holding()
    for each in heard:
        if isinstance(each, Row):
            world.hear(rows(each))
        else:
            name, uuid, headers = each
            world.hear(Happened(SwitchEvent({"Event-Name": name, "Unique-ID": uuid, **headers})))
    world.settle(300)
    for uuid in world.records("g1"):
        assert record(world, uuid) is not None


def test_an_unknown_group_changes_nothing() -> None:
    world = holding()
    assert world.hear(GroupOpened("nobody", 1)) == []
    assert not [each for each in world.hear(rows()) if isinstance(each, ChangeRecords | Run)]
