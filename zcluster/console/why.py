"""`zcluster why [GROUP]`: the story of each change of holder, from the records that every daemon keeps.

What must hold: the rendering is pure; a record with missing or odd facts still reads as its own text; times of
steps are those that the new holder measured, in milliseconds from its claim.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zcluster.adapters.control_socket import ask
from zcluster.console import aftermath
from zcluster.console.aftermath import Told
from zcluster.console.holes import Held, Holes, held_now
from zcluster.console.names import assure_names
from zcluster.console.words import duration, listed, paragraph, printable
from zcluster.errors import ControlSocketError

SCHEMA = "zcluster.why/1"
SHOWN_RECORDS = 60
TELLING_LEVELS = ("notice", "warning", "alarm")
TOGETHER_MS = 1000
CHANGE_CODE = aftermath.CHANGE_CODE

Facts = Mapping[str, Any]
Clock = Callable[[int], str]


def run(socket_path: Path, group: str | None, as_json: bool) -> int:
    """Ask the daemon, print its story, return 0. Raises ControlSocketError, and ZclusterError for a group that there
    is not.
    """
    answer = ask(socket_path, {"ask": "why", "group": group or ""})
    if answer.get("schema") != SCHEMA:
        raise ControlSocketError(f"{socket_path}: not a daemon of this version: {answer.get('error', '')}")
    records = answer["records"]
    assert isinstance(records, list)
    if group and not any(record["facts"].get("group") == group for record in records):
        assure_names(socket_path, group)
    if as_json:
        print(json.dumps(answer))
    else:
        now = held_now(ask(socket_path, {"ask": "status"}))
        print("\n".join(render(records, group or "", local_clock, now)))
    return 0


def local_clock(at_ms: int) -> str:
    """Local date and time with milliseconds."""
    seconds, milliseconds = divmod(at_ms, 1000)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))}.{milliseconds:03d}"


def render(
    records: Sequence[Mapping[str, Any]],
    group: str,
    clock: Clock = local_clock,
    now: Mapping[str, Held] | None = None,
) -> list[str]:
    """The story, oldest first; changes of holder in full with what became of the calls, other things in a line each.
    Changes that this memory lacks are named; `now`: who holds what, where that is known.
    """
    wanted = aftermath.mattering([record for record in records if record["level"] in TELLING_LEVELS], group)
    telling = aftermath.with_aftermath(_together(wanted))
    changes = sum(1 for told in telling if told.record["code"] == CHANGE_CODE)
    subject = f"Group {group}" if group else "The cluster's groups"
    if not changes:
        lines = [f"{subject} changed no holder that this node knows of."]
    else:
        lines = [
            f"{subject} changed holder {changes} time{'s' if changes > 1 else ''}; the latest stands last."
        ]
    if len(telling) > SHOWN_RECORDS:
        lines.append(f"({len(telling) - SHOWN_RECORDS} older records are left out; --json has them all.)")
    was_change, holes = False, Holes()
    for at, told in enumerate(telling):
        is_change = told.record["code"] == CHANGE_CODE
        missing = holes.before(told.record["facts"]) if is_change else ""
        if at < len(telling) - SHOWN_RECORDS:
            continue
        if missing:
            lines.extend(["", *paragraph(missing, "    ")])
        if is_change or was_change or len(lines) == 1:
            lines.append("")
        lines.extend(_change(told, clock) if is_change else _line(told.record, clock))
        was_change = is_change
    for missing in holes.after(now or {}, [group] if group else ()):
        lines.extend(["", *paragraph(missing, "    ")])
    return [printable(line) for line in lines]


def _together(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Several nodes see the same peer fall silent, or found the same cluster: that is one thing, said by all."""
    found: list[dict[str, Any]] = []
    for record in records:
        same = next((one for one in reversed(found) if _is_same(one, record)), None)
        if same is None:
            found.append(dict(record))
        elif record["node"] not in same["node"].split(", "):
            same["node"] += f", {record['node']}"
    return list(found)


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if one["code"] != other["code"] or abs(one["at_ms"] - other["at_ms"]) > TOGETHER_MS:
        return False
    if other["code"] == "silent":
        return bool(one["facts"].get("node") == other["facts"].get("node"))
    return bool(other["code"] != CHANGE_CODE and one["text"] == other["text"])


def _line(record: Mapping[str, Any], clock: Clock) -> list[str]:
    loud = f"{record['level'].upper()}: " if record["level"] == "alarm" else ""
    return paragraph(f"{clock(record['at_ms'])}  {record['node']}: {loud}{record['text']}", "    ")


def _change(told: Told, clock: Clock) -> list[str]:
    record, facts = told.record, told.record["facts"]
    head = f"{clock(record['at_ms'])}  {record['text']}"
    try:
        steps = [step for step in (_cause(facts), _votes(facts), _probes(facts), _opening(facts)) if step]
    except (KeyError, TypeError, ValueError, AttributeError):
        steps = []  # facts of another version: the record's own text has been said
    return [
        *paragraph(head, "    "),
        *(
            line
            for step in [*steps, *aftermath.steps(told.after)]
            for line in paragraph(f"    {step}", "      ")
        ),
    ]


def _cause(facts: Facts) -> str:
    """Who fell silent, when and on which links; or why it was given away."""
    holder = facts.get("from_node") or "the last holder"
    if "silent_ms" in facts:
        heard = ", ".join(f"{link} {duration(age)}" for link, age in facts.get("links", {}).items())
        where = f" (per link: {heard})" if heard else ""
        return f"{holder} was last heard {duration(facts['silent_ms'])} before the claim{where}"
    if "released_ms" in facts:
        why = str(facts["why"]).removeprefix("released: ")
        reason = {
            "operator": "an operator asked for the move",
            "health": "its health broke",
            "stop": "it was stopped",
            "relinquish": "it held several groups and a slave stood ready",
        }.get(why, why)
        return f"{holder} closed and released it ({reason}) {duration(facts['released_ms'])} before the claim"
    return f"it had no holder ({facts['why']})"


def _votes(facts: Facts) -> str:
    """Who voted and when the majority stood."""
    votes = facts["votes"]
    voters = ", ".join(
        f"{node} {after} ms" for node, after in sorted(votes.items(), key=lambda vote: vote[1])
    )
    needed = f"{facts['quorum']} of {facts['roster']} needed"
    return f"claimed at 0 ms; votes: {voters} ({needed}); won at {facts['won_ms']} ms"


def _probes(facts: Facts) -> str:
    """What the network was asked before the opening."""
    probes = facts.get("probes_ms")
    if not probes:
        return "the last holder's kernel had confirmed its closing, so the network was not asked"
    asked = listed([f"{at} ms" for at in probes])
    return f"asked the network who uses the addresses at {asked}: nobody; quiet at {facts['quiet_ms']} ms"


def _opening(facts: Facts) -> str:
    """When the addresses were open, and the whole length."""
    whole = facts.get("silent_ms", facts.get("released_ms"))
    text = f"addresses open and announced at {facts['open_ms']} ms"
    if whole is None:
        return text
    since = "the last sign of the old holder" if "silent_ms" in facts else "the release"
    return f"{text}, {duration(whole + facts['open_ms'])} after {since}"
