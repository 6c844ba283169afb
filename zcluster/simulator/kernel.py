"""What one host's kernel does with a gate and an address, as it was measured to behave.

An address is answered for while it is on the interface, its own lifetime has not ended, and the element that
the gate's map points at has not run out. Elements run out by the kernel's own timer, which runs at the host's
clock rate: up to `EARLY_MS` too soon, never late. Nothing here knows whether a process is alive.
"""

from __future__ import annotations

from random import Random

from zcluster.control.lease import LONG_SLOT
from zcluster.control.units import GroupName

EARLY_MS = 4.0
ADDRESS_LIFE_MS = 2000.0
REMEMBERED_SLOTS = 96
LEFT_SLOT = -1  # under which an element of the last life is kept


class GateMisused(Exception):
    """The core asked for what the gate's adapter refuses: it could re-open an epoch that has ended."""


class Kernel:
    """The armed ring, its map and the addresses of one host. All times are true time in ms."""

    __slots__ = ("_addresses", "_armed", "_armed_now", "_floor", "_map", "_newest", "_random", "rate")

    def __init__(self, groups: tuple[GroupName, ...], random: Random, rate: float) -> None:
        self.rate = rate
        self._random = random
        self._armed: dict[GroupName, dict[int, float]] = {group: {} for group in groups}
        self._map: dict[GroupName, int] = {}
        self._addresses: dict[GroupName, float] = {}
        self._newest = 0
        self._floor: dict[GroupName, int] = {}
        self._armed_now: set[tuple[GroupName, int]] = set()

    def arm(self, slot: int, groups: tuple[GroupName, ...], lease_ms: int, now: float) -> None:
        """Put each group's element into the ring's set of this slot."""
        ends = now + lease_ms / self.rate - EARLY_MS * self._random.random()
        self._newest = max(self._newest, slot % LONG_SLOT)
        for group in groups:
            ring = self._armed[group]
            if (group, slot) in self._armed_now:
                raise GateMisused(f"slot {slot} of {group} is armed twice")
            self._armed_now.add((group, slot))
            ring[slot] = ends
            if len(ring) > REMEMBERED_SLOTS:
                self._armed[group] = {kept: end for kept, end in ring.items() if end > now}

    def point(self, group: GroupName, slot: int, decided: float, now: float) -> None:
        """Repoint the map. `decided` is when the core read its clock; the ring has no use for it."""
        if slot % LONG_SLOT <= self._floor.get(group, -1):
            raise GateMisused(f"slot {slot} of {group} was armed before the addresses were closed")
        self._map[group] = slot

    def open(self, group: GroupName, slot: int, decided: float, now: float) -> None:
        """Put the addresses on the interface and point the gate."""
        self._addresses[group] = now + ADDRESS_LIFE_MS
        self.point(group, slot, decided, now)

    def close(self, group: GroupName) -> None:
        """Close the gate, then remove the addresses."""
        self._map.pop(group, None)
        self._addresses.pop(group, None)
        self._floor[group] = self._newest

    def renew(self, group: GroupName, now: float, lifetime_ms: float = 0.0) -> None:
        """Prolong the addresses' own lifetime; one that has ended meanwhile is put back (create and replace)."""
        self._addresses[group] = now + (lifetime_ms or ADDRESS_LIFE_MS)

    def lose_gate(self) -> None:
        """Another tool flushed our rules, and they were installed anew: closed, nothing armed."""
        self._map.clear()
        for ring in self._armed.values():
            ring.clear()

    def reset(self) -> None:
        """The host lost power, or a starting process closes what its predecessor left: nothing is left."""
        self.lose_gate()
        self.next_life()
        self._addresses.clear()

    def next_life(self) -> None:
        """A new process numbers its slots from the start, and none of its numbers meets an element of the last
        life (adapters/gate_adoption.py says how). What is open stays open until its element runs out.
        """
        for group, ring in self._armed.items():
            ends = ring.get(self._map.get(group, LEFT_SLOT), 0.0)
            ring.clear()
            if group in self._map:
                self._map[group] = LEFT_SLOT
                ring[LEFT_SLOT] = ends
        self._newest = 0
        self._floor.clear()
        self._armed_now.clear()

    def shift(self, by: float) -> None:
        """Move every instant: another origin of time."""
        for ring in self._armed.values():
            for slot in ring:
                ring[slot] += by
        for group in self._addresses:
            self._addresses[group] += by

    def forget(self, kept: int) -> None:
        """Remember only so many slots, for a world that is copied often."""
        for group, ring in self._armed.items():
            self._armed[group] = {slot: ring[slot] for slot in sorted(ring)[-kept:]}
        self._armed_now = {(group, slot) for group, slot in self._armed_now if slot in self._armed[group]}

    def slot(self, group: GroupName) -> int:
        """The slot that the gate points at for this group; 0 when it is closed."""
        return self._map.get(group, 0)

    def is_long(self, group: GroupName) -> bool:
        """Whether the gate points at an element of a long lease, this life's or the last one's."""
        slot = self._map.get(group, 0)
        return slot == LEFT_SLOT or slot >= LONG_SLOT

    def answers_until(self, group: GroupName) -> float:
        """True time until which this host answers for the group if nothing more is done; 0.0 when it does not."""
        address_ends = self._addresses.get(group)
        slot = self._map.get(group)
        if address_ends is None or slot is None:
            return 0.0
        element_ends = self._armed[group].get(slot, 0.0)
        return min(element_ends, address_ends)


class RelativeKernel(Kernel):
    """The gate that DESIGN.md 4.3 rejects: a renewal sets what is left of the lease as a new timeout.

    Here only to show that the simulator finds the fault: a call that comes late re-opens an old epoch.
    """

    __slots__ = ("_gate",)

    def __init__(self, groups: tuple[GroupName, ...], random: Random, rate: float) -> None:
        super().__init__(groups, random, rate)
        self._gate: dict[GroupName, float] = {}

    def point(self, group: GroupName, slot: int, decided: float, now: float) -> None:
        super().point(group, slot, decided, now)
        left = self._left(group, slot, decided)
        if left > 0:
            self._gate[group] = now + left

    def _left(self, group: GroupName, slot: int, decided: float) -> float:
        """What is left of the lease when the core decided."""
        return self._armed[group].get(slot, 0.0) - decided

    def close(self, group: GroupName) -> None:
        super().close(group)
        self._gate.pop(group, None)

    def lose_gate(self) -> None:
        super().lose_gate()
        self._gate.clear()

    def answers_until(self, group: GroupName) -> float:
        address_ends = self._addresses.get(group)
        return 0.0 if address_ends is None else min(self._gate.get(group, 0.0), address_ends)


class FromReceiptKernel(RelativeKernel):
    """The rejected gate with the lease counted from the acknowledgement's receipt."""

    __slots__ = ("_lease_ms",)

    def __init__(self, groups: tuple[GroupName, ...], random: Random, rate: float) -> None:
        super().__init__(groups, random, rate)
        self._lease_ms = 0

    def arm(self, slot: int, groups: tuple[GroupName, ...], lease_ms: int, now: float) -> None:
        super().arm(slot, groups, lease_ms, now)
        self._lease_ms = lease_ms

    def _left(self, group: GroupName, slot: int, decided: float) -> float:
        return self._lease_ms / self.rate
