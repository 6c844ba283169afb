"""Who should hold what: a pure, total function of what everybody can see.

It orders claimants and names successors; it never decides a vote, so nodes with different views may
answer differently without harm. Sticky: a holder keeps its group; a vacant group goes to the node it is
pinned to, else to its last holder if that one stands idle and ready, else away from the sites of the
groups it should be apart from, else to preferred slaves, else to those whose switch can take its calls (of
the build that had them), else to slaves in order of their start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import NamedTuple

from zcluster.control.document import GroupSettings, Pin, Settings
from zcluster.control.units import GroupName, NodeName

NO_BUILDS: Mapping[GroupName, str] = MappingProxyType({})


class Candidate(NamedTuple):
    """A node that may carry traffic, as seen in its beats. `started` is its incarnation: who is up
    longest stands first. `build`: of the switch beside it, "" for unknown.
    """

    name: NodeName
    started: int
    is_ready: bool
    holds: tuple[GroupName, ...]
    build: str = ""


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


def may_carry(settings: Settings, name: NodeName) -> bool:
    """Whether the file lets this node hold any group: no witness, not named as never-master."""
    return not matches(name, settings.witnesses) and not matches(name, settings.never_master)


def may_hold(settings: Settings, group: GroupSettings, name: NodeName) -> bool:
    """Whether the file lets this node hold this group at all."""
    return matches(name, group.allowed) and may_carry(settings, name)


def site_of(settings: Settings, name: NodeName) -> str:
    """The site of a node, "" where the file gives it none."""
    for site in settings.sites:
        if matches(name, site.nodes):
            return site.name
    return ""


def slave_order(settings: Settings, candidates: Sequence[Candidate]) -> tuple[NodeName, ...]:
    """Ready nodes without a group, longest up first."""
    idle = [
        (c.started, c.name) for c in candidates if c.is_ready and not c.holds and may_carry(settings, c.name)
    ]
    return tuple(name for _, name in sorted(idle))


def designate(
    settings: Settings,
    candidates: Sequence[Candidate],
    vacant: Mapping[GroupName, NodeName],
    pins: Sequence[Pin] = (),
    builds: Mapping[GroupName, str] = NO_BUILDS,
) -> Designation:
    """Distribute the `vacant` groups (each with its last holder, "" where unknown) over the candidates.

    `builds`: of the switch that had a group's calls; a group whose build is unknown likes all switches equally.
    Groups of higher priority choose first. Where slaves run out and the file lets a node hold several
    groups, ready masters with the fewest groups follow.
    """
    slaves = slave_order(settings, candidates)
    busy = _holder_order(candidates) if settings.several_groups else ()
    holders = {group: c.name for c in candidates for group in c.holds}
    groups = sorted((g for g in settings.groups if g.name in vacant), key=lambda g: (-g.priority, g.name))
    free = list(slaves)
    wanted: dict[GroupName, NodeName] = {}
    claimants: dict[GroupName, tuple[NodeName, ...]] = {}
    for turn, group in enumerate(groups):
        strange = _strangeness(candidates, builds.get(group.name, ""))
        taste = _Taste(settings, group, vacant[group.name], pinned_to(pins, group.name), holders, strange)
        fitting = taste.sort(n for n in free if may_hold(settings, group, n))
        later = [n for n in _rotated(slaves, turn) if n not in fitting and may_hold(settings, group, n)]
        several = [n for n in _rotated(busy, turn) if may_hold(settings, group, n)]
        claimants[group.name] = (*fitting, *later, *several)
        if fitting or several:
            chosen = (fitting or several)[0]
            wanted[group.name] = holders[group.name] = chosen
            if chosen in free:
                free.remove(chosen)
    return Designation(claimants, slaves, wanted)


def successor(
    settings: Settings,
    group: GroupName,
    candidates: Sequence[Candidate],
    leaver: NodeName,
    pins: Sequence[Pin] = (),
    build: str = "",
) -> NodeName:
    """Who should take one group that its holder, with a switch of `build`, is about to release; "" where nobody
    is ready.
    """
    others = [c for c in candidates if c.name != leaver]
    order = designate(settings, others, {group: ""}, pins, {group: build}).claimants.get(group, ())
    return order[0] if order else ""


def pinned_to(pins: Sequence[Pin], group: GroupName) -> NodeName:
    """The node an operator pinned the group to, "" for none."""
    return next((pin.node for pin in pins if pin.group == group), "")


def better_home(
    settings: Settings,
    group: GroupSettings,
    holder: NodeName,
    candidates: Sequence[Candidate],
    pins: Sequence[Pin],
    build: str = "",
) -> NodeName:
    """Where a held group should move although its holder is well: to its pinned node, or (only if the
    file says failback) to a preferred one; "" where it should stay.
    """
    ready = [n for n in slave_order(settings, candidates) if may_hold(settings, group, n)]
    pinned = pinned_to(pins, group.name)
    if pinned:
        return pinned if pinned != holder and pinned in ready else ""
    if not settings.failback or not group.preferred or matches(holder, group.preferred):
        return ""
    strange = _strangeness(candidates, build)
    ready.sort(key=lambda name: strange.get(name, False))
    return next((n for n in ready if matches(n, group.preferred)), "")


def who_steps_aside(
    settings: Settings, candidates: Sequence[Candidate], vacant: Sequence[GroupName]
) -> tuple[NodeName, GroupName] | None:
    """When nodes have run out: the holder of the least group, which should give it up for the most
    important vacant one, and that vacant group; None where nobody should.
    """
    if settings.several_groups or slave_order(settings, candidates):
        return None
    rated = {group.name: (group.priority, group.name) for group in settings.groups}
    groups = {group.name: group for group in settings.groups}
    for wanted in sorted(vacant, key=lambda name: (-rated[name][0], name)):
        able = [
            (rated[c.holds[0]][0], c.holds[0], c.name)
            for c in candidates
            if c.is_ready
            and len(c.holds) == 1
            and c.holds[0] in rated
            and rated[c.holds[0]][0] < rated[wanted][0]
            and may_hold(settings, groups[wanted], c.name)
        ]
        if able:
            return min(able)[2], wanted
    return None


class _Taste:
    """The order in which one vacant group likes nodes."""

    def __init__(
        self,
        settings: Settings,
        group: GroupSettings,
        last: NodeName,
        pinned: NodeName,
        holders: Mapping[GroupName, NodeName],
        strange: Mapping[NodeName, bool],
    ) -> None:
        self._settings = settings
        self._group = group
        self._last = last
        self._pinned = pinned
        self._strange = strange
        sites = {site_of(settings, holders[other]) for other in group.apart_from if other in holders}
        self._avoided = sites - {""}

    def sort(self, names: Iterable[NodeName]) -> list[NodeName]:
        """Best first; equal ones keep their order."""
        return sorted(names, key=self._distaste)

    def _distaste(self, name: NodeName) -> tuple[bool, bool, bool, bool, bool]:
        return (
            name != self._pinned,
            name != self._last,
            site_of(self._settings, name) in self._avoided,
            not matches(name, self._group.preferred),
            self._strange.get(name, False),
        )


def _strangeness(candidates: Sequence[Candidate], build: str) -> dict[NodeName, bool]:
    """Whose switch could not load calls of a switch of that build. Where nothing is known, nobody is strange."""
    return {c.name: c.build != build for c in candidates} if build else {}


def _holder_order(candidates: Sequence[Candidate]) -> tuple[NodeName, ...]:
    busy = [(len(c.holds), c.started, c.name) for c in candidates if c.is_ready and c.holds]
    return tuple(name for _, _, name in sorted(busy))


def _rotated(names: Sequence[NodeName], turn: int) -> list[NodeName]:
    if not names:
        return []
    start = turn % len(names)
    return [*names[start:], *names[:start]]
