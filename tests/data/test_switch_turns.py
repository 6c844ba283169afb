from __future__ import annotations

from typing import cast

import pytest

from zcluster.adapters.core_db import CoreDb, CoreDbEvent
from zcluster.adapters.core_db_table import RowsRead
from zcluster.data.heart import Heart
from zcluster.data.switch_turns import PIECE_ROWS, CoreDbTurns
from zcluster.telephony.events import Event, Row, RowsChanged, RowsListed, RowsLoaded


class Table:
    """What a CoreDb shows of itself."""

    def __init__(self, events: list[CoreDbEvent]) -> None:
        self.events = events
        self.problem = ""

    def fileno(self) -> int:
        return 0

    def receive(self) -> list[CoreDbEvent]:
        events, self.events = self.events, []
        return events


class Ear:
    def __init__(self) -> None:
        self.heard: list[Event] = []

    def take(self, event: Event) -> None:
        self.heard.append(event)


def turns_of(table: Table, ear: Ear, told: list[str]) -> CoreDbTurns:
    return CoreDbTurns(cast(CoreDb, table), cast(Heart, ear), lambda level, code, text: told.append(text))


@pytest.mark.parametrize("rows", [1, PIECE_ROWS, PIECE_ROWS + 1, 200])
def test_rows_come_in_small_pieces_and_in_their_order(rows: int) -> None:
    changes = tuple((f"uuid-{number}", None) for number in range(rows))
    ear = Ear()
    turns = turns_of(Table([RowsRead(changes), RowsLoaded("calls:x", 1)]), ear, [])
    pieces = 1
    while turns.piece(0):
        pieces += 1
    assert pieces == len(ear.heard) == -(-rows // PIECE_ROWS) + 1
    parts = [event for event in ear.heard if isinstance(event, RowsChanged)]
    assert tuple(change for part in parts for change in part.changes) == changes
    assert all(len(part.changes) <= PIECE_ROWS for part in parts)
    assert isinstance(ear.heard[-1], RowsLoaded)


def test_after_all_rows_comes_the_list_of_them() -> None:
    row = Row("core", "sofia", "sip1", "host", "uuid", b"")
    changes = tuple((f"uuid-{number}", row._replace(uuid=f"uuid-{number}")) for number in range(200))
    ear = Ear()
    turns = turns_of(Table([RowsRead(changes, is_all=True)]), ear, [])
    while turns.piece(0):
        pass
    *parts, listed = ear.heard
    assert (
        tuple(change for part in parts if isinstance(part, RowsChanged) for change in part.changes) == changes
    )
    assert listed == RowsListed(tuple((uuid, "core") for uuid, _ in changes))


def test_no_rows_at_all_are_a_list_too() -> None:
    ear = Ear()
    turns_of(Table([RowsRead((), is_all=True)]), ear, []).piece(0)
    assert ear.heard == [RowsListed(())]


def test_a_problem_is_told_once() -> None:
    table, told = Table([]), cast(list[str], [])
    turns = turns_of(table, Ear(), told)
    table.problem = "no such file"
    turns.piece(0)
    turns.piece(0)
    assert told == ["calls cannot be followed: no such file"]
    table.problem = ""
    turns.piece(0)
    table.problem = "no such file"
    turns.piece(0)
    assert len(told) == 2
