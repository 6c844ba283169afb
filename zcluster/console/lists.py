"""Long lists of the local data process, fetched page by page.

What must hold: a list is cut where the operator wants it to end, and says so; nothing that came from the network
reaches a terminal unprintable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zcluster.adapters.control_socket import FILE_NAME as CONTROL_SOCKET
from zcluster.adapters.control_socket import ask
from zcluster.console.names import assure_names
from zcluster.console.words import counted, paragraph, printable, table
from zcluster.errors import ControlSocketError

PAGE_ROWS = 1000
LARGEST_PAGES = 100_000

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows, "" for any; `limit` 0 for all of them."""

    group: str = ""
    node: str = ""
    profile: str = ""
    match: str = ""
    limit: int = 0

    def question(self, name: str) -> dict[str, object]:
        """What the data process is asked."""
        texts = {"group": self.group, "node": self.node, "profile": self.profile, "match": self.match}
        return {"ask": name, **texts}

    def words(self) -> str:
        """ " (group blue, matching "100")"; nothing when everything was asked for."""
        parts = [f"{name} {text}" for name in ("group", "node", "profile") if (text := getattr(self, name))]
        if self.match:
            parts.append(f'matching "{self.match}"')
        return f" ({', '.join(parts)})" if parts else ""


@dataclass(frozen=True, slots=True)
class Listed:
    """Rows in the order of the data process; `is_cut`: there are more."""

    node: str
    rows: Sequence[Row]
    is_cut: bool


def fetch(socket_path: Path, name: str, selection: Selection) -> Listed:
    """The rows. Raises ControlSocketError, and ZclusterError for a group or a node that there is not."""
    rows: list[Row] = []
    place, node = "", ""
    for _ in range(LARGEST_PAGES):
        left = selection.limit - len(rows) if selection.limit else PAGE_ROWS
        question = {**selection.question(name), "from": place, "limit": min(left, PAGE_ROWS)}
        answer = _checked(socket_path, name, question)
        rows += answer["rows"]
        place, node = answer["next"], answer["node"]
        if not place or (selection.limit and len(rows) >= selection.limit):
            break
    if not rows:
        _assure_names(socket_path, selection)
    return Listed(node, rows, bool(place))


def count(socket_path: Path, name: str, selection: Selection) -> Row:
    """How many there are, in all and by group, node and profile. Raises as `fetch`."""
    counts = _checked(socket_path, name, {**selection.question(name), "count": True})
    if not counts["total"]:
        _assure_names(socket_path, selection)
    return counts


def _assure_names(socket_path: Path, selection: Selection) -> None:
    with suppress(ControlSocketError):  # the control process may be gone; the answer is had all the same
        assure_names(socket_path.with_name(CONTROL_SOCKET), selection.group, selection.node)


def assure(socket_path: Path) -> None:
    """Raises ControlSocketError where this host has a daemon, and no data process belongs to it."""
    if not socket_path.exists() and socket_path.with_name(CONTROL_SOCKET).exists():
        text = f"{socket_path}: this node has no data process; it needs [switch] in the cluster's file"
        raise ControlSocketError(f"{text}, and witnesses have none: see `zcluster status`")


def _checked(socket_path: Path, name: str, question: Mapping[str, object]) -> Row:
    assure(socket_path)
    answer = ask(socket_path, question, timeout_s=30.0)
    if answer.get("schema") != f"zcluster.{name}/1":
        fault = answer.get("error") or "not a data process of this version"
        raise ControlSocketError(f"{socket_path}: {fault}")
    return answer


def as_json(name: str, listed: Listed) -> str:
    """One JSON object."""
    body = {"schema": f"zcluster.{name}/1", "ok": True, "node": listed.node, "is_cut": listed.is_cut}
    return json.dumps({**body, "rows": listed.rows})


def page(sentence: str, heads: Sequence[str], rows: Sequence[Sequence[str]], listed: Listed) -> list[str]:
    """A sentence, and the table under it."""
    lines = paragraph(sentence)
    if rows:
        clean = [[printable(cell) for cell in row] for row in rows]
        lines += ["", *table(heads, clean)]
    if listed.is_cut:
        lines += ["", *paragraph("There are more: --limit 0 shows all, --count counts them.")]
    return lines


def counts_page(what: str, counts: Row, selection: Selection) -> list[str]:
    """The answer of `count` for people: `what` is the singular of what was counted."""
    lines = paragraph(f"{counted(counts['total'], what)}{selection.words()}.")
    for name, by in counts["by"].items():
        if by:
            pairs = sorted(by.items(), key=lambda each: (-each[1], each[0]))
            shown = [(printable(each) or "-", str(number)) for each, number in pairs]
            lines += ["", *table((name.upper(), "COUNT"), shown)]
    return lines


def width_of(text: str, most: int) -> str:
    """A cell's text, cut in its middle where it would take the other columns' room."""
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[: most - 1 - half]}…{text[len(text) - half :]}"
