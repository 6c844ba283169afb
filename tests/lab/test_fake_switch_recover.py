from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.fake_phones import CALLER, CARRIER, PROFILE, World, answer, only, request, statuses
from tests.switch.recorded import FOLDER
from zcluster.lab.fake_switch.dialog import first_cseq
from zcluster.lab.fake_switch.message import Message, Request, Response, parse, tag_of
from zcluster.lab.fake_switch.metadata import read_variables
from zcluster.lab.fake_switch.outputs import Now
from zcluster.lab.fake_switch.recovery import StoredRow, read_leg
from zcluster.lab.fake_switch.settings import ProfilePlan

RECOVER = f"sofia profile {PROFILE} recover"
Rows = list[tuple[str, ...]]


@pytest.fixture
def first(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def second(tmp_path: Path) -> World:
    return World(tmp_path, name="n2", seed=2, in_standby=True)


def invites(world: World) -> list[Request]:
    messages: list[Message] = [parse(each.data) for each in world.sent]
    return [each for each in messages if isinstance(each, Request) and each.method == "INVITE"]


def written(world: World) -> Rows:
    world.wait(300)
    return world.rows()


def with_cseq(rows: Rows, cseq: int) -> Rows:
    element = f"<sip_invite_cseq>{cseq}</sip_invite_cseq></variables>"
    return [(*row[:5], row[5].replace("</variables>", element)) for row in rows]


def test_a_row_for_each_answered_leg_comes_a_moment_late_and_goes_with_it(first: World) -> None:
    invited = only(first.hear(request("INVITE", "9000")), "INVITE")
    first.wait(500)
    assert first.rows() == []
    messages = first.hear(answer(invited, 200), CARRIER)
    first.wait(first.plan.row_lag_ms - 1)
    assert first.rows() == []
    first.wait(1)
    rows = first.rows()
    assert {row[1:4] for row in rows} == {("sofia", PROFILE, "n1")}
    assert {row[0] for row in rows} == {first.ask("global_getvar core_uuid")}
    ok = next(each for each in messages if isinstance(each, Response))
    first.hear(request("BYE", "9000", 2, tag_of(ok.get("To"))))
    first.wait(first.plan.row_lag_ms)
    assert first.rows() == []


def test_both_sides_of_a_call_are_invited_again_and_either_may_hang_up(first: World, second: World) -> None:
    ok, invited = first.call()
    second.put(written(first))
    assert second.ask(RECOVER) == "Recovered 2 session(s)\n"
    to_caller, to_carrier = sorted(invites(second), key=lambda each: each.call_id != ok.call_id)
    assert (to_caller.call_id, to_carrier.call_id) == (ok.call_id, invited.call_id)
    assert (tag_of(to_caller.get("From")), tag_of(to_caller.get("To"))) == (tag_of(ok.get("To")), "c1")
    assert (tag_of(to_carrier.get("From")), tag_of(to_carrier.get("To"))) == (
        tag_of(invited.get("From")),
        "s1",
    )
    assert {each.peer for each in second.sent} == {CALLER, CARRIER}
    assert to_caller.body == ok.body
    for again, peer in ((to_caller, CALLER), (to_carrier, CARRIER)):
        (ack,) = second.hear(answer(again, 200), peer)
        assert isinstance(ack, Request)
        assert (ack.method, ack.cseq[0]) == ("ACK", again.cseq[0])
    rows = written(second)
    assert {row[0] for row in rows} == {second.ask("global_getvar core_uuid")}
    assert len(rows) == 2
    assert [each.get("variable_recovered") for each in second.named("CHANNEL_CREATE")] == ["true", "true"]
    (bridge,) = second.named("CHANNEL_BRIDGE")
    assert bridge.get("Call-Direction") == "inbound"
    assert second.ask("show calls count") == "\n1 total.\n"
    messages = second.hear(request("BYE", "9000", 2, tag_of(ok.get("To"))))
    assert statuses(messages) == [200]
    assert only(messages, "BYE").call_id == invited.call_id
    assert written(second) == []


def test_a_recovered_call_can_be_recovered_again(first: World, second: World, tmp_path: Path) -> None:
    first.call()
    second.put(written(first))
    second.ask(RECOVER)
    for again in invites(second):
        second.hear(answer(again, 200), CALLER)
    third = World(tmp_path, name="n3", seed=3)
    third.put(written(second))
    assert third.ask(RECOVER) == "Recovered 2 session(s)\n"
    assert {each.call_id for each in invites(third)} == {each.call_id for each in invites(second)}


def test_without_help_the_cseq_is_the_clocks_and_may_be_no_higher(first: World, second: World) -> None:
    _, invited = first.call()
    second.put(written(first))
    second.ask(RECOVER)
    again = next(each for each in invites(second) if each.call_id == invited.call_id)
    assert again.cseq[0] == first_cseq(second.now.wall_s) == invited.cseq[0]


def test_the_cseq_that_is_put_in_counts_on_both_legs(first: World, second: World) -> None:
    first.call()
    second.put(with_cseq(written(first), 200_000_000))
    second.ask(RECOVER)
    assert [each.cseq[0] for each in invites(second)] == [200_000_001, 200_000_001]


def test_a_profile_takes_new_calls_from_recover_until_rescan(second: World) -> None:
    assert statuses(second.hear(request("OPTIONS", "9000", 1))) == [503]
    assert second.ask(RECOVER) == "No sessions to recover.\n"
    assert statuses(second.hear(request("OPTIONS", "9000", 2))) == [200]
    assert second.ask(f"sofia profile {PROFILE} rescan") == "Reload XML [Success]\n+OK scan complete\n"
    assert statuses(second.hear(request("OPTIONS", "9000", 3))) == [503]
    second.ask(f"sofia profile {PROFILE} recover flush")
    assert statuses(second.hear(request("OPTIONS", "9000", 4))) == [200]


def test_legs_come_one_after_another_and_the_answer_when_all_are_through(first: World, second: World) -> None:
    for number in ("9001", "9002", "9003"):
        first.call(number)
    second.put(written(first))
    outputs: list[str] = []
    second.switch.ask(RECOVER, outputs.append, second.now)
    counts = []
    for _ in range(6):
        second.wait(0)
        counts.append(len(invites(second)))
        assert not outputs
        second.wait(second.plan.leg_recovery_ms)
    assert counts == [1, 2, 3, 4, 5, 6]
    assert outputs == ["Recovered 6 session(s)\n"]


def test_profiles_recover_beside_each_other_and_only_their_own(first: World, second: World) -> None:
    first.call()
    rows = written(first)
    second.put([(*row[:2], "g2", *row[3:]) for row in rows])
    assert second.ask(RECOVER) == "No sessions to recover.\n"
    second.wait(200)
    assert len(second.rows()) == 2


def test_what_recover_cannot_use_is_deleted_all_the_same(first: World, second: World) -> None:
    first.call()
    rows = written(first)
    second.put([(*rows[0][:5], "<cdr>rubbish"), (*rows[1][:5], rows[1][5].replace("sip_full_to>", "x>"))])
    assert second.ask(RECOVER) == "No sessions to recover.\n"
    assert written(second) == []


def test_a_paused_switch_recovers_nothing_and_loses_the_rows(first: World, second: World) -> None:
    first.call()
    second.put(written(first))
    second.ask("fsctl pause")
    assert second.ask(RECOVER) == "No sessions to recover.\n"
    assert (written(second), invites(second)) == ([], [])


def test_a_uuid_that_lives_here_is_not_taken_twice(first: World) -> None:
    first.call()
    foreign = [("other-life", *row[1:]) for row in written(first)]
    first.put(foreign)
    legs = len(first.switch.state.calls.legs)
    assert first.ask(RECOVER) == "No sessions to recover.\n"
    assert len(first.switch.state.calls.legs) == legs


def test_own_rows_are_never_taken_but_those_of_an_earlier_life_are(first: World, tmp_path: Path) -> None:
    first.call()
    written(first)
    assert first.ask(RECOVER) == "No sessions to recover.\n"
    first.database.close()
    reborn = World(
        tmp_path, seed=9
    )  # the same file: `recovery` outlives the switch, channels and calls do not
    assert len(reborn.rows()) == 2
    assert reborn.ask("show channels count") == "\n0 total.\n"
    assert reborn.ask(RECOVER) == "Recovered 2 session(s)\n"


def test_a_leg_whose_other_side_does_not_know_it_any_more_ends_the_call(first: World, second: World) -> None:
    ok, _ = first.call()
    second.put(written(first))
    second.ask(RECOVER)
    again = next(each for each in invites(second) if each.call_id == ok.call_id)
    messages = second.hear(answer(again, 481), CALLER)
    assert only(messages, "ACK").branch == again.branch
    assert only(messages, "BYE").call_id != ok.call_id
    assert not second.switch.state.calls.legs


def test_recover_of_all_profiles_is_told_by_an_event(first: World, second: World) -> None:
    first.call()
    second.put(written(first))
    assert second.ask("sofia recover") == "Recovered 2 call(s)\n"
    second.wait(50)
    assert [each.get("recovered_calls") for each in second.named("sofia::recovery_recovered")] == ["2"]


def test_a_recovered_single_leg_lives_on(first: World, second: World) -> None:
    (_, ok) = first.hear(request("INVITE", "7000"))
    first.hear(request("ACK", "7000", tag=tag_of(ok.get("To"))))
    second.put(written(first))
    assert second.ask(RECOVER) == "Recovered 1 session(s)\n"
    second.hear(answer(invites(second)[0], 200))
    assert statuses(second.hear(request("BYE", "7000", 2, tag_of(ok.get("To"))))) == [200]


def test_the_record_of_a_real_call_is_taken(second: World) -> None:
    profile = ProfilePlan("vip1", "10.77.0.100")
    for row in json.loads((FOLDER / "recovery-rows-one-call.json").read_text()):
        stored = StoredRow(row["uuid"], row["metadata"])
        leg = read_leg(stored, lambda name: profile if name == "vip1" else None, second.now)
        assert leg is not None
        assert leg.dialog.peer == (("10.77.0.21", 5060) if leg.is_inbound else ("10.77.0.22", 5060))
        variables = read_variables(row["metadata"])
        assert variables is not None
        assert leg.dialog.call_id == variables["sip_call_id"]
        assert leg.partner in row["metadata"]


@given(st.text(max_size=300), st.integers(0, 9000))
def test_a_damaged_record_is_a_leg_or_none(text: str, at: int) -> None:
    (row, _) = json.loads((FOLDER / "recovery-rows-one-call.json").read_text())
    profile = ProfilePlan("vip1", "10.77.0.100")
    metadata = row["metadata"]
    for damaged in (text, metadata[:at] + text + metadata[at + len(text) :]):
        read_leg(StoredRow("u", damaged), lambda name: profile, Now(0, 0))


def test_triggers_of_others_are_carried_out_and_a_locked_database_is_tried_again(first: World) -> None:
    with sqlite3.connect(first.plan.core_db, isolation_level=None) as other:
        other.execute("create table seen (uuid text)")
        other.execute(
            "create trigger t after insert on recovery begin insert into seen values (new.uuid); end"
        )
        other.execute("begin immediate")
        first.call()
        first.wait(1000)
        assert other.execute("select count(*) from recovery").fetchone() == (0,)
        other.execute("commit")
        first.wait(200)
        assert other.execute("select count(*) from seen").fetchone() == (2,)
    other.close()
    assert first.database.failed_statements == 0


def test_the_rows_are_gone_when_recover_answers_so_that_the_next_batch_is_not(
    first: World, second: World
) -> None:
    first.call("9001")
    first.call("9002")
    rows = written(first)
    with sqlite3.connect(second.plan.core_db, isolation_level=None) as other:
        second.put(rows[:2])
        answers: list[str] = []
        other.execute("begin immediate")
        second.switch.ask(RECOVER, answers.append, second.now)
        second.wait(1000)
        assert answers == []  # somebody has the database: it is tried again, as the real one does
        other.execute("commit")
        second.wait(100)
        assert (answers, other.execute("select count(*) from recovery").fetchone()) == (
            ["Recovered 2 session(s)\n"],
            (0,),
        )
        second.put(rows[2:])
        assert second.ask(RECOVER) == "Recovered 2 session(s)\n"
    other.close()


def test_a_running_recover_holds_a_read_lock(first: World, second: World) -> None:
    for number in ("9001", "9002"):
        first.call(number)
    second.put(written(first))
    second.switch.ask(RECOVER, lambda _: None, second.now)
    second.wait(1)
    with sqlite3.connect(second.plan.core_db, timeout=0, isolation_level=None) as other:
        other.execute("begin immediate")
        other.execute("delete from recovery where uuid='none'")
        other.execute("insert into recovery values ('a','b','c','d','e','f')")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("commit")
        other.execute("rollback")
    other.close()
