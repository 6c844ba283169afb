"""Nodes with their switches and phones: registrations go around, groups change hands, switches restart.

Records reach the other nodes in order but at any time; a claim is known to all at once (races of claims are the
streams' own tests). Time stands still unless `wait` moves it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from zlib import crc32

from tests.telephony.sofia_twin import MARGIN_S, Row, Switch, destination
from zcluster.control.units import GroupName, NodeName
from zcluster.streams.actions import GroupAdopted, Replicated
from zcluster.streams.tables import Entry
from zcluster.streams.units import (
    BUCKETS,
    MARK_BYTES,
    REGISTRATIONS,
    Key,
    StreamId,
    group_of,
)
from zcluster.telephony.actions import ChangeRecords, Run, StreamIsWhole
from zcluster.telephony.events import (
    Answered,
    Event,
    GroupLost,
    GroupWon,
    Happened,
    Moment,
    PeersChanged,
    SwitchClosed,
    SwitchOpened,
    Tick,
)
from zcluster.telephony.registration_audit import FORGET_TURN_MS
from zcluster.telephony.registration_contact import COPY_NAME
from zcluster.telephony.registrations import Registrations
from zcluster.telephony.settings import GroupSettings, TelephonySettings

DOMAIN = "lab.test"
MARK = bytes(MARK_BYTES)
# Longer than anything waits: what a profile on standby has is looked at after ten seconds, then once more.
SETTLED_MS = 25_000
# Who looks for records that ended unseen has looked at all of them.
AUDITED_MS = BUCKETS * FORGET_TURN_MS + SETTLED_MS
# Nobody is in a hurry here: fewer, larger steps make a test short.
STEP_MS = 100


@dataclass(slots=True)
class View:
    """What one node knows of the records, its own writing included."""

    node: NodeName
    writers: dict[bytes, StreamId] = field(default_factory=dict)
    records: dict[Key, bytes] = field(default_factory=dict)

    def entries(self, name: str) -> Iterator[Entry]:
        for key, record in self.records.items():
            yield Entry(self.writers[group_of(key)], key, record, False)

    def get(self, name: str, key: Key) -> Entry | None:
        record = self.records.get(key)
        return None if record is None else Entry(self.writers[group_of(key)], key, record, False)

    def bucket(self, name: str, place: int) -> list[Entry]:
        return [entry for entry in self.entries(name) if crc32(entry.key) % BUCKETS == place]


@dataclass(slots=True)
class Node:
    name: NodeName
    switch: Switch
    view: View
    part: Registrations
    is_connected: bool = False
    news: deque[tuple[StreamId, tuple[bytes | None, ...]]] = field(default_factory=deque)
    changes: int = 0
    orders: int = 0
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Phone:
    """`is_hidden`: behind a NAT, so only who it registered with reaches it."""

    user: str
    group: GroupName
    number: int
    is_hidden: bool

    @property
    def ip(self) -> str:
        return f"10.9.0.{self.number}"

    def row(self, call_id: str) -> Row:
        if self.is_hidden:
            path = f"sip%3A{self.user}%40{self.ip}%3A40000"
            contact = f'"" <sip:{self.user}@192.168.1.5:5060;fs_nat=yes;fs_path={path}>'
            return Row(
                call_id, self.user, DOMAIN, contact, 0, "Registered(UDP-NAT)", "", "", network_ip=self.ip
            )
        contact = f'"{self.user}" <sip:{self.user}@{self.ip}:5060>'
        return Row(call_id, self.user, DOMAIN, contact, 0, "Registered(UDP)", "", "", network_ip=self.ip)


class World:
    def __init__(self, nodes: int, groups: int, is_multiple: bool = True) -> None:
        self.wall_s, self.mono_ms, self.counter = 1_790_000_000, 1_000, 0
        self.addresses = {f"10.77.9.{101 + each}:5060": f"g{each}" for each in range(groups)}
        self.settings = tuple(
            GroupSettings(group, (f"p{group}",), (address.split(":")[0],))
            for address, group in self.addresses.items()
        )
        urls = {f"p{group}": address for address, group in self.addresses.items()}
        self.holders: dict[GroupName, Node] = {}
        self.nodes: dict[NodeName, Node] = {}
        self.bindings: dict[Phone, str] = {}
        self.is_multiple = is_multiple
        # What should be callable: phone and Call-ID, and until when.
        self.live: dict[tuple[Phone, str], int] = {}
        for number in range(nodes):
            name = f"n{number}"
            view = View(name)
            part = Registrations(TelephonySettings(name, self.settings), view)
            switch = Switch(f"fs-{name}", urls, is_multiple)
            switch.now_s = self.wall_s
            self.nodes[name] = Node(name, switch, view, part)
        for node in self.nodes.values():
            self.tell(node, PeersChanged(()))
            self.connect(node, is_same_life=False)
        for each in range(groups):
            self.move(f"g{each}", f"n{each % nodes}")
        self.settle()

    @property
    def now(self) -> Moment:
        return Moment(self.mono_ms, self.wall_s * 1000)

    # -- events

    def tell(self, node: Node, event: Event) -> None:
        work: deque[Event] = deque([event])
        while work:
            for action in node.part.handle(work.popleft(), self.now):
                match action:
                    case ChangeRecords(_, changes):
                        self.change(node, changes)
                    case Run(purpose, command):
                        node.orders += 1
                        work.append(Answered(purpose, node.switch.perform(command)))
                    case StreamIsWhole():
                        node.is_whole = True

    def change(self, node: Node, changes: tuple[tuple[bytes, bytes | None], ...]) -> None:
        for key, body in changes:
            holder = self.holders.get(group_of(key).decode())
            assert holder is node, "a record of a group that is not ours"
            node.changes += 1
            record = None if body is None else MARK + body
            self.apply(node, StreamId(node.name, 1, REGISTRATIONS), key, record)
            for other in self.nodes.values():
                if other is not node:
                    other.news.append((StreamId(node.name, 1, REGISTRATIONS), (key, record)))

    def apply(self, node: Node, stream: StreamId, key: Key | None, record: bytes | None) -> None:
        """What the node knows from now on."""
        assert key is not None
        if record is None:
            node.view.records.pop(key, None)
        else:
            node.view.records[key] = record
            node.view.writers[group_of(key)] = stream

    def deliver(self, node: Node) -> None:
        """What the others wrote arrives."""
        while node.news:
            stream, changes = node.news.popleft()
            holder = self.holders.get(group_of(changes[0] or b"").decode())
            if holder is not node:
                self.apply(node, stream, *changes)
                self.tell(node, Replicated(stream, changes))

    def hear(self, node: Node) -> None:
        """What the switch fired arrives."""
        fired, node.switch.fired = node.switch.fired, []
        if node.is_connected:
            for event in fired:
                self.tell(node, Happened(event))

    # -- what may happen

    def register(self, phone: Phone, is_new_call: bool, expires_s: int = 600) -> None:
        holder = self.holders[phone.group]
        if is_new_call or phone not in self.bindings:
            self.counter += 1
            self.bindings[phone] = f"call-{phone.user}-{phone.number}-{self.counter}"
        call_id = self.bindings[phone]
        assert holder.switch.register(f"p{phone.group}", phone.row(call_id), expires_s)
        self._replace(phone, call_id)
        self.live[phone, call_id] = self.wall_s + expires_s + MARGIN_S
        self.hear(holder)

    def unregister(self, phone: Phone) -> None:
        call_id = self.bindings.pop(phone, None)
        if call_id is not None:
            holder = self.holders[phone.group]
            holder.switch.unregister(f"p{phone.group}", phone.user, DOMAIN, call_id)
            self._replace(phone, call_id)
            self.hear(holder)

    def _replace(self, phone: Phone, call_id: str) -> None:
        """What a REGISTER replaces in the switch's table."""
        for other, its_call_id in list(self.live):
            is_same_user = not self.is_multiple and (other.user, other.group) == (phone.user, phone.group)
            if is_same_user or its_call_id == call_id:
                del self.live[other, its_call_id]

    def move(self, group: GroupName, name: NodeName) -> None:
        """The group changes hands: the new master has all that the old one wrote."""
        new, old = self.nodes[name], self.holders.get(group)
        if new is old:
            return
        self.counter += 1
        if old is not None:
            self.deliver(new)
            old.switch.profiles[f"p{group}"].is_standby = True
            self.holders[group] = new
            self.tell(old, GroupLost(group))
        self.holders[group] = new
        self.tell(new, GroupWon(group, self.counter))
        for node in self.nodes.values():
            self.deliver(node)
            node.view.writers[group.encode()] = StreamId(name, 1, REGISTRATIONS)
        new.switch.profiles[f"p{group}"].is_standby = False
        self.tell(new, GroupAdopted(REGISTRATIONS, group, self.counter, None, 0))

    def connect(self, node: Node, is_same_life: bool) -> None:
        if node.is_connected:
            self.tell(node, SwitchClosed("lost"))
        node.is_connected = True
        node.is_whole = False
        self.tell(node, SwitchOpened(f"core-{node.name}", "1.11", node.switch.name, is_same_life))

    def disconnect(self, node: Node) -> None:
        if node.is_connected:
            node.is_connected = False
            self.tell(node, SwitchClosed("lost"))

    def begin_process(self, node: Node) -> None:
        """The data process dies and comes again beside its switch; it is told what the node holds."""
        node.is_connected = False
        node.part = Registrations(TelephonySettings(node.name, self.settings), node.view)
        self.tell(node, PeersChanged(()))
        for group, holder in self.holders.items():
            if holder is node:
                self.tell(node, GroupWon(group, self.counter))
                self.tell(node, GroupAdopted(REGISTRATIONS, group, self.counter, None, 0))

    def restart(self, node: Node) -> None:
        """The switch dies and comes again; its groups go to another node first."""
        others = [each for each in self.nodes.values() if each is not node]
        self.disconnect(node)
        for group, holder in list(self.holders.items()):
            if holder is node:
                self.move(group, others[0].name)
        node.switch.restart()
        self.connect(node, is_same_life=False)

    def wait(self, seconds: int) -> None:
        for _ in range(seconds // 10):
            self.wall_s += 10
            self.mono_ms += 10_000
            for node in self.nodes.values():
                node.switch.pass_time(self.wall_s)
                self.hear(node)
                self.tell(node, Tick())

    def settle(self, ms: int = SETTLED_MS) -> None:
        """Everything arrives and everything that is due is done."""
        end_ms = self.mono_ms + ms
        while self.mono_ms < end_ms:
            for node in self.nodes.values():
                self.deliver(node)
                self.hear(node)
            dues = [node.part.deadline() for node in self.nodes.values()]
            known = [due_ms for due_ms in dues if due_ms is not None]
            self.mono_ms = max(self.mono_ms + STEP_MS, min([*known, end_ms]))
            for node, due_ms in zip(self.nodes.values(), dues, strict=True):
                if due_ms is not None and due_ms <= self.mono_ms:
                    self.tell(node, Tick())

    # -- what must hold

    def reached(self, node: Node, user: str) -> list[str]:
        """Whom a call to this user rings, as the addresses of phones; "standby" where a call would fail."""
        found = []
        for profile, row in node.switch.contacts(user, DOMAIN):
            if node.switch.profiles[profile].is_standby:
                found.append("standby")
                continue
            request, route = destination(row.contact)
            if route.startswith("sip:10.77.9."):
                found += self._through(route, request)
            else:
                found.append(row.network_ip)
        return sorted(found)

    def _through(self, route: str, request: str) -> list[str]:
        """The holder's dialplan: what it has of the address of record, but for contacts with our display name."""
        group = self.addresses[route.removeprefix("sip:").removesuffix(";lr")]
        user = request.removeprefix("sip:").split("@")[0]
        rows = self.holders[group].switch.profiles[f"p{group}"].rows
        return [row.network_ip for row in rows if row.user == user and COPY_NAME not in row.contact]

    def registered(self, user: str) -> list[str]:
        """The phones of this user that registered and neither unregistered nor expired since."""
        return sorted(
            phone.ip
            for (phone, _), until_s in self.live.items()
            if phone.user == user and until_s > self.wall_s
        )
