"""The links between the hosts: loss, delay, duplicates, reordering, cuts in one or both directions, carriers.

A beat goes out on every link at once, and the receiver's shell hands in the first copy; so the chance that a
beat is lost is that of losing it on every link that still works, and only some later copies are modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations
from random import Random
from typing import NamedTuple, Protocol

from zcluster.control.events import AddressSeen, BeatReceived, BeatRepeated, Event
from zcluster.control.messages import Beat
from zcluster.simulator.mix import LINKS, Mix

BASE_MS = 0.15
ALL_LINKS = (1 << len(LINKS)) - 1
SERVICE_BIT = 1 << (len(LINKS) - 1)
_NAMES = tuple(
    tuple(link for bit, link in enumerate(LINKS) if mask >> bit & 1) for mask in range(ALL_LINKS + 1)
)

Schedule = Callable[[float, Callable[[Event], None], Event], None]


class Port(Protocol):
    """Where a host takes what the network brings."""

    life: int

    def deliver(self, event: Event, /) -> None: ...


class Cut(NamedTuple):
    """Directions (from, to) in which these links carry nothing."""

    pairs: frozenset[tuple[int, int]]
    links: int


class _Path(NamedTuple):
    port: Port
    deliver: Callable[[Event], None]
    names: tuple[str, ...]
    lost: float


class Network:
    """Who reaches whom, and how soon. Hosts are numbered; links are bits of `ALL_LINKS`."""

    def __init__(
        self,
        mix: Mix,
        ports: tuple[Port, ...],
        at: Schedule,
        random: Random,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._ports = ports
        self._at = at
        self._clock = clock
        self._served_since: dict[tuple[int, int], float | None] = {}
        self._draw = random.random
        self._cuts: list[Cut] = []
        self._carriers = [ALL_LINKS] * len(ports)
        self._paths: list[list[_Path]] = []
        self.jitter_ms = mix.jitter_ms
        self.late_ms = mix.late_ms
        self.loss, self.late, self.odd = mix.loss, mix.late, mix.late + mix.twice
        self._find_paths()

    def heal(self) -> None:
        """No fault is left: every cut is mended, nothing is lost, late or doubled any more."""
        self._cuts.clear()
        self._carriers = [ALL_LINKS] * len(self._ports)
        self.loss = self.late = self.odd = 0.0
        self._find_paths()

    def cut(self, cut: Cut) -> None:
        """Begin a cut; cuts may overlap."""
        self._cuts.append(cut)
        self._find_paths()

    def mend(self, cut: Cut) -> None:
        """End a cut, if it was not healed before."""
        if cut in self._cuts:
            self._cuts.remove(cut)
            self._find_paths()

    def set_carrier(self, host: int, link: int, is_up: bool) -> None:
        """The carrier of a host's interface comes or goes."""
        bit = 1 << link
        self._carriers[host] = self._carriers[host] | bit if is_up else self._carriers[host] & ~bit
        self._find_paths()

    def has_carrier(self, host: int, link: int) -> bool:
        """Whether the interface of that host for that link has its carrier."""
        return bool(self._carriers[host] >> link & 1)

    def links_between(self, source: int, target: int) -> int:
        """The links that carry from `source` to `target` now, as bits."""
        links = self._carriers[source] & self._carriers[target]
        for cut in self._cuts:
            if (source, target) in cut.pairs:
                links &= ~cut.links
        return links

    def serves(self, source: int, target: int) -> bool:
        """Whether the service network carries from `source` to `target`."""
        return bool(self.links_between(source, target) & SERVICE_BIT)

    def served_since(self, source: int, target: int) -> float | None:
        """Since when the service network carries both ways between the two; None while it does not."""
        return self._served_since.get((min(source, target), max(source, target)), 0.0)

    def send(self, source: int, beat: Beat, now: float) -> None:
        """Send one beat to everybody on every link."""
        draw, at, jitter_ms, odd = self._draw, self._at, self.jitter_ms, self.odd
        events: dict[tuple[str, ...], BeatReceived] = {}
        for port, deliver, names, lost in self._paths[source]:
            chance = draw()
            if chance < lost:
                continue
            event = events.get(names)
            if event is None:
                event = events[names] = BeatReceived(beat, names[beat.sequence % len(names)])
            if odd and (oddity := draw()) < odd:
                self._send_oddly(port, event, names, oddity, now)
            else:
                at(now + BASE_MS + chance * jitter_ms, deliver, event)

    def _send_oddly(
        self, port: Port, event: BeatReceived, names: tuple[str, ...], oddity: float, now: float
    ) -> None:
        if oddity < self.late:
            self._at(now + self.late_ms * self._draw(), port.deliver, event)
            return
        copies = _Copies(port, event, names[(event.beat.sequence + 1) % len(names)])
        for spread in (self.jitter_ms, self.late_ms):
            self._at(now + BASE_MS + spread * self._draw(), copies.arrive, event)

    def show(self, source: int, seen: Iterable[AddressSeen], now: float) -> None:
        """Broadcast address messages (ARP, neighbour discovery) on the service network."""
        for target, port in enumerate(self._ports):
            if target != source and self.serves(source, target):
                for event in seen:
                    self._at(now + BASE_MS + self._draw(), port.deliver, event)

    def _find_paths(self) -> None:
        hosts = range(len(self._ports))
        for pair in combinations(hosts, 2):
            if not (self.serves(*pair) and self.serves(*reversed(pair))):
                self._served_since[pair] = None
            elif self._served_since.get(pair, 0.0) is None:
                self._served_since[pair] = self._clock()
        self._paths = [
            [self._path(a, b) for b in hosts if b != a and self.links_between(a, b)] for a in hosts
        ]

    def _path(self, source: int, target: int) -> _Path:
        names = _NAMES[self.links_between(source, target)]
        port = self._ports[target]
        return _Path(port, port.deliver, names, self.loss ** len(names) if self.loss else 0.0)


class _Copies:
    """Two copies of one beat under way: a process hands in the first that it sees and counts the other."""

    __slots__ = ("_event", "_other_link", "_port", "_seen_in")

    def __init__(self, port: Port, event: BeatReceived, other_link: str) -> None:
        self._port = port
        self._event = event
        self._other_link = other_link
        self._seen_in = -1

    def arrive(self, event: Event) -> None:
        if self._seen_in == self._port.life:
            beat = self._event.beat
            event = BeatRepeated(beat.node, beat.incarnation, beat.sequence, self._other_link)
        self._seen_in = self._port.life
        self._port.deliver(event)
