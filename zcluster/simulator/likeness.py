"""When two small worlds are alike: the same but for when it is, and how far everybody has counted.

A number tells what it is by its size (`small_world`): an instant is seen from now, a sequence from its owner's
newest. Everything of a core counts, by walking through it, so that a field that somebody adds is never forgotten;
what is left out is listed here with its reason. What must hold: worlds that are alike behave alike ever after.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from operator import attrgetter
from typing import Any

from zcluster.control.document import Document, Durable, GroupSettings, Settings
from zcluster.control.messages import Report
from zcluster.control.ownership import Tenure
from zcluster.control.timing import Timing
from zcluster.simulator.kernel import Kernel
from zcluster.simulator.small_world import NODES, SEQUENCES, START_MS, Modes, SmallWorld

LONG_AGO_MS = -120
"""No rule that matters to three nodes and one group looks further back."""
LONG_AGO_BEATS = -12
"""Beats older than that have run out of every lease and grant."""

LEFT_OUT = frozenset(
    {
        # the rooms' ways to one another
        "_s", "_seeker", "_holder", "_council", "housekeeper",
        # what was done last
        "out", "now_ms", "decided",
        # words for people; of the facts one counts, see `_fields_of`
        "facts", "votes", "why", "from_node", "version", "_told", "_told_ms", "_conflict_told_ms", "_told_fork",
        # loss and delay of single links, for people and for the health of a link that carries no beats here
        "links", "_reviewed_ms", "_asked_ms",
        # an address's own lifetime, the second layer: it can only close
        "renewed_ms", "_addresses",
        # a roster of three is never changed by housekeeping
        "_housekeeping_ms", "_heard_ms", "_returned_ms", "_settled_since", "_relinquished_ms",
        # when a cached tuple is made again, which comes out equal
        "_grants_stale_ms",
        # when a beat was sent is asked only while a group is claimed, and then the kernel has it as the beat's slot
        "_sent_ms",
        # which slots were ever armed: a check against misuse
        "_armed_now",
    }
)  # fmt: skip
_SAME = (str, bool, type(None), Enum, Report, Durable, Document, Settings, Timing, GroupSettings)

Fields = Callable[[Any], tuple[object, ...]]


class _Way(Enum):
    """How a value of some type is looked at, where it is not by its fields."""

    SAME = auto()
    NUMBER = auto()
    ROW = auto()
    TABLE = auto()
    SET = auto()


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
        way = _WAYS.get(kind)
        if way is None:
            way = _WAYS[kind] = _way_of(value)
        match way:
            case _Way.SAME:
                return value
            case _Way.NUMBER:
                return value if -SEQUENCES < value < SEQUENCES else self._number(value)
            case _Way.ROW:
                return tuple([self.value(part) for part in value])
            case _Way.TABLE:
                news = [(key, part) for key, part in value.items() if self._is_new(key)]
                return tuple([(self.value(key), self.value(part)) for key, part in news])
            case _Way.SET:
                return frozenset([self.value(part) for part in value])
            case _:
                return tuple([self.value(part) for part in way(value)])

    def _number(self, number: float) -> float | tuple[str, float]:
        if number < 0 or number > 2 * START_MS:
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


def _way_of(value: object) -> _Way | Fields:
    kind = type(value)
    if issubclass(kind, _SAME):
        return _Way.SAME
    for bases, way in (
        ((int, float), _Way.NUMBER),
        ((tuple, list, deque), _Way.ROW),
        ((dict,), _Way.TABLE),
        ((set, frozenset), _Way.SET),
    ):
        if issubclass(kind, bases):
            return way
    return _fields_of(value)


def _fields_of(value: object) -> Fields:
    kind = type(value)
    if callable(value):
        return lambda one: (getattr(one, "__qualname__", ""),)
    slots = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]
    names = [*slots, *getattr(value, "__dict__", {})]
    kept = [name for name in names if name not in LEFT_OUT and not name.startswith("__")]
    if issubclass(kind, Kernel):
        kept = [name for name in kept if name not in ("_random", "rate")]
    if not kept:
        return lambda _: (kind.__name__,)
    if kind is Tenure:
        tenure: Fields = attrgetter(*kept)
        return lambda whole: (*tenure(whole), whole.facts.get("old_lease_over_ms", 0))
    if len(kept) == 1:
        only = attrgetter(kept[0])
        return lambda whole: (only(whole),)
    several: Fields = attrgetter(*kept)
    return several


_WAYS: dict[type[Any], _Way | Fields] = {}
