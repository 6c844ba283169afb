from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from zcluster.adapters.durable import DurableFile, decode, encode
from zcluster.control.document import Document, Durable, Freeze, Handover, Held, LongGrant, Pin
from zcluster.errors import StateFileError

names = some.text(max_size=8)
times = some.integers(0, 1 << 60)
pins = some.lists(some.builds(Pin, names, names), max_size=3).map(tuple)
freezes = some.builds(Freeze, names, names, names, times, times, pins, some.booleans())
documents = some.builds(
    Document,
    names,
    some.integers(0, 1 << 60),
    some.lists(names, min_size=1, max_size=5).map(tuple),
    pins=pins,
    freeze=some.none() | freezes,
)
durables = some.builds(
    Durable,
    some.integers(0, 1 << 60),
    some.integers(0, 1 << 60),
    names,
    some.lists(names, max_size=5).map(tuple),
    some.none() | documents,
)
LEAVING = Durable(
    incarnation=7,
    long_grants=(LongGrant("blue", 3, "n1", 7),),
    handover=Handover(7, 123_456, (Held("blue", 3), Held("green", 5))),
)
FULL = Durable(7, 3000, "abc", ("n1", "n2", "n3"), Document("abc", 2, ("n1", "n2", "n3")))


@given(durables)
def test_what_is_encoded_comes_back(durable: Durable) -> None:
    assert decode(encode(durable)) == durable


@given(some.integers(0, len(encode(FULL)) - 1), some.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_nothing(place: int, difference: int) -> None:
    raw = bytearray(encode(FULL))
    raw[place] ^= difference
    try:
        assert decode(bytes(raw)) == FULL
    except ValueError:
        pass


@given(some.integers(0, len(encode(FULL)) - 3))
def test_a_torn_file_is_refused(length: int) -> None:
    with pytest.raises(ValueError):
        decode(encode(FULL)[:length])


@given(some.binary(max_size=200))
def test_foreign_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        decode(raw)


def test_nothing_stored_yet_is_an_empty_memory(tmp_path: Path) -> None:
    assert DurableFile(tmp_path / "new").load() == (Durable(), "")


def test_a_stored_value_survives_and_replaces_the_older(tmp_path: Path) -> None:
    DurableFile(tmp_path / "state").store(Durable(incarnation=1))
    DurableFile(tmp_path / "state").store(FULL)
    assert DurableFile(tmp_path / "state").load() == (FULL, "")


def test_a_damaged_file_is_moved_aside_and_named(tmp_path: Path) -> None:
    file = DurableFile(tmp_path)
    file.path.write_bytes(encode(FULL)[:40])
    durable, problem = file.load()
    assert durable == Durable()
    assert "durable.damaged" in problem
    assert (tmp_path / "durable.damaged").exists()
    assert file.load() == (Durable(), "")


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFileError, match=r"file/durable\.json"):
        DurableFile(tmp_path / "file").store(FULL)


def test_a_handover_is_read_back_in_the_same_boot_only(tmp_path: Path) -> None:
    DurableFile(tmp_path).store(LEAVING)
    assert DurableFile(tmp_path).load() == (LEAVING, "")
    without = replace(LEAVING, handover=None)
    assert DurableFile(tmp_path, "00000000-0000-0000-0000-000000000001").load() == (without, "")


def test_where_the_kernel_tells_no_boot_no_handover_is_believed(tmp_path: Path) -> None:
    DurableFile(tmp_path, "").store(LEAVING)
    assert DurableFile(tmp_path, "").load().durable.handover is None
