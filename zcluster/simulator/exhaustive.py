"""Every course that three nodes and one group can take, with so many deviations, up to so many rounds.

A deviation is one order before one round: a way loses, holds back or sets aside; a process stands still, stops
between two actions, dies, starts; another one is first. The search tries all of them, at all rounds, in all
combinations up to `faults` of them. Worlds that are alike (`likeness`) are looked at once. What must hold: a search
that says it is complete has left nothing out.
"""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from zcluster.control.ownership import OPEN_PHASES
from zcluster.simulator.checkers import Violation
from zcluster.simulator.host import CoreFactory
from zcluster.simulator.kernel import GateMisused, Kernel
from zcluster.simulator.likeness import likeness
from zcluster.simulator.small_world import ALL_WAYS, NODES, Modes, Order, SmallWorld, Way, freeze, thaw

ALL_KINDS = ("lose", "hold", "aside", "pause", "stall-point", "stall-send", "kill", "first")
ROUNDS_TO_HOLD = 60
CALM_ROUNDS = 15
ROUNDS_BEFORE_CLAIM = 2
LOOK_EVERY = 256
BEATS_REMEMBERED = 16


@dataclass(frozen=True, slots=True)
class Scope:
    """What is searched: `rounds` deep from each beginning, with up to `faults` deviations of these kinds.

    `ways`, `nodes`: which ways and which processes the deviations may strike.
    """

    rounds: int
    faults: int
    kinds: tuple[str, ...] = ALL_KINDS
    beginnings: tuple[str, ...] = ("held", "vacant")
    ways: tuple[Way, ...] = ALL_WAYS
    nodes: tuple[int, ...] = tuple(range(NODES))


@dataclass(slots=True)
class Findings:
    """What the search saw. `violation` "" when every rule held; `is_complete` when nothing was left out."""

    worlds: int = 0
    rounds: int = 0
    alike: int = 0
    deepest: int = 0
    openings: int = 0
    wall_s: float = 0.0
    is_complete: bool = False
    violation: str = ""
    course: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """A world on the way: its bytes, and how it was reached."""

    frozen: bytes
    modes: Modes
    depth: int
    faults_left: int
    course: tuple[str, ...]


def beginning(name: str, make_core: CoreFactory, make_kernel: type[Kernel] = Kernel) -> SmallWorld:
    """A calm world: "held" by somebody for a while, or "vacant" shortly before the first claim."""
    world = SmallWorld(make_core, make_kernel)
    for station in world.stations:
        world.boot(station)
    before: deque[bytes] = deque(maxlen=ROUNDS_BEFORE_CLAIM)
    for _ in range(ROUNDS_TO_HOLD):
        before.append(freeze(world))
        world.round(Modes())
        if name == "vacant" and _is_claimed(world):
            return thaw(before[0], make_core)
        if _is_held(world):
            break
    assert name == "held", f"no beginning {name}"
    assert _is_held(world), "nobody takes the group in a calm world"
    for _ in range(CALM_ROUNDS):
        world.round(Modes())
    return world


def _is_claimed(world: SmallWorld) -> bool:
    return any(station.core.holder.tenures for station in world.stations)  # type: ignore[union-attr]


def _is_held(world: SmallWorld) -> bool:
    tenures = [t for s in world.stations for t in s.core.holder.tenures.values()]  # type: ignore[union-attr]
    return any(tenure.phase in OPEN_PHASES for tenure in tenures)


def search(
    scope: Scope,
    make_core: CoreFactory,
    make_kernel: type[Kernel] = Kernel,
    limit_s: float = float("inf"),
    seen: Callable[[Findings], None] = lambda findings: None,
) -> Findings:
    """Look at everything in the scope, until a rule breaks or the time is over."""
    return _Search(scope, make_core, make_kernel, limit_s, seen).run()


class _Search:
    def __init__(
        self,
        scope: Scope,
        make_core: CoreFactory,
        make_kernel: type[Kernel],
        limit_s: float,
        seen: Callable[[Findings], None],
    ) -> None:
        self._scope = scope
        self._make = (make_core, make_kernel)
        self._limit_s = limit_s
        self._tell = seen
        self._began = time.monotonic()
        self._known: dict[int, list[tuple[int, int]]] = {}
        self.findings = Findings()

    def run(self) -> Findings:
        found = self.findings
        gc.disable()
        try:
            found.is_complete = all(self._from(name) for name in self._scope.beginnings)
        finally:
            gc.enable()
            found.wall_s = time.monotonic() - self._began
            found.worlds = len(self._known)
        return found

    def _from(self, name: str) -> bool:
        """Everything from one beginning; false when the search ended before."""
        world = beginning(name, *self._make)
        course = (f"begin {name}: {', '.join(world.holders()) or 'nobody'} answers",)
        stack = [_Place(freeze(world), Modes(), 0, self._scope.faults, course)]
        while stack:
            place = stack.pop()
            if place.depth >= self._scope.rounds:
                continue
            for orders in self._orders(place):
                child = self._go(place, orders)
                if self.findings.violation:
                    return False
                if child is not None:
                    stack.append(child)
                if self.findings.rounds % LOOK_EVERY == 0 and not self._has_time():
                    return False
        return True

    def _has_time(self) -> bool:
        found = self.findings
        found.wall_s = time.monotonic() - self._began
        found.worlds = len(self._known)
        self._tell(found)
        return found.wall_s < self._limit_s

    def _orders(self, place: _Place) -> Iterator[tuple[Order, ...]]:
        """Every set of orders that this place has deviations left for; the calm course first, so that it is
        looked at last.
        """
        yield ()
        if not place.faults_left:
            return
        possible = possible_orders(thaw(place.frozen, self._make[0]), place.modes, self._scope)
        for count in range(1, place.faults_left + 1):
            for orders in combinations(possible, count):
                if _agree(orders):
                    yield orders

    def _go(self, place: _Place, orders: tuple[Order, ...]) -> _Place | None:
        """One round; None when the world reached is known with no less to come."""
        found = self.findings
        world = thaw(place.frozen, self._make[0])
        found.rounds += 1
        depth = place.depth + 1
        course = place.course
        if orders:
            course = (*course, f"round {depth}: {', '.join(map(str, orders))}")
        try:
            modes = world.round(place.modes, orders)
        except (Violation, GateMisused, AssertionError) as broken:
            found.violation = f"{type(broken).__name__} {broken}"
            found.course = (*course, f"round {depth}: {broken}")
            return None
        found.deepest = max(found.deepest, depth)
        left = place.faults_left - len(orders)
        if not self._is_news(likeness(world, modes), self._scope.rounds - depth, left):
            found.alike += 1
            return None
        _trim(world)
        return _Place(freeze(world), modes, depth, left, course)

    def _is_news(self, key: int, rounds_left: int, faults_left: int) -> bool:
        known = self._known.setdefault(key, [])
        if any(rounds >= rounds_left and faults >= faults_left for rounds, faults in known):
            return False
        known[:] = [(r, f) for r, f in known if r > rounds_left or f > faults_left]
        known.append((rounds_left, faults_left))
        return True


def _trim(world: SmallWorld) -> None:
    """Forget what has run out, so that copies stay small."""
    for station in world.stations:
        station.kernel.forget(BEATS_REMEMBERED)
        if station.epochs is not None:
            station.epochs = dict(list(station.epochs.items())[-BEATS_REMEMBERED:])


def _agree(orders: tuple[Order, ...]) -> bool:
    """No two orders to one process, and none twice to one way, before the same round."""
    nodes = [order.node for order in orders if order.node >= 0 and order.what != "first" and not order.ways]
    ways = [way for order in orders for way in order.ways]
    firsts = sum(order.what == "first" for order in orders)
    return len(set(nodes)) == len(nodes) and len(set(ways)) == len(ways) and firsts < 2


def possible_orders(world: SmallWorld, modes: Modes, scope: Scope) -> list[Order]:
    """What may happen before the next round; what ends something comes first."""
    found = []
    if modes != Modes() or world.kept_back:
        found.append(Order("heal"))
    if world.aside:
        found.append(Order("bring"))
    for station in world.stations:
        index = station.index
        if station.core is None:
            found.append(Order("boot", index))
        elif station.is_still:
            found.append(Order("resume", index))
    for kind in scope.kinds:
        if kind in ("lose", "hold", "aside"):
            bundles = [ways for ways in _bundles(kind) if set(ways) <= set(scope.ways)]
            found += [Order(kind, ways=ways) for ways in bundles if _is_change(kind, ways, modes)]
        else:
            struck = [world.stations[index] for index in scope.nodes]
            found += [Order(kind, s.index) for s in struck if _can(kind, s.core is None, s.is_still)]
    return found


def _can(kind: str, is_dead: bool, is_still: bool) -> bool:
    return not is_dead and (kind == "kill" or not is_still)


def _is_change(kind: str, ways: tuple[tuple[int, int], ...], modes: Modes) -> bool:
    broken = modes.held if kind == "hold" else modes.lost
    return not set(ways) <= broken


def _bundles(kind: str) -> list[tuple[tuple[int, int], ...]]:
    """Single ways; and, but for messages set aside, all ways from, to, or from and to one node."""
    single = [(way,) for way in ALL_WAYS]
    if kind == "aside":
        return list(single)
    out = [tuple(way for way in ALL_WAYS if way[0] == node) for node in range(NODES)]
    into = [tuple(way for way in ALL_WAYS if way[1] == node) for node in range(NODES)]
    both = [tuple(way for way in ALL_WAYS if node in way) for node in range(NODES)]
    return [*single, *out, *into, *both] if kind == "lose" else [*single, *out]
