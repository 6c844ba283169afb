"""The top and the bottom of every screen: the verdict and all that is loud, and what keys do.

What must hold: pure; the worst stands first, and what is old, frozen or only observing is said on every screen.
"""

from __future__ import annotations

from collections.abc import Sequence

from zcluster.console.top import cells
from zcluster.console.top.documents import Documents
from zcluster.console.top.lines import Line, Piece, Tone, bounded, line, paragraph, sides
from zcluster.console.top.picture import Picture
from zcluster.console.top.reading import clean
from zcluster.console.top.state import Screen, Size, ViewState
from zcluster.console.verdict import ExitStatus
from zcluster.console.words import counted

ROOMY_HEIGHT = 32
MOST_COMPLAINTS, ROOMY_COMPLAINTS = 2, 8
MOST_SENTENCE, ROOMY_SENTENCE = 3, 4
LABELS = {
    ExitStatus.WELL: Piece(" WELL ", Tone.LOUD_GOOD),
    ExitStatus.DEGRADED: Piece(" DEGRADED ", Tone.LOUD_WARN),
    ExitStatus.UNHELD: Piece(" NO HOLDER ", Tone.LOUD_BAD),
    ExitStatus.NOT_REACHABLE: Piece(" UNKNOWN ", Tone.LOUD_BAD),
}
OLD = Piece(" OLD ", Tone.LOUD_BAD)
WAITING = Piece(" WAITING ", Tone.LOUD_NOTE)
FROZEN = Piece(" FROZEN ", Tone.LOUD_NOTE)
OBSERVING = Piece(" OBSERVING ", Tone.LOUD_NOTE)
KEYS = {
    Screen.OVERVIEW: (
        ("q", "quit"),
        ("?", "help"),
        ("Tab", "pane"),
        ("Enter", "look"),
        ("w", "why"),
        ("m", "move"),
        ("/", "filter"),
        ("s", "sort"),
        ("a", "alarms"),
        ("t", "streams"),
        ("z", "zoom"),
        ("PgDn", "page"),
    ),
    Screen.GROUP: (
        ("q", "quit"),
        ("Esc", "back"),
        ("w", "why"),
        ("m", "move"),
        ("Up/Down", "scroll"),
        ("?", "help"),
    ),
}
OTHER_KEYS = (("q", "quit"), ("Esc", "back"), ("Up/Down PgUp/PgDn", "scroll"), ("?", "help"))


def head(documents: Documents, state: ViewState, size: Size, now_ms: int, clock: str) -> list[Line]:
    """The title, the banners, the verdict, the complaints."""
    picture = documents.picture
    lines = [_title(picture, size.width, clock)]
    if documents.trouble:
        lines += _out_of_date(documents, size.width, now_ms)
    if picture is None:
        return lines
    is_roomy = size.height >= ROOMY_HEIGHT
    lines += _verdict(
        picture, size.width, ROOMY_SENTENCE if is_roomy else MOST_SENTENCE, bool(documents.trouble)
    )
    if state.screen is Screen.OVERVIEW:
        lines += _complaints(picture, size.width, ROOMY_COMPLAINTS if is_roomy else MOST_COMPLAINTS)
    return lines


def _title(picture: Picture | None, width: int, clock: str) -> Line:
    if picture is None:
        return sides(line(Piece("zcluster top", Tone.STRONG)), (Piece(clock),), width)
    heard = sum(1 for node in picture.nodes if node.is_heard)
    unsettled = "" if picture.is_settled else ", not settled"
    left = line(
        Piece(picture.cluster or "?", Tone.STRONG),
        f"  as {picture.node} sees it: {heard} of {counted(len(picture.nodes), 'node')} heard, ",
        f"{counted(len(picture.groups), 'group')}, generation {picture.generation}{unsettled}",
    )
    return sides(left, (Piece(clock),), width)


def _out_of_date(documents: Documents, width: int, now_ms: int) -> list[Line]:
    if documents.picture is None:
        return _labelled([WAITING], f"{documents.trouble}; trying again", width, 3, Tone.NOTE)
    age = cells.span(documents.age_ms(now_ms))
    return _labelled(
        [OLD], f"this is how it was {age} ago: {documents.trouble}; trying again", width, 3, Tone.BAD
    )


def _verdict(picture: Picture, width: int, most: int, is_old: bool) -> list[Line]:
    """The sentence of `zcluster status`, which says by itself who froze the cluster and that it only observes."""
    labels = [FROZEN] if picture.is_frozen else []
    labels += [OBSERVING] if picture.mode == "observe" else []
    tone = Tone.DIM if is_old else Tone.STRONG if picture.trouble is not ExitStatus.WELL else Tone.PLAIN
    return _labelled([*labels, LABELS[picture.trouble]], picture.sentence, width, most + len(labels), tone)


def _labelled(labels: Sequence[Piece], text: str, width: int, most: int, tone: Tone) -> list[Line]:
    """Loud words, and what they mean beside and under them."""
    indent = " " * min(sum(len(label.text) for label in labels) + 1, width // 3)
    room = max(width - sum(len(label.text) for label in labels) - 1, 20)
    found = paragraph(text, room, tone)
    if len(labels) > 1:
        # The first line is shorter than the others.
        rest = text[len(found[0].text) :].strip()
        found = [found[0], *(paragraph(rest, width - len(indent), tone) if rest else ())]
    lines = [line(*labels, " ", *found[0].pieces), *(line(indent, *each.pieces) for each in found[1:])]
    return bounded(lines, most, lambda _: line(indent, Piece("… (a shows all)", tone)))


def _complaints(picture: Picture, width: int, most: int) -> list[Line]:
    """All that is wrong and not in the sentence."""
    told = picture.complaints[1:] if picture.trouble is ExitStatus.DEGRADED else picture.complaints
    alarms = tuple(warning.text.rstrip(".") for warning in picture.warnings if warning.level == "alarm")
    lines = [line(Piece(f"! {text}", Tone.BAD if text.startswith(alarms) else Tone.WARN)) for text in told]
    return bounded(lines, most, lambda left: line(Piece(f"! and {left} more: press a", Tone.WARN)))


def foot(documents: Documents, state: ViewState, size: Size, now_ms: int) -> list[Line]:
    """What became of the last wish, a question that waits for its answer, or what keys do."""
    lines = []
    if state.notice is not None and now_ms < state.notice.until_ms:
        tone = Tone.GOOD if state.notice.is_good else Tone.BAD
        lines += paragraph(state.notice.text, size.width, tone)[:3]
    if state.moving is not None:
        return [*lines, *_question(documents, state, size.width)]
    if state.is_typing or state.filter:
        lines.append(_filter(state))
    if state.is_interactive and not state.is_typing:
        lines.append(_keys(state.screen, size.width))
    return lines


def _filter(state: ViewState) -> Line:
    text = clean(state.filter)
    if state.is_typing:
        return line(Piece(f"filter: {text}_", Tone.STRONG), "   Enter keeps it, Esc ends it")
    return line(Piece(f'only rows with "{text}"', Tone.NOTE), "   / changes it, Esc ends it")


def _question(documents: Documents, state: ViewState, width: int) -> list[Line]:
    moving = state.moving
    assert moving is not None, "asked only while a move waits"
    lines = [
        line(
            Piece(" MOVE ", Tone.LOUD_WARN),
            Piece(f" {moving.group} from {moving.holder or 'nobody'} to {moving.target}?", Tone.STRONG),
        )
    ]
    rank = " (the primary slave)" if moving.at == 0 else ""
    others = f"Up/Down: another of {len(moving.targets)} ready; " if len(moving.targets) > 1 else ""
    if documents.picture is not None and documents.picture.is_frozen:
        lines.append(line(Piece("The cluster is frozen: the daemon may refuse.", Tone.WARN)))
    lines += paragraph(
        f"{moving.target}{rank} stands ready. Calls live on, new ones wait some milliseconds. "
        f"{others}y moves it, any other key does not.",
        width,
    )
    return lines


def _keys(screen: Screen, width: int) -> Line:
    """As many as there is room for, the most needed first."""
    pieces: list[Piece] = []
    left = width
    for key, what in KEYS.get(screen, OTHER_KEYS):
        size = len(key) + len(what) + 1 + (2 if pieces else 0)
        if size > left:
            break
        pieces += [Piece("  ")] if pieces else []
        pieces += [Piece(key, Tone.STRONG), Piece(f" {what}", Tone.DIM)]
        left -= size
    return Line(tuple(pieces))
