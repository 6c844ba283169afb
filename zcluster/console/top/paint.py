"""Tones become colours: lines into the bytes of a terminal, and whole frames into pictures.

What must hold: only lines that changed are written, each at its place, all in one piece; the screen is never cleared
for it, so that nothing blinks. Without colour the attributes stay (bold, reverse), as NO_COLOR asks.
Source for the synchronised update: https://gist.github.com/christianparpart/d8a62cc1ab659194337d73e399004036
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from io import StringIO

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from rich.text import Text

from zcluster.console.top.lines import Line, Tone

STYLES = {
    Tone.PLAIN: Style(),
    Tone.DIM: Style(dim=True),
    Tone.STRONG: Style(bold=True),
    Tone.HEAD: Style(underline=True),
    Tone.FOCUS: Style(color="cyan", bold=True, underline=True),
    Tone.GOOD: Style(color="green"),
    Tone.NOTE: Style(color="cyan"),
    Tone.WARN: Style(color="yellow", bold=True),
    Tone.BAD: Style(color="red", bold=True),
    Tone.LOUD_GOOD: Style(color="black", bgcolor="green", bold=True),
    Tone.LOUD_NOTE: Style(color="black", bgcolor="cyan", bold=True),
    Tone.LOUD_WARN: Style(color="black", bgcolor="yellow", bold=True),
    Tone.LOUD_BAD: Style(color="bright_white", bgcolor="red", bold=True),
}
# Where there is no colour, what is loud is seen by being reversed.
PLAIN_STYLES = {
    tone: Style(bold=style.bold, dim=style.dim, underline=style.underline, reverse=style.reverse)
    for tone, style in STYLES.items()
} | {
    tone: Style(bold=True, reverse=True)
    for tone in (Tone.LOUD_GOOD, Tone.LOUD_NOTE, Tone.LOUD_WARN, Tone.LOUD_BAD)
}
CHOSEN = Style(reverse=True)
# In a chosen row only what is wrong keeps its colour: reversed, all the others would make a patchwork of it.
KEPT_IN_CHOSEN = frozenset((Tone.WARN, Tone.BAD))
BEGIN, END = b"\x1b[?2026h", b"\x1b[?2026l"
_ASCII = str.maketrans({"…": "~", "─": "-"})


class Colours(Enum):
    """What a terminal can do: sixteen colours are its owner's own, and enough."""

    NONE = 0
    SIXTEEN = 1


class Painter:
    """Knows what stands on the screen. `encoding` of the terminal: what it cannot say becomes "?"."""

    def __init__(self, colours: Colours, encoding: str = "utf-8") -> None:
        self._styles = STYLES if colours is Colours.SIXTEEN else PLAIN_STYLES
        self._system = ColorSystem.STANDARD
        self._encoding = encoding
        self._is_plain = "utf" not in encoding.lower()
        self._shown: list[Line] = []
        self._codes: dict[tuple[Tone, bool], tuple[str, str]] = {}

    def forget(self) -> None:
        """Nothing is known of the screen: the next frame is written in full."""
        self._shown = []

    def paint(self, lines: Sequence[Line]) -> bytes:
        """The bytes that make the screen show `lines`; none when it does already."""
        changed = [
            f"\x1b[{at + 1};1H{self._line(each)}\x1b[0m"
            for at, each in enumerate(lines)
            if at >= len(self._shown) or self._shown[at] != each
        ]
        self._shown = list(lines)
        if not changed:
            return b""
        text = "".join(changed)
        if self._is_plain:
            text = text.translate(_ASCII)
        return BEGIN + text.encode(self._encoding, "replace") + END

    def _line(self, one: Line) -> str:
        parts = []
        for piece in one.pieces:
            before, after = self._code(piece.tone, one.is_chosen)
            parts.append(f"{before}{piece.text}{after}")
        return "".join(parts)

    def _code(self, tone: Tone, is_chosen: bool) -> tuple[str, str]:
        """What goes before and after a text."""
        key = (tone, is_chosen)
        if key not in self._codes:
            style = style_of(tone, is_chosen, self._styles)
            before, _, after = style.render("\0", color_system=self._system).partition("\0")
            self._codes[key] = (before, after)
        return self._codes[key]


def style_of(tone: Tone, is_chosen: bool, styles: Mapping[Tone, Style] = STYLES) -> Style:
    """How a piece looks in its row."""
    if not is_chosen:
        return styles[tone]
    return CHOSEN + styles[tone] if tone in KEPT_IN_CHOSEN else CHOSEN


def plain(lines: Sequence[Line]) -> str:
    """A frame for a pipe: no codes, no spaces at the ends."""
    return "\n".join(each.text.rstrip() for each in lines)


def coloured(lines: Sequence[Line], colours: Colours) -> str:
    """A frame for a terminal that it is printed to once."""
    painter = Painter(colours)
    return "\n".join(painter._line(each) + "\x1b[0m" for each in lines)


def picture(lines: Sequence[Line], title: str) -> str:
    """A frame as SVG, by rich's own export."""
    width = max((len(each.text) for each in lines), default=80)
    console = Console(
        record=True, width=width, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    for each in lines:
        text = Text(no_wrap=True, end="")
        for piece in each.pieces:
            style = style_of(piece.tone, each.is_chosen)
            # Some viewers drop the spaces that a text begins with, so they stand alone; without a mark of its own
            # rich would join what follows to them.
            bare = piece.text.lstrip(" ")
            text.append(piece.text[: len(piece.text) - len(bare)], style)
            text.append(bare, style + Style(meta={"bare": len(text)}))
        console.print(text, soft_wrap=True, end="\n")
    return console.export_svg(title=title, unique_id="top")
