"""After the last fault a frozen cluster must come to what it was frozen as, and then somebody thaws it.

LF: under a firm freeze every group whose node lives, may hold it and votes is held there again within the bound of L1
and of the freeze's own steps; one that is not firm becomes firm by then. L3: the thaw that is asked for again and
again is agreed to within its bound. Then L1 and L2 are judged as ever.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol

from zcluster.control.council import HOUSEKEEPING_MS, WISH_LIMIT_MS
from zcluster.control.designation import may_hold
from zcluster.control.document import Document, Freeze, Settings
from zcluster.control.events import ThawAsked
from zcluster.control.freezing import CALM_LIMIT_MS
from zcluster.control.units import GroupName, NodeName, majority
from zcluster.simulator.checkers import Ownership, Violation
from zcluster.simulator.host import Host
from zcluster.simulator.mix import Mix
from zcluster.simulator.recovery import holder_bound_ms

ASK_AGAIN_MS = 500.0
HOUSEKEEPINGS = 10


class Thawed(Protocol):
    """What is looked at here of the world."""

    now: float
    mix: Mix
    settings: Settings
    hosts: tuple[Host, ...]
    ownership: Ownership

    def newest(self) -> Document | None: ...


def frozen_bound_ms(mix: Mix) -> int:
    """By when what is frozen is as it was, after the last fault, start or document."""
    return (
        holder_bound_ms(mix)
        + CALM_LIMIT_MS
        + HOUSEKEEPINGS * HOUSEKEEPING_MS
        + 2 * mix.settings.timing.grant_ms
    )


class Thawing:
    """Waits until a frozen cluster is as it was frozen, and thaws it. `thaws`: how often that was over."""

    def __init__(self, world: Thawed) -> None:
        self._world = world
        self._was_frozen = False
        self._known: tuple[int, int] = (-1, -1)
        self._bound = 0.0
        self._asked = 0.0
        self._asking_since = 0.0
        self.thaws = 0

    def is_under_way(self) -> bool:
        """Whether the cluster is frozen, and could be thawed."""
        world = self._world
        document = world.newest()
        if document is None or document.freeze is None or not self._has_majority(document):
            self.thaws += self._was_frozen
            self._was_frozen = False
            return False
        known = (document.generation, sum(host.life for host in world.hosts))
        if not self._was_frozen or known != self._known:
            self._was_frozen, self._known = True, known
            self._bound = world.now + frozen_bound_ms(world.mix)
            self._asking_since = 0.0
        missing = self._missing(document, document.freeze)
        if missing and not self._asking_since:
            if world.now > self._bound:
                raise Violation("LF", f"long after the last fault: {missing}")
        else:
            self._thaw()
        return True

    def _has_majority(self, document: Document) -> bool:
        members = [host for host in self._world.hosts if host.name in document.roster and not host.is_gone]
        return len(members) >= majority(len(document.roster))

    def _missing(self, document: Document, freeze: Freeze) -> str:
        if not freeze.is_firm:
            return "the freeze is not firm"
        world = self._world
        alive = {host.name: host.index for host in world.hosts if not host.is_gone}
        groups = {group.name: group for group in world.settings.groups}
        of_node: dict[NodeName, list[GroupName]] = defaultdict(list)
        for group, node in freeze.holders:
            if node in alive and node in document.roster and may_hold(world.settings, groups[group], node):
                of_node[node].append(group)
        for node, names in of_node.items():
            held = [name for name in names if alive[node] in world.ownership.answering(name, world.now)]
            if len(held) < (len(names) if world.settings.several_groups else 1):
                return f"{node} does not hold {names}, only {held}"
        return ""

    def _thaw(self) -> None:
        world = self._world
        if not self._asking_since:
            self._asking_since = world.now
        if world.now > self._asking_since + 2 * WISH_LIMIT_MS + frozen_bound_ms(world.mix):
            raise Violation("L3", "a thaw that is asked for again and again is not agreed to")
        if world.now >= self._asked + ASK_AGAIN_MS:
            self._asked = world.now
            for host in world.hosts:
                host.deliver(ThawAsked("thaw-after-all", "operator"))
