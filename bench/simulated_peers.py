"""The peers of one real daemon, played by one process on the wire: cheap, and true in every byte.

What must hold: the daemon under measurement cannot tell them from nodes. Each has its own address on each
link and its own bus; its beats are sealed with the cluster's key, go out by multicast on every link, by
unicast and on one link's bus as often as a daemon's do, and acknowledge every other node. They found the
cluster together with the daemon, hold all groups but the first, and grant what the daemon claims.
"""

from __future__ import annotations

import gc
import os
import resource
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pyroute2 import IPRoute

from zcluster.adapters.bus import BEAT_TOPIC, Bus, BusKeys
from zcluster.control.document import Document
from zcluster.control.messages import Ack, Beat, Claim, FoundingView, Grant, Report
from zcluster.control.timing import Timing
from zcluster.control.units import NodeState, Pair
from zcluster.errors import KernelRefused
from zcluster.lab.plan import LENGTH_V4, HostPlan, Network, Plan
from zcluster.supervisor.peers import UNICAST_EVERY_BEATS
from zcluster.supervisor.transport import bus_every_beats
from zcluster.wire.beacon import Envelope
from zcluster.wire.codec import BeatDecoder, BeatEncoder
from zcluster.wire.keys import WireKeys

BEACON_PORT, BUS_PORT = 7700, 7701
PRIORITY = 5  # SCHED_RR: below the daemon's, above what loads the machine
LONGEST_LAG_NS = 100_000_000
BUS_CHORES_NS = 20_000_000
LINK_NAMES = {Network.RING1: "ring1", Network.RING2: "ring2", Network.SERVICE: "service"}
FIRST_COUNTER = 1
_SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("qq")
HEARD = struct.Struct("=qq")  # sequence, nanoseconds: one beat of the daemon, as the ear writes it


def group_address(network: Network) -> str:
    """The multicast group that the laboratory's file gives the network."""
    return f"239.77.{'9' if network is Network.SERVICE else network.value[-1]}.1"


@dataclass(slots=True)
class _Peer:
    """One simulated node."""

    plan: HostPlan
    incarnation: int
    base_sequence: int
    holds: str
    sockets: dict[Network, socket.socket]
    bus: Bus | None
    encoder: BeatEncoder = field(default_factory=BeatEncoder)
    report: Report | None = None


class SimulatedPeers:
    """All nodes of `plan` but the first, which is the daemon. `groups[i]` is held by peer i - 1, from the second on."""

    def __init__(self, plan: Plan, keys: WireKeys, timing: Timing, has_bus: bool) -> None:
        self._plan = plan
        self._keys = keys
        self._beat_ns = timing.beat_ms * 1_000_000
        self._bus_every_beats = bus_every_beats(timing)
        self._envelope = Envelope((keys,))
        self._decoder = BeatDecoder()
        self._daemon = plan.nodes[0]
        self._names = tuple(sorted(node.name for node in plan.nodes))
        self._newest: Beat | None = None
        self._bus_connected = False
        self._stage: tuple[object, ...] = ()
        self._ears = [_ear(network) for network in (Network.RING1,)]
        start_ms = time.time_ns() // 1_000_000 - 86_400_000
        holders = {
            node.name: group.name for node, group in zip(plan.nodes[1:], plan.groups[1:], strict=False)
        }
        self._peers = [
            _Peer(
                node,
                start_ms + 7919 * place,
                4_000_000 + 977 * place,
                holders.get(node.name, ""),
                {network: _speaker(node.address(network)) for network in Network},
                self._open_bus(node) if has_bus else None,
            )
            for place, node in enumerate(plan.nodes[1:])
        ]

    def play(self) -> None:
        """Speak until killed, evenly spread over the beat."""
        gc.collect()
        gc.freeze()
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
        gap_ns = self._beat_ns // len(self._peers)
        due_ns = chores_ns = time.monotonic_ns()
        turn = 0
        while True:
            number, tick = turn % len(self._peers), turn // len(self._peers)
            self._hear()
            if self._newest is not None:
                self._speak(self._peers[number], tick, self._newest)
            if time.monotonic_ns() >= chores_ns:
                chores_ns = time.monotonic_ns() + BUS_CHORES_NS
                self._tend_buses()
            turn += 1
            due_ns += gap_ns
            ahead_ns = due_ns - time.monotonic_ns()
            if ahead_ns > 0:
                time.sleep(ahead_ns / 1e9)
            elif ahead_ns < -LONGEST_LAG_NS:
                due_ns = time.monotonic_ns()

    def _hear(self) -> None:
        for ear in self._ears:
            with suppress(BlockingIOError):
                while True:
                    datagram = ear.recv(2048)
                    beat = self._decoder.decode(self._envelope.open(datagram))
                    if beat.node == self._daemon.name:
                        self._newest = beat

    def _speak(self, peer: _Peer, tick: int, heard: Beat) -> None:
        report = self._report(peer, heard)
        sequence = peer.base_sequence + tick
        acks = {
            other.plan.name: Ack(other.incarnation, other.base_sequence + tick - 1, self._pairs(other, heard))
            for other in self._peers
            if other is not peer
        }
        claims = heard.report.claims if heard.report.cluster_id else ()
        granted = tuple(Pair(claim.group, claim.counter) for claim in claims)
        acks[heard.node] = Ack(heard.incarnation, heard.sequence, granted)
        beat = Beat(peer.plan.name, peer.incarnation, sequence, acks, report)
        datagram = self._envelope.seal(peer.encoder.encode(beat))
        for network, speaker in peer.sockets.items():
            with suppress(BlockingIOError):
                speaker.sendto(datagram, (group_address(network), BEACON_PORT))
                if sequence % UNICAST_EVERY_BEATS == 0:
                    speaker.sendto(datagram, (self._daemon.address(network), BEACON_PORT))
        turn, rest = divmod(sequence, self._bus_every_beats)
        if peer.bus is not None and not rest:
            links = tuple(LINK_NAMES.values())
            peer.bus.publish(BEAT_TOPIC + peer.plan.name.encode(), datagram, links[turn % len(links)])

    def _pairs(self, peer: _Peer, heard: Beat) -> tuple[Pair, ...]:
        return (Pair(peer.holds, FIRST_COUNTER),) if peer.holds and heard.report.cluster_id else ()

    def _report(self, peer: _Peer, heard: Beat) -> Report:
        """The slow part: the same object while the daemon's says the same."""
        theirs = heard.report
        stage = (heard.incarnation, theirs.cluster_id, theirs.founding, theirs.claims, theirs.settings_digest)
        if stage != self._stage:
            self._stage = stage
            for each in self._peers:
                each.report = None
        if peer.report is None:
            peer.report = self._made_report(peer, heard)
        return peer.report

    def _made_report(self, peer: _Peer, heard: Beat) -> Report:
        theirs = heard.report
        cluster_id = f"{self._names[0]}-{heard.incarnation:x}"
        view = FoundingView(cluster_id, self._names, False)
        is_agreed = theirs.founding is not None and theirs.founding.names == self._names
        is_founded = bool(theirs.cluster_id)
        grants = {other.holds: (FIRST_COUNTER, other.plan.name) for other in self._peers if other.holds}
        grants |= {claim.group: (claim.counter, heard.node) for claim in theirs.claims}
        return Report(
            cluster_id=cluster_id if is_founded else "",
            generation=1 if is_founded else 0,
            state=self._state(peer, is_founded),
            claims=(Claim(peer.holds, FIRST_COUNTER, True),) if is_founded and peer.holds else (),
            grants=tuple(Grant(group, *ballot, True) for group, ballot in sorted(grants.items()))
            if is_founded
            else (),
            releases=(),
            asks=(),
            unready=(),
            macs=tuple(f"52:54:{place:02x}:12:34:{peer.plan.number:02x}" for place in range(3)),
            founding=None if is_founded else view._replace(is_accepted=is_agreed),
            document=Document(cluster_id, 1, self._names) if is_founded and not theirs.generation else None,
            version="0.1.0",
            settings_digest=theirs.settings_digest,
            floor=0,
            ceiling=64,
            stored_generation=1 if is_founded else 0,
        )

    def _state(self, peer: _Peer, is_founded: bool) -> NodeState:
        if not is_founded:
            return NodeState.STARTING
        return NodeState.MASTER if peer.holds else NodeState.SLAVE

    # ---- the bus

    def _open_bus(self, node: HostPlan) -> Bus:
        keys = self._keys
        bus = Bus(BusKeys(keys.server, keys.client))
        for network, link in LINK_NAMES.items():
            bus.open_link(link, node.address(network), BUS_PORT)
        return bus

    def _tend_buses(self) -> None:
        """Admit the daemon, subscribe to it once it was heard, and read what it says there."""
        for peer in self._peers:
            if peer.bus is None:
                return
            with suppress(KernelRefused):
                if not self._bus_connected and self._newest is not None:
                    for network, link in LINK_NAMES.items():
                        peer.bus.connect(link, self._daemon.address(network), BUS_PORT)
                peer.bus.receive(64)
        self._bus_connected = self._newest is not None


def listen_to_daemon(keys: WireKeys, name: str, record: str) -> None:
    """Append (sequence, kernel's time stamp in ns) of each beat of the node `name` to a file, until killed."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
    envelope, decoder = Envelope((keys,)), BeatDecoder()
    ear = _ear(Network.RING2)
    ear.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    ear.setblocking(True)
    heard = 0
    with open(record, "ab", buffering=0) as written:
        while True:
            datagram, ancillary, _, _ = ear.recvmsg(2048, 64)
            seconds, nanoseconds = _STAMP.unpack(ancillary[0][2])
            beat = decoder.decode(envelope.open(datagram))
            if beat.node == name and beat.sequence > heard:
                heard = beat.sequence
                written.write(HEARD.pack(heard, seconds * 1_000_000_000 + nanoseconds))


def add_addresses(nodes: Sequence[HostPlan]) -> None:
    """Give the host in whose namespace the caller is the addresses of all these nodes, on every network."""
    with IPRoute() as netlink:
        for network in Network:
            index = netlink.link_lookup(ifname=network.value)[0]
            for node in nodes:
                netlink.addr("add", index=index, address=node.address(network), prefixlen=LENGTH_V4)


def peers_work(plan: Plan, keys: WireKeys, timing: Timing, has_bus: bool) -> Callable[[], None]:
    """What the simulating process does."""

    def work() -> None:
        _most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        add_addresses(plan.nodes[1:])
        SimulatedPeers(plan, keys, timing, has_bus).play()

    return work


def _speaker(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # what the daemon sends us is heard by the ear
    made.bind((address, BEACON_PORT))
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    return made


def _ear(network: Network) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((group_address(network), BEACON_PORT))
    membership = socket.inet_aton(group_address(network)) + struct.pack(
        "4si", b"\0\0\0\0", socket.if_nametoindex(network.value)
    )
    made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    return made
