"""Whatever happens to groups and switches: a phone that its holder knows rings from every node, once."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.telephony.registrations_world import AUDITED_MS, Phone, World

USERS = ("alice", "bob")
PHONES = (
    Phone("alice", "g0", 1, False),
    Phone("alice", "g0", 2, True),
    Phone("alice", "g1", 3, True),
    Phone("bob", "g1", 4, False),
    Phone("bob", "g2", 5, True),
)
Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "register",
                "register",
                "refresh",
                "unregister",
                "move",
                "reconnect",
                "restart",
                "wait",
                "settle",
            ]
        ),
        st.integers(0, len(PHONES) - 1),
        st.integers(0, 2),
    ),
    max_size=16,
)


def perform(world: World, step: Step) -> None:
    what, phone, number = step
    node = world.nodes[f"n{number % len(world.nodes)}"]
    match what:
        case "register" | "refresh":
            world.register(PHONES[phone], what == "register")
        case "unregister":
            world.unregister(PHONES[phone])
        case "move":
            world.move(f"g{phone % 3}", node.name)
        case "reconnect":
            world.connect(node, is_same_life=True)
        case "restart":
            world.restart(node)
        case "wait":
            world.wait(200)
        case "settle":
            world.settle()


def check(world: World, is_multiple: bool) -> None:
    world.settle()
    held = {holder.name for holder in world.holders.values()}
    for name, node in world.nodes.items():
        for profile in node.switch.profiles.values():
            assert not profile.is_standby or not profile.rows, f"{name} keeps rows in {profile.name}"
        for user in USERS if name in held else ():
            known, rung = world.registered(user), world.reached(node, user)
            if is_multiple:
                assert rung == known, f"{user} from {name}"
            else:
                assert set(rung) <= set(known), f"{user} from {name}"
                assert bool(rung) == bool(known), f"{user} from {name}"


def check_quiet(world: World) -> None:
    """Nothing goes back and forth: who is left alone says and orders nothing.

    But for a record that ended before any switch had a row of it, which its owner looks for in its own time.
    """
    before = [(node.changes, node.orders) for node in world.nodes.values()]
    forgotten = [node.part.counts["forgotten"] for node in world.nodes.values()]
    world.settle()
    if forgotten == [node.part.counts["forgotten"] for node in world.nodes.values()]:
        assert [(node.changes, node.orders) for node in world.nodes.values()] == before


def check_records(world: World) -> None:
    """All nodes have the same records, and no copy is among them."""
    views = [node.view.records for node in world.nodes.values()]
    assert all(view == views[0] for view in views)
    for node in world.nodes.values():
        assert not any(b"zcluster:" in record for record in node.view.records.values())


@pytest.mark.parametrize("nodes", [2, 3])
@given(steps)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=examples(25))
def test_every_phone_rings_from_everywhere(nodes: int, taken: list[Step]) -> None:
    world = World(nodes, 3, is_multiple=True)
    for step in taken:
        perform(world, step)
    check(world, is_multiple=True)
    check_quiet(world)
    check_records(world)
    world.wait(1200)
    check(world, is_multiple=True)
    if any(node.view.records for node in world.nodes.values()):
        # A group went from switch to switch so fast that no row of it was ever made, so none expired.
        world.settle(AUDITED_MS)
    assert not any(node.view.records for node in world.nodes.values())
    assert not any(profile.rows for node in world.nodes.values() for profile in node.switch.profiles.values())


@given(steps)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=examples(25))
def test_where_a_user_has_one_row_a_copy_never_takes_it(taken: list[Step]) -> None:
    world = World(2, 3, is_multiple=False)
    for step in taken:
        if step[0] in ("move", "restart"):
            # What a REGISTER replaced is asked of the switch; one that dies first takes the answer with it.
            world.settle()
        perform(world, step)
    check(world, is_multiple=False)
    check_quiet(world)
    alive = [phone for (phone, _), until_s in world.live.items() if until_s > world.wall_s]
    for phone in alive:
        own = world.holders[phone.group].switch.profiles[f"p{phone.group}"].rows
        assert phone.ip in {row.network_ip for row in own if not row.call_id.startswith("zcluster:")}
