"""The two tables of the overview: groups and nodes, with the columns that fit.

What must hold: pure; widths follow from all rows, not from those that can be seen, so that paging moves no column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zcluster.console.top import cells
from zcluster.console.top.lines import Column, Grid, Line, Piece, Row, Tone, grid
from zcluster.console.top.picture import GroupRow, NodeRow
from zcluster.console.top.story import StoryRow, change_text, last_change, last_changes

LARGEST_LINKS = 8
SILENT_WIDTH = 6
ROOMY = 110
NAME_MOST = 16


def group_grid(
    groups: Sequence[GroupRow],
    story: Sequence[StoryRow],
    older_ms: int,
    is_observing: bool,
    place: str,
    width: int,
) -> tuple[Grid, Line, list[Row]]:
    """The grid, its heads and all rows. `older_ms`: how long ago the document was made; `place`: which part is seen."""
    changes = last_changes(story)
    rows: list[Row] = []
    for group in groups:
        record = last_change(group, changes)
        since = "-" if group.since_ms is None else cells.span(group.since_ms + older_ms)
        is_new = group.since_ms is not None and group.since_ms < 60_000
        rows.append(
            (
                Piece(group.name, Tone.PLAIN if group.holder else Tone.BAD),
                cells.holder(group),
                Piece("-" if group.counter is None else str(group.counter)),
                Piece(since, Tone.NOTE if is_new else Tone.PLAIN),
                Piece(change_text(record) if record is not None else "-", Tone.NOTE if is_new else Tone.DIM),
                cells.addresses(group),
            )
        )
    columns = (
        Column("GROUP", 5, NAME_MOST, 0),
        Column("WOULD HOLD" if is_observing else "HOLDER", 6, NAME_MOST, 1),
        Column("EPOCH", 5, 8, 5),
        Column("HELD FOR", 12, 12, 2),
        Column("LAST CHANGE", 16, 48, 3, grows=True),
        Column("ADDRESSES", 11, 200, 4, grows=True),
    )
    return _laid(columns, rows, width, place)


def node_grid(
    nodes: Sequence[NodeRow], older_ms: int, is_any_switch: bool, place: str, width: int
) -> tuple[Grid, Line, list[Row]]:
    """The grid, its heads and all rows."""
    names = link_names(nodes)
    is_roomy = width >= ROOMY
    link_cell = cells.loss_and_delay if is_roomy else cells.loss
    rows: list[Row] = []
    for node in nodes:
        links = {link.name: link for link in node.links}
        rows.append(
            (
                cells.node_name(node),
                cells.state(node),
                cells.slave(node),
                *(link_cell(links.get(name), node.is_self, node.is_witness) for name in names),
                cells.all_links(node),
                cells.switch(node),
                cells.condition(_older(node, older_ms)),
                Piece("-" if node.generation is None else str(node.generation)),
                cells.clock(node),
                Piece(node.version or "-"),
                Piece(node.build or "-", Tone.DIM),
            )
        )
    link_least = 13 if is_roomy else SILENT_WIDTH
    columns = [
        Column("NODE", 4, NAME_MOST, 0),
        Column("STATE", 8, 11, 1),
        Column("SLAVE", 5, 5, 3),
        *(Column(name.upper()[:12], link_least, 20, 5) for name in names),
        # One cell for all where there is no room for each.
        Column("LINKS", 8, 14, 6 if names else 99),
        Column("SWITCH", 6, 8, 4 if is_any_switch else 98),
        Column("CONDITION", 20, 90, 2, grows=True),
        Column("GEN", 3, 6, 8),
        Column("CLOCK", 6, 8, 7),
        Column("VERSION", 7, 14, 9),
        Column("FREESWITCH", 10, 24, 10 if is_any_switch else 97),
    ]
    kept = _without_doubles(columns, rows, len(names), width)
    return _laid([columns[at] for at in kept], [[row[at] for at in kept] for row in rows], width, place)


def link_names(nodes: Sequence[NodeRow]) -> list[str]:
    """The links in the order in which the nodes have them."""
    return list(dict.fromkeys(link.name for node in nodes for link in node.links))[:LARGEST_LINKS]


def _without_doubles(columns: Sequence[Column], rows: Sequence[Row], links: int, width: int) -> list[int]:
    """The links each in a column, or all in one: never both."""
    every, joined = range(3, 3 + links), 3 + links
    hidden = {at for at, column in enumerate(columns) if column.rank >= 97}
    split = [at for at in range(len(columns)) if at != joined and at not in hidden]
    places = grid([columns[at] for at in split], [[row[at] for at in split] for row in rows], width).places
    shown = {split[at] for at, _ in places}
    if links and all(at in shown for at in every):
        return split
    return [at for at in range(len(columns)) if at not in every and at not in hidden]


def _laid(columns: Sequence[Column], rows: list[Row], width: int, place: str) -> tuple[Grid, Line, list[Row]]:
    laid = grid(columns, rows, width)
    titles = [column.title for column in columns]
    growing = [(index, room) for index, room in laid.places if columns[index].grows]
    if place and growing:
        # Which part is seen stands where there is most room for it.
        index, room = growing[-1]
        both = f"{titles[index]}  {place}"
        titles[index] = both if len(both) <= room else place
    return laid, laid.row([Piece(title, Tone.HEAD) for title in titles]), rows


def _older(node: NodeRow, older_ms: int) -> NodeRow:
    """Silence grows while we look."""
    if node.is_heard or node.heard_ms is None or not older_ms:
        return node
    return replace(node, heard_ms=node.heard_ms + older_ms)
