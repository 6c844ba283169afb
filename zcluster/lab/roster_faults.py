"""Changes of who may vote, and clusters of two: what must be missed is nothing, or one takeover.

What must hold: as in faults.py.
"""

from __future__ import annotations

from random import Random

from zcluster.control.timing import LONG_GRANT_MS
from zcluster.errors import LabError
from zcluster.lab.faults import CutService, Fault, Isolate, KillDaemon, KillHost, PauseHost, StopDaemon
from zcluster.lab.laboratory import Laboratory

_STANDS_WITHIN_S = 20.0
_ABSTINENCE_S = LONG_GRANT_MS / 1000 + 0.3
WAYS_OF_LOSING: tuple[type[Fault], ...] = (KillHost, KillDaemon, StopDaemon, PauseHost, Isolate, CutService)


class RemoveNode(Fault):
    """An operator takes a living slave out of the roster, and later back in."""

    name = "remove-node"
    story = "a slave is removed from the roster, and a second later added again"
    moves = False
    hold_s = 1.0

    def __init__(self, lab: Laboratory, group: str, holder: str, chance: Random) -> None:
        super().__init__(lab, group, holder, chance)
        holders = {lab.ownership(each.name).holder for each in lab.plan.groups}
        idle = [node for node in lab.powered if node not in holders]
        if not idle:
            raise LabError("every node holds a group: the laboratory needs more nodes than groups")
        self.slave = chance.choice(idle)
        self.hit = ()

    def inject(self) -> None:
        """Remove it."""
        self.lab.change_roster(self.holder, "remove", self.slave)

    def heal(self) -> None:
        """Add it again."""
        self.lab.change_roster(self.holder, "add", self.slave)


class AddNode(RemoveNode):
    """A host with an empty disk comes to the cluster, and an operator admits it."""

    name = "add-node"
    story = "a slave is replaced by a new host of its name with an empty disk, which is then added"
    hold_s = 0.0

    def inject(self) -> None:
        """Take the old host away, from the roster too; power the new one on and wait until it is heard."""
        self.lab.change_roster(self.holder, "remove", self.slave)
        self.lab.cut_off(self.slave)
        self.lab.clear_away(self.slave)
        self.lab.lose_disk(self.slave)
        self.lab.power_on(self.slave)
        self.lab.wait_for(self._is_heard, _STANDS_WITHIN_S, f"{self.slave} and {self.holder} hear each other")

    def heal(self) -> None:
        """Admit it, and let it become able to vote: who has no memory abstains as long as a long grant binds."""
        super().heal()
        self.lab.wait(_ABSTINENCE_S)

    def _is_heard(self) -> bool:
        # Its own word counts as well: the holder may still believe in the old one, which has just fallen silent.
        return self.lab.is_heard(self.holder, by=self.slave) and self.lab.is_heard(self.slave, by=self.holder)


class TwoNodes(Fault):
    """Of two nodes, one loses the other: in a different way in each trial."""

    name = "two-nodes"
    story = "the other of two nodes is lost, in a different way each time: " + ", ".join(
        way.name for way in WAYS_OF_LOSING
    )
    is_health_move = True

    def __init__(self, lab: Laboratory, group: str, holder: str, chance: Random) -> None:
        super().__init__(lab, group, holder, chance)
        if len(lab.plan.nodes) != 2:
            raise LabError("two-nodes wants a laboratory of two: --nodes 2 --groups 1")
        self._way = chance.choice(WAYS_OF_LOSING)(lab, group, holder, chance)
        self.moves, self.hold_s, self.way = self._way.moves, self._way.hold_s, self._way.name

    def inject(self) -> None:
        """Lose it."""
        self._way.inject()

    def heal(self) -> None:
        """Have it back."""
        self._way.heal()
