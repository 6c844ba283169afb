"""Lines of a screen: pieces of text, each with a tone, measured in the cells of a terminal.

What must hold: pure; a line that was fitted has exactly the width that was asked for. What a tone looks like is known
to `paint` alone, and nothing is said by a tone alone: without colour the words must be enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from textwrap import wrap
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

MORE = "…"
GAP = 2


class Tone(Enum):
    """How a piece is meant."""

    PLAIN = auto()
    DIM = auto()
    STRONG = auto()
    HEAD = auto()
    FOCUS = auto()
    GOOD = auto()
    NOTE = auto()
    WARN = auto()
    BAD = auto()
    LOUD_GOOD = auto()
    LOUD_NOTE = auto()
    LOUD_WARN = auto()
    LOUD_BAD = auto()


class Piece(NamedTuple):
    """Text in one tone."""

    text: str
    tone: Tone = Tone.PLAIN


class Line(NamedTuple):
    """One line. `is_chosen`: the row that keys act on."""

    pieces: tuple[Piece, ...]
    is_chosen: bool = False

    @property
    def text(self) -> str:
        """Without tones."""
        return "".join(piece.text for piece in self.pieces)


class Column(NamedTuple):
    """A column is `least` to `most` cells wide, as its longest cell needs; the lower `rank`, the longer it stays when
    there is little room. One that `grows` is content with `least` and takes what is left.
    """

    title: str
    least: int
    most: int
    rank: int
    grows: bool = False


Row = Sequence[Piece]
EMPTY = Line(())


def line(*pieces: Piece | str) -> Line:
    """A line of pieces; a plain text is a plain piece."""
    return Line(tuple(Piece(each) if isinstance(each, str) else each for each in pieces))


def fit(text: str, width: int) -> str:
    """The text in exactly `width` cells: filled up, or cut with a mark."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + MORE


def fit_line(one: Line, width: int) -> Line:
    """The line in exactly `width` cells. What was filled up has the tone of the last piece only if that is loud."""
    pieces: list[Piece] = []
    left = width
    for piece in one.pieces:
        if left <= 0:
            break
        size = cell_len(piece.text)
        if size > left:
            pieces.append(Piece(fit(piece.text, left), piece.tone))
            left = 0
            break
        pieces.append(piece)
        left -= size
    if left > 0:
        tone = pieces[-1].tone if pieces and pieces[-1].tone in FILLING else Tone.PLAIN
        pieces.append(Piece(" " * left, tone))
    return Line(tuple(pieces), one.is_chosen)


FILLING = frozenset((Tone.FOCUS, Tone.HEAD, Tone.LOUD_GOOD, Tone.LOUD_NOTE, Tone.LOUD_WARN, Tone.LOUD_BAD))


def sides(left: Line, right: Sequence[Piece], width: int, fill: Tone = Tone.PLAIN) -> Line:
    """`left` begins the line and `right` ends it; where both do not fit, `left` is cut."""
    right_width = sum(cell_len(piece.text) for piece in right)
    if right_width >= width:
        return fit_line(Line(tuple(right)), width)
    room = width - right_width
    used = sum(cell_len(piece.text) for piece in left.pieces)
    if used < room:
        padded = Line((*left.pieces, Piece(" " * (room - used), fill)))
        return Line((*padded.pieces, *right))
    return Line((*fit_line(left, room - 1).pieces, Piece(" ", fill), *right))


def paragraph(text: str, width: int, tone: Tone = Tone.PLAIN, indent: str = "") -> list[Line]:
    """The text in lines of at most `width` cells."""
    room = max(width, len(indent) + 8)
    parts = wrap(text, room, subsequent_indent=indent, break_on_hyphens=False) or [""]
    return [line(Piece(part, tone)) for part in parts]


def bounded(lines: Sequence[Line], most: int, more: Callable[[int], Line]) -> list[Line]:
    """At most `most` lines; the last one says how many are left out."""
    if len(lines) <= most:
        return list(lines)
    if most <= 0:
        return []
    return [*lines[: most - 1], more(len(lines) - most + 1)]


class Grid(NamedTuple):
    """The columns that were given room, as (index, width)."""

    places: tuple[tuple[int, int], ...]

    def row(self, cells: Row, mark: str = " ") -> Line:
        """A row of the grid; `mark` is one cell before it."""
        pieces = [Piece(mark)]
        for at, (index, width) in enumerate(self.places):
            is_last = at == len(self.places) - 1
            pieces.append(
                Piece(fit(cells[index].text, width) + ("" if is_last else " " * GAP), cells[index].tone)
            )
        return Line(tuple(pieces))


def grid(columns: Sequence[Column], rows: Sequence[Row], width: int) -> Grid:
    """Give the columns their room in `width` cells, one of which is the mark's."""
    needs = []
    for index, column in enumerate(columns):
        longest = max((cell_len(row[index].text) for row in rows), default=0)
        needs.append(min(max(longest, column.least, len(column.title)), max(column.most, column.least)))
    left = width - 1 + GAP
    widths: dict[int, int] = {}
    for index in sorted(range(len(columns)), key=lambda each: columns[each].rank):
        column = columns[index]
        least = min(column.least, needs[index]) if column.grows else needs[index]
        if least + GAP <= left:
            widths[index] = least
            left -= least + GAP
    for index in sorted(widths, key=lambda each: columns[each].rank):
        if columns[index].grows:
            more = min(left, needs[index] - widths[index])
            widths[index] += more
            left -= more
    return Grid(tuple(sorted(widths.items())))
