from __future__ import annotations

from typing import cast

import pytest

from zcluster.adapters.core_db import CoreDb, CoreDbEvent
from zcluster.data.heart import Heart
from zcluster.data.switch_turns import PIECE_ROWS, CoreDbTurns
from zcluster.telephony.events import RowsChanged, RowsLoaded


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
        self.heard: list[CoreDbEvent] = []

    def take(self, event: CoreDbEvent) -> None:
        self.heard.append(event)


def turns_of(table: Table, ear: Ear, told: list[str]) -> CoreDbTurns:
    return CoreDbTurns(cast(CoreDb, table), cast(Heart, ear), lambda level, code, text: told.append(text))


@pytest.mark.parametrize("rows", [1, PIECE_ROWS, PIECE_ROWS + 1, 200])
def test_rows_come_in_small_pieces_and_in_their_order(rows: int) -> None:
    changes = tuple((f"uuid-{number}", None) for number in range(rows))
    ear = Ear()
    turns = turns_of(Table([RowsChanged(changes), RowsLoaded("calls:x", 1)]), ear, [])
    pieces = 1
    while turns.piece(0):
        pieces += 1
    assert pieces == len(ear.heard) == -(-rows // PIECE_ROWS) + 1
    parts = [event for event in ear.heard if isinstance(event, RowsChanged)]
    assert tuple(change for part in parts for change in part.changes) == changes
    assert all(len(part.changes) <= PIECE_ROWS for part in parts)
    assert isinstance(ear.heard[-1], RowsLoaded)


def test_what_is_all_stays_whole() -> None:
    ear = Ear()
    everything = RowsChanged(tuple((f"uuid-{number}", None) for number in range(200)), is_all=True)
    turns_of(Table([everything]), ear, []).piece(0)
    assert ear.heard == [everything]


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
