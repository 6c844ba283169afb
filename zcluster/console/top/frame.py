"""One frame: exactly as many lines as the terminal has, each exactly as wide.

What must hold: pure; whatever the documents hold and however small the terminal is, it has exactly that size. Where
there is room for almost nothing, the verdict is what stays.
"""

from __future__ import annotations

from typing import NamedTuple

from zcluster.console.top.details import (
    alarms_page,
    group_page,
    node_page,
    record_page,
    streams_page,
    why_page,
)
from zcluster.console.top.documents import Documents
from zcluster.console.top.head import foot, head
from zcluster.console.top.help_page import help_page
from zcluster.console.top.lines import EMPTY, Line, Piece, Tone, fit_line, line
from zcluster.console.top.overview import overview, plan
from zcluster.console.top.state import Screen, Size, ViewState
from zcluster.console.top.story import Clock

LEAST_BODY = 6


class Moment(NamedTuple):
    """Now: monotonic milliseconds, wall-clock milliseconds, and how a wall-clock time is said (HH:MM:SS.mmm)."""

    now_ms: int
    wall_ms: int
    clock: Clock


def frame(documents: Documents, state: ViewState, size: Size, moment: Moment) -> list[Line]:
    """The whole screen."""
    above, below = _around(documents, state, size, moment)
    room = max(0, size.height - len(above) - len(below))
    if state.screen is Screen.OVERVIEW:
        body = overview(documents, state, size.width, room, moment.now_ms, moment.clock)
    else:
        body = _page(_text(documents, state, size, moment), state.scroll, room)
    body += [EMPTY] * (room - len(body))
    lines = [*above, *body[:room], *below][: max(0, size.height)]
    return [fit_line(each, max(0, size.width)) for each in lines]


def _around(
    documents: Documents, state: ViewState, size: Size, moment: Moment
) -> tuple[list[Line], list[Line]]:
    """Head and foot; where the body would have no room, first the foot is shortened and then the head."""
    above = head(documents, state, size, moment.now_ms, moment.clock(moment.wall_ms)[:8])
    below = foot(documents, state, size, moment.now_ms)
    if len(above) + len(below) + LEAST_BODY > size.height and state.moving is None:
        below = below[: max(0, size.height - len(above) - LEAST_BODY)]
    if len(above) + len(below) > size.height:
        above = above[: max(1, size.height - len(below))]
    return above, below


def body_room(documents: Documents, state: ViewState, size: Size, moment: Moment) -> int:
    """How many lines are between head and foot."""
    above, below = _around(documents, state, size, moment)
    return max(0, size.height - len(above) - len(below))


def page_rows(documents: Documents, state: ViewState, size: Size, moment: Moment) -> int:
    """How many rows of the pane with the keys, or of a text, are one page."""
    room = body_room(documents, state, size, moment)
    if state.screen is not Screen.OVERVIEW:
        return max(1, room - 1)
    return max(1, plan(documents, state, room).rows[state.pane])


def text_length(documents: Documents, state: ViewState, size: Size, moment: Moment) -> int:
    """How many lines the text of the screen has, 0 for the overview."""
    return 0 if state.screen is Screen.OVERVIEW else len(_text(documents, state, size, moment))


def last_scroll(documents: Documents, state: ViewState, size: Size, moment: Moment) -> int:
    """The scroll at which the text's end is seen."""
    room = body_room(documents, state, size, moment)
    return max(0, text_length(documents, state, size, moment) - max(1, room - 1))


def _text(documents: Documents, state: ViewState, size: Size, moment: Moment) -> list[Line]:
    older_ms = 0 if documents.is_old else documents.age_ms(moment.now_ms)
    match state.screen:
        case Screen.GROUP:
            return group_page(documents, state.subject, size.width, older_ms, moment.clock)
        case Screen.NODE:
            return node_page(documents, state.subject, size.width, older_ms, moment.clock)
        case Screen.WHY:
            return why_page(documents, state.subject, size.width, moment.clock)
        case Screen.STREAMS:
            return streams_page(documents, size.width)
        case Screen.ALARMS:
            return alarms_page(documents, size.width)
        case Screen.RECORD:
            return record_page(documents, state, state.subject, size.width, moment.clock)
        case Screen.HELP | Screen.OVERVIEW:
            return help_page(size.width)


def _page(lines: list[Line], scroll: int, room: int) -> list[Line]:
    """The part that is seen; the last line says where one is when there is more."""
    if len(lines) <= room:
        return lines
    height = max(1, room - 1)
    first = min(max(0, scroll), len(lines) - height)
    shown = lines[first : first + height]
    where = f" lines {first + 1}-{first + len(shown)} of {len(lines)} "
    return [*shown, line(Piece(where, Tone.HEAD))]
