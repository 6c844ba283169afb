"""The bus of the streams: batches and digests to everybody (PUB), requests and their answers to one node (PUSH).

What must hold: nothing here blocks; what a slow peer does not take is dropped, and found by its sequence. Each link
has its own PUB and, one port above, its own PULL; each peer has its own SUB and PUSH, on one link at a time, so that
no peer's flood takes another's room. A peer that is silent on its link is sought on the next one. Members of the
cluster alone may send and subscribe. Heartbeats have sockets of their own, elsewhere.

Frames: `zc1.<stream>.<node>` and a body on PUB; the sender's name and a body on PUSH. `zc1.alive.<node>` is a sign
of life where nothing else was said. A name is as good as the cluster's key: who has it may say any.
"""

from __future__ import annotations

import select
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import zmq

from zcluster.adapters.bus import BusKeys
from zcluster.adapters.stream_sockets import MAX_FRAME_BYTES, LinkAddress, Socket, StreamSockets
from zcluster.errors import LinkBroken

TOPIC = "zc1"
ALIVE = "alive"
MESSAGE_FRAMES = 2
MAX_SENDER_BYTES = 64
MAX_PEERS = 128

ALIVE_MS = 200
SILENCE_MS = 700
# A handshake takes its time on a busy host: each further try is given twice as long.
LONGEST_PATIENCE_MS = 8 * SILENCE_MS
REOPEN_MS = 1000
STALL_MS = 50

_PREFIX = TOPIC.encode() + b"."
_READABLE = int(zmq.POLLIN)


class PeerAddress(NamedTuple):
    """Where a living peer is reached: address by link. A new `incarnation` is connected to anew."""

    node: str
    incarnation: int
    addresses: Mapping[str, str]


class Received(NamedTuple):
    """A message of `sender`, as it came."""

    sender: str
    body: bytes


@dataclass(slots=True)
class _Own:
    """One of our links; no sockets while its address is not there."""

    place: LinkAddress
    publisher: Socket | None = None
    puller: Socket | None = None
    problem: str = ""


@dataclass(slots=True)
class _Peer:
    """A peer, and the one way on which it is heard and spoken to."""

    address: PeerAddress
    link: str = ""
    subscriber: Socket | None = None
    pusher: Socket | None = None
    heard_ms: int = 0
    patience_ms: int = SILENCE_MS


@dataclass(slots=True)
class _Intake:
    """A socket that is read from: `peer` is "" for what several may send to."""

    socket: Socket
    peer: str


class StreamBus:
    """All stream sockets of one process. `run` must be called at `deadline`, and once before anything else."""

    def __init__(self, node: str, keys: BusKeys, links: tuple[LinkAddress, ...]) -> None:
        self.counts: Counter[str] = Counter()
        self._node = node.encode("ascii")
        self._sockets = StreamSockets(keys)
        self._own = {place.link: _Own(place) for place in links}
        self._peers: dict[str, _Peer] = {}
        self._poll = select.epoll()
        self._intakes: dict[int, _Intake] = {}
        # What may have something to read. A socket leaves it only when it said that it has nothing.
        self._pending: deque[int] = deque()
        self._is_pending: set[int] = set()
        for admission in self._sockets.admissions:
            self._poll.register(admission.socket.fileno(), select.EPOLLIN)
        self._alive_topic = f"{TOPIC}.{ALIVE}.{node}".encode("ascii")
        self._alive_ms = 0
        self._reopen_ms = 0

    # -- who and where

    def fileno(self) -> int:
        """A descriptor that is readable when `receive` has something to do; see `has_more`."""
        return self._poll.fileno()

    @property
    def has_more(self) -> bool:
        """Whether `receive` left something: then do not wait."""
        return bool(self._pending)

    @property
    def links(self) -> tuple[str, ...]:
        """Our own links that are open now."""
        return tuple(name for name, own in self._own.items() if own.publisher is not None)

    def problems(self) -> dict[str, str]:
        """Why each of our links that is not open is not."""
        return {name: own.problem for name, own in self._own.items() if own.problem}

    def paths(self) -> dict[str, str]:
        """The link on which each peer is heard and spoken to, "" for one that cannot be reached."""
        return {name: peer.link for name, peer in self._peers.items()}

    def set_peers(self, peers: tuple[PeerAddress, ...], now_ms: int) -> list[str]:
        """These live now; the nodes that are spoken to another way than before."""
        wanted = {each.node: each for each in peers[:MAX_PEERS]}
        for name in [name for name in self._peers if name not in wanted]:
            self._leave(self._peers.pop(name))
        moved = []
        for name, address in wanted.items():
            peer = self._peers.get(name)
            if peer is None:
                peer = self._peers[name] = _Peer(address)
            is_same_life = peer.address.incarnation == address.incarnation
            before = peer.address.addresses.get(peer.link)
            peer.address = address
            if not peer.link or not is_same_life or address.addresses.get(peer.link) != before:
                peer.patience_ms = SILENCE_MS
                if self._go(peer, self._usable(peer)[:1], now_ms):
                    moved.append(name)
        return moved

    # -- time

    def deadline(self) -> int:
        """When `run` is due."""
        times = [self._alive_ms]
        times += [peer.heard_ms + peer.patience_ms for peer in self._peers.values() if peer.link]
        if self._problem_is_there():
            times.append(self._reopen_ms)
        return min(times)

    def run(self, now_ms: int) -> list[str]:
        """Open what is not open, give a sign of life, leave silent ways; the nodes that moved to another one."""
        late_ms = now_ms - self.deadline()
        if late_ms > STALL_MS:
            # We stood still, and nobody is silent because of that.
            for peer in self._peers.values():
                peer.heard_ms += late_ms
        if now_ms >= self._reopen_ms and self._problem_is_there():
            self._reopen_ms = now_ms + REOPEN_MS
            self._open_links()
        moved = [name for name, peer in self._peers.items() if self._seek(peer, now_ms)]
        if now_ms >= self._alive_ms:
            self._alive_ms = now_ms + ALIVE_MS
            self._broadcast(self._alive_topic, b"")
        return moved

    def _problem_is_there(self) -> bool:
        return any(own.publisher is None for own in self._own.values())

    def _seek(self, peer: _Peer, now_ms: int) -> bool:
        """Leave a way that is silent for the next one, or begin anew on the only one there is."""
        if not peer.link:
            return self._go(peer, self._usable(peer)[:1], now_ms)
        if now_ms - peer.heard_ms < peer.patience_ms:
            return False
        self.counts["silences"] += 1
        usable = self._usable(peer)
        at = usable.index(peer.link) + 1 if peer.link in usable else 0
        patience_ms = min(2 * peer.patience_ms, LONGEST_PATIENCE_MS)
        has_moved = self._go(peer, (usable[at:] + usable[:at])[:1], now_ms)
        peer.patience_ms = patience_ms
        return has_moved

    def _usable(self, peer: _Peer) -> list[str]:
        """The links that both have, ours first opened first."""
        return [name for name in self.links if name in peer.address.addresses]

    # -- out

    def publish(self, stream: str, body: bytes) -> None:
        """Send to all who subscribed. Who lags misses it."""
        assert len(body) <= MAX_FRAME_BYTES, "what no peer would take"
        self._broadcast(b"%s.%s.%s" % (TOPIC.encode(), stream.encode("ascii"), self._node), body)

    def send(self, node: str, body: bytes) -> bool:
        """Send to one node; False when it could not be taken, which is nobody's failure."""
        assert len(body) <= MAX_FRAME_BYTES, "what no peer would take"
        peer = self._peers.get(node)
        if peer is None or peer.pusher is None:
            self.counts["unsent"] += 1
            return False
        # Asking makes libzmq look at what the other side has taken: see Bus.publish.
        if not int(peer.pusher.get(zmq.EVENTS)) & int(zmq.POLLOUT):
            self.counts["unsent"] += 1
            return False
        peer.pusher.send(self._node, zmq.NOBLOCK | zmq.SNDMORE)
        peer.pusher.send(body, zmq.NOBLOCK, copy=False)
        return True

    def _broadcast(self, topic: bytes, body: bytes) -> None:
        for own in self._own.values():
            if own.publisher is not None:
                own.publisher.get(zmq.EVENTS)
                own.publisher.send(topic, zmq.NOBLOCK | zmq.SNDMORE)
                own.publisher.send(body, zmq.NOBLOCK, copy=False)

    # -- in

    def receive(self, limit: int, now_ms: int) -> list[Received]:
        """Up to `limit` messages, from all in turn. Call it while it returns something or `has_more`."""
        for admission in self._sockets.admissions:
            admission.answer()
        self.counts["refused"] = sum(admission.refused for admission in self._sockets.admissions)
        for descriptor, _ in self._poll.poll(0):
            self._stir(descriptor)
        received: list[Received] = []
        share = max(1, limit // max(1, len(self._pending)))
        for _ in range(len(self._pending)):
            descriptor = self._pending.popleft()
            self._is_pending.discard(descriptor)
            intake = self._intakes.get(descriptor)
            if intake is not None and not self._drain(intake, share, now_ms, received):
                self._stir(descriptor)
            if len(received) >= limit:
                break
        return received

    def _stir(self, descriptor: int) -> None:
        if descriptor in self._intakes and descriptor not in self._is_pending:
            self._is_pending.add(descriptor)
            self._pending.append(descriptor)

    def _drain(self, intake: _Intake, limit: int, now_ms: int, received: list[Received]) -> bool:
        """Whether the socket said that it has no more."""
        for _ in range(limit):
            if not int(intake.socket.get(zmq.EVENTS)) & _READABLE:
                return True
            frames = intake.socket.recv_multipart(zmq.NOBLOCK)
            sender = self._sender(intake, frames)
            if sender is None:
                continue
            peer = self._peers.get(sender)
            if peer is None:
                self.counts["stranger"] += 1
                continue
            if intake.peer:
                peer.heard_ms = max(peer.heard_ms, now_ms)
                peer.patience_ms = SILENCE_MS
            if frames[1]:
                received.append(Received(sender, frames[1]))
        return False

    def _sender(self, intake: _Intake, frames: list[bytes]) -> str | None:
        if len(frames) != MESSAGE_FRAMES:
            self.counts["frames"] += 1
            return None
        if intake.peer:
            words = frames[0].split(b".", 2)
            if len(words) == 3 and words[2] == intake.peer.encode("ascii"):
                return intake.peer
        elif len(frames[0]) <= MAX_SENDER_BYTES and frames[0].isascii():
            return frames[0].decode("ascii")
        self.counts["name"] += 1
        return None

    # -- sockets

    def _open_links(self) -> None:
        for own in self._own.values():
            if own.publisher is None:
                self._open(own)

    def _open(self, own: _Own) -> None:
        try:
            own.publisher, own.puller = self._sockets.listen(own.place)
        except LinkBroken as problem:
            own.problem = str(problem)
            return
        own.problem = ""
        self._watch(own.puller, "")

    def _go(self, peer: _Peer, links: list[str], now_ms: int) -> bool:
        """Speak to a peer on that link from now on, with fresh sockets; whether there is such a way."""
        self._leave(peer)
        peer.heard_ms = now_ms
        if not links:
            return False
        peer.link = links[0]
        address = peer.address.addresses[peer.link]
        try:
            peer.subscriber, peer.pusher = self._sockets.call(self._own[peer.link].place, address, _PREFIX)
        except LinkBroken:
            # Tried again in the next run.
            peer.link = ""
            self.counts["unconnectable"] += 1
            return False
        self._watch(peer.subscriber, peer.address.node)
        return True

    def _leave(self, peer: _Peer) -> None:
        for socket in (peer.subscriber, peer.pusher):
            if socket is not None:
                self._unwatch(socket)
                socket.close()
        peer.subscriber = peer.pusher = None
        peer.link = ""

    def _watch(self, socket: Socket, peer: str) -> None:
        descriptor = int(socket.fileno())
        self._intakes[descriptor] = _Intake(socket, peer)
        self._poll.register(descriptor, select.EPOLLIN)
        # Binding and connecting may have swallowed the sign that something came.
        self._stir(descriptor)

    def _unwatch(self, socket: Socket) -> None:
        descriptor = int(socket.fileno())
        if self._intakes.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def close(self) -> None:
        """Drop everything at once."""
        for peer in self._peers.values():
            self._leave(peer)
        for own in self._own.values():
            for socket in (own.publisher, own.puller):
                if socket is not None:
                    self._unwatch(socket)
                    socket.close()
        self._poll.close()
        self._sockets.close()
