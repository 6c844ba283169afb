"""What this node's story counts up to: takeovers and how long they took, alarms, recovered and lost calls.

What must hold: pure. Each node counts what happened on itself and nothing that peers tell, so that a sum over all
nodes is the cluster's. The feed hands each record on once, over restarts of this process as well, so what is counted
here begins at zero with each of them, as Prometheus expects of a counter.
Labels are bounded: causes are a fixed set, groups and codes are at most so many.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zcluster.adapters.journal import Record

# Seconds. The presets promise about 0.1 and 0.2 (docs/measurements.md); a chosen move takes a few milliseconds.
BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
OTHER = "other"
# What `takeover` records say as "why" (zcluster.control.node), as words for a label.
CAUSES = {
    "silence": "silence",
    "unfinished claim": "unfinished_claim",
    "no holder known": "no_holder_known",
    "no holder left": "no_holder_left",
    "released: operator": "operator",
    "released: health": "health",
    "released: stop": "stop",
    "released: failback": "failback",
    "released: relinquish": "relinquish",
    "released: priority": "priority",
    "released: lapsed": "lapsed",
    "released: conflict": "conflict",
    "released: superseded": "superseded",
    "released: frozen": "frozen",
}
MOST_LABELS = 512


@dataclass(slots=True)
class Durations:
    """A histogram: how many were within each of BUCKETS_S (and one more beyond), and their sum in seconds."""

    within: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    sum_s: float = 0.0

    def add(self, length_ms: int) -> None:
        """One more."""
        self.within[bisect_left(BUCKETS_S, length_ms / 1000)] += 1
        self.sum_s += length_ms / 1000


@dataclass(slots=True)
class StoryCounts:
    """`takeovers` by group and cause; `durations` by cause; `told` by level and code; legs of calls by group."""

    takeovers: Counter[tuple[str, str]] = field(default_factory=Counter)
    durations: dict[str, Durations] = field(default_factory=dict)
    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    recovered: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)


class StoryLedger:
    """Counts the records of `node`."""

    def __init__(self, node: str) -> None:
        self._node = node
        self.counts = StoryCounts()

    def add(self, record: Record) -> bool:
        """Count the record; false where it is a peer's."""
        if record.node != self._node:
            return False
        self._count(record)
        return True

    def _count(self, record: Record) -> None:
        counts, facts = self.counts, record.facts
        _bump(counts.told, (record.level, record.code), 1)
        group = facts.get("group")
        if not isinstance(group, str):
            return
        match record.code:
            case "takeover":
                cause = CAUSES.get(str(facts.get("why")), OTHER)
                _bump(counts.takeovers, (group, cause), 1)
                length_ms = takeover_ms(facts)
                if length_ms is not None:
                    counts.durations.setdefault(cause, Durations()).add(length_ms)
            case "calls-recovered":
                _bump(counts.recovered, group, _whole(facts.get("recovered")))
                _bump(counts.lost, group, _whole(facts.get("lost")))


def takeover_ms(facts: Mapping[str, object]) -> int | None:
    """From the last sign of the old holder, or its release, to the opening; None where there was none before."""
    since_ms = facts.get("silent_ms", facts.get("released_ms"))
    open_ms = facts.get("open_ms")
    if type(since_ms) is not int or type(open_ms) is not int:
        return None
    return max(0, since_ms + open_ms)


def _whole(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


def _bump(counter: Counter[Any], key: object, by: int) -> None:
    if key in counter or len(counter) < MOST_LABELS:
        counter[key] += by
