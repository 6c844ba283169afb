from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from zcluster.adapters.journal import LARGEST_LINE_BYTES, Journal, Record, encode_line, record_from


def record(number: int, **facts: object) -> Record:
    return Record(1_700_000_000_000 + number, "n1", "notice", "takeover", f"number {number}", facts)


def test_records_survive_a_restart_in_their_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([record(1, steps_ms=[1, 2]), record(2)])
    journal.append([record(3)])
    journal.close()
    again = Journal(tmp_path)
    again.append([record(4)])
    again.close()
    assert Journal(tmp_path).recent(3) == [record(2), record(3), record(4)]
    assert Journal(tmp_path).recent(9)[0].facts == {"steps_ms": [1, 2]}


def test_half_a_line_costs_only_itself(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.append([record(1)])
    first.close()
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(encode_line(record(2))[:30])
    second = Journal(tmp_path)
    second.append([record(3)])
    second.close()
    third = Journal(tmp_path)
    assert third.recent(9) == [record(1), record(3)]
    assert third.skipped_lines == 1


def test_it_never_grows_past_two_files(tmp_path: Path) -> None:
    journal = Journal(tmp_path, largest_bytes=2000)
    for number in range(205):
        journal.append([record(number)])
    journal.close()
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) < 2300
    assert journal.recent(500)[-1] == record(204)


def test_facts_too_large_for_a_line_are_left_out(tmp_path: Path) -> None:
    line = encode_line(record(1, story="x" * LARGEST_LINE_BYTES))
    assert len(line) < 2000
    assert "left_out" in json.loads(line)["facts"]


json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=6),
)


@given(json_values)
def test_foreign_values_are_refused_or_become_a_record(value: object) -> None:
    try:
        assert isinstance(record_from(value), Record)
    except ValueError:
        pass


def test_what_an_older_version_wrote_has_no_number() -> None:
    plain = record(1).plain()
    del plain["incarnation"], plain["number"]
    assert record_from(plain) == record(1)
    numbered = record(1)._replace(incarnation=1_700_000_000_000, number=3)
    assert record_from(json.loads(encode_line(numbered))) == numbered


FIELDS = ["at_ms", "node", "level", "code", "text", "facts", "incarnation", "number"]


@pytest.mark.parametrize("key", FIELDS)
def test_a_record_with_a_field_of_the_wrong_kind_is_refused(key: str) -> None:
    plain = record(1).plain()
    assert record_from(plain) == record(1)
    with pytest.raises(ValueError):
        record_from({**plain, key: True})


@pytest.mark.parametrize("depth", [17, 900])
def test_a_line_that_is_nested_too_deeply_costs_only_itself(tmp_path: Path, depth: int) -> None:
    """An answer that holds it is a few levels deeper still, and must be writable."""
    deep = encode_line(record(1, deep=0)).replace(b'"deep":0', b'"deep":' + b"[" * depth + b"]" * depth)
    (tmp_path / "journal.jsonl").write_bytes(deep + encode_line(record(2)))
    journal = Journal(tmp_path)
    assert journal.recent(9) == [record(2)]
    assert journal.skipped_lines == 1
