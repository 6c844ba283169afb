"""`zcluster status`: one sentence, then the groups, the nodes and the warnings.

What must hold: the first line alone is enough at three in the morning; everything fits 80 columns; the
rendering is pure, from the status document to text; the exit status is that of the verdict.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from zcluster.adapters.control_socket import ask
from zcluster.console.asked import Sockets
from zcluster.console.unready import codes
from zcluster.console.verdict import ExitStatus, Status, further, is_missed, judge, told_ago
from zcluster.console.words import counted, duration, ordinal, paragraph, printable, table
from zcluster.errors import ControlSocketError

SCHEMA = "zcluster.status/1"


def run(asked: AbstractContextManager[Sockets], as_json: bool) -> int:
    """Ask the daemon, print, and return the exit status."""
    try:
        with asked as found:
            status = ask(found.control, {"ask": "status"})
        if status.get("schema") != SCHEMA:
            raise ControlSocketError(
                f"{found.control}: not a daemon of this version: {status.get('error', '')}"
            )
    except ControlSocketError as error:
        if as_json:
            print(json.dumps({"schema": SCHEMA, "ok": False, "error": str(error), "exit": 3}))
        else:
            print(f"zcluster: {printable(str(error))}", file=sys.stderr)
        return ExitStatus.NOT_REACHABLE
    verdict = judge(status)
    if as_json:
        print(json.dumps({**status, "sentence": verdict.sentence, "exit": int(verdict.exit_status)}))
    else:
        print("\n".join(render(status)))
    return verdict.exit_status


def render(status: Status) -> list[str]:
    """The lines of the whole page."""
    verdict = judge(status)
    lines = paragraph(verdict.sentence)
    for complaint in further(status):
        lines += paragraph(f"- {complaint}.", "  ")
    lines += ["", *_groups(status), "", *_nodes(status), *_recipes(status)]
    if status.get("switch"):
        lines += ["", *paragraph(_switch(status["switch"])), *paragraph(_copies(status["copies"]))]
    said = ("alarm", "warning") if verdict.exit_status is ExitStatus.DEGRADED else ()
    for warning in status["warnings"]:
        if warning["level"] in said:
            continue  # among the complaints above
        lines.extend(["", *paragraph(_warning(warning), "  ")])
    lines += ["", *(paragraph(_pins(status)) if status["pins"] else ()), *paragraph(_footer(status))]
    return [printable(line) for line in lines]  # an alarm's words may be another node's


def _warning(warning: Mapping[str, Any]) -> str:
    age = told_ago(warning)
    return f"{warning['level']}{f', {age}' if age else ''}: {warning['text']}{_explain(warning)}"


def _explain(warning: Mapping[str, Any]) -> str:
    """What to type for the recipe; nothing for a daemon of before codes."""
    code = warning.get("code")
    return f" (`zcluster explain {code}`)" if code else ""


def _pins(status: Status) -> str:
    pins = [f"{pin['group']} to {pin['node']}" for pin in status["pins"]]
    return f"Pinned: {', '.join(pins)}."


def _switch(switch: Mapping[str, Any]) -> str:
    """What is known of the FreeSWITCH of the host that was asked."""
    if switch["problems"]:
        told = "; ".join(
            problem.removeprefix("switch: ").removeprefix("switch ") for problem in switch["problems"]
        )
    else:
        told = "well" if switch["is_known"] else "not known yet"
    if switch["pid"] is None:
        return f"Switch: {told}; the data process does not run, and is being started."
    again = f", begun anew {counted(switch['restarts'], 'time')}" if switch["restarts"] else ""
    return f"Switch: {told} (data process {switch['pid']}{again})."


def _copies(copies: Mapping[str, Any]) -> str:
    """How much of the other nodes' registrations, limits and calls is here."""
    filling = [f"{node['name']} {node['percent']} %" for node in copies["nodes"] if node["percent"] < 100]
    complete = [node["name"] for node in copies["nodes"] if node["percent"] == 100]
    parts = [f"complete of {', '.join(complete)}"] if complete else []
    parts += [f"filling of {', '.join(filling)}"] if filling else []
    if not copies["is_ready"]:
        parts.append(f"not enough to take over ({copies['reason'] or 'nothing is known yet'})")
    return f"Copies: {'; '.join(parts) or 'there is no other node'}."


def _groups(status: Status) -> list[str]:
    rows = [
        (
            group["name"],
            group["holder"] or "nobody",
            str(group["counter"] or "-"),
            _since(group),
            ", ".join(group["addresses"]),
        )
        for group in status["groups"]
    ]
    holder = "WOULD HOLD" if status["mode"] == "observe" else "HOLDER"
    return table(("GROUP", holder, "EPOCH", "SINCE", "ADDRESSES"), rows)


def _since(group: Mapping[str, Any]) -> str:
    """ "?": it is held, and this host's memory has not since when."""
    if group["since_ms"] is None:
        return "?" if group["holder"] else "-"
    return duration(group["since_ms"])


def _nodes(status: Status) -> list[str]:
    rows = [
        (
            node["name"] + (" *" if node["is_self"] else ""),
            node["state"],
            ordinal(node["position"]) if node["position"] else "-",
            _links(node),
            _condition(node, status),
        )
        for node in status["nodes"]
    ]
    return table(("NODE", "STATE", "SLAVE", "HEARD ON", "CONDITION"), rows)


def _links(node: Mapping[str, Any]) -> str:
    if node["is_self"]:
        return "-"
    return " ".join(link["name"] for link in node["links"] if link["is_heard"]) or "no link"


def _condition(node: Mapping[str, Any], status: Status) -> str:
    if node["name"] in status["unadmitted"]:
        return f"not admitted: zcluster roster add {node['name']}"
    if not node["is_heard"]:
        return "never heard" if node["heard_ms"] is None else f"silent since {duration(node['heard_ms'])}"
    parts = ["witness"] if node["is_witness"] else []
    parts += [f"holds {', '.join(node['holds'])}"] if node["holds"] else []
    # A link that is down here says nothing of the others.
    down = {link["name"] for link in status["links"] if not link["is_up"]}
    silent = [link["name"] for link in node["links"] if is_missed(node, link) and link["name"] not in down]
    if node["unready"]:
        parts.append(f"not ready: {', '.join(node['unready'])}")
    elif node["position"]:
        parts.append("ready")
    if silent and not node["is_self"]:
        parts.append(f"silent on {', '.join(silent)}")
    if node["name"] in status["forgotten"]:
        parts.append("forgotten, votes again soon")
    elif not node["is_voter"] and node["state"] != "STARTING":
        parts.append("does not vote")
    return "; ".join(parts) or "ready"


def _recipes(status: Status) -> list[str]:
    """Where to read on about the nodes that are not ready."""
    found = dict.fromkeys(
        code for node in status["nodes"] if node["is_heard"] for code in codes(node["unready"])
    )
    if not found:
        return []
    return ["", *paragraph(f"Not ready: {', '.join(f'`zcluster explain {code}`' for code in found)}.")]


def _footer(status: Status) -> str:
    unsettled = "" if status["is_settled"] or not status["cluster_id"] else " (not settled yet)"
    forced = ", FORCED by an operator" if status["is_forced"] else ""
    return (
        f"Seen by {status['node']} (*) of {status['cluster']}: {counted(len(status['roster']), 'voter')}, "
        f"generation {status['generation']}{forced}{unsettled}, version {status['version'] or 'unknown'}, "
        f"up {duration(status['up_ms'])}."
    )
