"""`zcluster registrations`: the phones that the whole cluster knows, whoever holds their group.

What must hold: the rendering is pure; it is readable at 80 columns.
"""

from __future__ import annotations

import json
from pathlib import Path

from zcluster.console.lists import Listed, Selection, as_json, count, counts_page, fetch, page, width_of
from zcluster.console.words import counted, duration

NAME = "registrations"
WIDEST_AOR, WIDEST_NAME = 28, 12


def run(socket_path: Path, selection: Selection, is_count: bool, is_json: bool) -> int:
    """Ask the data process, print, return 0. Raises ControlSocketError."""
    if is_count:
        counts = count(socket_path, NAME, selection)
        print(json.dumps(counts) if is_json else "\n".join(counts_page("registration", counts, selection)))
        return 0
    listed = fetch(socket_path, NAME, selection)
    print(as_json(NAME, listed) if is_json else "\n".join(render(listed, selection)))
    return 0


def render(listed: Listed, selection: Selection) -> list[str]:
    """The page, by group and address of record."""
    ordered = sorted(listed.rows, key=lambda row: (row["group"], row["aor"], row["contact"]))
    rows = [
        (
            width_of(row["aor"], WIDEST_AOR),
            width_of(row["group"] or "-", WIDEST_NAME),
            width_of(row["node"], WIDEST_NAME),
            _left(row["expires_in_s"], row["is_cut"]),
            row["contact"] + (f" via {row['via']}" if row["via"] else ""),
        )
        for row in ordered
    ]
    shown = counted(len(rows), "registration")
    sentence = f"{shown}{selection.words()}, as {listed.node} knows them."
    return page(sentence, ("PHONE", "GROUP", "HELD BY", "EXPIRES", "CONTACT"), rows, listed)


def _left(seconds: int, is_cut: bool) -> str:
    if is_cut:
        return "cut off"  # its connection ended with the node that it led to
    return duration(seconds * 1000) if seconds > 0 else "now"
