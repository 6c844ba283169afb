from __future__ import annotations

from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from zcluster.streams.table import Table
from zcluster.streams.units import BEGIN, BUCKETS, END, Changes, Cursor, claim_key, record_key

KEYS = st.integers(0, 60).map(lambda number: record_key("g", b"%d" % number))
# Keys that all fall into one bucket: a chunk must be able to end within it.
CROWDED = [key for key in (b"g\0%d" % number for number in range(200_000)) if crc32(key) % BUCKETS == 7][:40]
RECORDS = st.binary(min_size=8, max_size=40)
CHANGES = st.lists(st.tuples(KEYS | st.sampled_from(CROWDED), st.none() | RECORDS), max_size=80)


def flat(changes: list[tuple[bytes, bytes | None]]) -> Changes:
    return tuple(field for change in changes for field in change)


def twin(changes: list[tuple[bytes, bytes | None]]) -> dict[bytes, bytes]:
    """The dumb table."""
    records: dict[bytes, bytes] = {}
    for key, record in changes:
        if record is None:
            records.pop(key, None)
        else:
            records[key] = record
    return records


def total(records: dict[bytes, bytes]) -> int:
    return sum(int.from_bytes(record[:8], "little") for record in records.values()) % 2**64


@given(CHANGES)
def test_it_is_a_dictionary_with_a_digest(changes: list[tuple[bytes, bytes | None]]) -> None:
    table, records = Table(), twin(changes)
    table.apply(flat(changes))
    assert dict(table.items()) == records
    assert table.count == len(records)
    assert table.total == total(records)
    assert all(table.get(key) == records.get(key) for key, _ in changes)


@given(CHANGES, CHANGES, st.integers(1, 300))
def test_the_parts_of_a_snapshot_replace_whatever_was_there(
    changes: list[tuple[bytes, bytes | None]], before: list[tuple[bytes, bytes | None]], limit_bytes: int
) -> None:
    source, copy = Table(), Table()
    source.apply(flat(changes))
    copy.apply(flat(before))
    cursor, parts = BEGIN, 0
    while cursor < END:
        end, records = source.read(cursor, limit_bytes)
        assert end > cursor
        size = sum(map(len, records))
        assert size <= limit_bytes or len(records) == 2
        copy.apply(copy.difference(cursor, end, records))
        cursor, parts = end, parts + 1
    assert dict(copy.items()) == dict(source.items())
    assert (copy.count, copy.total) == (source.count, source.total)


def test_a_record_outside_its_part_is_refused() -> None:
    table = Table()
    with pytest.raises(ValueError, match="outside"):
        table.difference(BEGIN, Cursor(7, b""), (CROWDED[0], bytes(8)))


def test_claims_are_read_as_they_come_and_go() -> None:
    table = Table()
    table.apply((claim_key(b"g1"), bytes(8) + (7).to_bytes(8, "little"), b"\0local", bytes(9)))
    assert table.claims == {b"g1": 7}
    table.apply((claim_key(b"g1"), None))
    assert table.claims == {}
    table.apply((claim_key(b"g1"), bytes(8) + b"odd"))
    assert table.claims == {b"g1": 0}


@given(CHANGES)
@settings(max_examples=examples(20))
def test_the_buckets_are_the_table(changes: list[tuple[bytes, bytes | None]]) -> None:
    table = Table()
    table.apply(flat(changes))
    walked = [item for place in range(BUCKETS) for item in table.bucket(place)]
    assert walked == list(table.items())
    assert dict(walked) == twin(changes)
