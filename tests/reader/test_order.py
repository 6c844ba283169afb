from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.tools.small_daemon import told
from zcluster.reader.order import HELD_S, LARGEST_HELD, Event, Order


def record(number: int, node: str = "n1", incarnation: int = 5) -> dict[str, Any]:
    return told(number, node=node, incarnation=incarnation).plain()


def numbers(events: list[Event]) -> list[int]:
    return [event.number for event in events]


def fed(order: Order, *found: int, now_s: float = 0.0, node: str = "n1", incarnation: int = 5) -> list[int]:
    for number in found:
        order.add(record(number, node, incarnation), "n9", now_s)
    return numbers(list(order.ready(now_s)))


def test_the_same_over_several_buses_comes_once() -> None:
    assert fed(Order(), 7, 7, 8, 7, 8, 9) == [7, 8, 9]


def test_what_overtook_another_waits_for_it() -> None:
    order = Order()
    assert fed(order, 1, 3) == [1]
    assert order.wait_s(0.5) == HELD_S - 0.5
    assert fed(order, 2) == [2, 3]


def test_a_hole_that_stays_is_told_with_the_next() -> None:
    order = Order()
    assert fed(order, 1, 4, 5, 9) == [1]
    assert list(order.ready(HELD_S - 0.01)) == []
    first = list(order.ready(HELD_S))
    assert [(event.number, event.missed) for event in first] == [(4, 2), (5, 0)]
    second = list(order.ready(2 * HELD_S))
    assert [(event.number, event.missed) for event in second] == [(9, 3)]
    assert fed(order, 2, 6, now_s=9) == [], "too late: their place has passed"


def test_another_life_begins_with_its_first_word() -> None:
    order = Order()
    assert fed(order, 40) == [40]
    assert fed(order, 2, incarnation=6) == []
    assert fed(order, 1, incarnation=6) == [1, 2]


def test_nodes_do_not_wait_for_each_other() -> None:
    order = Order()
    assert fed(order, 1, 3) == [1]
    assert fed(order, 9, node="n2") == [9]


def test_what_an_older_version_told_has_no_number() -> None:
    order = Order()
    older = told(3)._replace(incarnation=0, number=0).plain()
    for _ in range(3):
        order.add(older, "n9", 0.0)
    assert [event.text for event in order.ready(0.0)] == [older["text"]]


def test_what_is_held_back_is_bounded() -> None:
    order = Order()
    assert fed(order, 1) == [1]
    found = fed(order, *range(3, 3 + LARGEST_HELD + 1))
    assert len(found) == LARGEST_HELD + 1


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text(), max_size=8))
def test_what_is_no_record_is_left_out(value: dict[str, Any]) -> None:
    order = Order()
    order.add(value, "n9", 0.0)
    assert list(order.ready(99.0)) == []


@given(st.lists(st.integers(1, 12), max_size=40), st.lists(st.integers(1, 12), max_size=40))
def test_however_it_comes_each_comes_once_and_in_order(first: list[int], second: list[int]) -> None:
    order = Order()
    found: list[Event] = []
    for number in (*first, *second):
        order.add(record(number), "n9", 0.0)
        found += order.ready(0.0)
    for turn in range(1, 20):
        found += order.ready(turn * HELD_S)
    handed = numbers(found)
    assert handed == sorted(set(handed))
    if handed:
        assert {number for number in (*first, *second) if number >= handed[0]} == {*handed}
        assert sum(event.missed for event in found) == handed[-1] - handed[0] + 1 - len(handed)
