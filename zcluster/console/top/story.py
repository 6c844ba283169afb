"""The story as top shows it: what several nodes tell of one thing at one time is one row.

What must hold: pure, bounded; rows stand in the order of arrival, because clocks of hosts differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from zcluster.adapters.journal import Record
from zcluster.console.top.picture import GroupRow
from zcluster.console.top.reading import clean
from zcluster.console.words import duration, listed

LARGEST_STORY = 500
TOGETHER_MS = 1500
LOOKED_BACK = 24
LARGEST_TELLERS = 64
CHANGE_CODE = "takeover"
GIVEN_UP = {"operator": "moved from", "stop": "stopped:", "relinquish": "given up by", "health": "ill:"}

Clock = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class StoryRow:
    """One thing that happened. `tellers`: who told it, the first one first; `record`: as the first one told it; `name`:
    what the row is called.
    """

    record: Record
    tellers: tuple[str, ...]
    text: str
    name: str


def _row(record: Record) -> StoryRow:
    text = clean(record.text)
    name = f"{record.at_ms} {record.node} {record.number} {record.code} {text[:40]}"
    return StoryRow(record, (clean(record.node),), text, name)


def grown(rows: Sequence[StoryRow], records: Sequence[Record]) -> tuple[StoryRow, ...]:
    """The rows after these records."""
    found = list(rows)
    for record in records[-LARGEST_STORY:]:
        for at in range(len(found) - 1, max(-1, len(found) - 1 - LOOKED_BACK), -1):
            if _is_same(found[at].record, record):
                if record.node not in found[at].tellers and len(found[at].tellers) < LARGEST_TELLERS:
                    found[at] = replace(found[at], tellers=(*found[at].tellers, clean(record.node)))
                break
        else:
            found.append(_row(record))
    return tuple(found[-LARGEST_STORY:])


def _is_same(one: Record, other: Record) -> bool:
    if one.code != other.code or abs(one.at_ms - other.at_ms) > TOGETHER_MS or one.node == other.node:
        return False
    if other.code == "silent":
        return one.facts.get("node") == other.facts.get("node")
    return other.code != CHANGE_CODE and one.text == other.text


def last_changes(rows: Sequence[StoryRow]) -> dict[str, Record]:
    """The newest takeover of each group that the story still has."""
    return {str(row.record.facts.get("group")): row.record for row in rows if row.record.code == CHANGE_CODE}


def last_change(group: GroupRow, changes: Mapping[str, Record]) -> Record | None:
    """How its holder came to it. A record that names another one is older than what is seen: the newer was missed."""
    record = changes.get(group.name)
    if record is None or (group.holder and record.facts.get("to_node") != group.holder):
        return None
    return record


def change_text(record: Record) -> str:
    """Why a group changed its holder and how long that took, in a few words."""
    facts = record.facts
    holder, why = facts.get("from_node"), facts.get("why")
    if not isinstance(holder, str) or not holder:
        return "first holder"
    silent_ms, released_ms, open_ms = facts.get("silent_ms"), facts.get("released_ms"), facts.get("open_ms")
    whole_ms = silent_ms if type(silent_ms) is int else released_ms
    cause = f"{holder} fell silent"
    if type(silent_ms) is not int:
        reason = str(why).removeprefix("released: ")
        cause = f"{GIVEN_UP[reason]} {holder}" if reason in GIVEN_UP else f"from {holder}"
    took = f", {duration(whole_ms + open_ms)}" if type(whole_ms) is int and type(open_ms) is int else ""
    return clean(cause + took)


def is_said(row: StoryRow) -> bool:
    """Whether the text begins with who tells it, as many do."""
    return len(row.tellers) == 1 and row.text.startswith(f"{row.tellers[0]}: ")


def tellers_text(row: StoryRow, width: int) -> str:
    """Who told it, in so many characters at most."""
    if len(row.tellers) == 1:
        return row.tellers[0]
    whole = listed(row.tellers)
    return whole if len(whole) <= width else f"{row.tellers[0]} +{len(row.tellers) - 1}"
