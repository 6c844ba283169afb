"""The overview: groups, nodes, streams and the story, as much of each as there is room for.

What must hold: pure; the lines are never more than the room; each pane keeps its chosen row in sight.
"""

from __future__ import annotations

from typing import NamedTuple

from zcluster.console.top import cells
from zcluster.console.top.documents import Documents
from zcluster.console.top.lines import EMPTY, Line, Piece, Tone, fit, line
from zcluster.console.top.reading import clean
from zcluster.console.top.rows import Window, chosen_at, groups_of, names_of, nodes_of, story_of, window
from zcluster.console.top.state import PANES, Pane, ViewState
from zcluster.console.top.story import Clock, StoryRow, is_said, tellers_text
from zcluster.console.top.tables import group_grid, node_grid

STORY_ROWS = 6
LEAST_ROWS = {Pane.GROUPS: 1, Pane.NODES: 1, Pane.STORY: 2}
STREAMS_ROOM = 34
LARGEST_SHOWN_LIMITS = 12
# From the longest to the shortest: whether rates are told, what orphaned records and registrations are called.
STREAM_WORDINGS = (
    (True, " orphaned", "registrations"),
    (False, " orphaned", "registrations"),
    (False, " orph.", "registrations"),
    (False, " orph.", "reg."),
)
TITLES = {Pane.GROUPS: "groups", Pane.NODES: "nodes", Pane.STORY: "story"}
TELLERS_WIDTH = 14


class Plan(NamedTuple):
    """How many rows each pane has under its heads, how many lines the streams have; `gap` lines between them."""

    rows: dict[Pane, int]
    streams: int
    gap: int


def plan(documents: Documents, state: ViewState, room: int) -> Plan:
    """Share `room` lines out. Every pane has a line of heads."""
    wanted = {pane: max(1, len(names_of(pane, documents, state))) for pane in PANES}
    if state.is_wide:
        return Plan({pane: max(1, room - 1) if pane is state.pane else 0 for pane in PANES}, 0, 0)
    streams = 4 if room >= STREAMS_ROOM and documents.streams is not None else 1
    heads = len(PANES) + streams
    # Only where there is room for it always: what appears and vanishes moves everything below.
    gap = (
        1 if room >= STREAMS_ROOM and room - heads - 3 >= wanted[Pane.GROUPS] + wanted[Pane.NODES] + 6 else 0
    )
    left = room - heads - 3 * gap
    rows = dict.fromkeys(PANES, 0)
    for pane in PANES:
        rows[pane] = max(0, min(LEAST_ROWS[pane], left))
        left -= rows[pane]
    # The latest of the story is enough until all the others are seen, unless the story is what is looked at.
    if state.pane is not Pane.STORY:
        wanted[Pane.STORY] = min(wanted[Pane.STORY], STORY_ROWS)
    order = (state.pane, *PANES)
    while left > 0 and any(rows[pane] < wanted[pane] for pane in PANES):
        for pane in order:
            if left > 0 and rows[pane] < wanted[pane]:
                rows[pane] += 1
                left -= 1
    rows[Pane.STORY] += left
    return Plan(rows, streams, gap)


def overview(
    documents: Documents, state: ViewState, width: int, room: int, now_ms: int, clock: Clock
) -> list[Line]:
    """At most `room` lines."""
    if documents.picture is None:
        return []
    planned = plan(documents, state, room)
    older_ms = 0 if documents.is_old else documents.age_ms(now_ms)
    lines: list[Line] = []
    for pane in PANES:
        if planned.rows[pane] < 1:
            continue
        if pane is Pane.STORY and planned.streams:
            lines += [*_streams(documents, width, planned.streams), *[EMPTY] * planned.gap]
        lines += _pane(pane, documents, state, width, planned.rows[pane], older_ms, clock)
        lines += [EMPTY] * (planned.gap if pane is not Pane.STORY else 0)
    return lines[:room]


def _pane(
    pane: Pane, documents: Documents, state: ViewState, width: int, height: int, older_ms: int, clock: Clock
) -> list[Line]:
    picture = documents.picture
    assert picture is not None, "drawn only with a picture"
    if pane is Pane.STORY:
        return _story(documents, state, width, height, clock)
    names = names_of(pane, documents, state)
    seen = window(names, chosen_at(pane, names, state), height, is_tail=False)
    place = _place(seen, state, pane)
    if pane is Pane.GROUPS:
        is_observing = picture.mode == "observe"
        groups = groups_of(documents, state)
        laid, heads, rows = group_grid(groups, documents.story, older_ms, is_observing, place, width)
    else:
        is_any_switch = any(node.build for node in picture.nodes)
        laid, heads, rows = node_grid(nodes_of(documents, state), older_ms, is_any_switch, place, width)
    lines = [_heads(pane, state, heads.text, width)]
    for at in range(seen.first, seen.end):
        is_chosen = state.is_interactive and at == seen.chosen and pane is state.pane
        row = laid.row(rows[at], ">" if is_chosen else " ")
        lines.append(row._replace(is_chosen=is_chosen))
    if not names:
        lines.append(line(Piece(f" no {TITLES[pane]}{_that_match(state)}", Tone.DIM)))
    return lines


def _that_match(state: ViewState) -> str:
    return f' with "{clean(state.filter)}"' if state.filter else ""


def _place(seen: Window, state: ViewState, pane: Pane) -> str:
    """Which rows are seen, where not all are; and by what they are sorted, where that was chosen."""
    parts = [f"{seen.first + 1}-{seen.end} of {seen.total}"] if seen.total > seen.end - seen.first else []
    is_reversed = state.is_reversed.get(pane, False)
    if state.orders.get(pane, 0) or is_reversed:
        parts.append(f"by {state.order(pane)}{', reversed' if is_reversed else ''}")
    return ", ".join(parts)


def _heads(pane: Pane, state: ViewState, text: str, width: int) -> Line:
    """The heads of the columns; those of the pane that has the keys are loud."""
    is_focus = state.is_interactive and state.pane is pane
    return _heads_only(text, width, Tone.FOCUS if is_focus else Tone.HEAD)


def _story(documents: Documents, state: ViewState, width: int, height: int, clock: Clock) -> list[Line]:
    rows = story_of(documents, state)
    names = [row.name for row in rows]
    seen = window(names, chosen_at(Pane.STORY, names, state), height, is_tail=True)
    lost = f" ({documents.lost} more were lost)" if documents.lost else ""
    place = f"  {seen.first + 1}-{seen.end} of {seen.total}" if seen.total > height else ""
    lines = [_heads(Pane.STORY, state, f" STORY, newest last{place}{lost}", width)]
    for at in range(seen.first, seen.end):
        is_chosen = state.is_interactive and at == seen.chosen and state.pane is Pane.STORY
        lines.append(_record(rows[at], ">" if is_chosen else " ", clock)._replace(is_chosen=is_chosen))
    if not rows:
        lines.append(line(Piece(f" nothing was told yet{_that_match(state)}", Tone.DIM)))
    return lines


def _record(row: StoryRow, mark: str, clock: Clock) -> Line:
    record = row.record
    loud = "ALARM " if record.level == "alarm" else ""
    return line(
        mark,
        Piece(f"{clock(record.at_ms)} ", Tone.DIM),
        Piece("" if is_said(row) else f"{tellers_text(row, TELLERS_WIDTH)}: ", Tone.NOTE),
        Piece(loud + row.text, cells.LEVEL_TONES.get(record.level, Tone.PLAIN)),
    )


def _streams(documents: Documents, width: int, height: int) -> list[Line]:
    picture, streams = documents.picture, documents.streams
    assert picture is not None, "drawn only with a picture"
    if streams is None:
        why = f"switch: {picture.switch}" if picture.switch else "no switch beside this node"
        return [_heads_only(f" STREAMS  no calls, registrations or limits are known ({why})", width)]
    limits = _limits(documents)
    copies = max((each.copies for each in streams.sums), default=0)
    complete = min((each.complete for each in streams.sums), default=0)
    behind = max((each.behind for each in streams.sums), default=0)
    if height == 1:
        is_lacking = complete < copies or behind > 0
        return [
            _heads_only(
                _streams_line(documents, complete, copies, behind, width),
                width,
                Tone.WARN if is_lacking else Tone.HEAD,
            )
        ]
    heads = f" {'STREAM':<15}{'RECORDS':<20}{'OF THIS NODE':<14}{'CHANGES':<12}{'COPIES COMPLETE':<17}BEHIND"
    lines = [_heads_only(heads, width)]
    for each in streams.sums:
        is_lacking = each.complete < each.copies or each.behind > 0
        lines.append(
            line(
                f" {each.stream:<15}",
                Piece(f"{cells.stream_numbers(each):<20}", Tone.WARN if each.orphaned else Tone.PLAIN),
                f"{cells.compact(each.own):<14}{cells.rate_text(each.rate):<12}",
                Piece(
                    f"{f'{each.complete} of {each.copies}':<17}{each.behind}",
                    Tone.WARN if is_lacking else Tone.PLAIN,
                ),
                "  " + ", ".join(limits[:LARGEST_SHOWN_LIMITS]) if each.stream == "limits" else "",
            )
        )
    return lines[:height]


def _streams_line(documents: Documents, complete: int, copies: int, behind: int, width: int) -> str:
    """The longest of what can be said that fits."""
    assert documents.streams is not None, "drawn only with streams"
    sums = {each.stream: each for each in documents.streams.sums}
    lacking = f" behind {behind}" if behind else ""
    texts = []
    for has_rates, orphaned, registrations in STREAM_WORDINGS:
        parts = [f" STREAMS  copies {complete}/{copies}{lacking}"]
        for name, word in (("calls", "calls"), ("registrations", registrations)):
            each = sums[name]
            gone = f" +{cells.compact(each.orphaned)}{orphaned}" if each.orphaned else ""
            rate = f" {cells.rate_text(each.rate)}" if has_rates and each.rate is not None else ""
            parts.append(f"{word} {cells.compact(each.records)}{gone}{rate}")
        texts.append("  ".join([*parts, f"limits {len(documents.limits)}"]))
    return next((text for text in texts if len(text) <= width), texts[-1])


def _heads_only(text: str, width: int, tone: Tone = Tone.HEAD) -> Line:
    return Line((Piece(fit(text, width), tone),))


def _limits(documents: Documents) -> list[str]:
    """ "trunk 12" for each limit in use."""
    return [f"{limit.name} {limit.total}" for limit in documents.limits]
