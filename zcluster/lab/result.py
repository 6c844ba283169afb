"""What a trial says of itself: one JSON line, one line for a person, and the summary of many.

What must hold: the JSON line has exactly the promised keys; other tools read it.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from zcluster.lab.plan import Plan
from zcluster.lab.telephones import CallCount


@dataclass(frozen=True, slots=True)
class Result:
    """One trial's line. `outage_ms` is None if nothing moved and nothing was missed; `calls` if none were placed."""

    fault: str
    preset: str
    group: str
    source: str
    target: str
    outage_ms: float | None
    answered_twice: bool
    epoch: int
    calls: CallCount | None = None

    def line(self) -> str:
        """As JSON, with the names that readers know."""
        return json.dumps(
            {
                "fault": self.fault,
                "preset": self.preset,
                "group": self.group,
                "from": self.source,
                "to": self.target,
                "outage_ms": self.outage_ms,
                "answered_twice": self.answered_twice,
                "epoch": self.epoch,
                **(self.calls.facts() if self.calls else {}),
            }
        )

    def words(self) -> str:
        """As one line for a person."""
        outage = "nothing missed" if self.outage_ms is None else f"{self.outage_ms:.0f} ms"
        way = f"{self.source} -> {self.target}" if self.source != self.target else f"stayed on {self.source}"
        twice = ", ANSWERED TWICE" if self.answered_twice else ""
        return f"{self.fault} {self.group}: {outage}, {way}, epoch {self.epoch}{twice}{_words(self.calls)}"


def _words(calls: CallCount | None) -> str:
    if calls is None:
        return ""
    last = (
        ""
        if calls.last_reinvite_ms is None
        else f", the last invited again after {calls.last_reinvite_ms:.0f} ms"
    )
    others = f", {calls.others_disturbed} of {calls.others} other calls disturbed" if calls.others else ""
    return f", {calls.recovered} of {calls.calls} calls recovered{last}{others}"


def summary(fault: str, plan: Plan, results: Iterable[Result]) -> str:
    """One line about all trials."""
    done = list(results)
    outages = [result.outage_ms for result in done if result.outage_ms is not None]
    figures = "no outage"
    if outages:
        figures = f"outage median {statistics.median(outages):.0f} ms, worst {max(outages):.0f} ms, in {len(outages)}"
    twice = sum(result.answered_twice for result in done)
    counts = [result.calls for result in done if result.calls is not None]
    calls = ""
    if counts:
        calls = f", {sum(each.recovered for each in counts)} of {sum(each.calls for each in counts)} calls recovered"
    if others := sum(each.others or 0 for each in counts):
        calls += f", {sum(each.others_disturbed or 0 for each in counts)} of {others} others disturbed"
    nodes, groups = len(plan.nodes), len(plan.groups)
    return (
        f"{fault}, {plan.preset}, {nodes} nodes, {groups} groups: {len(done)} trials, {figures}, "
        f"answered twice in {twice}{calls}"
    )
