"""A seeded world of replicators: loss, reordering, doubles, cuts, restarts, failures, adoption.

The oracle knows every version that a switch ever wrote. After everything healed it asks: does every copy equal
its writer's table, does every node see every record once, and is nothing gone that had reached a survivor.
Messages cross the wire's codec, so what is simulated is what is sent.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from zcluster.streams.actions import Action, GroupAdopted, Publish, Send
from zcluster.streams.events import (
    Event,
    GroupLost,
    GroupWon,
    MessageReceived,
    PathChanged,
    PeerFailed,
    PeerHeard,
    RecordsChanged,
    StreamLoaded,
    Tick,
)
from zcluster.streams.limits import StreamLimits
from zcluster.streams.messages import Message
from zcluster.streams.replicator import Replicator
from zcluster.streams.units import REGISTRATIONS, STREAM_NAMES, body_of, group_of, record_key
from zcluster.wire.stream_codec import decode, encode

NAME = REGISTRATIONS
SMALL = StreamLimits(
    batch_records=4,
    log_records=60,
    copy_log_records=30,
    chunk_bytes=400,
    chunks_asked=3,
    turn_records=5,
    held_batches=20,
    digest_ms=300,
    request_at_most_ms=1000,
    tombstone_ms=8000,
    keep_superseded_ms=4000,
    retract_ms=5000,
    skip_ms=1500,
)


@dataclass(slots=True)
class Host:
    """A node: its replicator while it lives, and its switch, which remembers what it holds."""

    name: str
    incarnation: int
    replicator: Replicator | None = None
    groups: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)


class World:
    """`nodes` hosts, one group each for all but the last. Everything that is drawn comes from the seed."""

    def __init__(self, seed: int, nodes: int, limits: StreamLimits = SMALL) -> None:
        self.random = Random(seed)
        self.limits = limits
        self.now = 0
        self.loss, self.double, self.jitter_ms = 0.0, 0.0, 3
        self.cuts: set[frozenset[str]] = set()
        self.hosts = {f"n{number}": Host(f"n{number}", 0) for number in range(1, nodes + 1)}
        self.groups = [f"g{number}" for number in range(1, nodes)]
        self.owner: dict[str, str | None] = {}
        self.counter = 0
        self.counters: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        # What the masters' switches say is so: the latest body of each living key of each group.
        self.truth: dict[bytes, bytes] = {}
        self.versions = 0
        self._heap: list[tuple[int, int, str, int, Message | None, str]] = []
        self._order = 0
        self._ticks: dict[str, int] = {}
        for host in self.hosts.values():
            self.start(host)
        self.notice()
        for group, host in zip(self.groups, self.hosts.values(), strict=False):
            self.give(group, host.name)

    # -- life

    def start(self, host: Host) -> None:
        """A new life of a node, which loads what its switch has (nothing, the host was down)."""
        host.incarnation += 1
        host.failed = {other.name for other in self.hosts.values() if other.replicator is None} - {host.name}
        key = host.incarnation.to_bytes(16, "little")
        host.replicator = Replicator(host.name, host.incarnation, key, self.limits)
        for name in STREAM_NAMES:
            self.tell(host, StreamLoaded(name))
        for other in sorted(host.failed):
            self.tell(host, PeerFailed(other))

    def restart(self, name: str) -> None:
        """The data process alone begins anew: the groups stay, and the switch tells all that it knows."""
        host = self.hosts[name]
        groups = sorted(host.groups)
        told = tuple(
            (key, body) for key, body in self.truth.items() if self.owner.get(group_of(key).decode()) == name
        )
        host.incarnation += 1
        host.failed = set()
        host.replicator = Replicator(
            name, host.incarnation, host.incarnation.to_bytes(16, "big"), self.limits
        )
        for group in groups:
            self.tell(host, GroupWon(group, self.counters[group]))
        self.tell(host, RecordsChanged(NAME, told))
        for stream in STREAM_NAMES:
            self.tell(host, StreamLoaded(stream))
        self.notice()

    def kill(self, name: str) -> None:
        """A host dies with everything that it had not sent."""
        host = self.hosts[name]
        host.replicator = None
        self._ticks.pop(name, None)
        for group in sorted(host.groups):
            self.owner[group] = None
        host.groups.clear()

    def notice(self) -> None:
        """Everybody alive learns who is dead and who is reachable, as the control process would say."""
        for host in self.living():
            dead = {other.name for other in self.hosts.values() if self._is_gone_for(host.name, other)}
            for name in sorted(dead - host.failed):
                self.tell(host, PeerFailed(name))
            for name in sorted(host.failed - dead):
                self.tell(host, PeerHeard(name))
            host.failed = dead

    def give(self, group: str, name: str) -> None:
        """A node becomes the master of a group; whoever was it before knows that first (S1)."""
        before = self.owner.get(group)
        if before is not None and before != name:
            self.hosts[before].groups.discard(group)
            self.tell(self.hosts[before], GroupLost(group))
        self.owner[group] = name
        self.hosts[name].groups.add(group)
        self.counter += 1
        self.counters[group] = self.counter
        self.tell(self.hosts[name], GroupWon(group, self.counter))

    def reroute(self) -> None:
        """Every link changes: what is under way is lost."""
        self._heap.clear()
        for host in self.living():
            for other in self.hosts:
                if other != host.name:
                    self.tell(host, PathChanged(other))

    def living(self) -> list[Host]:
        return [host for host in self.hosts.values() if host.replicator is not None]

    # -- switches

    def write(self, group: str, number: int, remove: bool = False) -> None:
        """The master's switch registers, refreshes or removes a phone of the group."""
        name = self.owner.get(group)
        if name is None:
            return
        key = record_key(group, b"phone%d" % number)
        self.versions += 1
        body = None if remove else b"version %d" % self.versions
        self.tell(self.hosts[name], RecordsChanged(NAME, ((key, body),)))
        if body is None:
            self.truth.pop(key, None)
        else:
            self.truth[key] = body

    # -- time and network

    def tell(self, host: Host, event: Event) -> None:
        replicator = host.replicator
        assert replicator is not None
        self.perform(host, replicator.handle(event, self.now))
        self._ticks[host.name] = replicator.deadline()

    def perform(self, host: Host, actions: list[Action]) -> None:
        for action in actions:
            self.counts[type(action).__name__] += 1
            match action:
                case Publish(message):
                    for other in self.hosts:
                        if other != host.name:
                            self.send(host.name, other, message)
                case Send(node, message):
                    self.send(host.name, node, message)
                case GroupAdopted():
                    self.counts["adopted records"] += action.records
                case _:
                    pass

    def send(self, source: str, target: str, message: Message) -> None:
        draw = self.random.random
        copies = 1 + (draw() < self.double)
        for _ in range(copies):
            if frozenset((source, target)) in self.cuts or draw() < self.loss:
                self.counts["lost"] += 1
                continue
            late = 1 + int(draw() * self.jitter_ms) + (int(draw() * 200) if draw() < self.double else 0)
            self._order += 1
            life = self.hosts[target].incarnation
            heappush(self._heap, (self.now + late, self._order, target, life, message, source))

    def run(self, until_ms: int) -> None:
        """Let time go by."""
        while True:
            tick = min(self._ticks.items(), key=lambda item: (item[1], item[0]), default=("", until_ms + 1))
            at = self._heap[0][0] if self._heap else until_ms + 1
            now = min(max(tick[1], self.now), at)
            if now > until_ms:
                self.now = until_ms
                return
            if now == at:
                self.now = now
                _, _, name, life, message, source = heappop(self._heap)
                host = self.hosts[name]
                if host.replicator is not None and host.incarnation == life and message is not None:
                    self.tell(host, MessageReceived(decode(encode(message)), source))
                continue
            self._tick(tick[0], now)

    def _tick(self, name: str, now: int) -> None:
        spins = self.counts["spin"] + 1 if now == self.now else 0
        assert spins < 1000, f"{name} asks for a tick at {now} again and again"
        self.counts["spin"] = spins
        self.now = now
        self.tell(self.hosts[name], Tick())

    def heal(self, for_ms: int = 20_000) -> None:
        """No more faults; everybody is started and hears everybody; every group has a master."""
        self.loss = self.double = 0.0
        self.cuts.clear()
        for host in self.hosts.values():
            if host.replicator is None:
                self.start(host)
        self.notice()
        for group in self.groups:
            if self.owner.get(group) is None:
                self.give(group, next(iter(self.hosts)))
        self.run(self.now + for_ms)

    # -- what must hold

    def faults(self) -> list[str]:
        """What is wrong after healing, in words."""
        found = []
        for host in self.living():
            assert host.replicator is not None
            tables = host.replicator.tables[NAME]
            for other in self.living():
                if other is host:
                    continue
                assert other.replicator is not None
                theirs = other.replicator.tables[NAME].own
                copy = tables.copies.get(theirs.stream)
                if copy is None or not copy.is_complete:
                    found.append(f"{host.name}: no complete copy of {other.name}")
                elif dict(copy.table.items()) != dict(theirs.table.items()):
                    found.append(f"{host.name}: the copy of {other.name} differs")
            found += self._view_faults(host)
        return found

    def _view_faults(self, host: Host) -> list[str]:
        found = []
        view = self.view(host)
        for group in self.groups:
            owner = self.owner[group]
            assert owner is not None
            own = self.hosts[owner].replicator
            assert own is not None
            want = {
                key: body_of(record)
                for key, record in own.tables[NAME].own.table.items()
                if group_of(key) == group.encode()
            }
            have = {key: body for key, body in view.items() if group_of(key) == group.encode()}
            if want != have:
                found.append(f"{host.name}: sees {len(have)} records of {group}, its master has {len(want)}")
        return found

    def view(self, host: Host) -> dict[bytes, bytes]:
        """What a node sees; a record seen twice is an error."""
        assert host.replicator is not None
        seen: dict[bytes, bytes] = {}
        for entry in host.replicator.tables[NAME].entries():
            assert entry.key not in seen, f"{host.name} sees {entry.key!r} twice"
            seen[entry.key] = body_of(entry.record)
        return seen

    def reached(self, key: bytes, body: bytes) -> list[str]:
        """The living nodes that have this version in a copy that they may rely on, or wrote it."""
        found = []
        for host in self.living():
            assert host.replicator is not None
            tables = host.replicator.tables[NAME]
            copies = [copy.table for copy in tables.copies.values() if copy.is_readable]
            for table in [tables.own.table, *copies]:
                record = table.get(key)
                if record is not None and body_of(record) == body:
                    found.append(host.name)
        return found

    def _is_gone_for(self, name: str, other: Host) -> bool:
        return other.name != name and (other.replicator is None or frozenset((name, other.name)) in self.cuts)
