"""Nodes whose switches count sessions as mod_hash does, with the real streams between them.

Time goes in steps of STEP_MS. A message takes a few milliseconds and may take long; an event of a switch takes
EVENT_MS to reach us; a switch asks its remote every POLL_MS, each in its own phase. The twin of mod_hash follows
limit_incr_hash and limit_remote_thread of mod_hash.c, its habits included: what an answer does not name is forgotten
only when the wall clock's second has changed, and nothing is remembered over a lost connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from zcluster.streams.actions import CopyCompleted as Completed
from zcluster.streams.actions import GroupAdopted, Publish, Replicated, Send
from zcluster.streams.events import Event as StreamEvent
from zcluster.streams.events import GroupLost as StreamLost
from zcluster.streams.events import GroupWon as StreamWon
from zcluster.streams.events import MessageReceived, PeerFailed, PeerHeard, RecordsChanged, StreamLoaded
from zcluster.streams.events import Tick as StreamTick
from zcluster.streams.messages import Message
from zcluster.streams.replicator import Replicator
from zcluster.streams.tables import Entry
from zcluster.streams.units import CALLS, STREAM_NAMES, Key
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.telephony.actions import ChangeRecords, Run, StreamIsWhole
from zcluster.telephony.events import (
    Answered,
    Event,
    GroupLost,
    GroupOpened,
    GroupWon,
    Happened,
    Moment,
    PeersChanged,
    SwitchClosed,
    SwitchOpened,
    Tick,
)
from zcluster.telephony.hash_dump import NOTHING
from zcluster.telephony.limits import Limits
from zcluster.telephony.settings import GroupSettings, TelephonySettings

STEP_MS = 5
EVENT_MS = 20
POLL_MS = 250
# A call's row is written so long after it was let in, at the earliest; one that is younger nobody can recover.
TRACKED_MS = 90
DETECTION_MS = 200
RESTART_MS = 1500
WALL_MS = 1_800_000_000_000
# From a call that one switch lets in until every other switch counts it: the event's way, a batch's age, the network,
# the steps of this world, and a poll.
STALE_MS = EVENT_MS + 5 + 30 + POLL_MS + 5 * STEP_MS
SETTLED_MS = 1000 + STALE_MS


@dataclass(slots=True)
class Call:
    """A session that a limit counts. Only a bridged one is recovered when its switch dies."""

    name: str
    group: str
    is_bridged: bool
    since_ms: int
    is_recovered: bool = False


@dataclass(slots=True)
class Switch:
    """The twin of mod_hash. `is_linked`: connected to its remote, which is us."""

    life: int
    phase_ms: int
    calls: list[Call] = field(default_factory=list)
    remote: dict[str, tuple[int, int]] = field(default_factory=dict)
    # Calls tried in a rate's window, and when that began.
    tried: dict[str, tuple[int, int]] = field(default_factory=dict)
    is_linked: bool = True
    has_heard: bool = False

    def usage(self, name: str) -> int:
        return sum(call.name == name and not call.is_recovered for call in self.calls)

    def sees(self, name: str) -> int:
        """What a new call is compared with, without itself."""
        return self.usage(name) + (self.remote.get(name, (0, 0))[0] if self.is_linked else 0)

    def admits(self, name: str, most: int) -> bool:
        return self.sees(name) + 1 <= most

    def dump(self) -> str:
        names = sorted({call.name for call in self.calls if not call.is_recovered} | self.tried.keys())
        lines = []
        for name in names:
            rate, since_ms = self.tried.get(name, (0, 0))
            window = f"{rate}/1/{since_ms // 1000}" if rate else "0/0/0"
            lines.append(f"L/{name}/{self.usage(name)}/{window}\n")
        return "".join(lines) or "-ERR no reply\n"

    def hear(self, text: str, wall_s: int) -> None:
        """An answer of its remote."""
        self.has_heard = True
        if not text:
            return
        for line in text.split("\n"):
            fields = line[2:].split("/", 4)
            if line.startswith("L") and len(fields) == 5:
                self.remote[fields[0]] = (int(fields[1]), wall_s)
        self.remote = {name: each for name, each in self.remote.items() if each[1] == wall_s}


class Copied:
    """What the telephony core may read of the streams."""

    def __init__(self, replicator: Replicator) -> None:
        self._tables = replicator.tables

    def entries(self, name: str) -> Iterator[Entry]:
        return self._tables[name].entries()

    def get(self, name: str, key: Key) -> Entry | None:
        return self._tables[name].get(key)


@dataclass(slots=True)
class Host:
    """One node, or nothing while it is dead."""

    name: str
    incarnation: int
    replicator: Replicator
    limits: Limits
    switch: Switch
    is_alive: bool = True
    is_switch_up: bool = True
    groups: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    variables: dict[str, int] = field(default_factory=dict)


Due = tuple[int, int, str, object]


class World:
    """`n` nodes, one group for each but the last. Everything that is drawn comes from the seed."""

    def __init__(
        self,
        seed: int,
        nodes: int,
        rates: dict[str, int] | None = None,
        slow_ms: int = 0,
        strict: dict[str, int] | None = None,
    ) -> None:
        self.random = Random(seed)
        self.now = 1000
        self.slow_ms = slow_ms
        # How often, of all polls, a switch does not ask its remote.
        self.stalls = 0.0
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self.groups = [f"g{number}" for number in range(1, nodes)]
        self.rates = rates or {}
        self.strict = strict or {}
        self.owner: dict[str, str] = {}
        self.counter = 0
        self.lives = 0
        self.orphans: dict[str, list[Call]] = {}
        self.last_start_ms = 0
        self.starts: list[tuple[int, str, str]] = []
        self.worst: dict[str, int] = {}
        self._due: list[Due] = []
        self._order = 0
        self._last: dict[tuple[str, str], int] = {}
        self.died_ms = self.adopted_ms = 0
        # Since when each node's switch could know what the others use.
        self.opened_ms = dict.fromkeys(self.names, 0)
        self.hosts: dict[str, Host] = {}
        for name in self.names:
            self.hosts[name] = self._host(name, 1)
        for host in self.hosts.values():
            self._begin(host)
        for name, group in zip(self.names, self.groups, strict=False):
            self.give(group, name)
        self.run(1500)

    # -- what may happen

    def start(self, node: str, name: str, most: int, is_bridged: bool = True) -> bool:
        """A call tries; whether it was let in."""
        host = self.hosts[node]
        if not (host.is_alive and host.is_switch_up and host.groups):
            return False
        if name in self.strict and not host.switch.has_heard:
            return False
        if not host.switch.admits(name, most):
            return False
        call = Call(name, min(host.groups), is_bridged, self.now)
        host.switch.calls.append(call)
        self.starts.append((self.now, node, name))
        self.last_start_ms = self.now
        truth = self.truth(name)
        self.worst[name] = max(self.worst.get(name, 0), truth - most)
        assert truth <= most or name not in self.strict, (self.now, node, truth)
        others = sum(
            at_ms > self.now - STALE_MS and where != node and what == name
            for at_ms, where, what in self.starts[-2000:]
        )
        assert truth <= most + others, (self.now, node, truth, others)
        realm, _, key = name.partition("_")
        headers = {"Event-Name": "CUSTOM", "Event-Subclass": "limit::usage", "backend": "hash"}
        headers |= {"realm": realm, "key": key, "usage": str(host.switch.usage(name)), "rate": "0"}
        self._later(EVENT_MS, node, (host.switch.life, SwitchEvent(headers)))
        return True

    def tried(self, node: str, name: str, count: int) -> None:
        """So many calls try a rate in this second; one of them begins and ends at once."""
        host = self.hosts[node]
        host.switch.tried[name] = (count, WALL_MS + self.now)
        realm, _, key = name.partition("_")
        headers = {"Event-Name": "CUSTOM", "Event-Subclass": "limit::usage", "backend": "hash"}
        headers |= {"realm": realm, "key": key, "usage": "1", "rate": str(count)}
        self._later(EVENT_MS, node, (host.switch.life, SwitchEvent(headers)))

    def end(self, node: str, which: int) -> None:
        calls = self.hosts[node].switch.calls
        if calls:
            calls.pop(which % len(calls))

    def kill(self, node: str) -> None:
        """The host dies; the others notice, and one of them takes its groups."""
        host = self.hosts[node]
        if not host.is_alive or sum(each.is_alive for each in self.hosts.values()) < 2:
            return
        host.is_alive = False
        self._lose_calls(host)
        for each in self.hosts.values():
            if each.is_alive:
                self._later(DETECTION_MS + self.random.randrange(60), each.name, PeerFailed(node))
        self._succeed(host, DETECTION_MS + self.random.choice((20, 20, 3000)))

    def crash(self, node: str) -> None:
        """The switch alone dies, and comes back later."""
        host = self.hosts[node]
        if not host.is_alive or not host.is_switch_up:
            return
        host.is_switch_up = False
        self._lose_calls(host)
        self._tell(host, SwitchClosed("end of file"))
        for group in sorted(host.groups):
            self._stream(host, StreamLost(group))
            self._tell(host, GroupLost(group))
        self._succeed(host, 15)
        self._later(RESTART_MS, node, "switch")

    def revive(self, node: str) -> None:
        host = self.hosts[node]
        if host.is_alive:
            return
        fresh = self.hosts[node] = self._host(node, host.incarnation + 1)
        self._begin(fresh)
        for each in self.hosts.values():
            if each.is_alive and each is not fresh:
                self._stream(each, PeerHeard(node))
                self._tell_alive(each)
                fresh.failed.discard(each.name)
        self._due = [due for due in self._due if due[3] != PeerFailed(node)]

    def unlink(self, node: str) -> None:
        """mod_hash loses the connection to us, and has it again later."""
        self.hosts[node].switch.is_linked = False
        self.hosts[node].switch.remote.clear()
        self._later(2 * POLL_MS, node, "link")

    def give(self, group: str, node: str) -> None:
        host = self.hosts[node]
        self.counter += 1
        self.owner[group] = node
        host.groups.add(group)
        self._stream(host, StreamWon(group, self.counter))
        self._tell(host, GroupWon(group, self.counter))
        self._tell(host, GroupOpened(group, self.counter))

    # -- what is so

    def truth(self, name: str) -> int:
        """Sessions that live or will live on."""
        living = sum(call.name == name for host in self.hosts.values() for call in host.switch.calls)
        return living + sum(call.name == name for calls in self.orphans.values() for call in calls)

    def views(self, name: str) -> dict[str, int]:
        """What each switch that is up believes."""
        return {
            host.name: host.switch.sees(name)
            for host in self.hosts.values()
            if host.is_alive and host.is_switch_up and host.switch.is_linked
        }

    def is_told(self, node: str) -> bool:
        """Whether a node has had time to learn what the others use.

        One that came after a death does not know what the dead one used before somebody has adopted it.
        """
        has_missed = self.opened_ms[node] > self.died_ms and (
            bool(self.orphans) or self.now - self.adopted_ms < SETTLED_MS
        )
        return not has_missed and self.now - self.opened_ms[node] >= SETTLED_MS

    def run(self, for_ms: int) -> None:
        until = self.now + for_ms
        while self.now < until:
            self.now += STEP_MS
            self._step()

    # -- inside

    def _host(self, name: str, incarnation: int) -> Host:
        replicator = Replicator(name, incarnation, self.random.randbytes(16))
        groups = tuple(GroupSettings(group) for group in self.groups)
        settings = TelephonySettings(name, groups, rates=self.rates, strict_limits=self.strict)
        self.lives += 1
        switch = Switch(self.lives, self.random.randrange(0, POLL_MS, STEP_MS))
        limits = Limits(settings, Copied(replicator), lambda: self._recovered(name))
        return Host(name, incarnation, replicator, limits, switch)

    def _recovered(self, name: str) -> dict[str, int]:
        found: dict[str, int] = {}
        host = self.hosts[name]
        if not host.is_switch_up:
            return {}
        for call in host.switch.calls:
            if call.is_recovered:
                found[call.name] = found.get(call.name, 0) + 1
        return found

    def _begin(self, host: Host) -> None:
        self.opened_ms[host.name] = self.now
        for name in STREAM_NAMES:
            if name != "limits":
                self._stream(host, StreamLoaded(name))
        self._tell_alive(host)
        self._tell(host, SwitchOpened(f"life-{host.switch.life}", "build", host.name, False))

    def _lose_calls(self, host: Host) -> None:
        if not self.orphans:
            self.died_ms = self.now
        for call in host.switch.calls:
            if call.is_bridged and self.now - call.since_ms >= TRACKED_MS:
                self.orphans.setdefault(call.group, []).append(call)
        host.switch = Switch(host.switch.life, host.switch.phase_ms, is_linked=False)

    def _succeed(self, host: Host, after_ms: int) -> None:
        heirs = [
            each.name
            for each in self.hosts.values()
            if each.is_alive and each.is_switch_up and each is not host
        ]
        if not heirs:
            return
        for group in sorted(host.groups):
            self._later(after_ms, self.random.choice(heirs), group)
        host.groups.clear()

    def _later(self, after_ms: int, node: str, what: object) -> None:
        self._order += 1
        self._due.append((self.now + after_ms, self._order, node, what))

    def _step(self) -> None:
        due = sorted((each for each in self._due if each[0] <= self.now), key=lambda each: each[:2])
        self._due = [each for each in self._due if each[0] > self.now]
        for _, _, node, what in due:
            if self.hosts[node].is_alive:
                self._happen(self.hosts[node], what)
            elif isinstance(what, str) and what in self.groups:
                self._pass_on(what)
        for host in self.hosts.values():
            if host.is_alive:
                self._turn(host)

    def _pass_on(self, group: str) -> None:
        heirs = [each.name for each in self.hosts.values() if each.is_alive and each.is_switch_up]
        if heirs:
            self.give(group, self.random.choice(heirs))
        else:
            self.orphans.pop(group, None)

    def _happen(self, host: Host, what: object) -> None:
        match what:
            case PeerFailed():
                host.failed.add(what.node)
                self._stream(host, what)
                self._tell_alive(host)
            case MessageReceived():
                self._stream(host, what)
            case "switch":
                self.lives += 1
                self.opened_ms[host.name] = self.now
                host.is_switch_up = True
                host.switch = Switch(self.lives, host.switch.phase_ms)
                self._tell(host, SwitchOpened(f"life-{self.lives}", "build", host.name, False))
            case "link":
                host.switch.is_linked = host.is_switch_up
                self.opened_ms[host.name] = self.now
            case str() if host.is_switch_up:
                self.give(what, host.name)
            case str():
                self._pass_on(what)
            case (int(life), SwitchEvent() as happened) if host.switch.life == life and host.is_switch_up:
                self._tell(host, Happened(happened))

    def _turn(self, host: Host) -> None:
        deadline = host.limits.deadline()
        if deadline is not None and deadline <= self.now:
            self._tell(host, Tick())
        if host.replicator.deadline() <= self.now:
            self._stream(host, StreamTick())
        is_polling = host.is_switch_up and host.switch.is_linked
        is_stalled = self.stalls > 0 and self.random.random() < self.stalls
        if is_polling and not is_stalled and self.now % POLL_MS == host.switch.phase_ms:
            text = host.limits.answer()
            assert text
            assert text == NOTHING or text.startswith("L/")
            host.switch.hear(text, (WALL_MS + self.now) // 1000)

    def _tell_alive(self, host: Host) -> None:
        alive = tuple(name for name in self.names if name not in host.failed and name != host.name)
        self._tell(host, PeersChanged(alive))

    def _tell(self, host: Host, event: Event) -> None:
        for action in host.limits.handle(event, Moment(self.now, WALL_MS + self.now)):
            match action:
                case ChangeRecords(name, changes):
                    self._stream(host, RecordsChanged(name, changes))
                case StreamIsWhole(name):
                    self._stream(host, StreamLoaded(name))
                case Run(purpose, command) if host.is_switch_up:
                    self._tell(host, Answered(purpose, self._obey(host, command.name)))

    def _obey(self, host: Host, command: str) -> str:
        if command == "api hash_dump limit":
            return host.switch.dump()
        word, _, rest = command.removeprefix("api ").partition(" ")
        assert word == "global_setvar"
        variable, _, number = rest.partition("=")
        host.variables[variable] = int(number)
        return "+OK"

    def _stream(self, host: Host, event: StreamEvent) -> None:
        for action in host.replicator.handle(event, self.now):
            match action:
                case Publish(message):
                    for each in self.hosts.values():
                        if each is not host:
                            self._send(host.name, each.name, message)
                case Send(node, message):
                    self._send(host.name, node, message)
                case GroupAdopted():
                    self._adopt(host, action)
                    self._tell(host, action)
                case Replicated() | Completed():
                    self._tell(host, action)

    def _adopt(self, host: Host, adopted: GroupAdopted) -> None:
        """What the part for calls does: from here on it counts the calls of that group as recovered."""
        if adopted.name == CALLS:
            self.adopted_ms = self.now
            for call in self.orphans.pop(adopted.group, []):
                call.is_recovered = True
                host.switch.calls.append(call)

    def _send(self, sender: str, node: str, message: Message) -> None:
        takes_ms = self.random.randint(1, 5)
        if self.slow_ms and self.random.random() < 0.05:
            takes_ms += self.random.randrange(self.slow_ms)
        # One connection keeps its order.
        at_ms = max(self.now + takes_ms, self._last.get((sender, node), 0))
        self._last[sender, node] = at_ms
        self._later(at_ms - self.now, node, MessageReceived(message, sender))
