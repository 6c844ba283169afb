"""Actions become kernel calls, datagrams and errands; what can fail comes back as an event.

What must hold:
- The order of DESIGN 4.3: arm before the beat is sent, point after the majority acknowledged, close in the
  kernel before anybody says "closed".
- `Closed` without problem means that the kernel confirmed a closed gate. That the address is also taken from
  the interface is tidiness: with the gate closed nobody can hear it.
- Rules that another tool removed are installed anew, closed, at once; whatever was asked then failed.
- Changing an address waits for the kernel's one lock of all its networks, which any container that comes or goes
  may hold for tens of milliseconds (measured), a driver that resets for longer. So that is done beside the loop;
  the packet rules know no such lock.
- A group whose gate points at a long element (a planned restart) either points at a usual one, or is closed, or
  this process ends: before its next usual beat can replace the long grants.
- An announcement goes out only while the lease that it speaks for still runs by this clock (packet sockets pass
  closed rules on kernels without an egress hook).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from zcluster.adapters.addresses import VALID_S
from zcluster.adapters.gate import GateLost as RulesLost
from zcluster.control import actions, events
from zcluster.control.actions import Action
from zcluster.control.document import Durable
from zcluster.control.events import Event
from zcluster.control.lease import LONG_SLOT
from zcluster.control.messages import Beat
from zcluster.control.units import GroupName, LinkName
from zcluster.errors import KernelRefused, StateFileError
from zcluster.supervisor.announcements import Announcements
from zcluster.supervisor.side_thread import Errand, Sequel, say

Address = IPv4Address | IPv6Address

ARMED_SLOTS_KEPT = 256
GATE_RETRY_MS = 200
KERNEL_IS_STUCK = "the kernel does not keep up: too many address changes wait for it"
NOTHING: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupPlace:
    """A group on this host: the interface its addresses appear on, and the canaries of its subnets."""

    name: GroupName
    interface: str
    addresses: tuple[Address, ...]
    canaries: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class ReferencePlace:
    """A reference address of a service link, and the interface to ask on."""

    link: LinkName
    interface: str
    address: Address


class GateDoor(Protocol):
    """The gate (`zcluster.adapters.gate`)."""

    def install(self, managed: Sequence[Address], interfaces: Sequence[str]) -> None: ...
    def arm(self, slot: int, addresses: Sequence[Address], lease_ms: int) -> None: ...
    def point(self, addresses: Sequence[Address], slot: int) -> None: ...
    def close(self, addresses: Sequence[Address]) -> None: ...


class AddressesDoor(Protocol):
    """Addresses on interfaces (`zcluster.adapters.addresses`)."""

    def add(self, interface: str, address: Address, valid_s: int = ...) -> None: ...
    def remove(self, interface: str, address: Address) -> None: ...


class NeighboursDoor(Protocol):
    """ARP and neighbour discovery (`zcluster.adapters.neighbours`)."""

    def probe(self, interface: str, address: Address) -> bool: ...
    def announce(self, interface: str, address: Address) -> bool: ...


@dataclass(frozen=True, slots=True)
class Doors:
    """What the performer works with. `store` raises StateFileError.

    `submit_disk` and `submit_kernel` hand an errand to a side thread: one for the disk, one for calls that may
    wait behind a lock of the kernel.
    """

    gate: GateDoor
    addresses: AddressesDoor
    neighbours: NeighboursDoor
    send_beat: Callable[[Beat, int], None]
    store: Callable[[Durable], None]
    submit_disk: Callable[[Errand], bool]
    submit_kernel: Callable[[Errand], bool]
    tell: Callable[[actions.Tell], None]
    answer_wish: Callable[[actions.AnswerWish], None]


class Performer:
    """Performs the core's actions. It is a chore of the loop as well: announcements are repeated."""

    def __init__(
        self,
        doors: Doors,
        groups: Sequence[GroupPlace],
        references: Sequence[ReferencePlace],
        gated_interfaces: Sequence[str],
        clock: Callable[[], int],
    ) -> None:
        self._doors = doors
        self._groups: Mapping[GroupName, GroupPlace] = {group.name: group for group in groups}
        self._references = tuple(references)
        self._interfaces = tuple(gated_interfaces)
        self._managed = tuple(address for group in groups for address in group.addresses)
        self._clock = clock
        self._announcements = Announcements()
        self._slot_ends_ms: dict[int, int] = {}
        self._slots: deque[int] = deque()
        self._lease_ends_ms: dict[GroupName, int] = {}
        self._gate_problem = ""
        self._gate_retry_ms = 0
        self._long: set[GroupName] = set()
        self._opening: dict[GroupName, int] = {}
        self._renewing: set[GroupName] = set()
        self._unrenewed: set[GroupName] = set()
        self.is_over = False
        self.keeps_open = False
        self.counts: Counter[str] = Counter()

    # ---- the dispatcher

    def perform(self, action: Action, now_ms: int) -> Sequence[Event]:
        """Perform one action; the events that come of it."""
        match action:
            case actions.SendBeat(beat):
                self._doors.send_beat(beat, now_ms)
            case actions.ArmGate(slot, groups, lease_ms):
                return self._arm(slot, groups, lease_ms, now_ms)
            case actions.PointGate(group, slot):
                return self._point(group, slot)
            case actions.RenewAddresses(group, lifetime_ms):
                self._renew(self._groups[group], -(-lifetime_ms // 1000) or VALID_S)
            case actions.SendProbe(group):
                self._probe(self._groups[group])
            case actions.AskReference():
                self._ask_references()
            case actions.OpenAddresses(group, counter, slot):
                return self._open(self._groups[group], counter, slot)
            case actions.CloseAddresses(group, counter):
                return self._close(self._groups[group], counter)
            case actions.Announce(group):
                self._announce(self._groups[group])
            case actions.StoreDurable(number, durable):
                return self._store(number, durable)
            case actions.Tell():
                self._doors.tell(action)
            case actions.AnswerWish():
                self._doors.answer_wish(action)
            case actions.Exit(keeps_open):
                self.is_over = True
                self.keeps_open = self.keeps_open or keeps_open
        return NOTHING

    # ---- a planned restart

    def take_over(self, groups: Sequence[GroupName], lease_ms: int) -> bool:
        """The gate of the last life was adopted, open for these groups: arm slot 0 for one lease, for the core
        to point at. False where the kernel did not; then `abandon`.
        """
        self._long.update(groups)
        now_ms = self._clock()
        if failures_text(self._arm(0, groups, lease_ms, now_ms)):
            return False
        for group in groups:
            self._announcements.start(group, now_ms)
        return True

    def abandon(self, groups: Sequence[GroupName]) -> None:
        """Close what cannot be taken over, as after a crash. Raises KernelRefused where it stays open."""
        self._close_at_once()
        for group in groups:
            self._announcements.stop(group)
            self._take_away(self._groups[group], self._groups[group].addresses)

    def _close_at_once(self) -> None:
        self._doors.gate.install(self._managed, self._interfaces)
        self._long.clear()
        self._lease_ends_ms.clear()

    # ---- the gate

    def _arm(self, slot: int, groups: Sequence[GroupName], lease_ms: int, now_ms: int) -> Sequence[Event]:
        self._slot_ends_ms[slot] = now_ms + lease_ms
        self._slots.append(slot)
        if len(self._slots) > ARMED_SLOTS_KEPT:
            del self._slot_ends_ms[self._slots.popleft()]
        addresses = [address for group in groups for address in self._groups[group].addresses]
        return self._at_gate(lambda: self._doors.gate.arm(slot, addresses, lease_ms))

    def _point(self, group: GroupName, slot: int) -> Sequence[Event]:
        found = self._at_gate(lambda: self._doors.gate.point(self._groups[group].addresses, slot))
        if not failures_text(found):
            self._lease_ends_ms[group] = self._slot_ends_ms.get(slot, 0)
            (self._long.add if slot >= LONG_SLOT else self._long.discard)(group)
        elif group in self._long and slot < LONG_SLOT:
            self._close_at_once()
        return found

    def _at_gate(self, call: Callable[[], None]) -> Sequence[Event]:
        """Make a call on the gate. A refusal is a fault of this node's health until a call succeeds: one of
        its own, or, since an unready node that holds nothing makes none, an installation now and then.
        """
        try:
            call()
        except RulesLost as lost:
            return self._mend_gate(str(lost))
        except KernelRefused as refusal:
            self.counts["gate_refused"] += 1
            return (self._gate_fails(str(refusal)),)
        return self._gate_works()

    def _gate_fails(self, problem: str) -> Event:
        self._gate_problem = problem
        self._gate_retry_ms = self._clock() + GATE_RETRY_MS
        return events.HealthChanged("gate", problem)

    def _gate_works(self) -> Sequence[Event]:
        if not self._gate_problem:
            return NOTHING
        self._gate_problem = ""
        return (events.HealthChanged("gate", ""),)

    def _mend_gate(self, problem: str) -> Sequence[Event]:
        """Our rules were removed: put them back, closed. What was armed is gone with them."""
        self.counts["gate_lost"] += 1
        self._lease_ends_ms.clear()
        try:
            self._doors.gate.install(self._managed, self._interfaces)
        except KernelRefused as refusal:
            return (events.GateLost(), self._gate_fails(f"{problem}; and they cannot be put back: {refusal}"))
        return (events.GateLost(),)

    def reinstall_gate(self) -> Sequence[Event]:
        """An interface came: the rules must cover it. Closed until the next acknowledged beat."""
        try:
            self._doors.gate.install(self._managed, self._interfaces)
        except KernelRefused as refusal:
            return (self._gate_fails(str(refusal)),)
        return self._gate_works()

    # ---- addresses

    def _open(self, group: GroupPlace, counter: int, slot: int) -> Sequence[Event]:
        """Addresses first, in the kernel's thread; `_opened` follows in the loop."""
        self._opening[group.name] = counter

        def add() -> Sequel:
            done: list[Address] = []
            problem = ""
            try:
                for address in group.addresses:
                    self._doors.addresses.add(group.interface, address)
                    done.append(address)
            except KernelRefused as refusal:
                problem = str(refusal)
            return lambda: self._opened(group, counter, slot, done, problem)

        if self._doors.submit_kernel(add):
            return NOTHING
        return (events.Opened(group.name, counter, KERNEL_IS_STUCK),)

    def _opened(
        self, group: GroupPlace, counter: int, slot: int, done: Sequence[Address], problem: str
    ) -> Sequence[Event]:
        if self._opening.pop(group.name, None) != counter:
            return NOTHING  # closed meanwhile; the removal stands in the thread's queue behind the adding
        failures: Sequence[Event] = NOTHING
        if not problem:
            failures = self._point(group.name, slot)
            problem = failures_text(failures)
        if problem:
            self._take_away(group, done)
            return (*failures, events.Opened(group.name, counter, problem))
        self._announcements.start(group.name, self._clock())
        self._announce(group)
        return (*failures, events.Opened(group.name, counter))

    def _close(self, group: GroupPlace, counter: int) -> Sequence[Event]:
        self._opening.pop(group.name, None)
        self._announcements.stop(group.name)
        self._lease_ends_ms.pop(group.name, None)
        found: Sequence[Event] = NOTHING
        try:
            self._doors.gate.close(group.addresses)
        except RulesLost as lost:
            found = self._mend_gate(str(lost))
            if len(found) > 1:
                return (*found, events.Closed(group.name, counter, self._gate_problem))
        except KernelRefused as refusal:
            return (events.Closed(group.name, counter, str(refusal)),)
        self._take_away(group, group.addresses)
        return (*found, events.Closed(group.name, counter))

    def _take_away(self, group: GroupPlace, addresses: Sequence[Address]) -> None:
        def remove() -> None:
            for address in addresses:
                try:
                    self._doors.addresses.remove(group.interface, address)
                except KernelRefused:
                    self.counts["address_removal_refused"] += 1

        if not self._doors.submit_kernel(remove):
            self.counts["address_removal_refused"] += 1  # its lifetime ends it within two seconds

    def _renew(self, group: GroupPlace, valid_s: int) -> None:
        if group.name in self._renewing and valid_s <= VALID_S:
            self.counts["renewals_skipped"] += 1  # the last one still waits for the kernel
            return
        self._renewing.add(group.name)

        def renew() -> Sequel:
            problem = ""
            try:
                for address in group.addresses:
                    self._doors.addresses.add(group.interface, address, valid_s)
            except KernelRefused as refusal:
                problem = str(refusal)
            return lambda: self._renewed(group, problem)

        if not self._doors.submit_kernel(renew):
            self._renewing.discard(group.name)
            self.counts["renewals_skipped"] += 1

    def _renewed(self, group: GroupPlace, problem: str) -> Sequence[Event]:
        self._renewing.discard(group.name)
        subject = f"addresses of {group.name}"
        if problem:
            self._unrenewed.add(group.name)
            self.counts["renewals_refused"] += 1
            return (events.HealthChanged(subject, problem),)
        if group.name in self._unrenewed:
            self._unrenewed.remove(group.name)
            return (events.HealthChanged(subject, ""),)
        return NOTHING

    # ---- the service network

    def _probe(self, group: GroupPlace) -> None:
        for address in (*group.addresses, *group.canaries):
            self._ask(group.interface, address)

    def _ask_references(self) -> None:
        for reference in self._references:
            self._ask(reference.interface, reference.address)

    def _ask(self, interface: str, address: Address) -> None:
        try:
            is_sent = self._doors.neighbours.probe(interface, address)
        except KernelRefused:
            is_sent = False
        if not is_sent:
            self.counts["probes_unsent"] += 1  # no answer will come, and the core hears of the link itself

    def _announce(self, group: GroupPlace) -> None:
        for address in group.addresses:
            if self._clock() >= self._lease_ends_ms.get(group.name, 0):
                return
            try:
                is_sent = self._doors.neighbours.announce(group.interface, address)
            except KernelRefused:
                is_sent = False
            if not is_sent:
                self.counts["announcements_unsent"] += 1

    def deadline(self) -> int | None:
        """When the next announcement, or the next attempt at a gate that refused, is due."""
        due_ms = self._announcements.deadline()
        if not self._gate_problem:
            return due_ms
        return self._gate_retry_ms if due_ms is None else min(due_ms, self._gate_retry_ms)

    def run(self, now_ms: int) -> Sequence[Event]:
        """Repeat the announcements that are due; try a gate that refused again, where nothing is open."""
        for name in self._announcements.take_due(now_ms):
            self._announce(self._groups[name])
        if not self._gate_problem or now_ms < self._gate_retry_ms:
            return NOTHING
        self._gate_retry_ms = now_ms + GATE_RETRY_MS
        if any(now_ms < end_ms for end_ms in self._lease_ends_ms.values()):
            return NOTHING
        return self.reinstall_gate()

    # ---- the disk

    def _store(self, number: int, durable: Durable) -> Sequence[Event]:
        def store() -> Sequel:
            try:
                self._doors.store(durable)
            except StateFileError as error:
                return say(events.StoreFailed(number, str(error)))
            return say(events.Stored(number))

        if self._doors.submit_disk(store):
            return NOTHING
        return (events.StoreFailed(number, "the disk does not keep up: too much is waiting for it"),)


def failures_text(found: Sequence[Event]) -> str:
    """What went wrong, of the events of a call on the gate; "" if nothing did."""
    for event in found:
        if isinstance(event, events.HealthChanged) and event.problem:
            return event.problem
        if isinstance(event, events.GateLost):
            return "another tool removed our rules"
    return ""
