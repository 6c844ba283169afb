"""Shares of a number: never more than the whole, whatever was heard, and where they are needed in the end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from zcluster.errors import BadMessage
from zcluster.telephony.packing import pack
from zcluster.telephony.shares import Gift, Row, fair_shares, gift, read_row, shares

GROUPS = ("a", "b", "c")
demands = st.fixed_dictionaries({group: st.integers(0, 60) for group in GROUPS})


def settle(total: int, rows: dict[str, Row], demand: dict[str, int], rounds: int = 60) -> dict[str, Row]:
    """Every group gives what it should, in turn, until nobody gives."""
    rows = {group: rows.get(group, Row(total))._replace(demand=demand[group]) for group in GROUPS}
    for _ in range(rounds):
        gifts = [given for group in GROUPS if (given := gift(group, total, GROUPS, rows)) is not None]
        if not gifts:
            return rows
        for each in gifts:
            rows[each.source] = rows[each.source].with_gift(each)
    raise AssertionError(f"still giving: {rows}")


def test_all_begin_with_the_same() -> None:
    assert fair_shares(10, GROUPS) == {"a": 4, "b": 3, "c": 3}
    assert fair_shares(2, GROUPS) == {"a": 1, "b": 1, "c": 0}
    assert fair_shares(5, ()) == {}


def test_a_busy_group_gets_what_the_idle_do_not_use_and_gives_it_back() -> None:
    rows = settle(30, {}, {"a": 22, "b": 0, "c": 2})
    have = shares(30, GROUPS, rows)
    assert have["a"] >= 22
    assert have["b"] >= 1
    assert have["c"] >= 2
    rows = settle(30, rows, {"a": 0, "b": 0, "c": 0})
    assert shares(30, GROUPS, rows) == {"a": 10, "b": 10, "c": 10}


def test_when_all_need_more_each_gets_the_same() -> None:
    rows = settle(30, {}, {"a": 25, "b": 0, "c": 0})
    rows = settle(30, rows, {"a": 90, "b": 90, "c": 90})
    assert shares(30, GROUPS, rows) == {"a": 10, "b": 10, "c": 10}


@given(st.integers(0, 100), st.lists(demands, min_size=1, max_size=5))
def test_giving_ends_and_leaves_the_whole(total: int, changing: list[dict[str, int]]) -> None:
    rows: dict[str, Row] = {}
    for demand in changing:
        rows = settle(total, rows, demand)
        have = shares(total, GROUPS, rows)
        assert sum(have.values()) == total
        if total >= 2 * sum(demand.values()) + len(GROUPS):
            assert all(have[group] >= demand[group] for group in GROUPS)


@settings(max_examples=examples(50))
@given(st.integers(1, 50), st.lists(demands, min_size=1, max_size=4), st.data())
def test_who_has_heard_less_believes_to_have_less(
    total: int, changing: list[dict[str, int]], data: st.DataObject
) -> None:
    """Each group's master knows its own row to the last, and an old one of each other."""
    history: dict[str, list[Row]] = {group: [Row(total)] for group in GROUPS}
    rows: dict[str, Row] = {group: Row(total) for group in GROUPS}
    for demand in changing:
        for _ in range(4):
            for group in GROUPS:
                seen = {other: data.draw(st.sampled_from(history[other][-3:])) for other in GROUPS}
                seen[group] = rows[group] = rows[group]._replace(demand=demand[group])
                given = gift(group, total, GROUPS, seen)
                if given is not None:
                    assert given.amount <= shares(total, GROUPS, seen)[group]
                    rows[group] = rows[group].with_gift(given)
                history[group].append(rows[group])
        believed = 0
        for group in GROUPS:
            seen = {other: data.draw(st.sampled_from(history[other])) for other in GROUPS} | {
                group: rows[group]
            }
            believed += shares(total, GROUPS, seen)[group]
        assert believed <= total


def test_a_row_of_another_whole_says_nothing() -> None:
    rows = {"a": Row(9, 0, {"b": 3})}
    assert shares(10, GROUPS, rows) == fair_shares(10, GROUPS)
    assert shares(9, GROUPS, rows) == {"a": 0, "b": 6, "c": 3}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        pack((1, 2)),
        pack((-1, 0, ())),
        pack((1, True, ())),
        pack((1, 0, ((1, 2),))),
        pack((1, 0, (("a", -2),))),
        pack((1, 0, (("a",),))),
        pack((1, 0, "ab")),
    ],
)
def test_a_bad_row_is_refused(body: bytes) -> None:
    with pytest.raises(BadMessage):
        read_row(body)


def test_a_row_is_read_as_it_was_written() -> None:
    row = Row(10, 4).with_gift(Gift("a", "b", 2)).with_gift(Gift("a", "b", 1))
    assert read_row(row.packed()) == Row(10, 4, {"b": 3})
