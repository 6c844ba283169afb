"""One simulated host: its clock, its kernel, its disk, and the shell that drives an unmodified core.

The shell does what the supervisor does: it hands in one event at a time, performs the returned actions in order,
hands back what the kernel and the disk answer, and lets time pass (`Tick`) only when its inbox is empty. A process
can stand still anywhere: between two events, between the reading of the clock and the first action, between two
actions. Its kernel goes on without it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Protocol

from zcluster.control import actions as act
from zcluster.control import events as happened
from zcluster.control.document import Document, Durable, Freeze, Settings
from zcluster.control.events import Event
from zcluster.control.lease import LONG_SLOT, SENT_BEATS_KEPT
from zcluster.control.messages import Claim
from zcluster.control.node import Node
from zcluster.control.restart import is_usable
from zcluster.control.timing import LONG_LEASE_MS
from zcluster.control.units import GroupName
from zcluster.simulator.checkers import Ownership, Violation
from zcluster.simulator.disk import Disk
from zcluster.simulator.freezes import Freezes
from zcluster.simulator.kernel import LEFT_SLOT, Kernel
from zcluster.simulator.mix import LINKS
from zcluster.simulator.neighbours import Neighbours
from zcluster.simulator.network import Network
from zcluster.simulator.story import Story

INBOX_EVENTS = 3000
TICKS_AT_ONE_MS = 60
TICK = happened.Tick()
START_MS = 20.0
CALL_MS = 0.5
RETRY_MS = 200.0
SLOW_CALL_MS = 300.0
REFUSED = "the kernel refused (simulated)"
RESTART_MS = (100.0, 800.0, 800.0, 4000.0)
STALLED_STARTS = 0.15  # of those that take over an open gate: they stand still before their first action
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class _Sequel:
    """What the shell does when a thread of its own is done with a call: it waits in the inbox like an event."""

    call: Callable[[act.OpenAddresses, float], None]
    action: act.OpenAddresses
    decided: float


class Core(Protocol):
    """The control core, as its shell sees it."""

    def handle(self, event: Event, now_ms: int) -> list[act.Action]: ...

    def deadline(self) -> int: ...


CoreFactory = Callable[[str, Settings, Durable, int, tuple[str, ...], Mapping[str, bool], int], Core]
"""(name, settings, durable, incarnation, macs, links, now_ms) -> the core of a started process."""


class Surroundings(Protocol):
    """What a host needs of its world."""

    now: float
    story: Story | None
    settings: Settings
    network: Network
    neighbours: Neighbours
    ownership: Ownership
    freezes: Freezes
    make_core: CoreFactory
    make_kernel: type[Kernel]

    def at(self, when: float, call: Callable[[Any], None], argument: Any) -> None: ...

    def opened(self, group: GroupName, host: int) -> None: ...


class Host:
    """A host by its number. `core` is None while no process runs; `is_powered` is False while it is dead."""

    def __init__(self, world: Surroundings, index: int, name: str, random: Random, durable: Durable) -> None:
        self.world = world
        self.index = index
        self.name = name
        self.random = random
        self.mac = f"02:00:00:00:00:{index + 1:02x}"
        self.core: Core | None = None
        self.life = 0
        self.is_powered = True
        self.is_gone = False
        self.starts_again = False
        self.restart_ms: tuple[float, ...] = RESTART_MS
        self.slow_calls = 0.0
        self.stalled_starts = STALLED_STARTS
        self.incarnation = 0
        self.paused_until = 0.0
        self.stall: tuple[type[act.Action] | None, float, float] | None = None
        self.refuses_until = 0.0
        self.tick_late_ms = 0.2
        self.wall_ms = random.uniform(1e12, 1.001e12)
        self._inbox: deque[Event | _Sequel] = deque()
        self._opening: dict[GroupName, int] = {}
        self._has_gate_problem = False
        self._rest: list[act.Action] = []
        self._decided = 0.0
        self._tick_ms: float = NEVER
        self._tick_token = 0
        self._last_tick_ms = -1
        self._ticks = 0
        self._claimed: dict[int, tuple[Claim, ...]] = {}
        self._set_clock(1 + random.uniform(-0.002, 0.002), random.choice((0.0, random.uniform(0, 1e9))))
        groups = tuple(group.name for group in world.settings.groups)
        self.kernel = world.make_kernel(groups, random, self.rate)
        self.disk = Disk(durable, random, world.at, self._deliver_to)
        self._perform: dict[type[act.Action], Callable[[Any], None]] = {
            act.SendBeat: self._send_beat,
            act.ArmGate: self._arm,
            act.PointGate: self._point,
            act.OpenAddresses: self._open,
            act.CloseAddresses: self._close,
            act.SendProbe: self._probe,
            act.AskReference: self._ask_reference,
            act.Announce: self._announce,
            act.RenewAddresses: self._renew,
            act.StoreDurable: self._store,
            act.Tell: self._nothing,
            act.AnswerWish: self._nothing,
            act.Exit: self._exit,
        }

    # -- the life of a process

    def adopt(
        self,
        core: Core,
        incarnation: int,
        now_ms: int,
        kernel: Kernel,
        claimed: Mapping[int, tuple[Claim, ...]],
    ) -> None:
        """A process that runs already, on a clock without drift; `kernel` in this world's time, `claimed` what
        its latest beats said.
        """
        self.core, self.incarnation, self.kernel = core, incarnation, kernel
        self.life += 1
        self._claimed.update(claimed)
        self._set_clock(1.0, now_ms - self.world.now)
        for group in self.world.settings.groups:
            self._look(group.name)
        self._await_tick()

    def now_ms(self) -> int:
        """This host's monotonic clock, rounded down."""
        return int(self.rate * self.world.now + self.offset)

    def boot(self, _: object = None) -> None:
        """Start a process, and the host first if it lost power. What a predecessor left open is closed first."""
        if self.core is not None or self.is_gone:
            return
        world = self.world
        if not self.is_powered:
            self.is_powered = True
            self._set_clock(self.rate, self.random.uniform(100.0, 30000.0) - self.rate * world.now)
        durable = self.disk.content
        self.incarnation = max(durable.incarnation + 1, int(self.wall_ms + world.now))
        self.life += 1
        durable = self._take_over(durable)
        links = {link: world.network.has_carrier(self.index, bit) for bit, link in enumerate(LINKS)}
        self._say(f"** starts, incarnation {self.incarnation}")
        self.core = world.make_core(
            self.name, world.settings, durable, self.incarnation, (self.mac,), links, self.now_ms()
        )
        if durable.handover is not None and self.random.random() < self.stalled_starts:
            self.pause(self.random.uniform(0, LONG_LEASE_MS))
            return
        self._handle(TICK)
        self._drain()

    def _take_over(self, durable: Durable) -> Durable:
        """Close what the last life left open, unless it left it on purpose, in this boot and not long ago, and
        the disk lets us take the handover off. Its gate is taken over, and slot 0 armed for one lease.
        """
        handover, world = durable.handover, self.world
        if handover is None or world.now < self.disk.failing_until:
            self._close_all()
            return replace(durable, handover=None)
        self.disk.content = replace(durable, incarnation=self.incarnation, handover=None)
        timing = world.settings.timing
        if not is_usable(handover, self.now_ms(), timing):
            self._close_all()
            return self.disk.content
        if self._refuses():
            self._close_all()
            return self.disk.content
        self.kernel.next_life()
        self.kernel.arm(0, tuple(held.group for held in handover.held), timing.lease_ms, world.now)
        self._claimed[0] = self._claimed[LEFT_SLOT % LONG_SLOT] = tuple(
            Claim(held.group, held.counter, True) for held in handover.held
        )
        for held in handover.held:
            world.ownership.continues(held.group, self.index, held.counter, self.incarnation)
        return replace(self.disk.content, handover=handover)

    def kill(self) -> None:
        """The process ends at once. The kernel keeps what it has."""
        self.core = None
        self.life += 1
        self.paused_until = 0.0
        self.stall = None
        self._inbox.clear()
        self._opening.clear()
        self._has_gate_problem = False
        self._claimed.clear()
        self._rest = []
        self._tick_ms = NEVER
        self._tick_token += 1
        self.disk.crash()
        self.look_at_disk()

    def lose_power(self) -> None:
        """The whole host is gone, its kernel's state with it."""
        self.kill()
        self.is_powered = False
        self.disk.content = replace(self.disk.content, handover=None)  # it is of another boot
        self._close_all()

    def pause(self, length_ms: float) -> None:
        """The process stands still; what comes in piles up."""
        ends = self.world.now + length_ms
        if self.core is not None and ends > self.paused_until:
            self.paused_until = ends
            self.world.at(ends, self._resume, self.life)

    def wake(self) -> None:
        """End a pause early, and forget any stall that is still to come."""
        self.stall = None
        if self.paused_until > self.world.now:
            self.paused_until = self.world.now
            self._resume(self.life)

    def recover(self) -> None:
        """No fault is left: the disk writes, the kernel obeys, a process runs and its links and switch are well."""
        self.starts_again = True
        self.slow_calls = self.refuses_until = self.disk.slow_until = self.disk.failing_until = 0.0
        self.wake()
        if self.core is None:
            self.boot()
            return
        for link in LINKS:
            self.deliver(happened.LinkChanged(link, True))
        self.deliver(happened.HealthChanged("switch", ""))

    # -- events in

    def deliver(self, event: Event) -> None:
        """Hand an event to the process, now or when it goes on; nobody is there: it is lost."""
        if self.core is None:
            return
        if self.world.now < self.paused_until:
            if len(self._inbox) < INBOX_EVENTS:
                self._inbox.append(event)
            return
        self._handle(event)
        if self._inbox:
            self._drain()

    def _deliver_to(self, life: int, event: Event) -> None:
        document = self.disk.content.document
        if document is not None:
            self.world.ownership.founded(document.cluster_id)
        if life == self.life:
            self.deliver(event)

    def _resume(self, life: object) -> None:
        if life != self.life or self.world.now < self.paused_until:
            return
        self._say("** goes on")
        rest, self._rest = self._rest, []
        self._perform_all(rest)
        self._drain()

    def _drain(self) -> None:
        """Everything that waits goes in before time may pass."""
        inbox = self._inbox
        while inbox and self.world.now >= self.paused_until:
            event = inbox.popleft()
            if isinstance(event, _Sequel):
                event.call(event.action, event.decided)
            else:
                self._handle(event)
        if self.core is not None and self.world.now >= self.paused_until:
            self._await_tick()

    def _handle(self, event: Event) -> None:
        core = self.core
        if core is None:
            return
        world = self.world
        if world.story is not None:
            world.story.event(world.now, self.name, event)
        actions = core.handle(event, int(self.rate * world.now + self.offset))
        if type(event) is happened.Stored:
            self.look_at_disk()
        if actions:
            self._decided = world.now
            if self.stall is None and world.story is None:
                perform = self._perform
                for action in actions:
                    perform[action.__class__](action)
            else:
                self._perform_all(actions)
        if self.core is core and core.deadline() < self._tick_ms:
            self._await_tick()

    def _perform_all(self, actions: list[act.Action]) -> None:
        for number, action in enumerate(actions):
            if self.stall is not None and self._stalls(action):
                self._rest = actions[number:]
                return
            if self.world.story is not None:
                self.world.story.action(self.world.now, self.name, action)
            self._perform[action.__class__](action)

    def _stalls(self, action: act.Action) -> bool:
        assert self.stall is not None
        kind, length_ms, given_up = self.stall
        if kind is not None and not isinstance(action, kind) and self.world.now < given_up:
            return False
        self.stall = None
        self._say(f"** stands still for {length_ms:.0f} ms just before {type(action).__name__}")
        self.pause(length_ms)
        return True

    # -- time

    def _set_clock(self, rate: float, offset: float) -> None:
        self.rate, self.offset = rate, offset

    def _await_tick(self) -> None:
        assert self.core is not None
        due_ms = self.core.deadline()
        if due_ms >= self._tick_ms:
            return
        world = self.world
        self._tick_ms = due_ms
        self._tick_token += 1
        due = (due_ms - self.offset) / self.rate + 1e-6
        late = self.tick_late_ms * self.random.random()
        world.at(due + late if due > world.now else world.now, self._tick, self._tick_token)

    def _tick(self, token: object) -> None:
        if token != self._tick_token:
            return
        self._tick_ms = NEVER
        if self.core is None or self.world.now < self.paused_until:
            return
        now_ms = self.now_ms()
        if self.core.deadline() > now_ms:
            self._await_tick()
            return
        self._count_tick(now_ms)
        self._handle(TICK)
        if self._inbox:
            self._drain()

    def _count_tick(self, now_ms: int) -> None:
        if now_ms != self._last_tick_ms:
            self._last_tick_ms = now_ms
            self._ticks = 0
        self._ticks += 1
        if self._ticks > TICKS_AT_ONE_MS:
            raise Violation("DEADLINE", f"{self.name} asks for a tick again and again within one millisecond")

    # -- actions

    def _send_beat(self, action: act.SendBeat) -> None:
        claims = action.beat.report.claims
        if claims:
            self._claimed[action.beat.sequence] = claims
            self._claimed.pop(action.beat.sequence - SENT_BEATS_KEPT, None)
        self.world.network.send(self.index, action.beat, self.world.now)

    def _arm(self, action: act.ArmGate) -> None:
        if not self._refuses_gate():
            self.kernel.arm(action.slot, action.groups, action.lease_ms, self.world.now)

    def _point(self, action: act.PointGate) -> None:
        if self._refuses_gate():
            if action.slot < LONG_SLOT and self.kernel.is_long(action.group):
                self._close_gate()
            return
        self.kernel.point(action.group, action.slot, self._decided, self.world.now)
        self._look(action.group)

    def _refuses_gate(self) -> bool:
        """Whether the kernel turns a call on the gate down; the core is told so, and when it obeys again."""
        if self._refuses():
            if not self._has_gate_problem:
                self._has_gate_problem = True
                self.world.at(self.world.now + RETRY_MS, self._retry_gate, self.life)
            self._inbox.append(happened.HealthChanged("gate", REFUSED))
            return True
        if self._has_gate_problem:
            self._has_gate_problem = False
            self._inbox.append(happened.HealthChanged("gate", ""))
        return False

    def _retry_gate(self, life: object) -> None:
        """The shell tries again by itself: a node that may hold nothing makes no call on its gate."""
        if life == self.life and self._has_gate_problem:
            if self._refuses():
                self.world.at(self.world.now + RETRY_MS, self._retry_gate, life)
            else:
                self._has_gate_problem = False
                self.deliver(happened.HealthChanged("gate", ""))

    def _open(self, action: act.OpenAddresses) -> None:
        """Adding an address can wait for the kernel, so a thread does it; the gate is pointed when that is done."""
        if self._refuses():
            self._inbox.append(happened.Opened(action.group, action.counter, REFUSED))
            return
        self._opening[action.group] = action.counter
        slowest = SLOW_CALL_MS if self.random.random() < self.slow_calls else CALL_MS
        done = self.world.now + slowest * self.random.random()
        self.world.at(done, self._added, (self.life, _Sequel(self._opened, action, self._decided)))

    def _added(self, entry: tuple[int, _Sequel]) -> None:
        life, sequel = entry
        if life != self.life or self.core is None:
            return
        self._inbox.append(sequel)
        if self.world.now >= self.paused_until:
            self._drain()

    def _opened(self, action: act.OpenAddresses, decided: float) -> None:
        if self._opening.pop(action.group, None) != action.counter:
            return
        self.kernel.open(action.group, action.slot, decided, self.world.now)
        self._look(action.group)
        self._inbox.append(happened.Opened(action.group, action.counter))
        self.world.neighbours.announce(self, action.group, self.world.now)

    def _close(self, action: act.CloseAddresses) -> None:
        if self._refuses():
            self._inbox.append(happened.Closed(action.group, action.counter, REFUSED))
            return
        self._opening.pop(action.group, None)
        self.kernel.close(action.group)
        self.world.ownership.closed(action.group, self.index)
        self._inbox.append(happened.Closed(action.group, action.counter))

    def _probe(self, action: act.SendProbe) -> None:
        self.world.neighbours.probe(self, action.group, self.world.now)

    def _ask_reference(self, action: act.AskReference) -> None:
        self.world.neighbours.ask_reference(self, self.world.now)

    def _announce(self, action: act.Announce) -> None:
        self.world.neighbours.announce(self, action.group, self.world.now)

    def _renew(self, action: act.RenewAddresses) -> None:
        self.kernel.renew(action.group, self.world.now, action.lifetime_ms)
        self._look(action.group)

    def _store(self, action: act.StoreDurable) -> None:
        self.disk.store(action, self.life, self.world.now)

    def _nothing(self, action: act.Action) -> None:
        """Words for a person: the story has them."""

    def _exit(self, action: act.Exit) -> None:
        self.kill()
        if action.keeps_open:
            wait = self.random.choice(self.restart_ms)
            self.world.at(self.world.now + wait * self.random.random(), self.boot, None)
        elif self.starts_again:
            self.world.at(self.world.now + START_MS, self.boot, None)

    def look_at_disk(self) -> None:
        """Tell the judge of freezes which document this host keeps to: what its process knows to be on disk."""
        stored = self.disk.content.document
        if isinstance(self.core, Node):
            stored = self.core.situation.stored.document
        self.world.freezes.wrote(self.index, stored, self.world.now)

    # -- the kernel

    def answers(self, group: GroupName) -> bool:
        """Whether this host's kernel answers for the group now."""
        return self.is_powered and self.kernel.answers_until(group) > self.world.now

    def lose_gate(self) -> None:
        """Another tool flushes the rules; a shell that is awake mends them at once."""
        if self.core is not None and self.world.now >= self.paused_until:
            self.kernel.lose_gate()
            self._forget_answers()
            self.deliver(happened.GateLost())

    def _refuses(self) -> bool:
        return self.world.now < self.refuses_until and self.random.random() < 0.5

    def _close_gate(self) -> None:
        """A gate that cannot be brought back from a long lease to the usual one is installed anew, closed."""
        self.kernel.lose_gate()
        self._forget_answers()

    def _close_all(self) -> None:
        self.kernel.reset()
        self._forget_answers()

    def _forget_answers(self) -> None:
        for group in self.world.settings.groups:
            self.world.ownership.closed(group.name, self.index)

    def _look(self, group: GroupName) -> None:
        world = self.world
        until = self.kernel.answers_until(group)
        counter = self._epoch(group)
        openings = world.ownership.openings
        if world.ownership.answers(group, self.index, counter, self.incarnation, until, world.now):
            if world.ownership.openings > openings:
                world.freezes.began(group, self.index, document_of(self), binding_freeze(self), world.now)
            self._say(f"** answers for {group}, epoch {counter}")
            world.opened(group, self.index)

    def _epoch(self, group: GroupName) -> int:
        """The epoch that the kernel answers for: what the beat said whose slot the gate points at."""
        for claim in self._claimed.get(self.kernel.slot(group) % LONG_SLOT, ()):
            if claim.group == group:
                return claim.counter
        return 0

    def _say(self, text: str) -> None:
        if self.world.story is not None:
            self.world.story.say(self.world.now, self.name, text)


def document_of(host: Host) -> Document | None:
    """The document that a host's process has in force; None where it runs none, or is a puppet."""
    return host.core.situation.document if isinstance(host.core, Node) else None


def binding_freeze(host: Host) -> Freeze | None:
    """The freeze that binds its process."""
    return host.core.situation.freeze if isinstance(host.core, Node) else None
