"""Which rows a pane has, in which order, and which of them is chosen: the same for keys and for the eye.

What must hold: pure; every order is total, so that rows do not change places by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from zcluster.console.top.documents import Documents
from zcluster.console.top.picture import GroupRow, NodeRow
from zcluster.console.top.state import Pane, ViewState
from zcluster.console.top.story import StoryRow

UNKNOWN = 1 << 62
_DIGITS = re.compile(r"([0-9]{1,15})")
_Row = TypeVar("_Row", GroupRow, NodeRow)


class Window(NamedTuple):
    """What of a pane can be seen: rows `first` to `end` of `total`; `chosen` is an index, None where there is none."""

    first: int
    end: int
    total: int
    chosen: int | None


def groups_of(documents: Documents, state: ViewState) -> list[GroupRow]:
    """The groups that the filter lets through, in the wanted order."""
    if documents.picture is None:
        return []
    needle = state.filter.casefold()
    found = [
        group
        for group in documents.picture.groups
        if _holds(needle, group.name, group.holder or "nobody", group.pinned_to, *group.addresses)
    ]
    found.sort(key=lambda group: natural(group.name))
    match state.order(Pane.GROUPS):
        case "trouble":
            found.sort(key=lambda group: not group.is_troubled)
        case "holder":
            found.sort(key=lambda group: natural(group.holder))
        case "last change":
            found.sort(key=lambda group: UNKNOWN if group.since_ms is None else group.since_ms)
        case "epoch":
            found.sort(key=lambda group: -(group.counter or 0))
    return _turned(found, state, Pane.GROUPS)


def nodes_of(documents: Documents, state: ViewState) -> list[NodeRow]:
    """The nodes that the filter lets through, in the wanted order."""
    if documents.picture is None:
        return []
    needle = state.filter.casefold()
    found = [
        node
        for node in documents.picture.nodes
        if _holds(needle, node.name, node.state, node.version, node.build, *node.holds, *node.unready)
    ]
    found.sort(key=lambda node: natural(node.name))
    match state.order(Pane.NODES):
        case "trouble":
            found.sort(key=lambda node: (node.is_heard, not node.is_troubled))
        case "state":
            found.sort(key=lambda node: node.state)
        case "slave":
            found.sort(key=lambda node: node.position or UNKNOWN)
        case "loss":
            found.sort(key=lambda node: -worst_loss(node))
    return _turned(found, state, Pane.NODES)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """For sorting: pbx2 before pbx10."""
    parts = (
        (0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part.casefold())
        for part in _DIGITS.split(name)
    )
    return (*parts, (2, 0, name))


def worst_loss(node: NodeRow) -> int:
    """Per mille on its worst link; a link that is not heard loses everything."""
    return max((1000 if not link.is_heard else link.loss_per_mille or 0 for link in node.links), default=0)


def story_of(documents: Documents, state: ViewState) -> list[StoryRow]:
    """The story that the filter lets through, the newest last."""
    needle = state.filter.casefold()
    if not needle:
        return list(documents.story)
    return [
        row
        for row in documents.story
        if _holds(needle, row.text, row.record.code, row.record.level, *row.tellers)
    ]


def names_of(pane: Pane, documents: Documents, state: ViewState) -> list[str]:
    """What the rows of a pane are called, in their order."""
    match pane:
        case Pane.GROUPS:
            return [group.name for group in groups_of(documents, state)]
        case Pane.NODES:
            return [node.name for node in nodes_of(documents, state)]
        case Pane.STORY:
            return [row.name for row in story_of(documents, state)]


def chosen_at(pane: Pane, names: Sequence[str], state: ViewState) -> int | None:
    """The index of the chosen row: where nothing was chosen, the first one, and of the story the newest."""
    if not names:
        return None
    name = state.chosen.get(pane, "")
    if name and name in names:
        return names.index(name)
    return len(names) - 1 if pane is Pane.STORY else 0


def window(names: Sequence[str], chosen: int | None, height: int, is_tail: bool) -> Window:
    """The page with the chosen row; with `is_tail` pages are counted from the end."""
    total, height = len(names), max(height, 1)
    if chosen is None:
        return Window(0, 0, total, None)
    if is_tail:
        end = total - (total - 1 - chosen) // height * height
        return Window(max(0, end - height), end, total, chosen)
    first = chosen // height * height
    return Window(first, min(total, first + height), total, chosen)


def _holds(needle: str, *cells: str) -> bool:
    return not needle or any(needle in cell.casefold() for cell in cells)


def _turned(found: list[_Row], state: ViewState, pane: Pane) -> list[_Row]:
    return found[::-1] if state.is_reversed.get(pane, False) else found
