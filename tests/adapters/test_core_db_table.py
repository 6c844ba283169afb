from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adapters.core_file import LIFE, Switch
from tests.examples import examples
from zcluster.adapters import core_db_table
from zcluster.adapters.core_db_statements import COLUMNS, LARGEST_LOG_ENTRIES, SCHEMA
from zcluster.adapters.core_db_table import BATCH_CHANGES, LARGEST_WISH_ROWS, PAGE_ROWS, CoreTable, RowsRead
from zcluster.telephony.actions import DropForeignRows, DropRows, LoadRows
from zcluster.telephony.events import Row, RowsLoaded, RowsRefused

CAPTURE = Path(__file__).parents[1] / "switch" / "captures" / "recovery-rows-one-call.json"
NOBODY = 65534
OTHER_LIFE = "5d0a8c1e-0000-4000-8000-00000000000b"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "core.db"


@pytest.fixture
def switch(path: Path) -> Iterator[Switch]:
    started = Switch(path).start()
    yield started
    started.connection.close()


@pytest.fixture
def table(path: Path) -> Iterator[CoreTable]:
    made = CoreTable(path)
    yield made
    made.close()


def a_row(uuid: str, metadata: bytes = b"<cdr/>", life: str = OTHER_LIFE) -> Row:
    return Row(life, "sofia", "sip1", "fsB", uuid, metadata)


def changes(table: CoreTable) -> list[tuple[str, bytes | None]]:
    """What `read` tells until it tells nothing, shortened to uuid and metadata."""
    told: list[tuple[str, bytes | None]] = []
    while (changed := table.read()) or table.has_more:
        told += [(uuid, row.metadata if row else None) for uuid, row in changed.changes] if changed else []
    return told


def settled(table: CoreTable) -> None:
    assert table.read() == RowsRead((), is_all=True)
    assert changes(table) == []


def test_all_rows_are_told_first_then_what_changes(switch: Switch, table: CoreTable) -> None:
    switch.answer("a", "one")
    row = Row(LIFE, "sofia", "sip1", "fsA", "a", b"one")
    assert table.read() == RowsRead((("a", row),), is_all=True)
    assert table.read() is None
    switch.answer("b", "two")
    switch.update("a", "three")
    switch.hang_up("b")
    assert changes(table) == [("a", b"three"), ("b", None)]
    assert table.read() is None


def test_the_rows_of_a_real_call_come_out_as_they_went_in(switch: Switch, table: CoreTable) -> None:
    settled(table)
    captured = [_captured(*(record[name] for name in COLUMNS)) for record in json.loads(CAPTURE.read_text())]
    assert table.perform(LoadRows("calls:load", tuple(captured))) == RowsLoaded("calls:load", 2)
    kept = switch.run("select typeof(metadata), metadata from recovery order by rowid")
    assert kept == [("text", row.metadata.decode()) for row in captured]
    table.close()
    read = table.read()
    assert read is not None
    assert [row for _, row in read.changes] == captured


def _captured(life: str, technology: str, profile: str, host: str, uuid: str, metadata: str) -> Row:
    return Row(life, technology, profile, host, uuid, metadata.encode())


def test_a_row_that_changes_its_uuid_is_told_under_both(switch: Switch, table: CoreTable) -> None:
    settled(table)
    switch.answer("a", "one")
    changes(table)
    switch.run("update recovery set uuid = 'b'")
    assert changes(table) == [("a", None), ("b", b"one")]


def test_rows_of_a_uuid_that_is_there_are_skipped(switch: Switch, table: CoreTable) -> None:
    settled(table)
    switch.answer("a", "mine")
    done = table.perform(LoadRows("p", (a_row("a"), a_row("b"))))
    assert done == RowsLoaded("p", 1, ("a",))
    assert switch.rows()["a"][0] == LIFE
    assert switch.recover() == ["b"]


def test_what_we_write_is_not_told_and_what_the_switch_then_does_is(switch: Switch, table: CoreTable) -> None:
    settled(table)
    table.perform(LoadRows("p", (a_row("a"), a_row("b"), a_row("c"))))
    table.perform(DropRows("p", ("c",)))
    assert changes(table) == []
    assert switch.recover() == ["a", "b"]
    switch.answer("a", "recovered")
    assert changes(table) == [("b", None), ("a", b"recovered")]


def test_a_write_of_ours_hides_nothing_that_came_before_it(switch: Switch, table: CoreTable) -> None:
    settled(table)
    switch.answer("a", "one")
    table.perform(LoadRows("p", (a_row("b"),)))
    switch.answer("c", "two")
    assert changes(table) == [("a", b"one"), ("c", b"two")]


def test_a_recovered_call_counts_by_its_own_row_while_the_loaded_one_is_still_there(
    switch: Switch, table: CoreTable
) -> None:
    settled(table)
    table.perform(LoadRows("p", (a_row("a", b"loaded"),)))
    switch.answer("a", "own")
    assert changes(table) == [("a", b"own")]
    switch.recover()
    assert changes(table) == [("a", b"own")]


def test_rows_of_an_earlier_life_are_dropped_in_batches_and_own_ones_stay(
    switch: Switch, table: CoreTable
) -> None:
    settled(table)
    count = 2 * PAGE_ROWS + 7
    table.perform(LoadRows("p", tuple(a_row(f"old-{number}") for number in range(count))))
    switch.answer("mine", "x")
    assert table.perform(DropForeignRows("calls:own", LIFE)) == RowsLoaded("calls:own", count)
    assert list(switch.rows()) == ["mine"]
    assert changes(table) == [("mine", b"x")]


def test_many_changes_come_in_bounded_batches_in_order(switch: Switch, table: CoreTable) -> None:
    settled(table)
    names = [f"call-{number}" for number in range(3 * BATCH_CHANGES + 5)]
    for name in names:
        switch.answer(name, name)
    first = table.read()
    assert first is not None
    assert len(first.changes) == BATCH_CHANGES
    assert table.has_more
    told = [uuid for uuid, _ in first.changes] + [uuid for uuid, _ in changes(table)]
    assert told == names


def test_the_log_is_pruned_and_never_reuses_a_number(
    switch: Switch, table: CoreTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_db_table, "PRUNE_ENTRIES", 3)
    settled(table)
    table.prune()
    for name in "abcd":
        switch.answer(name, name)
    changes(table)
    table.prune()
    assert switch.run("select count(*) from zcluster_changes") == [(0,)]
    switch.answer("e", "e")
    assert changes(table) == [("e", b"e")]


def test_pruning_leaves_what_was_not_read(
    switch: Switch, table: CoreTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_db_table, "PRUNE_ENTRIES", 1)
    settled(table)
    switch.answer("a", "a")
    changes(table)
    switch.answer("b", "b")
    table.prune()
    assert changes(table) == [("b", b"b")]


def test_with_nobody_reading_the_log_stays_bounded_and_the_loss_is_noticed(
    switch: Switch, table: CoreTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = LARGEST_LOG_ENTRIES
    small = {name: text.replace(str(bound), "20") for name, text in SCHEMA.items()}
    monkeypatch.setattr(core_db_table, "SCHEMA", small)
    settled(table)
    for number in range(50):
        switch.answer(f"call-{number}", "x")
    assert switch.run("select count(*) from zcluster_changes") == [(20,)]
    read = table.read()
    assert read is not None
    assert read.is_all
    assert len(read.changes) == 50


@pytest.mark.parametrize(
    "damage",
    [
        "drop trigger zcluster_delete",
        "drop table recovery",
        "drop trigger zcluster_insert; drop trigger zcluster_update; drop trigger zcluster_delete; "
        "drop table zcluster_changes",
        "delete from zcluster_changes",
    ],
)
def test_what_is_taken_away_is_put_back_and_everything_is_told(
    switch: Switch, table: CoreTable, damage: str
) -> None:
    switch.answer("a", "a")
    table.read()
    changes(table)
    switch.answer("b", "b")
    for statement in damage.split(";"):
        switch.run(statement)
    switch.start()
    read = table.read()
    assert read is not None
    assert read.is_all
    assert {uuid for uuid, _ in read.changes} == set(switch.rows())
    switch.answer("c", "c")
    switch.hang_up("a")
    assert ("c", b"c") in changes(table)


def test_a_log_that_was_emptied_unread_is_a_loss(switch: Switch, table: CoreTable) -> None:
    settled(table)
    switch.answer("a", "a")
    switch.run("delete from zcluster_changes")
    read = table.read()
    assert read is not None
    assert (read.is_all, [uuid for uuid, _ in read.changes]) == (True, ["a"])


def test_a_start_of_the_switch_keeps_the_log(path: Path, switch: Switch, table: CoreTable) -> None:
    switch.answer("a", "a")
    table.read()
    changes(table)
    switch.connection.close()
    again = Switch(path, OTHER_LIFE).start()
    again.answer("b", "b")
    read = table.read()
    assert read is not None
    assert {uuid for uuid, _ in read.changes} >= {"b"}
    assert again.run("select count(*) from sqlite_master where name like 'zcluster%'") == [(4,)]
    again.connection.close()


def test_no_database_is_a_problem_until_there_is_one(path: Path, table: CoreTable) -> None:
    assert table.read() is None
    assert "no core database" in table.problem
    refused = table.perform(LoadRows("p", (a_row("a"),)))
    assert isinstance(refused, RowsRefused)
    assert refused.reason == table.problem
    assert not path.exists()  # an empty file of ours would be the switch's database
    switch = Switch(path)
    assert table.read() is None
    assert "table recovery" in table.problem
    switch.start()
    settled(table)
    assert table.problem == ""
    switch.connection.close()


def test_a_replaced_file_is_read_anew(tmp_path: Path, path: Path, switch: Switch, table: CoreTable) -> None:
    switch.answer("a", "a")
    table.read()
    beside = Switch(tmp_path / "new.db").start()
    beside.answer("b", "b")
    (tmp_path / "new.db").rename(path)
    read = table.read()
    assert read is not None
    assert (read.is_all, [uuid for uuid, _ in read.changes]) == (True, ["b"])
    beside.connection.close()
    path.unlink()
    assert table.read() is None
    assert "no core database" in table.problem


def test_garbage_is_a_problem_and_no_end(path: Path, table: CoreTable) -> None:
    path.write_bytes(b"this is no database at all" * 400)
    assert table.read() is None
    assert "cannot be used" in table.problem
    assert isinstance(table.perform(DropRows("p", ("a",))), RowsRefused)
    path.unlink()
    switch = Switch(path).start()
    settled(table)
    switch.connection.close()


def test_a_locked_database_is_waited_for_and_then_refused(
    switch: Switch, table: CoreTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(table)
    monkeypatch.setattr(core_db_table, "WISH_LIMIT_S", 0.0)
    monkeypatch.setattr(core_db_table, "LOCK_PATIENCE_S", 0.0)
    switch.run("BEGIN EXCLUSIVE")
    refused = table.perform(DropForeignRows("p", LIFE))
    assert isinstance(refused, RowsRefused)
    assert "locked" in refused.reason
    assert "locked" in table.problem
    switch.answer("a", "a")
    switch.run("COMMIT")
    assert changes(table) == [("a", b"a")]  # and not everything again
    assert table.problem == ""


def test_too_many_rows_and_text_that_is_none_are_refused(switch: Switch, table: CoreTable) -> None:
    settled(table)
    many = tuple(a_row(str(number)) for number in range(LARGEST_WISH_ROWS + 1))
    assert isinstance(table.perform(LoadRows("p", many)), RowsRefused)
    assert isinstance(table.perform(LoadRows("p", (a_row("a"), a_row("\ud800")))), RowsRefused)
    assert switch.rows() == {}
    assert table.problem == ""


def test_bytes_that_are_no_text_go_through(switch: Switch, table: CoreTable) -> None:
    row = a_row("caf\udce9", b"<cdr>\xff\xfe</cdr>")
    settled(table)
    assert table.perform(LoadRows("p", (row,))) == RowsLoaded("p", 1)
    table.close()
    assert table.read() == RowsRead(((row.uuid, row),), is_all=True)
    assert table.perform(DropRows("p", (row.uuid,))) == RowsLoaded("p", 1)


UUIDS = st.sampled_from("abcdef")
METADATA = st.text("xyz'\"%\n", max_size=8)
STEPS = st.one_of(
    st.tuples(st.just("answer"), UUIDS, METADATA),
    st.tuples(st.just("update"), UUIDS, METADATA),
    st.tuples(st.just("hang_up"), UUIDS),
    st.tuples(st.just("recover")),
    st.tuples(st.just("start")),
    st.tuples(st.just("lose_table")),
    st.tuples(st.just("lose_log")),
    st.tuples(st.just("load"), st.lists(UUIDS, max_size=4)),
    st.tuples(st.just("drop"), st.lists(UUIDS, max_size=4)),
    st.tuples(st.just("drop_foreign")),
    st.tuples(st.just("read")),
    st.tuples(st.just("prune")),
    st.tuples(st.just("reopen")),
)


class Story:
    """A switch and our table on one file, and what a reader of all events knows."""

    def __init__(self, path: Path) -> None:
        self.switch = Switch(path).start()
        self.table = CoreTable(path)
        self.known: dict[str, Row] = {}

    def tell(self, step: tuple[object, ...]) -> None:
        match step:
            case ("answer" | "update" | "hang_up" | "recover" | "start" as name, *values):
                getattr(self.switch, str(name))(*values)
            case ("lose_table",):
                self.switch.run("drop table recovery")
                self.switch.start()
            case ("lose_log",):
                for trigger in ("insert", "update", "delete"):
                    self.switch.run(f"drop trigger if exists zcluster_{trigger}")
                self.switch.run("drop table if exists zcluster_changes")
            case ("load", uuids):
                assert isinstance(uuids, list)
                rows = tuple(a_row(uuid) for uuid in uuids)
                done = self.table.perform(LoadRows("p", rows))
                assert isinstance(done, RowsLoaded)
                self.known.update((row.uuid, row) for row in rows if row.uuid not in done.skipped)
            case ("drop", uuids):
                assert isinstance(uuids, list)
                assert isinstance(self.table.perform(DropRows("p", tuple(uuids))), RowsLoaded)
                self.known = {uuid: row for uuid, row in self.known.items() if uuid not in uuids}
            case ("drop_foreign",):
                assert isinstance(self.table.perform(DropForeignRows("p", LIFE)), RowsLoaded)
                self.known = {uuid: row for uuid, row in self.known.items() if row.runtime_uuid == LIFE}
            case ("read",):
                self.read()
            case ("prune",):
                self.table.prune()
            case _:
                self.table.close()

    def read(self) -> bool:
        changed = self.table.read()
        if changed and changed.is_all:
            self.known = {}
        for uuid, row in changed.changes if changed else ():
            if row is None:
                self.known.pop(uuid, None)
            else:
                self.known[uuid] = row
        return changed is not None or self.table.has_more

    def close(self) -> None:
        self.table.close()
        self.switch.connection.close()


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_whatever_happens_the_changes_told_add_up_to_the_table(steps: list[tuple[object, ...]]) -> None:
    with TemporaryDirectory() as directory:
        story = Story(Path(directory) / "core.db")
        for step in steps:
            story.tell(step)
        while story.read():
            pass
        rows = story.switch.rows()
        assert story.table.problem == ""
        story.close()
    assert {uuid: tuple(row) for uuid, row in story.known.items()} == rows


def test_a_damaged_page_is_a_problem_and_no_end(path: Path, switch: Switch, table: CoreTable) -> None:
    settled(table)
    for number in range(30):
        switch.answer(f"call-{number}", "x" * 5000)
    switch.connection.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 8192))
    assert table.read() is None
    assert table.problem
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("select * from recovery").fetchall()


def as_nobody(make: Callable[[], CoreTable]) -> str:
    """The problem of a table that another user reads, in a process of his own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            table = make()
            table.read()
            os.write(writing, table.problem.encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o644, 0o755), (0o666, 0o755), (0o600, 0o700)])
def test_another_users_database_is_a_problem_with_its_mend(file_mode: int, folder_mode: int) -> None:
    """SQLite makes its journal in the same directory, so writing the file is not enough."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "core.db"
        Switch(path).start().connection.close()
        path.chmod(file_mode)
        path.parent.chmod(folder_mode)
        problem = as_nobody(lambda: CoreTable(path))
    assert "must be able to write the file and its directory" in problem
