"""The demo's picture: nodes, addresses and the last seconds of the client's probes, 80 columns wide.

What must hold: pure, from plain rows to text or to something rich can draw; a missed probe is never hidden by
an answered one in the same cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from zcluster.lab.gaps import LATE_NS, Probe

WIDTH = 80
STRIP_CELLS = 40
CELL_NS = 50_000_000
ANSWERED, MISSED, NOTHING = "#", ".", " "


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node: `state` is its own word for it, `holds` its groups, `note` what else there is to say."""

    name: str
    state: str
    holds: str
    note: str


@dataclass(frozen=True, slots=True)
class AddressRow:
    """A floating address: who answered last on the wire, and its last two seconds (see `strip`)."""

    group: str
    address: str
    host: str
    strip: str


def strip(probes: Sequence[Probe], now_ns: int) -> str:
    """The last STRIP_CELLS cells of CELL_NS each, the newest at the right; a cell with a miss is a miss.

    The newest LATE_NS are left out: their answers may still come.
    """
    end_ns = now_ns - LATE_NS
    cells = [NOTHING] * STRIP_CELLS
    for probe in probes:
        number = STRIP_CELLS - 1 - (end_ns - probe.sent_ns) // CELL_NS
        if 0 <= number < STRIP_CELLS and probe.sent_ns <= end_ns:
            if probe.is_missed:
                cells[number] = MISSED
            elif cells[number] == NOTHING:
                cells[number] = ANSWERED
    return "".join(cells)


def draw(nodes: Sequence[NodeRow], addresses: Sequence[AddressRow], said: Sequence[str]) -> RenderableType:
    """The live picture."""
    node_table = Table(box=None, pad_edge=False)
    for head, width in (("NODE", 6), ("STATE", 12), ("HOLDS", 10), ("", None)):
        node_table.add_column(head, width=width, no_wrap=True)
    for node in nodes:
        style = {"MASTER": "bold green", "SLAVE": "cyan", "no power": "bold red"}.get(node.state, "yellow")
        node_table.add_row(node.name, Text(node.state, style), node.holds, node.note)
    address_table = Table(box=None, pad_edge=False)
    for head, width in (("GROUP", 6), ("ADDRESS", 14), ("FROM", 6), ("ANSWERS IN THE LAST 2 s", None)):
        address_table.add_column(head, width=width, no_wrap=True)
    for row in addresses:
        address_table.add_row(row.group, row.address, row.host, _coloured(row.strip))
    story = Text("\n".join(said))
    return Panel(
        Group(node_table, Text(), address_table, Text(), story), title="zcluster laboratory", width=WIDTH
    )


def plain(nodes: Sequence[NodeRow], addresses: Sequence[AddressRow]) -> list[str]:
    """The same as lines, for where there is no terminal."""
    lines = [f"    {node.name:<4} {node.state:<9} {node.holds:<8} {node.note}".rstrip() for node in nodes]
    lines += [f"    {row.group:<4} {row.address:<13} {row.host:<4} |{row.strip}|" for row in addresses]
    return lines


def _coloured(cells: str) -> Text:
    text = Text()
    for cell in cells:
        style = {ANSWERED: "green", MISSED: "bold white on red"}.get(cell, "")
        text.append("█" if cell == ANSWERED else cell, style)
    return text
