from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.lab.fake_phones import CALLER, CARRIER, PROFILE, World, answer, only, request, statuses
from zcluster.lab.fake_switch.message import Request, Response, parse, tag_of
from zcluster.lab.fake_switch.outputs import Datagram
from zcluster.lab.fake_switch.transactions import GIVE_UP_MS, Answered, Resendings


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_call_goes_through_and_ends_from_the_callers_side(world: World) -> None:
    messages = world.hear(request("INVITE", "9000"))
    assert statuses(messages) == [100]
    invited = only(messages, "INVITE")
    assert invited.uri == f"sip:9000@{CARRIER[0]}:{CARRIER[1]}"
    assert statuses(world.hear(answer(invited, 180), CARRIER)) == [180]
    messages = world.hear(answer(invited, 200), CARRIER)
    assert only(messages, "ACK").cseq == (invited.cseq[0], "ACK")
    assert statuses(messages) == [200]
    ok = next(each for each in messages if isinstance(each, Response))
    tag = tag_of(ok.get("To"))
    assert world.hear(request("ACK", "9000", tag=tag)) == []
    messages = world.hear(request("BYE", "9000", 2, tag))
    assert statuses(messages) == [200]
    bye = only(messages, "BYE")
    assert (bye.call_id, bye.cseq) == (invited.call_id, (invited.cseq[0] + 1, "BYE"))
    assert tag_of(bye.get("To")) == "s1"
    world.hear(answer(bye, 200), CARRIER)
    assert world.wait(60_000) == []
    assert world.rows() == []


def test_the_callee_hangs_up(world: World) -> None:
    ok, invited = world.call()
    bye = request(
        "BYE",
        "x",
        1,
        tag_of(invited.get("From")),
        Call_ID=invited.call_id,
        From=f"{invited.get('To')};tag=s1",
    )
    messages = world.hear(bye, CARRIER)
    assert statuses(messages) == [200]
    ended = only(messages, "BYE")
    assert ended.call_id == ok.call_id
    assert tag_of(ended.get("From")) == tag_of(ok.get("To"))
    assert ended.uri == f"sip:caller1@{CALLER[0]}:{CALLER[1]}"


def test_a_caller_that_gives_up_is_answered_and_the_callee_cancelled(world: World) -> None:
    invited = only(world.hear(request("INVITE", "9000")), "INVITE")
    world.hear(answer(invited, 180), CARRIER)
    messages = world.hear(request("CANCEL", "9000"))
    assert statuses(messages) == [200, 487]
    cancel = only(messages, "CANCEL")
    assert (cancel.branch, cancel.uri, cancel.cseq[0]) == (invited.branch, invited.uri, invited.cseq[0])
    world.hear(answer(cancel, 200), CARRIER)
    messages = world.hear(answer(invited, 487), CARRIER)
    assert only(messages, "ACK").branch == invited.branch


@pytest.mark.parametrize(("status", "told"), [(486, 486), (404, 404), (500, 480), (603, 603)])
def test_a_callee_that_refuses_is_acknowledged_and_the_caller_told(
    world: World, status: int, told: int
) -> None:
    invited = only(world.hear(request("INVITE", "9000")), "INVITE")
    messages = world.hear(answer(invited, status), CARRIER)
    assert statuses(messages) == [told]
    assert only(messages, "ACK").branch == invited.branch
    assert not any(isinstance(each, Request) and each.method == "BYE" for each in messages)


def test_a_request_that_comes_again_gets_the_same_answer_and_makes_no_second_call(world: World) -> None:
    world.hear(request("INVITE", "9000"))
    assert statuses(world.hear(request("INVITE", "9000"))) == [100]
    assert len(world.switch.state.calls.legs) == 2


def test_an_invite_is_sent_again_until_something_is_heard_of_it(world: World) -> None:
    invited = only(world.hear(request("INVITE", "9000")), "INVITE")
    assert [parse(each.data) for each in world.sent if each.peer == CARRIER] == [invited]
    assert world.wait(1600) == [invited, invited]
    world.hear(answer(invited, 180), CARRIER)
    assert world.wait(5000) == []


def test_a_callee_that_never_answers_ends_the_call(world: World) -> None:
    world.hear(request("INVITE", "9000"))
    assert 504 in statuses(world.wait(GIVE_UP_MS + 1000))
    assert not world.switch.state.calls.legs


def test_an_answer_is_sent_again_until_it_is_acknowledged_and_its_ack_as_often_as_it_comes(
    world: World,
) -> None:
    invited = only(world.hear(request("INVITE", "9000")), "INVITE")
    messages = world.hear(answer(invited, 200), CARRIER)
    ok = next(each for each in messages if isinstance(each, Response))
    assert world.wait(600) == [ok]
    assert [
        each.method for each in world.hear(answer(invited, 200), CARRIER) if isinstance(each, Request)
    ] == ["ACK"]
    world.hear(request("ACK", "9000", tag=tag_of(ok.get("To"))))
    assert world.wait(20_000) == []


def test_a_telephone_may_invite_again_inside_its_call(world: World) -> None:
    ok, _ = world.call()
    tag = tag_of(ok.get("To"))
    assert statuses(world.hear(request("INVITE", "9000", 2, tag))) == [200]
    assert len(world.switch.state.calls.legs) == 2
    world.hear(request("ACK", "9000", 2, tag))
    assert statuses(world.hear(request("INVITE", "9000", 2, tag, Via="SIP/2.0/UDP h;branch=z9other"))) == [
        500
    ]


def test_in_standby_nothing_new_is_taken_and_what_stands_goes_on(world: World) -> None:
    ok, _ = world.call()
    assert world.ask(f"sofia profile {PROFILE} rescan") == "Reload XML [Success]\n+OK scan complete\n"
    world.switch.state.profiles[PROFILE].is_in_standby = True
    for method in ("INVITE", "OPTIONS", "REGISTER"):
        (refused,) = world.hear(request(method, "9001"))
        assert isinstance(refused, Response)
        assert (refused.status, refused.reason) == (503, "System Paused")
    assert 200 in statuses(world.hear(request("BYE", "9000", 2, tag_of(ok.get("To")))))


def test_a_paused_switch_refuses_calls_but_not_options(world: World) -> None:
    world.ask("fsctl pause")
    (refused,) = world.hear(request("INVITE", "9000"))
    assert isinstance(refused, Response)
    assert (refused.status, refused.reason, refused.get("Retry-After")) == (
        503,
        "Maximum Calls In Progress",
        "300",
    )
    assert statuses(world.hear(request("OPTIONS", "9000"))) == [200]
    world.ask("fsctl resume")
    assert statuses(world.hear(request("INVITE", "9001"))) == [100]


def test_some_numbers_are_answered_here_and_unknown_telephones_are_not(world: World) -> None:
    assert statuses(world.hear(request("INVITE", "7000"))) == [100, 200]
    assert statuses(world.hear(request("INVITE", "1000"))) == [100, 480]


def test_a_request_outside_every_dialog_is_refused(world: World) -> None:
    assert statuses(world.hear(request("BYE", "9000", 2, "nobody"))) == [481]
    assert statuses(world.hear(request("PUBLISH", "9000"))) == [501]
    assert world.hear(request("ACK", "9000", 1, "nobody")) == []
    assert world.hear(b"\r\n\r\n") == []
    assert world.switch.refused_datagrams == 1


def test_a_limit_refuses_what_is_too_much_and_forgets_who_is_gone(world: World) -> None:
    first = [world.hear(request("INVITE", number)) for number in ("8001", "8002")]
    assert [statuses(messages) for messages in first] == [[100], [100]]
    assert statuses(world.hear(request("INVITE", "8003"))) == [100, 503]
    assert world.ask("hash_dump limit") == "L/laboratory_trunk/2/0/0/0\n"
    world.hear(request("CANCEL", "8001"))
    assert world.ask("hash_dump limit") == "L/laboratory_trunk/1/0/0/0\n"
    assert statuses(world.hear(request("INVITE", "8004"))) == [100]


def test_what_the_remote_counts_is_counted_too_until_it_is_gone(world: World) -> None:
    limits = world.switch.state.limits
    limits.hear_remote("L/laboratory_trunk/2/0/0/0\nL/other/1/0/0/0\n")
    assert statuses(world.hear(request("INVITE", "8001"))) == [100, 503]
    limits.hear_remote("")  # as the real one, which reads nothing from an empty answer
    assert statuses(world.hear(request("INVITE", "8002"))) == [100, 503]
    limits.hear_remote("# none\n")
    assert statuses(world.hear(request("INVITE", "8003"))) == [100]
    limits.hear_remote("L/laboratory_trunk/9/0/0/0\n")
    limits.lose_remote()
    assert statuses(world.hear(request("INVITE", "8004"))) == [100]


def test_a_limit_of_ones_own_name(world: World) -> None:
    assert statuses(world.hear(request("INVITE", "limited-gate-1"))) == [100]
    assert statuses(world.hear(request("INVITE", "limited-gate-0"))) == [100, 503]


@pytest.mark.parametrize(
    "kill",
    [
        lambda world, uuid: world.ask(f"uuid_kill {uuid}"),
        lambda world, uuid: world.ask("hupall"),
        lambda world, uuid: world.ask(f"hupall NORMAL_CLEARING sofia_profile_name {PROFILE}"),
        lambda world, uuid: world.ask(f"sofia profile {PROFILE} stop"),
    ],
)
def test_an_operator_ends_calls_on_both_sides(world: World, kill: Callable[[World, str], str]) -> None:
    world.call()
    before = len(world.sent)
    kill(world, next(iter(world.switch.state.calls.legs)))
    sent = [parse(each.data) for each in world.sent[before:]]
    assert [each.method for each in sent if isinstance(each, Request)] == ["BYE", "BYE"]
    assert not world.switch.state.calls.legs


def test_what_the_kernel_refuses_to_send_is_not_sent_later(world: World) -> None:
    world.call()
    before = len(world.sent)
    world.ask("hupall")
    for each in world.sent[before:]:
        assert world.switch.undeliverable(each, world.now) == []
    assert world.wait(60_000) == []


def test_an_invite_that_the_kernel_refuses_to_send_ends_its_call(world: World) -> None:
    world.hear(request("INVITE", "9000"))
    refused = next(each for each in world.sent if each.peer == CARRIER)
    again = [parse(each.data) for each in world.switch.undeliverable(refused, world.now)]
    assert 504 in statuses(again)
    assert not world.switch.state.calls.legs


def test_the_resendings_grow_and_end() -> None:
    resendings = Resendings()
    datagram = world_free_datagram()
    resendings.add("one", datagram, 0, is_invite=False)
    times = []
    lost: list[str] = []
    while (due_ms := resendings.deadline()) is not None:
        again, gone = resendings.advance(due_ms)
        times += [due_ms] * len(again)
        lost += gone
    assert times[:5] == [500, 1500, 3500, 7500, 11_500]
    assert (lost, due_ms) == (["one"], None)
    assert max(times) < GIVE_UP_MS


def test_the_answers_that_are_remembered_are_bounded() -> None:
    answered = Answered(most=2)
    for branch in ("a", "b", "c"):
        answered.keep(branch, "INVITE", world_free_datagram())
    assert [answered.get(branch, "INVITE") is None for branch in "abc"] == [True, False, False]


def world_free_datagram() -> Datagram:
    return Datagram(PROFILE, CARRIER, b"")


MESSAGES = st.sampled_from(
    [
        request("INVITE", "9000"),
        request("INVITE", "limited-x-1", 3, "t"),
        request("REGISTER", "1000", Expires="60"),
        request("CANCEL", "9000"),
        request("BYE", "9000", 2, "t"),
        request("OPTIONS", "9000"),
    ]
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(60)
)
@given(st.lists(st.tuples(MESSAGES, st.integers(0, 700), st.binary(max_size=8)), max_size=8))
def test_no_telephone_can_break_it(tmp_path: Path, damaged: list[tuple[bytes, int, bytes]]) -> None:
    world = World(tmp_path)
    invited = world.call("9009")[1]
    for message, at, junk in damaged:
        for each in (message, answer(invited, 200), answer(invited, 486)):
            world.hear(each[:at] + junk + each[at + len(junk) :])
        world.wait(700)
    assert world.ask("uptime").strip().isdigit()
    world.ask("hupall")
    assert not world.switch.state.calls.legs
    world.database.close()


def test_a_contact_that_is_a_name_is_not_looked_up(world: World) -> None:
    assert world.hear(request("REGISTER", "1000", Contact="<sip:1000@phone.example.com>")) != []
    world.hear(request("INVITE", "1000"))
    assert world.switch.refused_datagrams == 1
    assert not world.switch.state.calls.legs
