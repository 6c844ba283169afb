"""`zcluster simulate --exhaustive`: search the small scope, say what was searched and what was found."""

from __future__ import annotations

import json
import sys

import click

from zcluster.simulator.cores import make_node
from zcluster.simulator.exhaustive import Findings, Scope, search

PROGRESS_EVERY_S = 10.0


def run(rounds: int, faults: int, as_json: bool) -> int:
    """Search `rounds` deep with up to `faults` deviations; 1 after a violation, else 0."""
    findings = search(Scope(rounds, faults), make_node, seen=_Progress().seen)
    click.echo(summary(Scope(rounds, faults), findings))
    if as_json:
        click.echo(json.dumps(as_record(findings)))
    return 1 if findings.violation else 0


def as_record(findings: Findings) -> dict[str, float | bool | str]:
    """The figures, for machines."""
    return {
        "worlds": findings.worlds,
        "rounds": findings.rounds,
        "depth": findings.deepest,
        "is_complete": findings.is_complete,
        "violation": findings.violation,
        "wall_s": round(findings.wall_s, 1),
    }


def summary(scope: Scope, findings: Findings) -> str:
    """The figures, for people."""
    lines = [
        f"3 nodes, 1 group, {scope.rounds} beats deep, every combination of up to {scope.faults} deviations"
        f" ({', '.join(scope.kinds)}) from: {', '.join(scope.beginnings)}",
        f"{findings.worlds} worlds, {findings.rounds} rounds, {findings.alike} led to a world already seen,"
        f" depth {findings.deepest}, {findings.wall_s:.0f} s",
    ]
    if findings.violation:
        lines += ["A rule broke. The course to it:", *(f"  {line}" for line in findings.course)]
    else:
        lines.append("Nothing was left out, and no rule broke." if findings.is_complete else "Not complete.")
    return "\n".join(lines)


class _Progress:
    """Tells now and then how far the search is."""

    def __init__(self) -> None:
        self._said_s = 0.0

    def seen(self, findings: Findings) -> None:
        if findings.wall_s - self._said_s >= PROGRESS_EVERY_S:
            self._said_s = findings.wall_s
            click.echo(f"{findings.worlds} worlds, {findings.rounds} rounds", err=True)
            sys.stderr.flush()
