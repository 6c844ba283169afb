"""How many sessions of each limit the rest of the cluster uses: a sum over nodes that are heard of one by one.

What must hold: a session is counted somewhere from its node's word until it ends. When a node or its switch goes
without a word, what it last used goes on to count, and shrinks by what others say they recovered, so that no moment
counts a recovered call neither here nor there; after `keep_ms` nobody can still recover it. In doubt it counts twice
for that long, which refuses a call too many, and never not at all.

A node's word of a death and another's of its recovery come by different ways, so a growth of recovered sessions with
nobody to take it from is remembered for `early_ms` and taken from who is found dead then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from zcluster.control.units import NodeName

LARGEST_KEPT = 64
LARGEST_EARLY = 256


class Count(NamedTuple):
    """Sessions of one limit on one node: those its mod_hash counts, and recovered ones, which it does not."""

    usage: int
    recovered: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.usage + self.recovered


@dataclass(frozen=True, slots=True)
class Standing:
    """What one node says of itself. `life`: the core UUID of its switch, "" while that is closed."""

    life: str
    counts: Mapping[str, Count] = field(default_factory=dict)


@dataclass(slots=True)
class _Kept:
    """What a life of a switch used when it went, less what others have recovered of it."""

    node: NodeName
    life: str
    until_ms: int
    counts: dict[str, int]


@dataclass(slots=True)
class _Early:
    """Sessions that somebody recovered from nobody we knew to be dead."""

    until_ms: int
    name: str
    count: int


class Sums:
    """The words of all nodes, our own among them, and what is kept of those that went."""

    def __init__(self, keep_ms: int, early_ms: int) -> None:
        self._keep_ms = keep_ms
        self._early_ms = early_ms
        self._standings: dict[NodeName, Standing] = {}
        self._kept: list[_Kept] = []
        self._early: list[_Early] = []

    def see(self, standings: Mapping[NodeName, Standing], now_ms: int) -> None:
        """All that can be read now. A node that is missing, or whose switch has another life, is gone."""
        before = self._standings
        self._expire(now_ms)
        for node in sorted(before):
            now = standings.get(node)
            if not _lives_on(before[node], now):
                # Of a switch that closed, its node still says what it used last.
                last = before[node].counts if now is None or now.life else now.counts
                self._keep(node, Standing(before[node].life, last), now_ms)
        alive = {node: each for node, each in standings.items() if each.life}
        self._kept = [
            kept for kept in self._kept if kept.node not in alive or alive[kept.node].life != kept.life
        ]
        for node in sorted(alive):
            if _lives_on(before.get(node), alive[node]):
                self._credit(_growth(before[node], alive[node]), now_ms)
        self._standings = alive

    def others(self, node: NodeName) -> dict[str, int]:
        """For each limit, the sessions that `node`'s own mod_hash does not count."""
        found: dict[str, int] = {}
        for each, standing in self._standings.items():
            for name, count in standing.counts.items():
                found[name] = found.get(name, 0) + (count.recovered if each == node else count.total)
        for kept in self._kept:
            for name, sessions in kept.counts.items():
                found[name] = found.get(name, 0) + sessions
        return {name: count for name, count in found.items() if count}

    def kept(self) -> dict[str, int]:
        """For each limit, the sessions of nodes that went, which nobody has recovered yet."""
        found: dict[str, int] = {}
        for kept in self._kept:
            for name, sessions in kept.counts.items():
                found[name] = found.get(name, 0) + sessions
        return {name: count for name, count in found.items() if count}

    def deadline(self) -> int | None:
        """When what is kept of the first node that went counts no longer."""
        return min((kept.until_ms for kept in self._kept), default=None)

    def _expire(self, now_ms: int) -> None:
        self._kept = [kept for kept in self._kept if kept.until_ms > now_ms and any(kept.counts.values())]
        self._early = [early for early in self._early if early.until_ms > now_ms and early.count]

    def _keep(self, node: NodeName, standing: Standing, now_ms: int) -> None:
        counts = {name: count.total for name, count in standing.counts.items() if count.total}
        if not counts or len(self._kept) >= LARGEST_KEPT:
            return
        for early in self._early:
            taken = min(early.count, counts.get(early.name, 0))
            if taken:
                early.count -= taken
                counts[early.name] -= taken
        self._kept.append(_Kept(node, standing.life, now_ms + self._keep_ms, counts))

    def _credit(self, growth: Iterable[tuple[str, int]], now_ms: int) -> None:
        """What was recovered leaves those that went, the first of them first."""
        for name, count in growth:
            rest = count
            for kept in self._kept:
                taken = min(rest, kept.counts.get(name, 0))
                if taken:
                    kept.counts[name] -= taken
                    rest -= taken
            if rest and len(self._early) < LARGEST_EARLY:
                self._early.append(_Early(now_ms + self._early_ms, name, rest))


def _lives_on(before: Standing | None, now: Standing | None) -> bool:
    return before is not None and now is not None and before.life == now.life


def _growth(before: Standing, now: Standing) -> list[tuple[str, int]]:
    nothing = Count(0)
    grown = (
        (name, each.recovered - before.counts.get(name, nothing).recovered)
        for name, each in now.counts.items()
    )
    return sorted((name, count) for name, count in grown if count > 0)
