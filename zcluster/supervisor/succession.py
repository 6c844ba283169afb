"""What this life of the daemon takes over of the last one (DESIGN 4.9).

What must hold, in this order:
1. A handover counts once. It is off the disk, in one write with this life's incarnation, before anything is done
   because of it; where that write fails, or the handover is of another boot, too old or of no member, everything
   is closed, as after a crash.
2. The gate of the last life is adopted only if it is exactly what this life would install. If not, closed rules
   take its place, and the core opens them again a moment later: the long grants still bind the voters.
3. Slot 0 is armed for one lease, then the clock is read, and the core is made with that reading, before any beat.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from zcluster.adapters.addresses import Addresses, Present
from zcluster.adapters.durable import DurableFile
from zcluster.adapters.gate import Gate
from zcluster.control.document import Durable, Handover
from zcluster.control.restart import is_usable
from zcluster.control.timing import Timing
from zcluster.control.units import GroupName, NodeName
from zcluster.errors import KernelRefused, StateFileError
from zcluster.supervisor.observing import ObservedAddresses, ObservedGate
from zcluster.supervisor.perform import Address, GroupPlace, Performer

TOO_LATE = "this life began too late to go on with what the last one left open; it was closed"
NOT_AS_LEFT = (
    "the packet filter was not as the last life left it, or the file has changed; closed for a moment"
)


class Succession:
    """The memory of this node, and the way from the last life into this one. Made once, at the start.

    `damage` is a sentence about a file that could not be read, or "". `notices` say what did not go as planned.
    """

    def __init__(
        self, file: DurableFile, node: NodeName, timing: Timing, wall_ms: int, clock: Callable[[], int]
    ) -> None:
        self.file = file
        self._timing = timing
        self._clock = clock
        durable, self.damage = file.load()
        self.incarnation = max(durable.incarnation + 1, wall_ms)
        self._durable = replace(durable, handover=None)
        self._handover: Handover | None = None
        self._groups: tuple[GroupName, ...] = ()
        self.notices: list[str] = []
        handover = durable.handover
        if handover is not None and self._take_off():
            if self._is_ours(handover, node):
                self._handover = handover
            else:
                self.notices.append(TOO_LATE)

    def _take_off(self) -> bool:
        taken = replace(self._durable, incarnation=self.incarnation)
        try:
            self.file.store(taken)
        except StateFileError as error:
            self.notices.append(f"what the last life left open was closed: {error}")
            return False
        self._durable = taken
        return True

    def _is_ours(self, handover: Handover, node: NodeName) -> bool:
        document = self._durable.document
        is_member = document is not None and node in document.roster
        return is_member and is_usable(handover, self._clock(), self._timing)

    def stand(
        self,
        gate: Gate | ObservedGate,
        addresses: Addresses | ObservedAddresses,
        groups: Sequence[GroupPlace],
        interfaces: Sequence[str],
    ) -> tuple[Present, ...]:
        """Have the gate stand: the last life's, or closed. Returns the addresses that were left and are gone.

        Raises KernelRefused.
        """
        managed = [address for group in groups for address in group.addresses]
        held = {pair.group for pair in self._handover.held} if self._handover is not None else set()
        self._groups = tuple(group.name for group in groups if group.name in held)
        kept = {address for group in groups if group.name in held for address in group.addresses}
        if not kept:
            self._handover = None
        is_adopted = bool(kept) and _is_adopted(gate, managed, interfaces, kept)
        if not is_adopted:
            gate.install(managed, interfaces)
        if kept and not is_adopted:
            self.notices.append(NOT_AS_LEFT)
        return addresses.sweep([address for address in managed if address not in kept])

    def begin(self, performer: Performer) -> tuple[Durable, int]:
        """What the core is made with: the memory, and the time. Call it immediately before.

        Raises KernelRefused where what cannot be taken over cannot be closed either.
        """
        if self._handover is None:
            return self._durable, self._clock()
        is_armed = performer.take_over(self._groups, self._timing.lease_ms)
        now_ms = self._clock()
        if is_armed and is_usable(self._handover, now_ms, self._timing):
            return replace(self._durable, handover=self._handover), now_ms
        performer.abandon(self._groups)
        self.notices.append(TOO_LATE)
        return self._durable, now_ms


def _is_adopted(
    gate: Gate | ObservedGate,
    managed: Sequence[Address],
    interfaces: Sequence[str],
    kept: Collection[Address],
) -> bool:
    try:
        return gate.adopt(managed, interfaces, kept)
    except KernelRefused:
        return False
