"""The sockets of all links: beats out on every one, beats in from every one, opened again when a link returns.

What must hold: a link that breaks costs only itself; its sockets are closed at once and tried again at a
bounded pace, sooner when the kernel says that the interface changed. The same bytes go out everywhere, by
multicast first (it is the fastest and the widest), then by unicast where that is needed, then on the bus. There,
of the beats that say nothing new only some go out, on one link after another, as long as datagrams reach everybody
both ways: the bus is the way that remains where UDP is filtered, and costs more than all datagrams together
(measured).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from zcluster.adapters.bus import BEAT_TOPIC, STORY_TOPIC, Bus
from zcluster.adapters.multicast import BeaconSocket
from zcluster.control.events import BeatReceived, BeatRepeated, Event
from zcluster.control.messages import Beat, Report
from zcluster.control.timing import Timing
from zcluster.control.units import LinkName, NodeName
from zcluster.errors import BadMessage, KernelRefused
from zcluster.supervisor.lateness import SAMPLE_BEATS, Lateness
from zcluster.supervisor.loop import Loop, monotonic_ms
from zcluster.supervisor.peers import Peers
from zcluster.supervisor.side_thread import Errand, Sequel
from zcluster.wire.beacon import Envelope
from zcluster.wire.clocks import CLOCK_EVERY_BEATS
from zcluster.wire.codec import BeatEncoder
from zcluster.wire.reader import BeatReader
from zcluster.wire.shorter import TOO_LONG, without_document

BATCH_DATAGRAMS = 64
BATCH_MESSAGES = 64
RETRY_MS = (200, 500, 1000, 2000)
SWEEP_MS = 1000
BUS_REVIEW_BEATS = 4
BUS_EVERY_BEATS = 4
BUS_LEASE_SHARE = 0.75
# Where beats come from is looked at for two beats in eight, and for a while after something new was found.
SOURCE_LOOK_BEATS, SOURCE_PAUSE_BEATS = 2, 6
SOURCE_LATELY_MS = 2000
ALL_LINKS = "all links"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a link of the file is on this host, and how it is spoken on."""

    link: LinkName
    interface: str
    address: str
    multicast: str
    beacon_port: int
    bus_port: int
    ttl: int


@dataclass(slots=True)
class _Line:
    """One link's sockets; none while it is broken. `failures` counts tries since it last stood."""

    place: Place
    beacon: BeaconSocket | None = None
    has_bus: bool = False
    is_opening: bool = False
    failures: int = 0
    retry_ms: int | None = 0
    problem: str = ""
    listed: tuple[str, ...] = ()
    newest: dict[NodeName, int] = field(default_factory=dict)
    source_ms: int = 0
    found_ms: int = 0


class Transport:
    """All links of this node. It is a chore of the loop: what is broken is tried again."""

    def __init__(
        self,
        node: NodeName,
        places: Sequence[Place],
        reader: BeatReader,
        encoder: BeatEncoder,
        envelope: Envelope,
        bus: Bus,
        timing: Timing,
        submit_kernel: Callable[[Errand], bool],
    ) -> None:
        self._node = node
        self._submit_kernel = submit_kernel
        self._reader = reader
        self._encoder = encoder
        self._envelope = envelope
        self._bus = bus
        self._beat_ms = timing.beat_ms
        self._peers = Peers(timing.beat_ms)
        self.lateness = Lateness()
        self._bus_every_beats = bus_every_beats(timing)
        self._lines = {place.link: _Line(place) for place in places}
        self._bus_ports = {place.link: place.bus_port for place in places}
        self._topic = BEAT_TOPIC + node.encode("ascii")
        self._story_topic = STORY_TOPIC + node.encode("ascii")
        self._loop: Loop | None = None
        self._watched_bus: tuple[int, ...] = ()
        self._stirred: dict[str, None] = {}
        self._sent_report: Report | None = None
        self._sent_sequence = 0
        self._is_bus_needed = True
        self._unsendable = ""
        self._hear_stories: Callable[[Sequence[bytes]], None] = _ignore
        self._swept_ms = 0
        self.counts: Counter[str] = Counter()

    def attach(self, loop: Loop, now_ms: int, hear_stories: Callable[[Sequence[bytes]], None]) -> None:
        """Open what can be opened and have the loop watch it. Stories are handed on as they came."""
        self._loop = loop
        self._hear_stories = hear_stories
        self._watch_bus()
        self.run(now_ms)

    def problems(self) -> dict[LinkName, str]:
        """Why each broken link is broken, and under "all links" why beats cannot be sent at all."""
        found = {name: line.problem for name, line in self._lines.items() if line.problem}
        return {**found, ALL_LINKS: self._unsendable} if self._unsendable else found

    def places(self, node: NodeName) -> tuple[tuple[LinkName, str], ...]:
        """Each link that `node` was heard on by datagrams, in the order of the file, and its address there."""
        known = dict(self._peers.places(node))
        return tuple((link, known[link]) for link in self._lines if link in known)

    # ---- out

    def send(self, beat: Beat, now_ms: int) -> None:
        """Encode once, seal once, and send on every link and transport. A loss is nobody's failure."""
        try:
            datagram = self._sealed(beat)
        except BadMessage as problem:
            # Every peer would drop it. The node looks dead to them, and says why where it is asked.
            self.counts["beats_unsendable"] += 1
            self._unsendable = str(problem)
            return
        for name, line in self._lines.items():
            if line.beacon is None:
                continue
            try:
                if line.place.multicast and not line.beacon.send(datagram):
                    self.counts["send_queue_full"] += 1
                for address in dict.fromkeys(
                    (*line.listed, *self._peers.unicast(name, beat.sequence, now_ms))
                ):
                    if not line.beacon.send_to(datagram, address):
                        self.counts["unicast_unsent"] += 1
            except KernelRefused as problem:
                self._break(line, str(problem), now_ms)
        self._publish(beat, datagram, now_ms)

    def _sealed(self, beat: Beat) -> bytes:
        """The datagram, without the cluster document where the whole does not fit. Raises BadMessage."""
        self._unsendable = ""
        try:
            return self._envelope.seal(self._encoder.encode(beat, _clock_for(beat)))
        except BadMessage:
            less = without_document(beat)
            if less is None:
                raise
            datagram = self._envelope.seal(self._encoder.encode(less))
        self.counts["beats_shortened"] += 1
        self._unsendable = TOO_LONG
        return datagram

    def _publish(self, beat: Beat, datagram: bytes, now_ms: int) -> None:
        """On all buses where it is news or needed; otherwise now and then, on one after another."""
        is_news = beat.report is not self._sent_report
        self._sent_report = beat.report
        self._sent_sequence = beat.sequence
        if beat.sequence % BUS_REVIEW_BEATS == 0:
            self._is_bus_needed = self._peers.is_bus_needed(now_ms)
        if is_news or self._is_bus_needed:
            self._bus.publish(self._topic, datagram)
            return
        turn, rest = divmod(beat.sequence, self._bus_every_beats)
        names = [name for name, line in self._lines.items() if line.has_bus]
        if names and not rest:
            self._bus.publish(self._topic, datagram, names[turn % len(names)])

    def publish_story(self, body: bytes) -> None:
        """Tell peers and tools what happened here."""
        self._bus.publish(self._story_topic, body)

    # ---- in

    def _receive_beats(self, line: _Line, is_multicast: bool) -> list[Event]:
        if line.beacon is None:
            return []
        asked_ms = monotonic_ms()
        with_source = asked_ms >= line.source_ms or asked_ms < line.found_ms + SOURCE_LATELY_MS
        try:
            datagrams = line.beacon.receive_from(is_multicast, BATCH_DATAGRAMS, with_source)
        except KernelRefused as problem:
            self._break(line, str(problem), monotonic_ms())
            return []
        events: list[Event] = []
        wall_ms = time.time_ns() // 1_000_000
        now_ms = monotonic_ms()
        if now_ms >= line.source_ms + SOURCE_LOOK_BEATS * self._beat_ms:
            line.source_ms = now_ms + SOURCE_PAUSE_BEATS * self._beat_ms
        link = line.place.link
        for data, source, _ in datagrams:
            event = self._reader.read(data, link, wall_ms)
            if event is None:
                continue
            is_first = type(event) is BeatReceived
            node, sequence = _number(event)
            replaced = self._peers.heard(node, link, source, is_multicast, now_ms)
            if replaced is not None:
                line.found_ms = now_ms
                self._connect(line, source, replaced)
            if self._is_news(line, event, node, sequence):
                if not sequence % SAMPLE_BEATS:
                    self.lateness.note(node, link, sequence, is_first, now_ms)
                events.append(event)
        return events

    def _receive_bus(self, source: str) -> list[Event]:
        """What the bus brought: beats become events, stories are handed on."""
        events: list[Event] = []
        messages = self._bus.receive_from(source, BATCH_MESSAGES)
        if not messages:
            return events
        if len(messages) >= BATCH_MESSAGES:
            self._stirred[source] = None  # descriptors of the bus are edge-triggered: look until it is empty
        wall_ms = time.time_ns() // 1_000_000
        now_ms = monotonic_ms()
        stories = []
        for link, topic, body in messages:
            if topic.startswith(BEAT_TOPIC):
                event = self._reader.read(body, link, wall_ms)
                if event is None:
                    continue
                node, sequence = _number(event)
                self._peers.heard_on_bus(node, link, now_ms)
                if self._is_news(self._lines[link], event, node, sequence):
                    events.append(event)
            else:
                stories.append(body)
        if stories:
            self._hear_stories(stories)
        return events

    def _is_news(
        self, line: _Line, event: BeatReceived | BeatRepeated, node: NodeName, sequence: int
    ) -> bool:
        """A second copy on the same link (unicast beside multicast, or the bus) tells nothing."""
        if isinstance(event, BeatReceived):
            line.newest[node] = sequence
            ack = event.beat.acks.get(self._node)
            if ack is not None and self._sent_sequence - ack.sequence > self._bus_every_beats:
                self._peers.hears_us_late(node, monotonic_ms())
            return True
        if line.newest.get(node) == sequence:
            return False
        line.newest[node] = sequence
        return True

    def listed(self, link: LinkName, addresses: tuple[str, ...]) -> None:
        """Whom the file names on a link without multicast: every beat goes there, heard or not."""
        line = self._lines[link]
        before, line.listed = line.listed, addresses
        if not line.has_bus:
            return
        known = self._peers.addresses(link)
        for address in before:
            if address not in addresses and address not in known:
                self._at_bus(line, partial(self._bus.disconnect, link, address, line.place.bus_port))
        for address in addresses:
            if address not in before:  # where UDP is filtered, the bus finds it all the same
                self._at_bus(line, partial(self._bus.connect, link, address, line.place.bus_port))

    def _at_bus(self, line: _Line, call: Callable[[], None]) -> None:
        try:
            call()
        except KernelRefused:
            self.counts["bus_connects_refused"] += 1
        self._stirred[line.place.link] = None

    # ---- the bus

    def _connect(self, line: _Line, address: str, replaced: str) -> None:
        if not line.has_bus:
            return
        name, port = line.place.link, line.place.bus_port
        try:
            if replaced:
                self._bus.disconnect(name, replaced, port)
            self._bus.connect(name, address, port)
        except KernelRefused:
            self.counts["bus_connects_refused"] += 1  # the next sweep finds it silent and begins anew
        self._stirred[name] = None

    def _watch_bus(self) -> None:
        assert self._loop is not None
        for descriptor in self._watched_bus:
            self._loop.forget(descriptor)
        sources = self._bus.sources()
        self._watched_bus = tuple(descriptor for descriptor, _ in sources)
        for descriptor, source in sources:
            self._loop.watch(descriptor, partial(self._receive_bus, source))
            self._stirred[source] = None

    # ---- broken and mended

    def interface_changed(self, interface: str, now_ms: int) -> None:
        """The kernel says that something about the interface changed: try its broken links at once."""
        for line in self._lines.values():
            if line.place.interface == interface and line.retry_ms is not None:
                line.retry_ms = now_ms

    def rebuild(self, link: LinkName, now_ms: int) -> None:
        """The link's interface or address went and came: what stood on it is void."""
        self._break(self._lines[link], "its interface was rebuilt", now_ms)
        self._lines[link].retry_ms = now_ms

    def deadline(self) -> int | None:
        """When a broken link is tried again, or the bus must be looked at."""
        if self._stirred:
            return 0
        due_ms = self._swept_ms + SWEEP_MS
        for line in self._lines.values():
            if line.retry_ms is not None and line.retry_ms < due_ms:
                due_ms = line.retry_ms
        return due_ms

    def run(self, now_ms: int) -> Sequence[Event]:
        """Try what is due; look at the bus where an edge may have been swallowed."""
        for line in self._lines.values():
            if line.retry_ms is not None and line.retry_ms <= now_ms:
                self._open(line, now_ms)
        if now_ms - self._swept_ms >= SWEEP_MS:
            self._swept_ms = now_ms
            self._sweep(now_ms)
        if not self._stirred:
            return ()
        stirred, self._stirred = self._stirred, {}
        return [event for source in stirred for event in self._receive_bus(source)]

    def _sweep(self, now_ms: int) -> None:
        """Let go of peers long gone, and connect anew where the bus stays silent beside datagrams."""
        for name, address in self._peers.forget_silent(now_ms):
            line = self._lines[name]
            if line.has_bus and address not in line.listed:
                self._at_bus(line, partial(self._bus.disconnect, name, address, line.place.bus_port))
        for name, address in self._peers.deaf_on_bus(now_ms):
            line = self._lines[name]
            if line.has_bus:
                self.counts["bus_reconnects"] += 1
                self._at_bus(line, partial(self._bus.reconnect, name, address, line.place.bus_port))

    def _open(self, line: _Line, now_ms: int) -> None:
        """Begin to open what is closed. The bus stands on an address, not on an interface: it outlives both."""
        place = line.place
        line.retry_ms = None
        try:
            if not line.has_bus:
                self._bus.open_link(place.link, place.address, place.bus_port)
                line.has_bus = True
                self._watch_bus()
                for address in dict.fromkeys((*self._peers.addresses(place.link), *line.listed)):
                    self._bus.connect(place.link, address, place.bus_port)
        except KernelRefused as problem:
            self._opened(line, None, str(problem))
            return
        if line.beacon is None and not line.is_opening:
            line.is_opening = self._submit_kernel(partial(self._open_beacon, line))
            if not line.is_opening:
                self._opened(line, None, "too much waits for the kernel")

    def _open_beacon(self, line: _Line) -> Sequel:
        """In the kernel's thread: joining a multicast group waits for the lock of all networks."""
        place = line.place
        try:
            beacon = BeaconSocket(
                place.interface, place.address, place.multicast, place.beacon_port, place.ttl
            )
        except KernelRefused as problem:
            refused = str(problem)
            return lambda: self._opened(line, None, refused)
        return lambda: self._opened(line, beacon, "")

    def _opened(self, line: _Line, beacon: BeaconSocket | None, problem: str) -> Sequence[Event]:
        assert self._loop is not None
        line.is_opening = False
        line.problem = problem
        if beacon is None:
            line.retry_ms = monotonic_ms() + RETRY_MS[min(line.failures, len(RETRY_MS) - 1)]
            line.failures += 1
            return ()
        line.failures, line.beacon = 0, beacon
        for descriptor, is_multicast in beacon.sources():
            self._loop.watch(descriptor, partial(self._receive_beats, line, is_multicast))
        return ()

    def _break(self, line: _Line, problem: str, now_ms: int) -> None:
        """Close the link's datagram sockets (leaving a group waits for the same lock) and try again soon."""
        assert self._loop is not None
        self.counts["links_broken"] += 1
        line.problem = problem
        line.retry_ms = now_ms + RETRY_MS[0]
        beacon, line.beacon = line.beacon, None
        if beacon is not None:
            for descriptor in beacon.filenos():
                self._loop.forget(descriptor)
            if not self._submit_kernel(beacon.close):
                beacon.close()

    def close(self) -> None:
        """Drop everything."""
        for line in self._lines.values():
            if line.beacon is not None:
                line.beacon.close()
        self._bus.close()


def _number(event: BeatReceived | BeatRepeated) -> tuple[NodeName, int]:
    if isinstance(event, BeatRepeated):
        return event.node, event.sequence
    return event.beat.node, event.beat.sequence


def bus_every_beats(timing: Timing) -> int:
    """Every which beat goes on the bus when it says nothing new: who hears us there alone hears us well within a
    lease, and his acknowledgements show it.
    """
    return max(1, min(BUS_EVERY_BEATS, int(BUS_LEASE_SHARE * timing.lease_ms / timing.beat_ms)))


def _clock_for(beat: Beat) -> int | None:
    return None if beat.sequence % CLOCK_EVERY_BEATS else time.time_ns() // 1_000_000


def _ignore(_bodies: Sequence[bytes]) -> None:
    """Before the loop turns, nobody listens."""
