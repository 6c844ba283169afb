"""A strip plot as SVG, by hand: one row a label, one dot a value, a logarithmic axis, a bar at each median."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, ROW, TOP, GAP, BOTTOM = 980, 250, 40, 22, 70, 16, 50
LEAST_MS, MOST_MS = 1.0, 10_000.0
INK, FAINT, TWICE = "#222", "#ddd", "#d62728"


class Row(NamedTuple):
    """`marks`: for each value whether it is drawn as a warning. `text` stands where there are no values."""

    label: str
    values: Sequence[float]
    marks: Sequence[bool]
    colour: str
    text: str = ""


def draw(title: str, subtitle: str, blocks: Sequence[tuple[str, Sequence[Row]]]) -> str:
    """The picture: each block has a heading and its rows."""
    parts: list[str] = []
    y = TOP
    for heading, rows in blocks:
        y += GAP
        parts.append(_text(8, y + 4, heading, "start", 13, "bold"))
        for row in rows:
            y += ROW
            parts += _row(row, y)
        y += GAP // 2
    height = y + BOTTOM
    axis = [_line(_x(at), TOP, _x(at), height - BOTTOM + 8, FAINT) for at in _grid()]
    axis += [_text(_x(at), height - BOTTOM + 24, f"{at:g} ms", "middle", 11) for at in _grid()[::9]]
    head = [_text(8, 24, title, "start", 17, "bold"), _text(8, 46, subtitle, "start", 12)]
    body = "\n".join([*axis, *head, *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n{body}\n</svg>\n'
    )


def _row(row: Row, y: float) -> list[str]:
    parts = [_text(LEFT - 10, y + 4, row.label, "end", 12)]
    if not row.values:
        return [*parts, _text(LEFT + 6, y + 4, row.text, "start", 11)]
    for place, (value, mark) in enumerate(zip(row.values, row.marks, strict=True)):
        # Neighbours are moved apart a little, the same way in every drawing.
        offset = (place * 7 % 11 - 5) * 0.9
        colour, outline = (TWICE, INK) if mark else (row.colour, "none")
        parts.append(
            f'<circle cx="{_x(value):.1f}" cy="{y + offset:.1f}" r="3" fill="{colour}" fill-opacity="0.6" '
            f'stroke="{outline}" stroke-width="0.7"/>'
        )
    middle = median(row.values)
    parts.append(_line(_x(middle), y - 9, _x(middle), y + 9, INK, 2))
    return [*parts, _text(WIDTH - 4, y + 4, f"{middle:.0f}", "end", 11, "bold")]


def _grid() -> list[float]:
    decades = range(round(math.log10(LEAST_MS)), round(math.log10(MOST_MS)))
    return [step * 10.0**decade for decade in decades for step in range(1, 10)] + [MOST_MS]


def _x(value: float) -> float:
    share = math.log10(min(max(value, LEAST_MS), MOST_MS) / LEAST_MS) / math.log10(MOST_MS / LEAST_MS)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: int = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"/>'
    )


def _text(x: float, y: float, words: str, anchor: str, size: int, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{INK}">{escape(words)}</text>'
    )
