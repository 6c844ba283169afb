"""Where the records and the rows of a switch part: what was not heard, what a switch lost, what comes late.

One node of the world at a time, its switch a literal twin of mod_sofia; the events that a test keeps from the node are
those that got lost.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.telephony.registrations_world import DOMAIN, MARK, SETTLED_MS, STEP_MS, Node, Phone, World
from tests.telephony.sofia_twin import Row
from zcluster.streams.actions import Replicated
from zcluster.streams.units import BUCKETS, REGISTRATIONS, StreamId
from zcluster.telephony.events import EventsLost
from zcluster.telephony.registration_audit import COMPARE_TURN_MS
from zcluster.telephony.registration_record import Binding, Place, Registration, key_of, pack, unpack
from zcluster.telephony.registration_stale import STALE_MS

ALICE = Phone("alice", "g0", 1, True)
BOB = Phone("bob", "g0", 2, True)
# Its copies are its own contact: a call to them is one to it.
OPEN = Phone("alice", "g0", 1, False)
# Every bucket of records was compared with a listing: one in each step of the world.
COMPARED_MS = BUCKETS * max(STEP_MS, COMPARE_TURN_MS) + SETTLED_MS


def rows(node: Node, group: str = "g0") -> list[Row]:
    """What its switch has of a group's own phones."""
    return [row for row in node.switch.profiles[f"p{group}"].rows if not row.call_id.startswith("zcluster:")]


def known(node: Node) -> list[str]:
    """The Call-IDs in its records."""
    records = node.view.records.values()
    return sorted(each.call_id for record in records for each in unpack(record[len(MARK) :]).bindings)


def leave_unheard(world: World, phone: Phone) -> None:
    """The phone goes, and nobody hears the switch say so."""
    switch = world.holders[phone.group].switch
    switch.unregister(f"p{phone.group}", phone.user, DOMAIN, world.bindings.pop(phone))
    switch.fired.clear()


@pytest.mark.parametrize("others", [[], [BOB]], ids=["the last one", "one of two"])
@pytest.mark.parametrize("how", ["reconnect", "events lost"])
@pytest.mark.parametrize("was_away", [False, True])
def test_who_left_unheard_is_found_missing_in_the_listing(
    others: list[Phone], how: str, was_away: bool
) -> None:
    world = World(2, 2)
    node = world.nodes["n0"]
    for phone in (ALICE, *others):
        world.register(phone, True)
    for name in ("n1", "n0") if was_away else ():
        world.settle()
        world.move("g0", name)
    world.settle()
    leave_unheard(world, ALICE)
    if how == "reconnect":
        world.connect(node, is_same_life=True)
    else:
        world.tell(node, EventsLost("1 event"))
    world.settle(COMPARED_MS)
    assert known(node) == [world.bindings[phone] for phone in others]


@pytest.mark.parametrize("is_multiple", [True, False])
def test_a_switch_that_lost_its_registrations_gets_them_back(is_multiple: bool) -> None:
    world = World(2, 2, is_multiple)
    node = world.nodes["n0"]
    world.register(ALICE, True)
    world.register(BOB, True)
    world.disconnect(node)
    node.switch.restart()
    for profile in node.switch.profiles.values():
        profile.is_standby = profile.name != "pg0"
    (lost,) = [row for row in rows(node) if row.user == "alice"]
    node.switch.profiles["pg0"].rows.remove(lost)
    world.connect(node, is_same_life=False)
    world.settle()
    assert {row.user: row.has_sub_host for row in rows(node)} == {"alice": False, "bob": True}
    assert world.reached(world.nodes["n1"], "alice") == [ALICE.ip]


def test_a_first_conversation_puts_nothing_back() -> None:
    """A daemon that starts beside a working switch: who is not there has left meanwhile."""
    world = World(2, 2)
    node = world.nodes["n0"]
    record = pack(Registration((node_binding(world, ALICE),)))
    node.view.records[key_of(Place("g0", "pg0", "alice", DOMAIN))] = MARK + record
    assert not rows(node)
    world.settle(COMPARED_MS)
    assert not rows(node)


def node_binding(world: World, phone: Phone) -> Binding:
    """What n0 would write of this phone."""
    world.register(phone, True)
    node = world.holders[phone.group]
    (binding,) = (
        each for record in node.view.records.values() for each in unpack(record[len(MARK) :]).bindings
    )
    leave_unheard(world, phone)
    return binding


@pytest.mark.parametrize("is_gone", [True, False], ids=["the user is gone", "one phone of two is gone"])
def test_a_late_word_of_the_former_holder_leaves_no_row(is_gone: bool) -> None:
    world = World(2, 2)
    world.register(ALICE, True)
    if not is_gone:
        world.register(replace(ALICE, number=9), True)
    world.settle()
    world.move("g0", "n1")
    world.settle()
    node = world.nodes["n1"]
    key = key_of(Place("g0", "pg0", "alice", DOMAIN))
    left = unpack(node.view.records[key][len(MARK) :]).without({world.bindings[ALICE]})
    # The streams merge what the old holder still said, and hand it on.
    record = MARK + pack(left) if left.bindings else None
    world.apply(node, StreamId("n1", 1, REGISTRATIONS), key, record)
    assert len(rows(node)) == (1 if is_gone else 2)
    world.tell(node, Replicated(StreamId("n0", 1, REGISTRATIONS), (key, record)))
    world.settle()
    assert [row.network_ip for row in rows(node)] == ([] if is_gone else ["10.9.0.9"])


def test_the_retreat_of_the_former_holder_asks_nothing() -> None:
    world = World(2, 2)
    world.register(ALICE, True)
    world.settle()
    world.move("g0", "n1")
    world.settle()
    node = world.nodes["n1"]
    orders = node.orders
    (key,) = node.view.records
    world.tell(node, Replicated(StreamId("n0", 1, REGISTRATIONS), (key, None)))
    world.settle()
    assert len(rows(node)) == 1
    assert node.orders == orders


def test_a_phone_that_came_first_keeps_the_row_that_it_made() -> None:
    """A group comes back to us; one phone refreshed here before all records were gone through."""
    world = World(2, 2)
    world.register(ALICE, True)
    world.register(BOB, True)
    world.settle()
    world.move("g0", "n1")
    world.settle()
    node = world.nodes["n0"]
    world.move("g0", "n0")
    world.register(ALICE, False)
    world.settle()
    assert {row.user: row.status for row in rows(node)} == {
        "alice": "Registered(UDP-NAT)",
        "bob": "Registered",
    }


def test_where_a_user_has_one_row_a_second_phone_ends_the_first_at_once() -> None:
    """Without a question to the switch, which may be dead before it answers."""
    world = World(2, 2, is_multiple=False)
    world.register(ALICE, True)
    orders = world.nodes["n0"].orders
    other = replace(ALICE, number=9)
    world.register(other, True)
    assert known(world.nodes["n0"]) == [world.bindings[other]]
    assert world.nodes["n0"].orders == orders


def test_a_copy_of_another_groups_phone_is_not_rung_by_way_of_the_holder() -> None:
    """Else a user with a phone behind NAT here and an open one there would have the open one rung twice."""
    world = World(2, 2)
    world.register(ALICE, True)
    world.register(Phone("alice", "g1", 4, False), True)
    world.settle()
    for node in world.nodes.values():
        assert world.reached(node, "alice") == ["10.9.0.1", "10.9.0.4"]


@pytest.mark.parametrize("is_multiple", [True, False])
def test_who_unregisters_right_after_a_takeover_leaves_no_copy(is_multiple: bool) -> None:
    """The copy at the adopter is taken out with its record, which is gone before the walk comes to it."""
    world = World(2, 3, is_multiple)
    phone = Phone("bob", "g1", 4, False)
    world.register(phone, True)
    world.restart(world.nodes["n1"])
    world.unregister(phone)
    world.settle()
    assert world.reached(world.nodes["n0"], "bob") == []


def test_a_second_copy_is_not_forgotten_by_a_new_conversation() -> None:
    """One of two bindings ends, and the order to take its copy out is lost with the conversation."""
    world = World(2, 2)
    phone = Phone("alice", "g0", 1, False)
    world.register(phone, True)
    world.register(phone, True)
    world.settle()
    world.unregister(phone)
    world.connect(world.nodes["n1"], is_same_life=True)
    world.settle()
    assert world.reached(world.nodes["n1"], "alice") == world.registered("alice")


@pytest.mark.parametrize("is_multiple", [True, False])
@pytest.mark.parametrize("is_new_process", [True, False])
def test_a_copy_goes_whose_record_ended_while_nobody_could_order_it_out(
    is_multiple: bool, is_new_process: bool
) -> None:
    world = World(2, 2, is_multiple)
    node = world.nodes["n1"]
    for phone in (OPEN, BOB):
        world.register(phone, True)
    world.settle()
    assert world.reached(node, "alice") == [OPEN.ip]
    world.disconnect(node)
    world.unregister(OPEN)
    world.settle()
    if is_new_process:
        world.begin_process(node)
    world.connect(node, is_same_life=not is_new_process)
    world.settle()
    assert world.reached(node, "alice") == []
    assert world.reached(node, "bob") == [BOB.ip]


@pytest.mark.parametrize("is_multiple", [True, False])
@pytest.mark.parametrize("group", ["g1", "g2"], ids=["its own here", "a copy from another group"])
def test_a_copy_that_has_to_go_takes_no_row_along_that_came_instead(is_multiple: bool, group: str) -> None:
    """Where a user has one row, the order for the copy would hit whatever is there now."""
    world = World(2, 3, is_multiple)
    node = world.nodes["n1"]
    world.register(OPEN, True)
    world.settle()
    world.disconnect(node)
    world.unregister(OPEN)
    world.settle()
    world.connect(node, is_same_life=True)
    world.settle(STALE_MS // 2)
    other = Phone("alice", group, 4, False)
    world.register(other, True)
    world.settle()
    assert [row.network_ip for row in node.switch.profiles["pg1"].rows] == [other.ip]


def test_copies_stay_while_a_new_process_learns_the_records() -> None:
    world = World(2, 2)
    node = world.nodes["n1"]
    world.register(OPEN, True)
    world.settle()
    known = dict(node.view.records)
    world.begin_process(node)
    node.view.records.clear()
    world.connect(node, is_same_life=False)
    world.settle(STALE_MS - 2_000)
    assert world.reached(node, "alice") == [OPEN.ip]
    for key, record in known.items():
        world.apply(node, StreamId("n0", 1, REGISTRATIONS), key, record)
        world.tell(node, Replicated(StreamId("n0", 1, REGISTRATIONS), (key, record)))
    world.settle()
    assert world.reached(node, "alice") == [OPEN.ip]
    assert not node.part.counts["copy of no record"]
