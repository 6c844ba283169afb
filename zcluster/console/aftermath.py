"""What belongs to a change of holder though it is told later, or says nothing of the group: calls, and links.

What must hold: pure; no record is lost: what belongs to no change that is known stands for itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CHANGE_CODE = "takeover"
LINK_CODES = ("link-silent", "link-heard")
RECOVERED_CODE, LOST_CODE, NOT_ENDED_CODE = "calls-recovered", "call-lost", "calls-not-ended"
AFTER_CODES = (RECOVERED_CODE, LOST_CODE, NOT_ENDED_CODE)
SHOWN_LOST = 3

Record = Mapping[str, Any]


@dataclass(slots=True)
class Told:
    """A record that stands for itself, and what followed from it."""

    record: Record
    after: list[Record] = field(default_factory=list)


def with_aftermath(records: Iterable[Record]) -> list[Told]:
    """In order; records of calls stand with the last change of holder of their group before them."""
    found: list[Told] = []
    changes: dict[object, Told] = {}
    for record in records:
        group = _text(record["facts"].get("group"))
        change = changes.get(group)
        if record["code"] in AFTER_CODES and change is not None and _is_of(record, change):
            change.after.append(record)
            continue
        found.append(Told(record))
        if record["code"] == CHANGE_CODE:
            changes[group] = found[-1]
    return found


def _is_of(record: Record, change: Told) -> bool:
    """A record that names its epoch belongs to that one alone."""
    counter, epoch = record["facts"].get("counter"), change.record["facts"].get("epoch")
    return counter is None or epoch is None or bool(counter == epoch)


def mattering(records: Sequence[Record], group: str) -> list[Record]:
    """For one group: links matter on nodes that held it, took it or wanted it, as far as that is known."""
    nodes: set[str] = set()
    for record in records:
        facts = record["facts"]
        if group and facts.get("group") == group:
            nodes.update(_tellers(record))
            nodes.update(map(_text, (facts.get("from_node"), facts.get("to_node"))))
    if not nodes:
        return list(records)
    return [record for record in records if record["code"] not in LINK_CODES or nodes & _tellers(record)]


def _tellers(record: Record) -> set[str]:
    """One node, or several that said the same."""
    return {*str(record["node"]).split(", ")}


def steps(after: Sequence[Record]) -> list[str]:
    """What became of the calls, a sentence each."""
    found = [
        f"calls: {record['text']}{_reasons(record)}" for record in after if record["code"] == RECOVERED_CODE
    ]
    lost = [record for record in after if record["code"] == LOST_CODE]
    found += [f"calls: {record['text']}" for record in lost[:SHOWN_LOST]]
    if len(lost) > SHOWN_LOST:
        node = lost[0]["node"]
        found.append(f"calls: {len(lost) - SHOWN_LOST} more are lost: `zcluster calls --lost` on {node}")
    found += [
        f"ALARM: {record['node']}: {record['text']}" for record in after if record["code"] == NOT_ENDED_CODE
    ]
    return found


def _reasons(record: Record) -> str:
    """ " (it was ringing: 3)"."""
    reasons = record["facts"].get("reasons")
    if not isinstance(reasons, dict) or not reasons:
        return ""
    counts = Counter({_text(reason): count for reason, count in reasons.items() if type(count) is int})
    return f" ({', '.join(f'{reason}: {count}' for reason, count in counts.most_common())})"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
