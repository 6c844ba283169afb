"""`zcluster limits`: what the cluster counts together, and how much of it each node has.

What must hold: the rendering is pure; it is readable at 80 columns.
"""

from __future__ import annotations

import json
from pathlib import Path

from zcluster.console.lists import Listed, Row, Selection, as_json, count, fetch, page, width_of
from zcluster.console.words import counted

NAME = "limits"
WIDEST_LIMIT = 36


def run(socket_path: Path, selection: Selection, is_count: bool, is_json: bool) -> int:
    """Ask the data process, print, return 0. Raises ControlSocketError."""
    if is_count:
        counts = count(socket_path, NAME, selection)
        plain = f"{counted(counts['total'], 'limit')}{selection.words()} in use."
        print(json.dumps(counts) if is_json else plain)
        return 0
    listed = fetch(socket_path, NAME, selection)
    print(as_json(NAME, listed) if is_json else "\n".join(render(listed, selection)))
    return 0


def render(listed: Listed, selection: Selection) -> list[str]:
    """The page, by name."""
    rows = [
        (width_of(row["name"], WIDEST_LIMIT), str(row["total"]), _shares(row, selection.node))
        for row in sorted(listed.rows, key=lambda row: row["name"])
    ]
    sentence = f"{counted(len(rows), 'limit')}{selection.words()} in use, as {listed.node} counts them."
    return page(sentence, ("LIMIT", "SESSIONS", "OF WHICH"), rows, listed)


def _shares(row: Row, node: str) -> str:
    shares = []
    for name, share in sorted(row["nodes"].items()):
        if not node or name == node:
            recovered = f" and {share['recovered']} recovered" if share["recovered"] else ""
            shares.append(f"{name} {share['sessions']}{recovered}")
    if row["kept"]:
        shares.append(f"{row['kept']} kept for calls that may yet be recovered")
    return ", ".join(shares) or "-"
