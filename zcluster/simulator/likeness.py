"""When two small worlds are alike: the same but for when it is, and how far everybody has counted.

A number tells what it is by its size (`small_world`): an instant is seen from now, a sequence from its owner's
newest. Everything of a core counts, by walking through it, so that a field that somebody adds is never forgotten;
what is left out is listed here with its reason. What must hold: worlds that are alike behave alike ever after.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from operator import attrgetter
from typing import Any

from zcluster.control.document import Document, Durable, Settings
from zcluster.control.messages import Report
from zcluster.control.timing import Timing
from zcluster.simulator.kernel import Kernel
from zcluster.simulator.small_world import NODES, SEQUENCES, START_MS, Modes, SmallWorld

LONG_AGO_MS = -200
"""No rule that matters to three nodes and one group looks further back."""
LONG_AGO_BEATS = -12
"""Beats older than that have run out of every lease and grant."""

LEFT_OUT = frozenset(
    {
        # the rooms' ways to one another
        "_s", "_seeker", "_holder",
        # what was done last
        "out", "now_ms", "decided",
        # words for people
        "facts", "votes", "why", "from_node", "won_ms", "version", "_told", "_told_ms", "_conflict_told_ms", "_told_fork",
        # loss and delay of single links, for people and for the health of a link that carries no beats here
        "links", "_reviewed_ms", "_asked_ms",
        # an address's own lifetime, the second layer: it can only close
        "renewed_ms", "_addresses",
        # a roster of three is never changed by housekeeping
        "_housekeeping_ms", "_heard_ms", "_returned_ms", "_settled_since", "_started_ms", "_relinquished_ms",
        # what was sent before is in the kernel and in the lease
        "_sent_ms",
        # which slots were ever armed: a check against misuse
        "_armed_now",
    }
)  # fmt: skip
_ATOMS = (Report, Durable, Document, Settings, Timing)
_PLAIN = (str, bool, type(None), Enum)
_ORDERED = (tuple, list, deque)


def likeness(world: SmallWorld, modes: Modes) -> int:
    """A number that is equal for worlds that are alike (and, but for one in 2^64, for no others)."""
    return hash((_Walk(world).whole(), modes))


class _Walk:
    """One look at one world."""

    def __init__(self, world: SmallWorld) -> None:
        self._world = world
        self._now = world.now
        self._newest = [0] * (NODES + 1)
        for station in world.stations:
            if station.core is not None:
                situation = station.core.situation  # type: ignore[attr-defined]
                self._newest[station.index + 1] = situation.sequence

    def whole(self) -> object:
        """Everything that counts, as nested tuples."""
        world = self._world
        stations = tuple(self.value(station) for station in world.stations)
        messages = tuple(self.value(part) for part in (world.flying, world.kept_back, world.aside))
        return stations, messages, self.value(world.ownership)

    def value(self, value: Any) -> object:
        """One value, with instants and sequences made relative."""
        kind = type(value)
        if kind is int or kind is float:
            return self._number(value)
        if issubclass(kind, _PLAIN):
            return value
        if kind in _ATOMS:
            return value
        if issubclass(kind, _ORDERED):
            return tuple([self.value(part) for part in value])
        if kind is dict:
            return tuple(
                [(self.value(key), self.value(part)) for key, part in value.items() if self._is_new(key)]
            )
        if kind is set or kind is frozenset:
            return frozenset(self.value(part) for part in value)
        fields = _FIELDS.get(kind)
        if fields is None:
            fields = _FIELDS[kind] = _fields_of(value)
        return tuple([self.value(part) for part in fields(value)])

    def _number(self, number: float) -> float | tuple[str, float]:
        if number < SEQUENCES or number > 2 * START_MS:
            return number
        if number < START_MS // 2:
            owner = int(number // SEQUENCES)
            return "beat", max(number - self._newest[owner], LONG_AGO_BEATS)
        return "at", max(number - self._now, LONG_AGO_MS)

    def _is_new(self, key: object) -> bool:
        """Whether an entry of a dict still counts: by beats older than every lease nothing is decided."""
        if type(key) is not int or not SEQUENCES <= key < START_MS // 2:
            return True
        return key - self._newest[key // SEQUENCES] > LONG_AGO_BEATS


def _fields_of(value: object) -> Callable[[Any], tuple[object, ...]]:
    kind = type(value)
    if callable(value):
        return lambda _: (getattr(value, "__qualname__", ""),)
    slots = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]
    names = [*slots, *getattr(value, "__dict__", {})]
    kept = [name for name in names if name not in LEFT_OUT and not name.startswith("__")]
    if issubclass(kind, Kernel):
        kept = [name for name in kept if name not in ("_random", "rate")]
    if not kept:
        return lambda _: (kind.__name__,)
    if len(kept) == 1:
        one = attrgetter(kept[0])
        return lambda whole: (one(whole),)
    several: Callable[[Any], tuple[object, ...]] = attrgetter(*kept)
    return several


_FIELDS: dict[type[Any], Callable[[Any], tuple[object, ...]]] = {}
