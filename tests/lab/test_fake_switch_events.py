"""The events and the answers of the fake switch beside those of the real one (tests/switch/captures)."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

from tests.lab.fake_phones import PROFILE, World, only, request
from tests.switch.recorded import FOLDER, blocks, received, sent
from zcluster.lab.fake_switch.metadata import read_variables
from zcluster.switch.esl import EslReader
from zcluster.switch.frames import Event

# Of these the real switch sends one or the other by what happened in a call.
CHANNEL_EVENTS = (
    "CHANNEL_CREATE",
    "CHANNEL_PROGRESS",
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_HANGUP",
    "CHANNEL_HANGUP_COMPLETE",
    "CHANNEL_DESTROY",
)
# A telephone's own port, codec or display name decides whether these are there.
DEPENDS = re.compile(r"variable_(sip_(from|to|req|contact)_(port|params)|limit_.*)")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@cache
def real(capture: str) -> tuple[Event, ...]:
    return tuple(each for each in EslReader().feed(received(capture)) if isinstance(each, Event))


def of_leg(events: tuple[Event, ...] | list[Event], name: str, direction: str) -> Event:
    return next(each for each in events if each.name == name and each.get("Call-Direction") == direction)


def fixed(event: Event) -> list[str]:
    return [name for name in event.headers if not name.startswith("variable_")]


def variables(event: Event) -> set[str]:
    return {name for name in event.headers if name.startswith("variable_") and not DEPENDS.fullmatch(name)}


@pytest.fixture
def told(world: World) -> World:
    ok, _ = world.call()
    world.wait(500)
    world.hear(request("BYE", "9000", 2, ok.get("To").partition("tag=")[2]))
    world.wait(500)
    return world


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
@pytest.mark.parametrize("name", CHANNEL_EVENTS)
def test_an_event_of_a_leg_has_the_real_ones_headers(told: World, name: str, direction: str) -> None:
    if (name, direction) in {("CHANNEL_BRIDGE", "outbound"), ("CHANNEL_UNBRIDGE", "outbound")}:
        assert not [each for each in told.named(name) if each.get("Call-Direction") == direction]
        return
    ours, theirs = of_leg(told.events, name, direction), of_leg(real("call-bridged.json"), name, direction)
    assert fixed(ours)[:20] == fixed(theirs)[:20]
    lacking = set(fixed(theirs)) - set(fixed(ours))
    # Nobody's code reads the other leg's headers but for its identity; a leg that has gone is told no more.
    assert {each for each in lacking if not each.startswith("Other-")} == set()
    everything_seen = {name for each in real("call-bridged.json") for name in variables(each)}
    assert variables(ours) <= everything_seen


def test_the_events_of_a_call_come_in_the_real_order(told: World) -> None:
    def order(events: tuple[Event, ...] | list[Event]) -> list[tuple[str, str]]:
        wanted = {"CHANNEL_CREATE", "CHANNEL_ANSWER", "CHANNEL_BRIDGE", "CHANNEL_HANGUP"}
        return [(each.name, each.get("Call-Direction")) for each in events if each.name in wanted]

    assert order(told.events) == order(real("call-bridged.json"))
    assert [int(each.get("Event-Sequence")) for each in told.events] == list(range(1, len(told.events) + 1))


@pytest.mark.parametrize(
    ("subclass", "capture"),
    [
        ("sofia::register", "register.json"),
        ("sofia::unregister", "unregister.json"),
        ("sofia::expire", "expire-flush.json"),
        ("limit::usage", "limit.json"),
    ],
)
def test_an_event_of_a_module_has_the_real_ones_headers_in_order(
    world: World, subclass: str, capture: str
) -> None:
    world.hear(request("REGISTER", "1000", 1, Expires="60", User_Agent="phone"))
    world.hear(request("REGISTER", "1000", 2, Expires="0"))
    world.hear(request("REGISTER", "1001", 1, Expires="60"))
    world.ask(f"sofia profile {PROFILE} flush_inbound_reg")
    world.hear(request("INVITE", "8001"))
    world.wait(100)
    theirs = next(each for each in real(capture) if each.subclass == subclass)
    assert list(world.named(subclass)[0].headers) == list(theirs.headers)


def test_a_pulse_comes_back_unless_the_event_thread_stands_still(world: World) -> None:
    pulse = Event({"Event-Name": "CUSTOM", "Event-Subclass": "zcluster::probe", "zc-pulse": "1"})
    world.switch.send_event(pulse, world.now)
    world.wait(20)
    (back,) = world.named("zcluster::probe")
    theirs = next(each for each in real("sendevent-loopback.json") if each.get("zc-seq") == "1")
    ours = [name for name in back.headers if not name.startswith("zc-")]
    assert ours == [name for name in theirs.headers if not name.startswith("zc-")]
    world.switch.state.events.stands_still = True
    world.switch.send_event(pulse, world.now)
    world.wait(5000)
    assert len(world.named("zcluster::probe")) == 1
    assert world.ask("status").startswith("UP ")
    world.switch.state.events.stands_still = False
    world.wait(20)
    assert len(world.named("zcluster::probe")) == 2


def test_a_job_is_told_by_an_event_with_the_real_ones_headers(world: World) -> None:
    world.switch.finish_job("job-1", "sofia status", "text", world.now)
    world.wait(20)
    (ours,) = world.named("BACKGROUND_JOB")
    theirs = next(each for each in real("bgapi.plain") if each.get("Job-Command-Arg"))
    assert list(ours.headers) == list(theirs.headers)
    assert ours.body == "text"


def answers(capture: str) -> dict[str, str]:
    """What the real switch printed, by command."""
    asked = [each.data.decode().strip() for each in sent(capture)]
    commands = [line.removeprefix("api ") for line in asked if line.startswith("api ")]
    printed = [each.body.decode() for each in blocks(received(capture)) if b"api/response" in each.head]
    return dict(zip(commands, printed, strict=True))


@pytest.mark.parametrize(
    "command",
    [
        "fsctl pause",
        "fsctl resume",
        "fsctl sps",
        "fsctl last_sps",
        "fsctl max_sessions",
        "fsctl ready_check",
        "fsctl shutdown_check",
        "sofia recover",
        "sofia profile nosuch recover",
        "sofia profile nosuch start",
        "sofia status profile nosuch",
        "global_setvar zc_test=1",
        "module_exists mod_sofia",
    ],
)
def test_an_answer_is_the_real_ones_to_the_byte(world: World, command: str) -> None:
    assert world.ask(command) == answers("api-control")[command]


@pytest.mark.parametrize(
    ("capture", "command"),
    [
        ("proto-misc", "nosuchcmd"),
        ("proto-misc", "version"),
        ("api-limit", "hash_dump limit"),
        ("api-one-bridged-call", "show calls count"),
        ("api-one-bridged-call", "show channels count"),
    ],
)
def test_an_answer_about_calls_is_the_real_ones(world: World, capture: str, command: str) -> None:
    world.call("9000")
    if capture == "api-limit":
        for number in ("limited-carrier1-2", "limited-carrier1-2"):
            world.hear(
                request(
                    "INVITE",
                    number,
                    Call_ID=f"{number}{len(world.sent)}",
                    Via=f"SIP/2.0/UDP h;branch=z9{len(world.sent)}",
                )
            )
    world.wait(500)
    expected = answers(capture)[command].replace("outbound_carrier1", "laboratory_carrier1")
    assert world.ask(command) == expected


@pytest.mark.parametrize("command", ["show channels as json", "show calls as json"])
def test_a_listing_has_the_real_ones_columns(world: World, command: str) -> None:
    assert world.ask(command) == '{"row_count": 0}'
    world.call()
    world.wait(500)
    ours, theirs = json.loads(world.ask(command)), json.loads(answers("api-one-bridged-call")[command])
    assert ours["row_count"] == theirs["row_count"]
    assert [list(row) for row in ours["rows"]] == [list(row) for row in theirs["rows"]]
    assert [row["direction"] for row in ours["rows"]] == [row["direction"] for row in theirs["rows"]]
    assert [row["callstate"] for row in ours["rows"]] == [row["callstate"] for row in theirs["rows"]]


@pytest.mark.parametrize(
    "command", ["sofia status", "sofia xmlstatus", "sofia status profile {}", "sofia xmlstatus profile {}"]
)
def test_the_state_of_profiles_is_printed_as_the_real_one_does(world: World, command: str) -> None:
    world.hear(request("REGISTER", "1000", 1, Expires="3600"))
    theirs = answers("api-registered")[command.format("vip1")]
    for name, ours in (
        ("own", "g2"),
        ("vip1", PROFILE),
        ("10.77.0.100", "10.77.9.101"),
        ("10.77.0.11:5070", "10.77.9.102:5060"),
    ):
        theirs = theirs.replace(name.rjust(25), ours.rjust(25)).replace(name, ours)
    theirs = re.sub(r"\t *(sip:mod_sofia@\S+)\tRUNNING", lambda found: f"\t{found[1]:>42}\tRUNNING", theirs)
    assert sorted(world.ask(command.format(PROFILE)).splitlines()) == sorted(theirs.splitlines())


@pytest.mark.parametrize("command", ["sofia status profile {} reg", "sofia xmlstatus profile {} reg"])
def test_registrations_are_printed_as_the_real_one_does(world: World, command: str) -> None:
    contact = "<sip:1000@10.77.0.21:5062>"
    world.hear(
        request(
            "REGISTER",
            "1000",
            Expires="3600",
            Contact=contact,
            User_Agent="sipp-phone",
            Call_ID="reg-1000@10.77.0.21",
            To="<sip:1000@lab.test>",
        ),
        ("10.77.0.21", 5072),
    )
    theirs = answers("api-registered")[command.format("vip1")].replace("fsA", "n1")
    when = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\(36\d\d\)")
    assert when.sub("T", world.ask(command.format(PROFILE))) == when.sub("T", theirs)
    assert world.ask("sofia_contact 1000@lab.test") == f"sofia/{PROFILE}/sip:1000@10.77.0.21:5062"
    assert (
        world.ask("sofia_contact 1009@lab.test") == answers("api-registered")["sofia_contact 1009@lab.test"]
    )
    assert world.ask(f"sofia_count_reg {PROFILE}/1000@lab.test") == "1"


def inject(world: World, capture: str = "registration-inject", **changed: str) -> None:
    """The multicast::event that was captured, with our profile."""
    text = next(each.data for each in sent(capture) if each.data.startswith(b"sendevent")).decode()
    headers = dict(line.split(": ", 1) for line in text.strip().split("\n")[1:])
    headers = {name.lower(): value for name, value in headers.items()} | {
        "orig-profile-name": PROFILE,
        **changed,
    }
    subclass = headers.pop("event-subclass")
    world.switch.send_event(Event({"Event-Name": "CUSTOM", "Event-Subclass": subclass, **headers}), world.now)
    world.wait(50)


def test_an_injected_registration_can_be_called_and_is_told_to_nobody(world: World) -> None:
    inject(world)
    assert "Registered(unknown)" in world.ask(f"sofia status profile {PROFILE} reg")
    assert "MWI-Account:\t1000@\n" in world.ask(f"sofia status profile {PROFILE} reg")
    assert world.ask("show registrations as json") == '{"row_count": 0}'
    assert not world.named("sofia::register")
    invited = only(world.hear(request("INVITE", "1000")), "INVITE")
    assert invited.uri == "sip:1000@10.77.0.22:5060"
    assert world.sent[-1].peer == ("10.77.0.22", 5060)
    inject(world, **{"orig-event-subclass": "sofia::unregister"})
    assert world.ask("sofia_contact 1000@lab.test") == "error/user_not_registered"
    assert not world.named("sofia::unregister")


def test_an_injected_registration_ends_in_its_time_by_an_event_unless_in_standby(world: World) -> None:
    inject(world, **{"orig-expires": "60"})
    world.switch.state.profiles[PROFILE].is_in_standby = True
    world.wait(70_000)
    assert not world.named("sofia::expire")
    world.switch.state.profiles[PROFILE].is_in_standby = False
    world.wait(2000)
    assert [each.get("user") for each in world.named("sofia::expire")] == ["1000"]


def test_a_contact_with_a_path_is_reached_by_that_path(world: World) -> None:
    inject(world, **{"orig-contact": '"" <sip:1000@192.168.1.9:5060;fs_path=sip%3A10.77.9.102%3A5060>'})
    invited = only(world.hear(request("INVITE", "1000")), "INVITE")
    assert (invited.uri, world.sent[-1].peer) == ("sip:1000@192.168.1.9:5060", ("10.77.9.102", 5060))


def test_a_telephone_of_another_node_is_rung_by_way_of_the_holder_who_looks_it_up(world: World) -> None:
    inject(
        world, **{"orig-contact": '"zcluster copy" <sip:1000@lab.test;fs_path=sip%3A10.77.9.102%3A5060;lr>'}
    )
    world.hear(request("REGISTER", "1000"), ("10.77.0.22", 5060), "g2")
    invited = only(world.hear(request("INVITE", "1000")), "INVITE")
    assert world.sent[-1].peer == ("10.77.9.102", 5060)
    arrived = only(world.hear(world.sent[-1].data, ("10.77.9.101", 5060), "g2"), "INVITE")
    assert invited.uri.startswith("sip:1000@lab.test")
    assert arrived.uri == "sip:caller1@10.77.9.250:5071", "what it registered there"
    assert world.sent[-1].peer == ("10.77.9.250", 5071)


def test_a_refresh_is_the_same_event_and_one_entry(world: World) -> None:
    world.hear(request("REGISTER", "1000", 1, Expires="60"))
    world.wait(30_000)
    world.hear(request("REGISTER", "1000", 2, Expires="60"))
    world.wait(91_000)
    assert len(world.named("sofia::register")) == 2
    assert not world.named("sofia::expire")
    world.wait(31_000)  # a minute, and the margin of another one
    assert len(world.named("sofia::expire")) == 1


def test_the_record_of_a_leg_has_the_variables_of_a_real_one(world: World) -> None:
    world.call()
    world.wait(500)
    ours = {row[5].count("<direction>inbound") > 0: read_variables(row[5]) for row in world.rows()}
    for row in json.loads((FOLDER / "recovery-rows-one-call.json").read_text()):
        theirs = read_variables(row["metadata"])
        mine = ours[theirs is not None and theirs["direction"] == "inbound"]
        assert theirs is not None
        assert mine is not None
        needed = {
            name
            for name in theirs
            if name.startswith(("sip_", "recovery_", "sofia_", "rtp_local", "local_media"))
        }
        assert needed - set(mine) - {"sip_recover_via", "sip_full_via"} == set()
