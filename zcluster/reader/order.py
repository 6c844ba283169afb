"""Events of several buses as one row: each once, and those of one node in the order in which it told them.

What must hold: pure, the time is an argument; a hole in the numbers of a node is waited for, HELD_S long, and then
told; what is held back and what is remembered is bounded.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

HELD_S = 2.0
LARGEST_HELD = 2000
LARGEST_ORIGINS = 512
LARGEST_UNNUMBERED = 1024


@dataclass(frozen=True, slots=True)
class Event:
    """A record of the story (docs/json.md). `missed`: so many of this node's records before it came nowhere.

    `number` counts what `node` told in its life `incarnation`, 0 of versions that did not count. `by` is the node
    over whose bus it came first.
    """

    node: str
    incarnation: int
    number: int
    at_ms: int
    level: str
    code: str
    text: str
    facts: Mapping[str, Any]
    by: str
    missed: int = 0


@dataclass(slots=True)
class _Origin:
    """What one life of a node told: the number that comes next, and what is held back until then."""

    next: int
    held: dict[int, Event] = field(default_factory=dict)
    since_s: float = 0.0


class Order:
    """Each event once, those of one node in their order. A hole is waited for, HELD_S long."""

    def __init__(self) -> None:
        self.is_from_start = False
        self._origins: OrderedDict[tuple[str, int], _Origin] = OrderedDict()
        self._nodes: set[str] = set()
        self._unnumbered: OrderedDict[tuple[str, int, str], None] = OrderedDict()
        self._ready: deque[Event] = deque()

    def add(self, record: dict[str, Any], by: str, now_s: float) -> None:
        """A record that came over a bus."""
        event = _event(record, by)
        if event is None:
            return
        if not event.number:
            self._add_unnumbered(event)
            return
        origin = self._origin(event)
        if event.number < origin.next or event.number in origin.held:
            return
        if event.number > origin.next and not origin.held:
            origin.since_s = now_s
        origin.held[event.number] = event
        self._release(origin)
        if len(origin.held) > LARGEST_HELD:
            self._give_up(origin, now_s)

    def ready(self, now_s: float) -> Iterator[Event]:
        """What may be handed out."""
        for origin in self._origins.values():
            if origin.held and now_s - origin.since_s >= HELD_S:
                self._give_up(origin, now_s)
        while self._ready:
            yield self._ready.popleft()

    def wait_s(self, now_s: float) -> float:
        """Until the next hole is given up."""
        dues = (origin.since_s + HELD_S - now_s for origin in self._origins.values() if origin.held)
        return max(min(dues, default=HELD_S), 0.0)

    def _origin(self, event: Event) -> _Origin:
        key = (event.node, event.incarnation)
        origin = self._origins.get(key)
        if origin is None:
            # The first that is heard of a node is where it begins; a later life of it is heard from its first word.
            is_known = event.node in self._nodes and not self.is_from_start
            origin = self._origins[key] = _Origin(1 if is_known else event.number)
            self._nodes.add(event.node)
            if len(self._origins) > LARGEST_ORIGINS:
                self._origins.popitem(last=False)
        return origin

    def _release(self, origin: _Origin, missed: int = 0) -> None:
        while (event := origin.held.pop(origin.next, None)) is not None:
            origin.next += 1
            self._ready.append(replace(event, missed=missed) if missed else event)
            missed = 0

    def _give_up(self, origin: _Origin, now_s: float) -> None:
        """The hole stays one. Behind the next one the wait begins anew."""
        first = min(origin.held)
        missed, origin.next = first - origin.next, first
        self._release(origin, missed)
        origin.since_s = now_s

    def _add_unnumbered(self, event: Event) -> None:
        key = (event.node, event.at_ms, event.text)
        if key not in self._unnumbered:
            self._unnumbered[key] = None
            self._ready.append(event)
            if len(self._unnumbered) > LARGEST_UNNUMBERED:
                self._unnumbered.popitem(last=False)


def _event(record: dict[str, Any], by: str) -> Event | None:
    names = ("node", "incarnation", "number", "at_ms", "level", "code", "text", "facts")
    values: list[Any] = [record.get(name) for name in names]
    kinds = (str, int, int, int, str, str, str, dict)
    if not all(isinstance(value, kind) for value, kind in zip(values, kinds, strict=True)):
        return None
    node, incarnation, number, at_ms, level, code, text, facts = values
    return Event(node, incarnation, number, at_ms, level, code, text, facts, by)
