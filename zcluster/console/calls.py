"""`zcluster calls`: the legs of calls that the cluster would bring back, and (--lost) those that it could not.

What must hold: the rendering is pure; it is readable at 80 columns; what billing needs of a lost call is in it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from zcluster.adapters.control_socket import FILE_NAME as CONTROL_SOCKET
from zcluster.adapters.control_socket import ask
from zcluster.console.lists import Listed, Row, Selection, as_json, count, counts_page, fetch, page, width_of
from zcluster.console.words import counted, duration, paragraph, printable
from zcluster.errors import ControlSocketError

CALLS, LOST = "calls", "lost"
WIDEST_PARTY, WIDEST_NAME = 16, 10
# Seconds since 1970 into a time of day for people.
Clock = Callable[[int], str]


def run(socket_path: Path, selection: Selection, is_lost: bool, is_count: bool, is_json: bool) -> int:
    """Ask the data process, print, return 0. Raises ControlSocketError."""
    name = LOST if is_lost else CALLS
    if is_count:
        counts = count(socket_path, name, selection)
        what = "lost leg" if is_lost else "leg"
        print(json.dumps(counts) if is_json else "\n".join(counts_page(what, counts, selection)))
        return 0
    listed = fetch(socket_path, name, selection)
    if is_json:
        print(as_json(name, listed))
    elif is_lost:
        elsewhere = [] if listed.rows else _holders_elsewhere(socket_path, listed.node, selection.group)
        print(
            "\n".join([*render_lost(listed, selection, local_time), *ask_elsewhere(listed.node, elsewhere)])
        )
    else:
        print("\n".join(render(listed, selection, int(time.time()))))
    return 0


def _holders_elsewhere(socket_path: Path, node: str, group: str) -> list[str]:
    """Who holds the group (or any), where that is not this node too; nothing where that cannot be asked."""
    with suppress(ControlSocketError):
        status: Mapping[str, Any] = ask(socket_path.with_name(CONTROL_SOCKET), {"ask": "status"})
        holders = [
            each["holder"]
            for each in status.get("groups", ())
            if each["holder"] and group in ("", each["name"])
        ]
        return [] if node in holders else list(dict.fromkeys(holders))
    return []


def ask_elsewhere(node: str, holders: Sequence[str]) -> list[str]:
    """Who knows more where this node took nothing over: each node lists the calls of its own takeovers."""
    if not holders:
        return []
    return paragraph(printable(f"{node} holds nothing of it: ask the new holder ({', '.join(holders)})."))


def local_time(at_s: int) -> str:
    """Local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s))


def render(listed: Listed, selection: Selection, now_s: int) -> list[str]:
    """The page of living legs, oldest first."""
    ordered = sorted(listed.rows, key=lambda row: (row["started_s"] or now_s, row["uuid"]))
    rows = [
        (
            width_of(row["caller"] or "?", WIDEST_PARTY),
            width_of(row["callee"] or "?", WIDEST_PARTY),
            _state(row),
            duration(max(0, now_s - row["started_s"]) * 1000) if row["started_s"] else "-",
            width_of(row["node"], WIDEST_NAME),
            width_of(row["group"] or "-", WIDEST_NAME),
        )
        for row in ordered
    ]
    safe = sum(1 for row in ordered if row["is_recoverable"])
    sentence = (
        f"{counted(len(rows), 'leg')}{selection.words()}, as {listed.node} knows them; {safe} of them would "
        "live on elsewhere."
    )
    if not rows:
        sentence = f"No calls{selection.words()} that {listed.node} knows of."
    lines = page(sentence, ("CALLER", "CALLEE", "STATE", "SINCE", "ON", "GROUP"), rows, listed)
    return _with_uuids(lines, ordered)


def _with_uuids(lines: list[str], ordered: Sequence[Row]) -> list[str]:
    """Each leg's UUID under its row: with everything else it is wider than a terminal, and commands need it whole."""
    first = next((at for at, line in enumerate(lines) if line.startswith("CALLER ")), len(lines)) + 1
    for row, at in zip(reversed(ordered), range(first + len(ordered) - 1, first - 1, -1), strict=True):
        lines.insert(at + 1, f"  {printable(row['uuid'])}")
    return lines


def _state(row: Row) -> str:
    if row["is_orphan"]:
        return "orphaned"  # its node is gone, and nobody adopted it yet
    state: Any = row["state"]
    return "recovered" if row["is_recovered"] else str(state)


def render_lost(listed: Listed, selection: Selection, clock: Clock) -> list[str]:
    """The page of lost legs, oldest first, each with its reason."""
    rows = [
        (
            clock(row["lost_s"]),
            width_of(row["caller"] or "?", WIDEST_PARTY),
            width_of(row["callee"] or "?", WIDEST_PARTY),
            f"{row['reason']}; began {clock(row['started_s']) if row['started_s'] else '?'} on "
            f"{row['node'] or '?'} ({row['group'] or '-'}), {row['uuid']}",
        )
        for row in listed.rows
    ]
    sentence = f"{counted(len(rows), 'leg')}{selection.words()} could not be brought back by {listed.node}."
    return page(sentence, ("LOST AT", "CALLER", "CALLEE", "WHY"), rows, listed)
