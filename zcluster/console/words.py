"""How the console says things: durations, lists of names, plural forms, columns.

What must hold: pure; a line of a table never passes 80 columns unless one single word does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap

from zcluster.control.durations import duration as duration

WIDTH = 80
_NO_BREAK = "\N{NO-BREAK SPACE}"
_UNIT_SPACE = re.compile(r"(?<=\d) (?=(?:ms|s|min|h|d)\b)")


def counted(number: int, singular: str, plural: str = "") -> str:
    """ "1 group", "3 groups"."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def listed(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def ordinal(number: int) -> str:
    """ "1st", "2nd", "3rd", "4th", "11th"."""
    is_teen = number % 100 in (11, 12, 13)
    ending = "th" if is_teen else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns; the last one is wrapped under itself at the page's width."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads) - 1)]
    indent = sum(widths) + 2 * len(widths)
    room = max(WIDTH - indent, 20)
    lines = []
    for row in (heads, *rows):
        start = "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=False))
        parts = wrap(row[-1], room, break_long_words=False, break_on_hyphens=False) or [""]
        lines.append((start + parts[0]).rstrip())
        lines.extend(" " * indent + part for part in parts[1:])
    return lines


def paragraph(text: str, indent: str = "") -> list[str]:
    """The text wrapped at the page's width, never between a number and its unit; later lines get `indent`."""
    bound = _UNIT_SPACE.sub(_NO_BREAK, text)
    lines = wrap(bound, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_NO_BREAK, " ") for line in lines]


def printable(text: str) -> str:
    """The text without anything that could steer a terminal: some of it came from the network."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
