"""How `zcluster watch` says things to people: one event, one line, as in the log; wrapped where a terminal reads it.

What must hold: pure; nothing that came from the network steers a terminal; colour is never the only sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from zcluster.console.watch.events import (
    LIMITS,
    STATUS,
    STORY,
    Connected,
    Counted,
    Disconnected,
    Event,
    Happened,
    Judged,
    Missed,
)
from zcluster.console.words import counted, paragraph, printable

INDENT = "    "
COLOURS = {"alarm": "1;31", "warning": "33", "notice": "1", "info": "2"}
VERDICT_LEVELS = {0: "notice", 1: "warning"}  # of an exit status; others are alarms
UNITS = {"registrations": "registration", "calls": "leg", "limits": "limited session"}
SHOWN_VALUES = 4

Clock = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Style:
    """`is_wrapped` at 80 columns: for a terminal; a pipe gets one line an event."""

    is_wrapped: bool
    is_coloured: bool


def lines(event: Event, at_ms: int, clock: Clock, style: Style) -> list[str]:
    """The event for people; `at_ms` now, for what bears no time of its own."""
    at_ms, level, text = _said(event, at_ms)
    start = f"{clock(at_ms)} {level:<7} "
    whole = start + " ".join(printable(text).split())
    found = paragraph(whole, INDENT) if style.is_wrapped else [whole]
    if style.is_coloured:
        begin = len(clock(at_ms)) + 1
        end = begin + len(level)
        first = found[0]
        found[0] = f"{first[:begin]}\x1b[{COLOURS[level]}m{first[begin:end]}\x1b[0m{first[end:]}"
    return found


def _said(event: Event, at_ms: int) -> tuple[int, str, str]:
    """When, how loud, and what."""
    match event:
        case Happened(_, record):
            return record.at_ms, record.level, f"{record.node} {record.code}: {record.text}"
        case Missed(lost):
            text = f"{counted(lost, 'record')} came while this command did not read, and is not here"
            return at_ms, "warning", f"{STORY}: {text}"
        case Judged(exit_status, sentence, _):
            return at_ms, VERDICT_LEVELS.get(exit_status, "alarm"), f"{STATUS}: {sentence}"
        case Counted(stream, total, before, by):
            was = "" if before is None or before == total else f", before {before}"
            return at_ms, "info", f"{stream}: {counted(total, UNITS[stream])}{was}{_by(stream, by)}"
        case Connected(stream, node, _, text):
            return at_ms, "info", f"{stream}: {node}: {text}"
        case Disconnected(stream, text):
            return at_ms, "warning", f"{stream}: {text}"


def _by(stream: str, by: Mapping[str, Mapping[str, int]]) -> str:
    """ " (blue 8, red 4)": by group; limits by their names."""
    counts = by.get("name" if stream == LIMITS else "group", {})
    if not counts:
        return ""
    pairs = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = [f"{value or '-'} {count}" for value, count in pairs[:SHOWN_VALUES]]
    more = [f"{len(pairs) - SHOWN_VALUES} more"] if len(pairs) > SHOWN_VALUES else []
    return f" ({', '.join([*shown, *more])})"
