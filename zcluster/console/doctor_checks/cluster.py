"""This node among the others, as far as its daemon tells: builds, names of switches, clocks.

What must hold: pure, from the status document to findings; what the daemon does not tell is unknown, not well.

Read of the status, beside what `zcluster status` shows: `build`, `switchname` and `clock_offset_ms` of each node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zcluster.console.doctor_checks.finding import Finding, error, good, unknown, warning
from zcluster.console.words import listed, printable

# Two seconds are one step of the sequence number that a re-INVITE is made with (sofia-sip, nta.c).
LARGEST_OFFSET_MS = 500


def findings(status: Mapping[str, Any], has_switch: bool) -> list[Finding]:
    """What the nodes that are heard have to do with each other."""
    nodes = [node for node in status.get("nodes", ()) if node.get("is_heard") or node.get("is_self")]
    found = [_clocks(nodes)]
    if has_switch:
        found += [_builds(nodes), _names(nodes)]
    return found


def _clocks(nodes: Sequence[Mapping[str, Any]]) -> Finding:
    offsets = [
        (str(node["name"]), node["clock_offset_ms"])
        for node in nodes
        if isinstance(node.get("clock_offset_ms"), (int, float)) and not node.get("is_self")
    ]
    if not offsets:
        return unknown("clocks", "the daemon does not tell how far the clocks of the nodes are apart")
    wrong = [f"{name} by {offset} ms" for name, offset in offsets if abs(offset) > LARGEST_OFFSET_MS]
    if wrong:
        words = (
            f"clocks differ from this host's: {printable(listed(wrong))}; telephones may refuse re-INVITEs"
        )
        return error("clocks", words, "run chrony or systemd-timesyncd on every host, with the same servers")
    worst = max(abs(offset) for _, offset in offsets)
    return good(
        "clocks", f"no more than {worst} ms from this host's on {listed([name for name, _ in offsets])}"
    )


def _builds(nodes: Sequence[Mapping[str, Any]]) -> Finding:
    builds = _told(nodes, "build")
    if len(builds) < 2:
        return unknown("builds", "the daemon does not tell the builds of the others' switches")
    if len(set(builds.values())) == 1:
        return good("builds", f"the switches of {listed(tuple(builds))} are of one build")
    words = f"different builds of FreeSWITCH ({_pairs(builds)}): addresses move between them, calls do not"
    return warning("builds", words, "install the same build of FreeSWITCH on every node")


def _names(nodes: Sequence[Mapping[str, Any]]) -> Finding:
    names = _told(nodes, "switchname")
    if len(names) < 2:
        return unknown("switchnames", "the daemon does not tell the names of the others' switches")
    if len(set(names.values())) == len(names):
        return good("switchnames", f"every switch has its own ({_pairs(names)})")
    words = f"two switches have one name ({_pairs(names)}): their rows and registrations cannot be told apart"
    return error(
        "switchnames", words, "give each its own: param switchname in switch.conf.xml, or the host's name"
    )


def _told(nodes: Sequence[Mapping[str, Any]], key: str) -> dict[str, str]:
    return {str(node["name"]): str(node[key]) for node in nodes if node.get(key)}


def _pairs(told: Mapping[str, str]) -> str:
    return printable(", ".join(f"{node}: {text}" for node, text in told.items()))
