"""Bars as SVG, by hand: panels beside each other, one bar a label, parts of a bar stacked, an aim as a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, TOP, BOTTOM, HEIGHT, MARGIN = 980, 90, 70, 420, 50
INK, FAINT, AIM = "#222", "#ddd", "#d62728"
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c")
HEADROOM = 1.15


class Bar(NamedTuple):
    """`parts`: from the bottom up; their sum is written above it."""

    label: str
    parts: tuple[float, ...]


class Panel(NamedTuple):
    """`names` of the parts, "" for none. `aim`: where the line stands and what it says, or None."""

    title: str
    bars: Sequence[Bar]
    names: tuple[str, ...] = ()
    aim: tuple[float, str] | None = None


def draw_bars(title: str, subtitle: str, panels: Sequence[Panel]) -> str:
    """The picture."""
    width = (WIDTH - MARGIN) / len(panels)
    parts = [_text(8, 24, title, "start", 17, "bold"), _text(8, 46, subtitle, "start", 12)]
    for place, panel in enumerate(panels):
        parts += _panel(panel, MARGIN / 2 + place * width, width - MARGIN / 2)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    )


def _panel(panel: Panel, left: float, width: float) -> list[str]:
    floor = HEIGHT - BOTTOM
    most = max([sum(bar.parts) for bar in panel.bars] + ([panel.aim[0]] if panel.aim else [])) * HEADROOM
    scale = (floor - TOP) / (most or 1.0)
    parts = [
        _text(left, TOP - 16, panel.title, "start", 13, "bold"),
        _line(left, floor, left + width, floor, INK),
    ]
    step = width / max(len(panel.bars), 1)
    for place, bar in enumerate(panel.bars):
        x, y = left + place * step + step * 0.18, float(floor)
        for number, part in enumerate(bar.parts):
            y -= part * scale
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{step * 0.64:.1f}" height="{part * scale:.1f}" '
                f'fill="{COLOURS[number % len(COLOURS)]}"/>'
            )
        middle = x + step * 0.32
        parts.append(_text(middle, y - 5, f"{sum(bar.parts):.3g}", "middle", 11))
        for number, line in enumerate(bar.label.split("\n")):
            parts.append(_text(middle, floor + 16 + 14 * number, line, "middle", 11))
    if panel.aim is not None:
        y = floor - panel.aim[0] * scale
        parts += [_line(left, y, left + width, y, AIM), _text(left + width, y - 4, panel.aim[1], "end", 11)]
    for number, name in enumerate(panel.names):
        x = left + number * 70
        parts.append(f'<rect x="{x}" y="{HEIGHT - 18}" width="10" height="10" fill="{COLOURS[number]}"/>')
        parts.append(_text(x + 14, HEIGHT - 9, name, "start", 11))
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="1"/>'
    )


def _text(x: float, y: float, text: str, anchor: str, size: int, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{INK}">{escape(text)}</text>'
    )
