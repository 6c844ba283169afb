"""Shares of a strict limit step by step: what one node tells its switch, and when it gives something away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcluster.streams.actions import GroupAdopted
from zcluster.streams.tables import Entry
from zcluster.streams.units import LIMITS, MARK_BYTES, Key, Record, StreamId
from zcluster.telephony.actions import ChangeRecords
from zcluster.telephony.events import GroupOpened
from zcluster.telephony.limit_sums import Count
from zcluster.telephony.mastership import Mastership
from zcluster.telephony.settings import GroupSettings, TelephonySettings
from zcluster.telephony.shares import Row, read_row, shares
from zcluster.telephony.strict_limits import PLAN_MS, StrictLimits, row_key

NAME = "outbound_carrier1"
TOTAL = 10
FAIR = TOTAL // 2


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
        self.records[row_key(group, NAME)] = bytes(MARK_BYTES) + row.packed()

    def row(self, group: str) -> Row:
        return read_row(self.records[row_key(group, NAME)][MARK_BYTES:])


class Node:
    """The master of group a, with a switch of which `sessions` are known. Group b's master needs all it can get."""

    def __init__(self) -> None:
        self.table = Table()
        self.table.put("a", Row(TOTAL))
        self.table.put("b", Row(TOTAL, TOTAL))
        mastership = Mastership()
        groups = (GroupSettings("a"), GroupSettings("b"))
        settings = TelephonySettings("n1", groups, strict_limits={NAME: TOTAL})
        self.limits = StrictLimits(settings, self.table, mastership)
        self.sessions = 0
        self.now_ms = 0
        mastership.handle(GroupOpened("a", 1))
        mastership.handle(GroupAdopted(LIMITS, "a", 1, None, 0))

    def plan(self, is_dumped: bool = True) -> None:
        self.now_ms += PLAN_MS
        for action in self.limits.advance(self.own(), is_dumped, self.now_ms):
            assert isinstance(action, ChangeRecords)
            for key, body in action.changes:
                assert body is not None
                self.table.records[key] = bytes(MARK_BYTES) + body

    def own(self) -> dict[str, Count]:
        return {NAME: Count(self.sessions)}

    def polled(self) -> int:
        """mod_hash asks: what it is told that the others use."""
        return self.limits.answer(self.own())[NAME]

    def given(self) -> int:
        return self.table.row("a").given.get("b", 0)

    def share_of_b(self) -> int:
        """What the other master may use, for its switch has heard of everything."""
        rows = {group: self.table.row(group) for group in ("a", "b")}
        return shares(TOTAL, ("a", "b"), rows)["b"]


def begun() -> Node:
    """A node that has just decided to give away four of its five, of which mod_hash does not know yet."""
    node = Node()
    node.plan()
    assert node.limits.share(NAME) == 1
    return node


def test_a_gift_waits_for_the_second_answer_and_a_dump_after_it() -> None:
    node = begun()
    assert node.polled() == TOTAL - 1
    node.limits.asks()
    node.plan()
    assert node.given() == 0
    node.polled()
    assert node.limits.wants_dump
    node.plan()
    assert node.given() == 0
    node.limits.asks()
    node.plan(is_dumped=False)
    assert node.given() == 0
    node.plan()
    assert node.given() == FAIR - 1


def test_a_dump_that_did_not_come_shows_nothing() -> None:
    node = begun()
    node.polled()
    node.polled()
    node.limits.asks()
    node.limits.fails()
    node.plan()
    assert node.given() == 0


@pytest.mark.parametrize("sessions", range(FAIR + 1))
def test_calls_that_came_before_the_switch_knew_of_a_gift_keep_their_place(sessions: int) -> None:
    """Between the decision and mod_hash's next question its old number holds."""
    node = begun()
    node.sessions = sessions
    node.polled()
    node.polled()
    node.limits.asks()
    node.plan()
    assert node.given() == min(FAIR - 1, FAIR - sessions)
    assert sessions + node.share_of_b() <= TOTAL


rounds = st.tuples(
    st.booleans(), st.integers(0, 6), st.integers(0, 3), st.booleans(), st.integers(0, 6), st.booleans()
)


@given(st.lists(rounds, max_size=12))
def test_what_is_used_here_and_what_another_may_use_never_pass_the_limit(
    script: list[tuple[bool, int, int, bool, int, bool]],
) -> None:
    """In any order of plans, of calls, of mod_hash's questions, of ours, and of the other master's needs."""
    node = Node()
    told, sessions = node.polled(), 0
    for is_busy, calls, polls, is_asked, more_calls, is_over in script:
        node.table.put("b", Row(TOTAL, TOTAL if is_busy else 0))
        node.sessions = sessions
        node.plan()
        sessions += min(calls, max(0, TOTAL - told - sessions))
        for _ in range(polls):
            told = node.polled()
        if is_asked:
            node.limits.asks()
            node.plan(is_dumped=False)
        sessions += min(more_calls, max(0, TOTAL - told - sessions))
        assert sessions + node.share_of_b() <= TOTAL
        sessions = 0 if is_over else sessions
