"""The screens that say all there is of one thing: a group, a node, a record, the streams, the alarms, the keys.

What must hold: pure; lines of any number, which the frame cuts into pages; texts are wrapped, not cut.
"""

from __future__ import annotations

from collections.abc import Sequence

from zcluster.console import why
from zcluster.console.top import cells
from zcluster.console.top.documents import Documents
from zcluster.console.top.lines import EMPTY, Column, Line, Piece, Row, Tone, grid, line, paragraph
from zcluster.console.top.picture import GroupRow, NodeRow, Picture
from zcluster.console.top.reading import clean
from zcluster.console.top.rows import story_of
from zcluster.console.top.state import ViewState
from zcluster.console.top.story import Clock, StoryRow, change_text, is_said, last_change, last_changes
from zcluster.console.top.streams import StreamRow
from zcluster.console.verdict import ExitStatus
from zcluster.console.words import WIDTH, counted, listed, ordinal

ABOUT_WIDTH = 14
LARGEST_FACTS = 64
RECENT_RECORDS = 20


def group_page(documents: Documents, name: str, width: int, older_ms: int, clock: Clock) -> list[Line]:
    """Everything on one group."""
    picture = documents.picture
    group = picture.group(name) if picture is not None else None
    if picture is None or group is None:
        return [line(f"There is no group {name} any more.")]
    lines = [line(Piece(f"Group {group.name}", Tone.STRONG)), EMPTY]
    lines += _about("held by", cells.holder(group).text, width, cells.holder(group).tone)
    if group.counter is not None:
        lines += _about("epoch", str(group.counter), width)
    if group.since_ms is not None:
        lines += _about("held for", cells.span(group.since_ms + older_ms), width)
    if not group.holder and group.last_holder:
        lines += _about("last holder", group.last_holder, width)
    if group.phase:
        lines += _about("our phase", group.phase, width)
    if group.pinned_to:
        lines += _about("pinned to", group.pinned_to, width)
    lines += _about("addresses", " ".join(group.addresses) or "-", width)
    lines += _about("successors", _successors(picture, group), width)
    record = last_change(group, last_changes(documents.story))
    if record is not None:
        lines += _about("last change", f"{clock(record.at_ms)}  {change_text(record)}", width)
    about = [row for row in documents.story if row.record.facts.get("group") == group.name]
    return [*lines, *_recent(f"What was told of {group.name}, newest last", about, width, clock)]


def _successors(picture: Picture, group: GroupRow) -> str:
    ready = [node.name for node in picture.ready_slaves if node.name != group.holder]
    if ready:
        return f"{listed(ready)} (in this order)" if len(ready) > 1 else ready[0]
    others = [
        f"{node.name}: {', '.join(node.unready)}"
        for node in picture.nodes
        if node.is_heard and node.unready and not node.holds
    ]
    return f"NOBODY stands ready{': ' + '; '.join(others) if others else ''}"


def node_page(documents: Documents, name: str, width: int, older_ms: int, clock: Clock) -> list[Line]:
    """Everything on one node."""
    picture = documents.picture
    node = picture.peer(name) if picture is not None else None
    if picture is None or node is None:
        return [line(f"There is no node {name} any more.")]
    condition = cells.condition(node)
    lines = [line(Piece(f"Node {node.name}", Tone.STRONG)), EMPTY]
    lines += _about("state", cells.state(node).text, width, cells.state(node).tone)
    lines += _about("condition", condition.text, width, condition.tone)
    if node.position:
        lines += _about("slave", f"{ordinal(node.position)} in the list of slaves", width)
    vote = "yes, a witness" if node.is_witness and node.is_voter else "yes" if node.is_voter else "no"
    lines += _about("votes", vote, width)
    lines += _about("generation", "-" if node.generation is None else str(node.generation), width)
    lines += _about("version", node.version or "-", width)
    if node.build or node.switchname:
        switch = cells.switch(node).text
        lines += _about(
            "switch", f"{switch}; build {node.build or '-'}, switchname {node.switchname or '-'}", width
        )
    if node.is_self and picture.switch:
        lines += _about("", picture.switch, width, Tone.PLAIN if picture.switch == "well" else Tone.WARN)
    if node.clock_offset_ms is not None:
        lines += _about(
            "clock", f"{cells.clock(node).text} against {picture.node}'s", width, cells.clock(node).tone
        )
    lines += _links(picture, node, width)
    if documents.streams is not None and (rows := documents.streams.of(node.name)):
        lines += [EMPTY, *_stream_table(rows, width)]
    about = [
        row
        for row in documents.story
        if node.name
        in (*row.tellers, *(row.record.facts.get(key) for key in ("node", "from_node", "to_node")))
    ]
    return [*lines, *_recent(f"What was told by and of {node.name}, newest last", about, width, clock)]


def _links(picture: Picture, node: NodeRow, width: int) -> list[Line]:
    if node.is_self:
        rows: list[Row] = [
            (
                Piece(link.name),
                Piece("up" if link.is_up else "DOWN", Tone.PLAIN if link.is_up else Tone.BAD),
                Piece(link.interface or "-"),
                Piece(link.address or "-"),
            )
            for link in picture.links
        ]
        columns = [Column("LINK", 8, 16, 0), Column("CARRIER", 7, 7, 1), Column("INTERFACE", 9, 16, 2)]
        columns.append(Column("ADDRESS", 9, 46, 3))
        return [EMPTY, *_laid(columns, rows, width)] if rows else []
    rows = [
        (
            Piece(link.name),
            Piece("never" if link.heard_ms is None else f"{cells.span(link.heard_ms)} ago"),
            cells.loss(link, False, node.is_witness),
            Piece("-" if link.round_trip_us is None else f"{link.round_trip_us / 1000:.2f} ms"),
            Piece("-" if link.behind_ms is None else f"{link.behind_ms} ms"),
        )
        for link in node.links
    ]
    columns = [Column("LINK", 8, 16, 0), Column("HEARD", 12, 16, 1), Column("LOSS", 7, 7, 2)]
    columns += [Column("ROUND TRIP", 10, 12, 3), Column("LATER THAN THE QUICKEST LINK", 28, 28, 4)]
    return [EMPTY, *_laid(columns, rows, width)] if rows else []


def streams_page(documents: Documents, width: int) -> list[Line]:
    """Every stream of every node, and the limits."""
    if documents.streams is None:
        switch = documents.picture.switch if documents.picture is not None else ""
        reason = f"its switch: {switch}" if switch else "no switch belongs to it"
        return paragraph(f"The host that was asked knows of no streams ({reason}).", width)
    figures = documents.streams.figures
    lines = [line(Piece("Streams, as this host has them", Tone.STRONG)), EMPTY]
    lines += _stream_table(documents.streams.rows, width)
    lines += [EMPTY, line(Piece("Limits in use", Tone.STRONG)), EMPTY]
    rows: list[Row] = [
        (
            Piece(limit.name),
            Piece(str(limit.total)),
            Piece(", ".join(f"{node} {used}" for node, used in limit.nodes) or "-"),
        )
        for limit in documents.limits
    ]
    columns = [
        Column("LIMIT", 12, 30, 0),
        Column("SESSIONS", 8, 10, 1),
        Column("BY NODE", 20, 120, 2, grows=True),
    ]
    lines += _laid(columns, rows, width) if rows else [line("none")]
    lines += [EMPTY, line(Piece("Figures of the data process", Tone.STRONG)), EMPTY]
    named = ", ".join(f"{clean(name)} {figures[name]}" for name in sorted(figures)[:LARGEST_FACTS])
    return [*lines, *paragraph(named or "none", width, Tone.DIM)]


def _stream_table(rows: Sequence[StreamRow], width: int) -> list[Line]:
    shown: list[Row] = []
    for row in rows:
        share = "own" if row.is_own else f"{row.percent} %"
        is_lacking = row.percent < 100 or row.behind > 0
        shown.append(
            (
                Piece(row.stream),
                Piece(row.node),
                Piece(str(row.records)),
                Piece(cells.rate_text(row.rate)),
                Piece(share, Tone.WARN if is_lacking else Tone.PLAIN),
                Piece("-" if row.is_own else str(row.behind), Tone.WARN if row.behind else Tone.PLAIN),
                Piece(row.path or "-", Tone.DIM),
                Piece("orphaned" if row.is_orphan else "", Tone.WARN),
            )
        )
    columns = [
        Column("STREAM", 13, 13, 0),
        Column("OF", 4, 16, 1),
        Column("RECORDS", 8, 10, 2),
        Column("CHANGES", 8, 10, 3),
        Column("COMPLETE", 8, 8, 4),
        Column("BEHIND", 6, 8, 5),
        Column("OVER", 8, 12, 6),
        Column("", 8, 8, 7),
    ]
    return _laid(columns, shown, width)


def alarms_page(documents: Documents, width: int) -> list[Line]:
    """All that is wrong, in full, then what is worth knowing."""
    picture = documents.picture
    if picture is None:
        return [line("Nothing is known yet.")]
    title = "Nothing is wrong" if picture.trouble is ExitStatus.WELL else "What is wrong"
    lines = [line(Piece(title, Tone.STRONG)), EMPTY, *paragraph(picture.sentence, width)]
    for text in picture.complaints:
        lines += [EMPTY, *paragraph(f"! {text}", width, Tone.WARN, "  ")]
    for level, title, tone in (
        ("alarm", "Alarms", Tone.BAD),
        ("warning", "Warnings", Tone.WARN),
        ("notice", "Worth knowing, nothing is wrong", Tone.PLAIN),
    ):
        these = [warning for warning in picture.warnings if warning.level == level]
        if these:
            lines += [EMPTY, line(Piece(title, Tone.STRONG))]
        for warning in these:
            explain = f" (`zcluster explain {warning.code}`)" if warning.code else ""
            told = f"{warning.told}: " if warning.told else ""
            lines += [EMPTY, *paragraph(f"{told}{warning.text}{explain}", width, tone, "  ")]
    return lines


def record_page(documents: Documents, state: ViewState, name: str, width: int, clock: Clock) -> list[Line]:
    """One record with its facts."""
    row = next((row for row in story_of(documents, state) if row.name == name), None)
    if row is None:
        return [line("This record is no longer kept here: see the journal of its node.")]
    record = row.record
    lines = [*paragraph(row.text, width, cells.LEVEL_TONES.get(record.level, Tone.PLAIN)), EMPTY]
    lines += _about("when", clock(record.at_ms), width)
    lines += _about("told by", listed(row.tellers), width)
    lines += _about("level", record.level, width)
    lines += _about(
        "code", f"{clean(record.code)}   (`zcluster explain {clean(record.code)}` says what to do)", width
    )
    if record.number:
        lines += _about("number", f"{record.number} of life {record.incarnation}", width)
    for name_of, value in list(record.facts.items())[:LARGEST_FACTS]:
        lines += _about(clean(name_of, 40), clean(str(value)), width)
    if record.code == why.CHANGE_CODE:
        lines += [EMPTY, *why_page(documents, str(record.facts.get("group", "")), width, clock)]
    return lines


def why_page(documents: Documents, group: str, width: int, clock: Clock) -> list[Line]:
    """The story of each change of holder, as `zcluster why` tells it."""
    records = [
        row.record._replace(node=", ".join(row.tellers))
        for row in documents.story
        if not group or row.record.facts.get("group", group) == group
    ]
    try:
        told = why.render([record.plain() for record in records], group, clock)
    except (KeyError, TypeError, ValueError, AttributeError):
        told = [f"{clock(record.at_ms)}  {record.node}: {record.text}" for record in records]
    lines = [EMPTY if not text else line(_cleaned(text)) for text in told]
    return lines if width >= WIDTH else [part for each in lines for part in _wrapped(each, width)]


def _cleaned(text: str) -> str:
    """Clean, with the indent as it was."""
    return " " * (len(text) - len(text.lstrip(" "))) + clean(text)


def _wrapped(one: Line, width: int) -> list[Line]:
    return paragraph(one.text, width) if one.text else [one]


def _about(word: str, text: str, width: int, tone: Tone = Tone.PLAIN) -> list[Line]:
    """A word, and what is said under it."""
    head = f"{word:<{ABOUT_WIDTH}}"
    room = max(width - len(head), 20)
    parts = paragraph(text, room, tone)
    return [
        line(Piece(head if at == 0 else " " * len(head), Tone.DIM), *part.pieces)
        for at, part in enumerate(parts)
    ]


def _recent(title: str, rows: Sequence[StoryRow], width: int, clock: Clock) -> list[Line]:
    lines = [EMPTY, line(Piece(title, Tone.STRONG))]
    if len(rows) > RECENT_RECORDS:
        lines.append(line(Piece(f"({counted(len(rows) - RECENT_RECORDS, 'older one')} left out)", Tone.DIM)))
    for row in rows[-RECENT_RECORDS:]:
        tone = cells.LEVEL_TONES.get(row.record.level, Tone.PLAIN)
        told = "" if is_said(row) else f"{listed(row.tellers)}: "
        text = f"{clock(row.record.at_ms)}  {told}{row.text}"
        lines += paragraph(text, width, tone, "    ")
    return lines if rows else [*lines, line("nothing")]


def _laid(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[Line]:
    laid = grid(columns, rows, width)
    return [
        laid.row([Piece(column.title, Tone.HEAD) for column in columns]),
        *(laid.row(row) for row in rows),
    ]
