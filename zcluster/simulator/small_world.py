"""Three nodes and one group in steps of one beat: the world that the exhaustive search goes through.

Every round the time of all goes on by one beat; each process that runs takes its tick, and what it sends is there at
once, in order, unless the network's modes say otherwise. So all that chance could do is in `Modes` and in the
orders given before a round. What must hold: a world is plain values and production cores, so that `pickle` copies
it; and a round depends on nothing but the world, the modes and the orders.
"""

from __future__ import annotations

import io
import pickle
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from zcluster.control import actions as act
from zcluster.control import events as happened
from zcluster.control.document import Document, Durable, GroupSettings, Settings
from zcluster.control.lease import LONG_SLOT
from zcluster.control.messages import Beat
from zcluster.control.timing import Timing
from zcluster.simulator.checkers import Ownership
from zcluster.simulator.host import Core, CoreFactory
from zcluster.simulator.kernel import Kernel

NODES = 3
NAMES = ("node1", "node2", "node3")
GROUP = "group1"
ADDRESS = "10.9.0.1"
LINK, SERVICE = "ring", "service"
ROUND_MS = 10
TIMING = Timing(
    beat_ms=ROUND_MS,
    silence_ms=60,
    lease_ms=40,
    margin_ms=10,
    grant_ms=50,
    first_probe_ms=50,
    second_probe_ms=50,
    probe_wait_ms=10,
    rank_step_ms=10,
    claim_limit_ms=30,
    timer_a_ms=20,
)
SETTINGS = Settings(
    cluster="small",
    expected_nodes=NODES,
    timing=TIMING,
    groups=(GroupSettings(GROUP, (ADDRESS,), SERVICE),),
    cluster_links=(LINK,),
    service_links=(SERVICE,),
)
START_MS = 1_000_000_000
"""Far from every duration and count, so that a number tells by itself that it is an instant."""
SEQUENCES = 10_000_000
"""The first beat of node n has sequence n times this: a number tells by itself whose beat it counts."""
FIRST_INCARNATION = 10**12
LARGEST_CASCADE = 400

Way = tuple[int, int]
ALL_WAYS: tuple[Way, ...] = tuple((a, b) for a in range(NODES) for b in range(NODES) if a != b)


class Modes(NamedTuple):
    """What lasts until it is ordered otherwise: ways that lose everything, ways that hold it back."""

    lost: frozenset[Way] = frozenset()
    held: frozenset[Way] = frozenset()


class Order(NamedTuple):
    """One deviation from the calm course, before a round: what, and to whom."""

    what: str
    node: int = -1
    ways: tuple[Way, ...] = ()

    def __str__(self) -> str:
        ways = " ".join(f"{a + 1}>{b + 1}" for a, b in self.ways)
        return " ".join(
            part for part in (self.what, NAMES[self.node] if self.node >= 0 else "", ways) if part
        )


class _Never:
    """The kernel's elements run out in their last moment here: sooner would only close."""

    def random(self) -> float:
        return 0.0


@dataclass(slots=True)
class Station:
    """One host: its process, if one runs, and what outlives it."""

    index: int
    kernel: Kernel
    durable: Durable
    core: Core | None = None
    incarnation: int = 0
    is_still: bool = False
    stops_before: tuple[type[act.Action], ...] = ()
    rest: tuple[act.Action, ...] = ()
    decided: float = 0.0
    inbox: deque[happened.Event] | None = None
    epochs: dict[int, int] | None = None


class SmallWorld:
    """The whole state. `round` is the only way on."""

    def __init__(self, make_core: CoreFactory, make_kernel: type[Kernel] = Kernel) -> None:
        self.now = START_MS
        self.ownership = Ownership((GROUP,), NAMES)
        document = Document("small", 1, NAMES)
        self.stations = [
            Station(
                index,
                make_kernel((GROUP,), _Never(), 1.0),  # type: ignore[arg-type]
                Durable(incarnation=FIRST_INCARNATION + index, document=document),
            )
            for index in range(NODES)
        ]
        self.flying: deque[tuple[int, int, happened.Event]] = deque()
        self.kept_back: list[tuple[int, int, happened.Event]] = []
        self.aside: list[tuple[int, int, happened.Event]] = []
        self.make_core = make_core
        self._modes = Modes()
        self._to_aside: set[Way] = set()

    def __getstate__(self) -> dict[str, object]:
        """All but the factory, which need not be copied (and may be a local function)."""
        state = dict(self.__dict__)
        del state["make_core"]
        return state

    # -- one round

    def round(self, modes: Modes, orders: tuple[Order, ...] = ()) -> Modes:
        """Obey the orders, let one beat's time pass; the modes as they are then. Raises Violation."""
        self._to_aside.clear()
        self._modes = modes
        first = -1
        for order in orders:
            if order.what == "first":
                first = order.node
            else:
                self._obey(order)
        self._drain()
        self.now += ROUND_MS
        turns = sorted(self.stations, key=lambda station: station.index != first)
        for station in turns:
            core = station.core
            if core is not None and not station.is_still and core.deadline() <= self.now:
                self._handle(station, happened.Tick())
                self._drain()
        for station in self.stations:
            station.stops_before = ()
        return self._modes

    def _obey(self, order: Order) -> None:
        station = self.stations[order.node] if order.node >= 0 else self.stations[0]
        lost, held = self._modes
        match order.what:
            case "lose":
                self._modes = Modes(lost | frozenset(order.ways), held)
            case "hold":
                self._modes = Modes(lost, held | frozenset(order.ways))
            case "aside":
                self._to_aside.update(order.ways)
            case "bring":
                self.flying.extend(self.aside)
                self.aside.clear()
            case "heal":
                self._modes = Modes()
                self.flying.extend(self.kept_back)
                self.kept_back.clear()
            case "pause":
                station.is_still = True
            case "stall-point":
                station.stops_before = (act.PointGate, act.OpenAddresses)
            case "stall-send":
                station.stops_before = (act.SendBeat,)
            case "resume":
                self._resume(station)
            case "kill":
                self._kill(station)
            case "boot":
                self.boot(station)
            case _:
                raise AssertionError(order.what)

    def _drain(self) -> None:
        for _ in range(LARGEST_CASCADE):
            if not self.flying:
                return
            _, target, event = self.flying.popleft()
            station = self.stations[target]
            if station.core is None:
                continue
            if station.is_still:
                assert station.inbox is not None
                station.inbox.append(event)
            else:
                self._handle(station, event)
        raise AssertionError("messages beget messages without end")

    # -- processes

    def boot(self, station: Station) -> None:
        """Start a process; what its predecessor left open is closed first."""
        station.kernel.reset()
        self.ownership.closed(GROUP, station.index)
        station.incarnation = station.durable.incarnation + NODES
        station.core = core = self.make_core(
            NAMES[station.index],
            SETTINGS,
            station.durable,
            station.incarnation,
            (_mac(station.index),),
            {LINK: True, SERVICE: True},
            self.now,
        )
        core.situation.sequence = SEQUENCES * (station.index + 1)  # type: ignore[attr-defined]
        station.inbox, station.epochs = deque(), {}
        station.is_still, station.rest = False, ()
        self._handle(station, happened.Tick())

    def _kill(self, station: Station) -> None:
        station.core = None
        station.is_still, station.rest = False, ()
        station.stops_before = ()

    def _resume(self, station: Station) -> None:
        station.is_still = False
        rest, station.rest = station.rest, ()
        self._perform_all(station, rest)
        inbox, station.inbox = station.inbox, deque()
        for event in inbox or ():
            if station.is_still:
                station.inbox.append(event)
            else:
                self._handle(station, event)

    def _handle(self, station: Station, event: happened.Event) -> None:
        core = station.core
        if core is None:
            return
        actions = core.handle(event, self.now)
        station.decided = self.now
        self._perform_all(station, tuple(actions))

    def _perform_all(self, station: Station, actions: tuple[act.Action, ...]) -> None:
        for number, action in enumerate(actions):
            if station.stops_before and isinstance(action, station.stops_before):
                station.stops_before = ()
                station.is_still = True
                station.rest = actions[number:]
                return
            self._perform(station, action)

    # -- actions

    def _perform(self, station: Station, action: act.Action) -> None:
        kernel, now = station.kernel, float(self.now)
        match action:
            case act.SendBeat(beat):
                self._send(station, beat)
            case act.ArmGate(slot, groups, lease_ms):
                kernel.arm(slot, groups, lease_ms, now)
            case act.PointGate(group, slot):
                kernel.point(group, slot, station.decided, now)
                self._look(station)
            case act.OpenAddresses(group, counter, slot):
                kernel.open(group, slot, station.decided, now)
                self._look(station)
                self._tell_itself(station, happened.Opened(group, counter))
            case act.CloseAddresses(group, counter):
                kernel.close(group)
                self.ownership.closed(group, station.index)
                self._tell_itself(station, happened.Closed(group, counter))
            case act.RenewAddresses(group, lifetime_ms):
                kernel.renew(group, now, lifetime_ms)
                self._look(station)
            case act.SendProbe(_):
                self._probe(station)
            case act.Announce(_):
                if self._answers(station):
                    self._show(station)
            case act.StoreDurable(number, durable):
                station.durable = durable
                self._tell_itself(station, happened.Stored(number))
            case act.Exit():
                self._kill(station)
            case act.Tell() | act.AnswerWish() | act.AskReference():
                pass

    def _tell_itself(self, station: Station, event: happened.Event) -> None:
        self.flying.append((station.index, station.index, event))

    def _send(self, station: Station, beat: Beat) -> None:
        assert station.epochs is not None
        for claim in beat.report.claims:
            station.epochs[beat.sequence] = claim.counter
        event = happened.BeatReceived(beat, LINK)
        for target in range(NODES):
            way = (station.index, target)
            if target == station.index or way in self._modes.lost:
                continue
            message = (*way, event)
            if way in self._to_aside:
                self._to_aside.discard(way)
                self.aside.append(message)
            elif way in self._modes.held:
                self.kept_back.append(message)
            else:
                self.flying.append(message)

    def _is_open(self, a: int, b: int) -> bool:
        broken = self._modes.lost | self._modes.held
        return (a, b) not in broken and (b, a) not in broken

    def _probe(self, station: Station) -> None:
        for other in self.stations:
            if other is not station and self._answers(other) and self._is_open(station.index, other.index):
                seen = happened.AddressSeen(ADDRESS, _mac(other.index))
                self.flying.append((other.index, station.index, seen))

    def _show(self, station: Station) -> None:
        for other in self.stations:
            if other is not station and self._is_open(station.index, other.index):
                seen = happened.AddressSeen(ADDRESS, _mac(station.index))
                self.flying.append((station.index, other.index, seen))

    def _answers(self, station: Station) -> bool:
        return station.kernel.answers_until(GROUP) > self.now

    def _look(self, station: Station) -> None:
        assert station.epochs is not None
        until = station.kernel.answers_until(GROUP)
        epoch = station.epochs.get(station.kernel.slot(GROUP) % LONG_SLOT, 0)
        now = float(self.now)
        self.ownership.answers(GROUP, station.index, epoch, station.incarnation, until, now)

    # -- for people

    def holders(self) -> list[str]:
        """Who answers for the group now."""
        return [NAMES[index] for index in self.ownership.answering(GROUP, float(self.now))]


def freeze(world: SmallWorld) -> bytes:
    """A copy to go on from, as bytes."""
    into = io.BytesIO()
    pickler = pickle.Pickler(into, protocol=5)
    pickler.dispatch_table = _TABLE
    pickler.dump(world)
    return into.getvalue()


def thaw(frozen: bytes, make_core: CoreFactory) -> SmallWorld:
    """The world of `freeze`; only for bytes of this very process. `make_core` starts its next processes."""
    world: SmallWorld = pickle.loads(frozen)
    world.make_core = make_core
    return world


def _settings() -> Settings:
    return SETTINGS


def _short_settings(settings: Settings) -> tuple[Any, ...] | str:
    return (_settings, ()) if settings is SETTINGS else settings.__reduce_ex__(5)


def _short_durable(durable: Durable) -> tuple[Any, ...]:
    return Durable, tuple([getattr(durable, name) for name in Durable.__slots__])


_TABLE: dict[type[Any], Callable[[Any], Any]] = {
    Settings: _short_settings,
    Durable: _short_durable,
    Timing: lambda timing: (_timing, ()) if timing is TIMING else timing.__reduce_ex__(5),
    GroupSettings: lambda group: (_group, ()) if group is SETTINGS.groups[0] else group.__reduce_ex__(5),
}


def _timing() -> Timing:
    return TIMING


def _group() -> GroupSettings:
    return SETTINGS.groups[0]


def _mac(index: int) -> str:
    return f"02:00:00:00:00:{index + 1:02x}"
