"""Rates in shares: what each switch is told over time, in the world of `limits_world.py` and step by step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.telephony.limits_world import World
from zcluster.streams.actions import GroupAdopted
from zcluster.streams.tables import Entry
from zcluster.streams.units import LIMITS, MARK_BYTES, Key, Record, StreamId
from zcluster.telephony.actions import Action, ChangeRecords, Run, Tell
from zcluster.telephony.events import (
    Answered,
    Event,
    GroupLapsed,
    GroupLost,
    GroupOpened,
    Moment,
    SwitchClosed,
    SwitchOpened,
    Tick,
    Unanswered,
)
from zcluster.telephony.hash_dump import Usage
from zcluster.telephony.mastership import Mastership
from zcluster.telephony.rates import PLAN_MS, PURPOSE, RETRY_MS, WINDOW_MS, Rates, row_key
from zcluster.telephony.settings import GroupSettings, TelephonySettings
from zcluster.telephony.shares import Row, read_row

RATE = "outbound_cps"
VARIABLE = f"zcluster_rate_{RATE}"
OPENED = SwitchOpened("life", "build", "n1", False)
WALL_MS = 1_800_000_000_000


class Table:
    """The records as a node reads them."""

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}

    def entries(self, name: str) -> Iterator[Entry]:
        return iter(())

    def get(self, name: str, key: Key) -> Entry | None:
        record = self.records.get(key)
        return None if record is None else Entry(StreamId("n1", 1, LIMITS), key, record, False)

    def put(self, group: str, row: Row) -> None:
        self.records[row_key(group, RATE)] = bytes(MARK_BYTES) + row.packed()

    def row(self, group: str) -> Row:
        return read_row(self.records[row_key(group, RATE)][MARK_BYTES:])


class Node:
    """Rates of one node that has groups a and b to share 10 with, and what it asked for."""

    def __init__(self, total: int = 10, name: str = RATE) -> None:
        self.table = Table()
        groups = (GroupSettings("a"), GroupSettings("b"))
        self.mastership = Mastership()
        self.rates = Rates(TelephonySettings("n1", groups, rates={name: total}), self.table, self.mastership)
        self.now = 0

    def do(self, event: Event, after_ms: int = 0) -> list[Action]:
        self.now += after_ms
        self.mastership.handle(event)
        actions = self.rates.handle(event, Moment(self.now, WALL_MS + self.now))
        for action in actions:
            if isinstance(action, ChangeRecords):
                for key, body in action.changes:
                    assert body is not None
                    self.table.records[key] = bytes(MARK_BYTES) + body
        return actions

    def told(self, actions: list[Action]) -> list[str]:
        return [action.command.name for action in actions if isinstance(action, Run)]

    def own(self, group: str) -> None:
        self.do(GroupOpened(group, 1))
        self.do(GroupAdopted(LIMITS, group, 1, None, 0))


def told(number: int) -> list[str]:
    return [f"api global_setvar {VARIABLE}={number}"]


def test_a_switch_is_told_what_its_groups_may_use() -> None:
    node = Node()
    assert node.told(node.do(OPENED)) == told(0)
    node.do(Answered(PURPOSE + RATE, "+OK"))
    assert node.told(node.do(GroupOpened("a", 1))) == told(5)
    node.do(Answered(PURPOSE + RATE, "+OK"))
    assert node.told(node.do(GroupOpened("b", 1))) == told(10)
    node.do(Answered(PURPOSE + RATE, "+OK"))
    assert node.told(node.do(GroupLapsed("a"))) == told(5)
    node.do(Answered(PURPOSE + RATE, "+OK"))
    assert node.told(node.do(GroupLost("b"))) == told(0)


def test_a_switch_that_does_not_answer_is_told_again_and_a_new_one_from_the_beginning() -> None:
    node = Node()
    node.do(OPENED)
    assert node.told(node.do(Unanswered(PURPOSE + RATE, "too late"))) == []
    assert node.told(node.do(Tick(), RETRY_MS)) == told(0)
    node.do(Answered(PURPOSE + RATE, "+OK"))
    assert node.told(node.do(Tick(), PLAN_MS)) == []
    node.do(SwitchClosed("end of file"))
    assert node.told(node.do(OPENED)) == told(0)


def test_a_gift_is_published_after_the_switch_has_taken_less_and_a_window_more() -> None:
    node = Node()
    node.do(OPENED)
    node.do(Answered(PURPOSE + RATE, "+OK"))
    node.own("a")
    node.do(Answered(PURPOSE + RATE, "+OK"))
    node.table.put("b", Row(10, 8))
    assert node.told(node.do(Tick(), PLAN_MS)) == []  # its own row goes first
    assert node.table.row("a") == Row(10)
    assert node.told(node.do(Tick(), PLAN_MS)) == told(1)
    for _ in range(2 * WINDOW_MS // PLAN_MS):
        node.do(Tick(), PLAN_MS)
    assert node.table.row("a").given == {}
    node.do(Answered(PURPOSE + RATE, "+OK"))
    for _ in range(WINDOW_MS // PLAN_MS - 1):
        node.do(Tick(), PLAN_MS)
    assert node.table.row("a").given == {}
    node.do(Tick(), PLAN_MS)
    assert node.table.row("a").given == {"b": 4}
    assert node.told(node.do(Tick(), PLAN_MS)) == []


def test_a_gift_dies_with_the_mastership() -> None:
    node = Node()
    node.do(OPENED)
    node.do(Answered(PURPOSE + RATE, "+OK"))
    node.own("a")
    node.do(Answered(PURPOSE + RATE, "+OK"))
    node.table.put("b", Row(10, 8))
    node.do(Tick(), PLAN_MS)
    node.do(Tick(), PLAN_MS)
    node.do(Answered(PURPOSE + RATE, "+OK"))
    node.do(GroupLost("a"))
    for _ in range(2 * WINDOW_MS // PLAN_MS):
        node.do(Tick(), PLAN_MS)
    assert node.table.row("a").given == {}


def test_demand_is_what_was_tried_in_a_window_that_is_not_over() -> None:
    node = Node()
    node.do(OPENED)
    node.own("a")
    second = WALL_MS // 1000
    node.rates.note({RATE: Usage(0, 99, 1, second - 5)}, Moment(0, WALL_MS))
    node.do(Tick(), PLAN_MS)
    assert node.table.row("a").demand == 0
    node.rates.note({RATE: Usage(3, 7, 1, second), "other_x": Usage(1)}, Moment(node.now, WALL_MS + node.now))
    node.do(Tick(), PLAN_MS)
    assert node.table.row("a").demand == 7
    for _ in range(8):
        node.do(Tick(), PLAN_MS)
    assert node.table.row("a").demand == 0


def test_the_core_is_never_told_zero() -> None:
    node = Node(10, "sessions-per-second")
    assert node.told(node.do(OPENED)) == ["api fsctl sps 1"]
    node.do(Answered(PURPOSE + "sessions-per-second", "+OK"))
    assert node.told(node.do(GroupOpened("a", 1))) == ["api fsctl sps 5"]


@pytest.mark.parametrize("name", ["a b_c", "a_b;x", "a_b\nshutdown", "a_b=1", ""])
def test_a_name_that_cannot_be_a_variables_is_said_and_not_told(name: str) -> None:
    node = Node(10, name)
    actions = node.do(OPENED)
    assert [action.code for action in actions if isinstance(action, Tell)] == ["rate-name"]
    assert node.told(actions) == []


def test_a_hostile_row_is_ignored() -> None:
    node = Node()
    node.do(OPENED)
    node.table.records[row_key("b", RATE)] = bytes(MARK_BYTES) + b"\xc1"
    node.do(Answered(PURPOSE + RATE, "+OK"))
    assert node.told(node.do(GroupOpened("a", 1))) == told(5)


@settings(max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    total=st.integers(3, 40),
    script=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 60), st.integers(200, 4000)), max_size=6),
)
def test_no_two_switches_are_ever_told_more_than_the_rate(
    seed: int, total: int, script: list[tuple[int, int, int]]
) -> None:
    world = World(seed, 4, rates={RATE: total}, slow_ms=100)
    for number, tries, for_ms in script:
        for _ in range(for_ms // 200):
            world.tried(f"n{number}", RATE, tries)
            world.run(200)
            assert sum(host.variables[VARIABLE] for host in world.hosts.values()) <= total
    busiest = max((tries for _, tries, _ in script), default=0)
    if script and busiest * 5 // 4 + 1 <= total // 3:
        assert all(world.hosts[f"n{number}"].variables[VARIABLE] >= 1 for number in (1, 2, 3))


def test_the_busy_node_gets_nearly_all_and_the_heir_all_of_the_dead() -> None:
    world = World(5, 4, rates={RATE: 30})
    for _ in range(60):
        world.tried("n1", RATE, 40)
        world.run(200)
    assert [world.hosts[name].variables[VARIABLE] for name in world.names] == [28, 1, 1, 0]
    world.kill("n1")
    world.run(5000)
    alive = [host for host in world.hosts.values() if host.is_alive]
    assert sum(host.variables[VARIABLE] for host in alive) == 30
