"""The ZeroMQ bus: one PUB and one SUB socket for each link, CURVE on all of them.

What must hold: nothing here blocks and no thread of ours is started (libzmq has one for its I/O). A slow
or dead subscriber costs a short queue and then loses messages; it delays nobody. The readable descriptors
are edge-triggered (zmq_getsockopt(3), ZMQ_FD): connecting and sending may swallow an edge, so `receive`
must be called before every wait, and again while it returns anything. Members alone are let in: libzmq reads a
subscriber's subscriptions in the thread that publishes, without a bound in number or time, so that whoever is admitted
could hold up the loop for seconds (docs/decisions/0590).

A message has two frames, topic and body: `zc1.beat.<node>` carries a sealed beat, `zc1.story.<node>`
MessagePack for the other nodes.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import zmq

from zcluster.adapters.admission import DOMAIN, Admission, is_readable
from zcluster.errors import LinkBroken

BEAT_TOPIC = b"zc1.beat."
STORY_TOPIC = b"zc1.story."

SEND_QUEUE_MESSAGES = 64
RECEIVE_QUEUE_MESSAGES = 256
MAX_FRAME_BYTES = 64 * 1024
KERNEL_BUFFER_BYTES = 128 * 1024
RECONNECT_MS = 50
RECONNECT_MAX_MS = 500
CONNECT_TIMEOUT_MS = 1000
HANDSHAKE_MS = 2000
# For connections on which nothing is said. A dead one that is used is ended by UNACKNOWLEDGED_MS at the one that
# sends, and missed by the other (`Peers.deaf_on_bus`); with twenty nodes pings every two seconds cost 0.5 % of a core.
HEARTBEAT_MS = 10_000
HEARTBEAT_TIMEOUT_MS = 20_000
UNACKNOWLEDGED_MS = 2000
CLASS_SELECTOR_6 = 0xC0
MESSAGE_FRAMES = 2

# What both kinds of socket share. MAXMSGSIZE bounds one frame: a longer one ends the connection.
_COMMON_OPTIONS = {
    zmq.LINGER: 0,
    zmq.MAXMSGSIZE: MAX_FRAME_BYTES,
    zmq.SNDHWM: SEND_QUEUE_MESSAGES,
    zmq.RCVHWM: RECEIVE_QUEUE_MESSAGES,
    zmq.SNDBUF: KERNEL_BUFFER_BYTES,
    zmq.RCVBUF: KERNEL_BUFFER_BYTES,
    zmq.HANDSHAKE_IVL: HANDSHAKE_MS,
    zmq.HEARTBEAT_IVL: HEARTBEAT_MS,
    zmq.HEARTBEAT_TIMEOUT: HEARTBEAT_TIMEOUT_MS,
    zmq.TCP_MAXRT: UNACKNOWLEDGED_MS,
    zmq.TOS: CLASS_SELECTOR_6,
}
_SUBSCRIBER_OPTIONS = {
    zmq.IMMEDIATE: 1,
    zmq.RECONNECT_IVL: RECONNECT_MS,
    zmq.RECONNECT_IVL_MAX: RECONNECT_MAX_MS,
    zmq.CONNECT_TIMEOUT: CONNECT_TIMEOUT_MS,
}

Socket = zmq.Socket[bytes]


class BusKeys(NamedTuple):
    """CURVE keys in Z85, each pair (public, secret). Who has the client's is a member, and nobody else is let in."""

    server: tuple[bytes, bytes]
    client: tuple[bytes, bytes]


class _OpenLink(NamedTuple):
    address: str
    publisher: Socket
    subscriber: Socket


class Bus:
    """All bus sockets of one process. `topics` are the prefixes that it subscribes to."""

    def __init__(self, keys: BusKeys, topics: Sequence[bytes] = (BEAT_TOPIC, STORY_TOPIC)) -> None:
        self.counts: Counter[str] = Counter()
        self._keys = keys
        self._topics = tuple(topics)
        self._context: zmq.Context[Socket] = zmq.Context(1)
        self._admission = Admission(self._context, (keys.client[0],))
        self._links: dict[str, _OpenLink] = {}

    def filenos(self) -> tuple[int, ...]:
        """What to wait on for reading; edge-triggered. It changes with `open_link` and `close_link`."""
        subscribers = (link.subscriber.fileno() for link in self._links.values())
        return (self._admission.socket.fileno(), *subscribers)

    def sources(self) -> tuple[tuple[int, str], ...]:
        """The same descriptors, each with its link, or "" for that of newcomers: see `receive_from`."""
        subscribers = ((link.subscriber.fileno(), name) for name, link in self._links.items())
        return ((self._admission.socket.fileno(), ""), *subscribers)

    def open_link(self, link: str, address: str, port: int) -> None:
        """Publishes on `address`:`port` and makes ready to subscribe from `address`.

        Raises LinkBroken when the address is not there, or the port still taken: libzmq frees it a moment
        after `close_link`, so try again later.
        """
        assert link not in self._links, f"link {link} is open already"
        publisher = self._socket(zmq.PUB, {zmq.IPV6: int(":" in address)})
        publisher.curve_server = True
        publisher.zap_domain = DOMAIN
        publisher.curve_publickey, publisher.curve_secretkey = self._keys.server
        try:
            publisher.bind(f"tcp://{_host(address)}:{port}")
        except zmq.ZMQError as problem:
            publisher.close()
            raise LinkBroken(f"{link}: cannot publish on {address} port {port}: {problem}") from problem
        self._links[link] = _OpenLink(address, publisher, self._subscriber(address))

    def close_link(self, link: str) -> None:
        """Drops the link's sockets and all connections on it. Nothing happens when it is not open."""
        opened = self._links.pop(link, None)
        if opened is not None:
            opened.publisher.close()
            opened.subscriber.close()

    def connect(self, link: str, address: str, port: int) -> None:
        """Subscribes to the peer's publisher; libzmq connects again when the connection is lost.

        Not so after something malformed was read from it: libzmq then gives the endpoint up for good
        (libzmq issue 4196). So call `reconnect` when a peer is silent here and heard elsewhere.
        """
        opened = self._links[link]
        opened.subscriber.connect(_endpoint(opened.address, address, port))

    def disconnect(self, link: str, address: str, port: int) -> None:
        """Ends what `connect` began. Nothing happens when it was not connected."""
        opened = self._links[link]
        try:
            opened.subscriber.disconnect(_endpoint(opened.address, address, port))
        except zmq.ZMQError as problem:
            if problem.errno != errno.ENOENT:
                raise LinkBroken(f"{link}: cannot disconnect from {address}: {problem}") from problem

    def reconnect(self, link: str, address: str, port: int) -> None:
        """Drops the connection to the peer, if any, and begins anew."""
        self.disconnect(link, address, port)
        self.connect(link, address, port)

    def publish(self, topic: bytes, body: bytes, only: str = "") -> None:
        """Sends on every open link, or only on that one. Who lags misses it: PUB never waits."""
        for link, opened in self._links.items():
            if only and link != only:
                continue
            # Asking makes libzmq look at what subscribers have taken: sending alone looks once a
            # millisecond and drops the rest of a short burst as if their queues were full (measured).
            opened.publisher.get(zmq.EVENTS)
            opened.publisher.send(topic, zmq.NOBLOCK | zmq.SNDMORE)
            opened.publisher.send(body, zmq.NOBLOCK)

    def receive(self, limit: int) -> list[tuple[str, bytes, bytes]]:
        """Up to `limit` waiting messages of each link, as (link, topic, body).

        It answers newcomers as well. Messages without exactly two frames are dropped, counted as "frames".
        An empty list means that nothing waits, and that the next arrival makes a descriptor readable (but
        after `limit` dropped messages in a row, which only a defective peer sends).
        """
        self._admission.answer()
        self.counts["refused"] = self._admission.refused
        received: list[tuple[str, bytes, bytes]] = []
        for link, opened in self._links.items():
            self._drain(link, opened.subscriber, limit, received)
        return received

    def receive_from(self, source: str, limit: int) -> list[tuple[str, bytes, bytes]]:
        """As `receive`, for one of `sources` only: what did not become readable is not asked."""
        received: list[tuple[str, bytes, bytes]] = []
        opened = self._links.get(source)
        if opened is not None:
            self._drain(source, opened.subscriber, limit, received)
        elif not source:
            self._admission.answer()
            self.counts["refused"] = self._admission.refused
        return received

    def close(self) -> None:
        """Drops everything at once."""
        for link in tuple(self._links):
            self.close_link(link)
        self._admission.close()
        self._context.term()

    def _drain(
        self, link: str, subscriber: Socket, limit: int, received: list[tuple[str, bytes, bytes]]
    ) -> None:
        if not is_readable(subscriber):
            return
        for _ in range(limit):
            try:
                frames = subscriber.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if len(frames) != MESSAGE_FRAMES:
                self.counts["frames"] += 1
                continue
            received.append((link, frames[0], frames[1]))

    def _subscriber(self, address: str) -> Socket:
        subscriber = self._socket(zmq.SUB, {**_SUBSCRIBER_OPTIONS, zmq.IPV6: int(":" in address)})
        subscriber.curve_serverkey = self._keys.server[0]
        subscriber.curve_publickey, subscriber.curve_secretkey = self._keys.client
        for topic in self._topics:
            subscriber.setsockopt(zmq.SUBSCRIBE, topic)
        return subscriber

    def _socket(self, kind: int, options: dict[Any, int]) -> Socket:
        made = self._context.socket(kind)
        for option, value in {**_COMMON_OPTIONS, **options}.items():
            made.setsockopt(option, value)
        return made


def _endpoint(source: str, address: str, port: int) -> str:
    # With our address as the source, the kernel cannot choose a floating one, and both ends see one link.
    return f"tcp://{_host(source)}:0;{_host(address)}:{port}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
