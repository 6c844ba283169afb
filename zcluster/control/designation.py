"""Who should hold what: a pure, total function of what everybody can see.

It orders claimants and names successors; it never decides a vote, so nodes with different views may
answer differently without harm. Sticky: a holder keeps its group; a vacant group goes to its last holder
if that one stands idle and ready, else to preferred slaves, else to slaves in order of their start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from zcluster.control.document import GroupSettings, Settings
from zcluster.control.units import GroupName, NodeName


class Candidate(NamedTuple):
    """A node that may carry traffic, as seen in its beats. `started` is its incarnation: who is up
    longest stands first.
    """

    name: NodeName
    started: int
    is_ready: bool
    holds: tuple[GroupName, ...]


@dataclass(frozen=True, slots=True)
class Designation:
    """`claimants`: for each vacant group who should claim it, best first. `slaves`: ready nodes without
    a group, the primary slave first. `wanted`: for each vacant group the node it is meant for; a group
    that nobody is left for is missing.
    """

    claimants: Mapping[GroupName, tuple[NodeName, ...]]
    slaves: tuple[NodeName, ...]
    wanted: Mapping[GroupName, NodeName]

    def rank(self, group: GroupName, name: NodeName) -> int | None:
        """The place of a node among the group's claimants, 0 first; None where it has none."""
        order = self.claimants.get(group, ())
        return order.index(name) if name in order else None


def matches(name: NodeName, patterns: Sequence[str]) -> bool:
    """Whether a node name fits one of the shell-style patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def may_hold(settings: Settings, group: GroupSettings, name: NodeName) -> bool:
    """Whether the file lets this node hold this group at all."""
    return matches(name, group.allowed) and not matches(name, settings.never_master)


def slave_order(settings: Settings, candidates: Sequence[Candidate]) -> tuple[NodeName, ...]:
    """Ready nodes without a group, longest up first."""
    idle = [
        (c.started, c.name)
        for c in candidates
        if c.is_ready and not c.holds and not matches(c.name, settings.never_master)
    ]
    return tuple(name for _, name in sorted(idle))


def designate(
    settings: Settings,
    candidates: Sequence[Candidate],
    vacant: Mapping[GroupName, NodeName],
) -> Designation:
    """Distribute the `vacant` groups (each with its last holder, "" where unknown) over the candidates.

    Groups of higher priority choose first. Where slaves run out and the file lets a node hold several
    groups, ready masters with the fewest groups follow.
    """
    slaves = slave_order(settings, candidates)
    holders = _holder_order(candidates) if settings.several_groups else ()
    groups = sorted((g for g in settings.groups if g.name in vacant), key=lambda g: (-g.priority, g.name))
    free = list(slaves)
    wanted: dict[GroupName, NodeName] = {}
    claimants: dict[GroupName, tuple[NodeName, ...]] = {}
    for turn, group in enumerate(groups):
        fitting = [n for n in _by_preference(free, group, vacant[group.name]) if may_hold(settings, group, n)]
        later = [n for n in _rotated(slaves, turn) if n not in fitting and may_hold(settings, group, n)]
        several = [n for n in _rotated(holders, turn) if may_hold(settings, group, n)]
        order = fitting + later + several
        claimants[group.name] = tuple(order)
        if fitting or several:
            chosen = (fitting or several)[0]
            wanted[group.name] = chosen
            if chosen in free:
                free.remove(chosen)
    return Designation(claimants, slaves, wanted)


def successor(
    settings: Settings, group: GroupName, candidates: Sequence[Candidate], leaver: NodeName
) -> NodeName:
    """Who should take one group that its holder is about to release; "" where nobody is ready."""
    others = [c for c in candidates if c.name != leaver]
    order = designate(settings, others, {group: ""}).claimants.get(group, ())
    return order[0] if order else ""


def _holder_order(candidates: Sequence[Candidate]) -> tuple[NodeName, ...]:
    busy = [(len(c.holds), c.started, c.name) for c in candidates if c.is_ready and c.holds]
    return tuple(name for _, _, name in sorted(busy))


def _by_preference(free: Sequence[NodeName], group: GroupSettings, last: NodeName) -> list[NodeName]:
    return sorted(free, key=lambda n: (n != last, not matches(n, group.preferred)))


def _rotated(names: Sequence[NodeName], turn: int) -> list[NodeName]:
    if not names:
        return []
    start = turn % len(names)
    return [*names[start:], *names[:start]]
