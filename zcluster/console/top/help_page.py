"""What the keys do and what the words mean, in one screen.

What must hold: everything that `model` does with a key stands here.
"""

from __future__ import annotations

from zcluster.console.top.lines import EMPTY, Line, Piece, Tone, line, paragraph

WORD_WIDTH = 17

KEYS = (
    ("q, Ctrl-C", "quit"),
    ("Tab, Shift-Tab", "the next pane, the one before: groups, nodes, story"),
    ("Up, Down (k, j)", "choose a row, or scroll; Home and End go to the first and the last"),
    ("PgUp, PgDn", "the page before, the next page (also b and Space)"),
    ("Enter", "look into the chosen group, node or record; Esc (or Left) comes back"),
    ("w", "why the chosen group changed its holder, as `zcluster why` tells it"),
    ("m", "move the chosen group: a switchover, after a question"),
    ("/", "show only rows with a text; Enter keeps the filter, Esc ends it"),
    ("s, r", "sort the pane by the next column; turn its order round"),
    ("a", "everything that is wrong, in full"),
    ("t", "the streams of every node, and the limits"),
    ("z", "the chosen pane alone, and all again"),
    ("g, n, e", "go to the groups, the nodes, the story (events)"),
    ("Ctrl-L", "draw the screen anew"),
)
WORDS = (
    ("HELD FOR", "since when the holder has this epoch; - where this host cannot know"),
    ("EPOCH", "the number of this ownership; it only grows"),
    ("LAST CHANGE", "why the holder changed, and from its last sign to the open address"),
    ("SLAVE", "1st is the primary slave, the one that takes over first"),
    (
        "a link's column",
        "beats lost over the last 50; on wide screens also the round trip, and +ms where its beats come so much "
        "later than on the quickest link",
    ),
    ("SWITCH", "the last pulse through the FreeSWITCH of the asked host; well or ILL elsewhere"),
    ("GEN", "the generation of the cluster document that the node has"),
    ("CLOCK", "how far its clock is ahead of the asked host's"),
    ("*", "the host that was asked: all is as that one sees it"),
    ("COPIES", "of how many nodes this host has all records; BEHIND: changes not here yet"),
    ("orphaned", "records of a node that is gone, which nobody has adopted yet"),
)


def help_page(width: int) -> list[Line]:
    """Keys, then words."""
    lines = [line(Piece("Keys", Tone.STRONG)), EMPTY]
    for key, what in KEYS:
        lines += _entry(key, what, width)
    lines += [EMPTY, line(Piece("Words", Tone.STRONG)), EMPTY]
    for word, what in WORDS:
        lines += _entry(word, what, width)
    return lines


def _entry(word: str, what: str, width: int) -> list[Line]:
    """A word, and what it means beside and under it."""
    head = f"  {word:<{WORD_WIDTH}}"
    first, *rest = paragraph(what, max(width - len(head), 20))
    return [
        line(Piece(head, Tone.STRONG), *first.pieces),
        *(line(" " * len(head), *each.pieces) for each in rest),
    ]
