from __future__ import annotations

import json
from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.small_daemon import told
from zcluster.adapters.journal import record_from
from zcluster.tools.ring import Ring

ALL = 1 << 30


def ring_of(*numbers: int, **bounds: int) -> Ring:
    ring = Ring(**bounds)
    ring.begin("n1", 7)
    for number in numbers:
        ring.add(number, told(number))
    return ring


def numbers_after(ring: Ring, number: int, largest_bytes: int = ALL) -> list[int]:
    return [entry.number for entry in ring.after(number, largest_bytes)]


def test_what_came_after_a_number_and_a_gap_stays_a_gap() -> None:
    ring = ring_of(1, 2, 5, 6)
    assert numbers_after(ring, 0) == [1, 2, 5, 6]
    assert numbers_after(ring, 3) == [5, 6]
    assert numbers_after(ring, 6) == []
    assert numbers_after(ring, 99) == []
    assert (ring.newest, ring.before_first) == (6, 0)


def test_what_is_no_news_is_not_taken() -> None:
    ring = ring_of(3, 3, 2)
    assert numbers_after(ring, 0) == [3]


def test_records_and_bytes_are_bounded() -> None:
    ring = ring_of(*range(1, 21), largest_records=5)
    assert numbers_after(ring, 0) == [16, 17, 18, 19, 20]
    assert ring.before_first == 15
    size = len(ring_of(1).after(0, ALL)[0].body)
    assert numbers_after(ring_of(*range(1, 21), largest_bytes=3 * size + 20), 0) == [18, 19, 20]


def test_a_part_has_one_entry_at_least() -> None:
    ring = ring_of(1, 2, 3)
    assert numbers_after(ring, 0, 1) == [1]
    size = len(ring.after(0, ALL)[0].body)
    assert numbers_after(ring, 0, 2 * size + 1) == [1, 2]


def test_another_life_of_the_daemon_begins_empty() -> None:
    ring = ring_of(1, 2)
    ring.begin("n1", 7)
    assert ring.newest == 2
    ring.begin("n1", 8)
    assert (ring.newest, ring.after(0, ALL), ring.last(), ring.before_first) == (0, [], None, 0)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4), st.text())
def test_whatever_a_record_holds_it_can_be_read(facts: dict[str, Any], text: str) -> None:
    ring = Ring()
    ring.begin("n1", 7)
    record = record_from(json.loads(json.dumps(told(1)._replace(facts=facts, text=text).plain())))
    ring.add(1, record)
    read = msgpack.unpackb(ring.after(0, ALL)[0].body)
    assert read.keys() == record.plain().keys()
    assert (read["incarnation"], read["number"]) == (record.incarnation, record.number)


def test_half_a_character_and_facts_without_a_bottom() -> None:
    facts: dict[str, Any] = {"half": "\ud800"}
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    ring = Ring()
    ring.begin("n1", 7)
    ring.add(1, told(1)._replace(facts=facts, text="\udfff"))
    ring.add(2, told(2)._replace(facts={"deep": deep}))
    first, second = (msgpack.unpackb(entry.body) for entry in ring.after(0, ALL))
    assert (first["facts"], first["text"]) == ({"half": "?"}, "?")
    assert second["facts"] == {"left_out": "nested too deeply"}
    assert record_from(second).number == 2
