"""The ZeroMQ sockets of the streams' bus: which kinds, with which options and keys.

What must hold: members of the cluster alone may send; holders of the reader's key may subscribe, where they are
admitted. Two contexts, because ZAP tells a context's sockets apart by nothing that our Admission reads, and so that
requests and publications are each encrypted by an I/O thread of their own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import zmq

from zcluster.adapters.admission import DOMAIN, Admission
from zcluster.adapters.bus import BusKeys
from zcluster.errors import LinkBroken

MAX_FRAME_BYTES = 4 * 1024 * 1024
# What CURVE puts around a frame, which MAXMSGSIZE counts too (RFC 26: a MESSAGE is 33 bytes longer).
SEAL_BYTES = 64
PUBLISH_QUEUE_MESSAGES = 4096
SEND_QUEUE_MESSAGES = 2048
RECEIVE_QUEUE_MESSAGES = 1024
REQUEST_QUEUE_MESSAGES = 64
KERNEL_BUFFER_BYTES = 1024 * 1024
RECONNECT_MS = 50
RECONNECT_MAX_MS = 500
CONNECT_TIMEOUT_MS = 1000
HANDSHAKE_MS = 5000
UNACKNOWLEDGED_MS = 2000

_COMMON_OPTIONS = {
    zmq.LINGER: 0,
    zmq.MAXMSGSIZE: MAX_FRAME_BYTES + SEAL_BYTES,
    zmq.SNDBUF: KERNEL_BUFFER_BYTES,
    zmq.RCVBUF: KERNEL_BUFFER_BYTES,
    zmq.HANDSHAKE_IVL: HANDSHAKE_MS,
    zmq.TCP_MAXRT: UNACKNOWLEDGED_MS,
}
_CALLING_OPTIONS = {
    zmq.RECONNECT_IVL: RECONNECT_MS,
    zmq.RECONNECT_IVL_MAX: RECONNECT_MAX_MS,
    zmq.CONNECT_TIMEOUT: CONNECT_TIMEOUT_MS,
}

Socket = zmq.Socket[bytes]


class LinkAddress(NamedTuple):
    """One of our own links: PUB listens on `port`, PULL on `port` + 1. The ports are the same on every node."""

    link: str
    address: str
    port: int


class Listening(NamedTuple):
    """What a link of ours is spoken on."""

    publisher: Socket
    puller: Socket


class Calling(NamedTuple):
    """What a peer is heard and spoken to on."""

    subscriber: Socket
    pusher: Socket


class StreamSockets:
    """Makes them. What it made must be closed before `close`."""

    def __init__(self, keys: BusKeys) -> None:
        self._keys = keys
        self._publications: zmq.Context[Socket] = zmq.Context(1)
        self._requests: zmq.Context[Socket] = zmq.Context(1)
        members = (keys.client[0],)
        self.admissions = (
            Admission(self._publications, members),
            Admission(self._requests, members),
        )

    def listen(self, place: LinkAddress) -> Listening:
        """Raises LinkBroken when the address is not there, or a port still taken."""
        publisher = self._listener(self._publications, zmq.PUB, place, {zmq.SNDHWM: PUBLISH_QUEUE_MESSAGES})
        puller = self._listener(self._requests, zmq.PULL, place, {zmq.RCVHWM: REQUEST_QUEUE_MESSAGES})
        try:
            publisher.bind(f"tcp://{_host(place.address)}:{place.port}")
            puller.bind(f"tcp://{_host(place.address)}:{place.port + 1}")
        except zmq.ZMQError as problem:
            publisher.close()
            puller.close()
            ports = f"{place.port} and {place.port + 1}"
            raise LinkBroken(f"cannot listen on {place.address} ports {ports}: {problem}") from problem
        return Listening(publisher, puller)

    def call(self, own: LinkAddress, address: str, topic: bytes) -> Calling:
        """Begin to connect. Raises LinkBroken for what is no address, or when there is no socket left."""
        options = {**_CALLING_OPTIONS, zmq.IPV6: int(":" in address)}
        subscriber = self._caller(
            self._publications, zmq.SUB, {**options, zmq.RCVHWM: RECEIVE_QUEUE_MESSAGES}
        )
        subscriber.setsockopt(zmq.SUBSCRIBE, topic)
        # Nothing is queued for a peer that is not connected: it would be stale when it comes.
        pusher = self._caller(
            self._requests, zmq.PUSH, {**options, zmq.IMMEDIATE: 1, zmq.SNDHWM: SEND_QUEUE_MESSAGES}
        )
        try:
            subscriber.connect(_endpoint(own.address, address, own.port))
            pusher.connect(_endpoint(own.address, address, own.port + 1))
        except zmq.ZMQError as problem:
            subscriber.close()
            pusher.close()
            raise LinkBroken(f"cannot connect to {address}: {problem}") from problem
        return Calling(subscriber, pusher)

    def close(self) -> None:
        """End both contexts."""
        for admission in self.admissions:
            admission.close()
        self._publications.term()
        self._requests.term()

    def _listener(
        self, context: zmq.Context[Socket], kind: int, place: LinkAddress, options: dict[Any, int]
    ) -> Socket:
        made = _socket(context, kind, {**options, zmq.IPV6: int(":" in place.address)})
        made.curve_server = True
        made.zap_domain = DOMAIN
        made.curve_publickey, made.curve_secretkey = self._keys.server
        return made

    def _caller(self, context: zmq.Context[Socket], kind: int, options: dict[Any, int]) -> Socket:
        made = _socket(context, kind, options)
        made.curve_serverkey = self._keys.server[0]
        made.curve_publickey, made.curve_secretkey = self._keys.client
        return made


def _socket(context: zmq.Context[Socket], kind: int, options: dict[Any, int]) -> Socket:
    made = context.socket(kind)
    for option, value in {**_COMMON_OPTIONS, **options}.items():
        made.setsockopt(option, value)
    return made


def _endpoint(source: str, address: str, port: int) -> str:
    # With our address as the source, the kernel cannot choose a floating one, and both ends see one link.
    return f"tcp://{_host(source)}:0;{_host(address)}:{port}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
