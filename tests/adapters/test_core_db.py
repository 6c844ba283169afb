from __future__ import annotations

import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.adapters import core_file
from tests.adapters.core_file import Switch
from zcluster.adapters import core_db as core_db_module
from zcluster.adapters import core_db_table
from zcluster.adapters.core_db import LARGEST_WAITING_WISHES, CoreDb, CoreDbEvent
from zcluster.adapters.core_db_table import RowsRead
from zcluster.telephony.actions import DropForeignRows, DropRows, LoadRows
from zcluster.telephony.events import Row, RowsLoaded, RowsRefused

LONGEST_WAIT_S = 30
OPERATIONS = 300


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "core.db"


@pytest.fixture
def switch(path: Path) -> Iterator[Switch]:
    started = Switch(path).start()
    yield started
    started.connection.close()


@pytest.fixture
def core_db(path: Path) -> Iterator[CoreDb]:
    made = CoreDb(path, poll_ms=2, retry_ms=2)
    yield made
    assert made.close()


class Reader:
    """The loop's side: waits for the descriptor, keeps every event and what the changes add up to."""

    def __init__(self, core_db: CoreDb) -> None:
        self.core_db = core_db
        self.events: list[CoreDbEvent] = []
        self.known: dict[str, Row] = {}

    def until(self, is_met: Callable[[], bool]) -> None:
        while not is_met():
            readable, _, _ = select.select([self.core_db], [], [], LONGEST_WAIT_S)
            assert readable, f"nothing came; problem: {self.core_db.problem!r}"
            self.take()

    def take(self) -> None:
        for event in self.core_db.receive():
            self.events.append(event)
            if isinstance(event, RowsRead):
                self._fold(event)

    def _fold(self, event: RowsRead) -> None:
        if event.is_all:
            self.known = {}
        for uuid, row in event.changes:
            if row is None:
                self.known.pop(uuid, None)
            else:
                self.known[uuid] = row

    def until_answers(self, count: int) -> None:
        self.until(lambda: len(self.answers()) == count)

    def answers(self) -> list[CoreDbEvent]:
        return [event for event in self.events if not isinstance(event, RowsRead)]


def a_row(uuid: str, metadata: bytes = b"<cdr/>") -> Row:
    return Row("another life", "sofia", "sip1", "fsB", uuid, metadata)


def test_a_switch_that_starts_later_is_found(path: Path, core_db: CoreDb) -> None:
    reader = Reader(core_db)
    core_db.begin()
    reader.until(lambda: "no core database" in core_db.problem)
    assert reader.events == []
    switch = Switch(path).start()
    switch.answer("a", "one")
    reader.until(lambda: "a" in reader.known and core_db.problem == "")
    switch.hang_up("a")
    reader.until(lambda: not reader.known)
    switch.connection.close()


def test_every_wish_is_answered_in_its_order(switch: Switch, core_db: CoreDb) -> None:
    core_db.submit(LoadRows("first", (a_row("a"), a_row("b"))))
    core_db.submit(DropRows("second", ("a", "c")))
    core_db.submit(DropForeignRows("third", "this life"))
    core_db.begin()
    reader = Reader(core_db)
    reader.until_answers(3)
    assert reader.answers() == [RowsLoaded("first", 2), RowsLoaded("second", 1), RowsLoaded("third", 1)]
    assert switch.rows() == {}


def test_without_a_database_every_wish_is_refused(core_db: CoreDb) -> None:
    core_db.begin()
    core_db.submit(LoadRows("p", (a_row("a"),)))
    reader = Reader(core_db)
    reader.until_answers(1)
    (refused,) = reader.answers()
    assert isinstance(refused, RowsRefused)
    assert "no core database" in refused.reason


def test_a_wish_too_many_is_refused_at_once(core_db: CoreDb) -> None:
    for number in range(LARGEST_WAITING_WISHES + 1):
        core_db.submit(DropRows(str(number), ()))
    (refused,) = core_db.receive()
    assert isinstance(refused, RowsRefused)
    assert refused.purpose == str(LARGEST_WAITING_WISHES)
    core_db.begin()
    reader = Reader(core_db)
    reader.until_answers(LARGEST_WAITING_WISHES)


def test_what_the_loop_does_not_fetch_waits_in_the_database(
    switch: Switch, core_db: CoreDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_db_table, "BATCH_CHANGES", 1)  # every change is an event of its own
    monkeypatch.setattr(core_db_module, "LARGEST_WAITING_EVENTS", 3)
    core_db.begin()
    reader = Reader(core_db)
    reader.until(lambda: bool(reader.events))
    names = {f"call-{number}" for number in range(40)}
    for name in sorted(names):
        switch.answer(name, "x")
    core_db.submit(DropRows("a sign that it has looked", ()))
    seen = 0
    while set(reader.known) != names:
        select.select([core_db], [], [], LONGEST_WAIT_S)
        reader.take()
        news, seen = len(reader.events) - seen, len(reader.events)
        assert news <= 3 + 1


def test_a_lock_of_the_switch_delays_and_loses_nothing(switch: Switch, core_db: CoreDb) -> None:
    core_db.begin()
    reader = Reader(core_db)
    reader.until(lambda: bool(reader.events))
    switch.run("BEGIN EXCLUSIVE")
    switch.answer("a", "one")
    core_db.submit(LoadRows("p", (a_row("a", b"loaded"), a_row("b"))))
    switch.run("COMMIT")
    reader.until(lambda: bool(reader.answers()) and "a" in reader.known)
    assert reader.answers() == [RowsLoaded("p", 1, ("a",))]
    assert reader.known["a"].metadata == b"one"


def test_a_defect_of_the_thread_is_raised_in_the_loop(
    path: Path, core_db: CoreDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(core_db_table.CoreTable, "read", broken)
    core_db.begin()
    select.select([core_db], [], [], LONGEST_WAIT_S)
    with pytest.raises(ZeroDivisionError):
        core_db.receive()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_beside_a_writing_switch_nothing_is_lost(
    path: Path, switch: Switch, core_db: CoreDb, seed: int
) -> None:
    """Another process writes as fast as it can, while rows are read, pruned, loaded and dropped."""
    core_db.begin()
    reader = Reader(core_db)
    reader.until(lambda: bool(reader.events))
    command = [sys.executable, core_file.__file__, str(path), str(seed), str(OPERATIONS)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    rounds = 0
    while writer.poll() is None:
        rounds += 1
        core_db.submit(
            LoadRows(f"load {rounds}", tuple(a_row(f"x-{rounds}-{n}", b"z" * 9_800) for n in range(10)))
        )
        core_db.submit(DropRows(f"drop {rounds}", tuple(f"x-{rounds}-{n}" for n in range(10))))
        reader.until_answers(2 * rounds)
    output, _ = writer.communicate()
    assert writer.returncode == 0, "the switch could not write"
    assert int(output.split()[1]) >= OPERATIONS
    assert all(isinstance(event, RowsLoaded) for event in reader.answers())
    rows = switch.rows()
    reader.until(lambda: {uuid: tuple(row) for uuid, row in reader.known.items()} == rows)
    assert sum(isinstance(event, RowsRead) and event.is_all for event in reader.events) == 1
    assert core_db.problem == ""


def test_versions_of_a_row_are_told_in_their_order(path: Path, switch: Switch, core_db: CoreDb) -> None:
    core_db.begin()
    reader = Reader(core_db)
    reader.until(lambda: bool(reader.events))
    switch.answer("a", "0")

    def write() -> None:
        beside = Switch(path)
        for number in range(1, 200):
            beside.update("a", str(number))
        beside.connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    reader.until(lambda: "a" in reader.known and reader.known["a"].metadata == b"199")
    thread.join()
    told = [
        int(row.metadata)
        for event in reader.events
        if isinstance(event, RowsRead)
        for _, row in event.changes
        if row
    ]
    assert told == sorted(told)
