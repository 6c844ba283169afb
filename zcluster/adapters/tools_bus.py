"""The ZeroMQ sockets of the bus for tools: a PUB for what happens, a ROUTER for questions, CURVE on both.

What must hold: readers alone are admitted; nothing here blocks. A subscriber or an asker that does not read costs a
short queue and then loses messages; it delays nobody. The readable descriptors are edge-triggered (zmq_getsockopt(3),
ZMQ_FD): call `questions` before every wait, and again while it returns anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

import zmq

from zcluster.adapters.admission import DOMAIN, Admission, is_readable
from zcluster.errors import LinkBroken

LARGEST_QUESTION_BYTES = 16 << 10
# What CURVE puts around a frame, which MAXMSGSIZE counts too (RFC 26).
SEAL_BYTES = 64
LARGEST_FRAMES = 8
# What a PUB reads is handshakes and subscriptions, of which it keeps every byte as a node of a tree. Our longest topic
# has 78 bytes; the longest command of a handshake (RFC 26: INITIATE, with an identity of 255) has less than 600.
LARGEST_SUBSCRIPTION_BYTES = 640
PUBLISH_QUEUE_MESSAGES = 500
ANSWER_QUEUE_MESSAGES = 8
QUESTION_QUEUE_MESSAGES = 64
KERNEL_BUFFER_BYTES = 128 << 10
HANDSHAKE_MS = 2000
HEARTBEAT_MS = 5000
HEARTBEAT_TIMEOUT_MS = 15_000
UNACKNOWLEDGED_MS = 15_000

_OPTIONS = {
    zmq.LINGER: 0,
    zmq.MAXMSGSIZE: LARGEST_QUESTION_BYTES + SEAL_BYTES,
    zmq.SNDBUF: KERNEL_BUFFER_BYTES,  # left alone it grows to megabytes for each who does not read
    zmq.RCVBUF: KERNEL_BUFFER_BYTES,
    zmq.HANDSHAKE_IVL: HANDSHAKE_MS,
    zmq.HEARTBEAT_IVL: HEARTBEAT_MS,
    zmq.HEARTBEAT_TIMEOUT: HEARTBEAT_TIMEOUT_MS,
    zmq.TCP_MAXRT: UNACKNOWLEDGED_MS,
}

Socket = zmq.Socket[bytes]


class Asked(NamedTuple):
    """A question. `envelope` are the frames that bring the answer back (the ZeroMQ Guide, chapter 3)."""

    envelope: tuple[bytes, ...]
    body: bytes


class ToolsBus:
    """Both sockets. The questions' port is the one after that of what is published."""

    def __init__(self, server: tuple[bytes, bytes], readers: Collection[bytes]) -> None:
        """`server`: CURVE keys, public and secret, in Z85. `readers`: the public keys that are admitted."""
        self.counts: Counter[str] = Counter()
        self._server = server
        self._context: zmq.Context[Socket] = zmq.Context(1)
        self._admission = Admission(self._context, readers)
        self._publisher = self._socket(
            zmq.PUB, {zmq.SNDHWM: PUBLISH_QUEUE_MESSAGES, zmq.MAXMSGSIZE: LARGEST_SUBSCRIPTION_BYTES}
        )
        self._router = self._socket(
            zmq.ROUTER,
            {
                zmq.SNDHWM: ANSWER_QUEUE_MESSAGES,
                zmq.RCVHWM: QUESTION_QUEUE_MESSAGES,
                zmq.ROUTER_MANDATORY: 1,  # an answer that cannot leave is counted
            },
        )

    def filenos(self) -> tuple[int, ...]:
        """What to wait on for reading; edge-triggered."""
        return (self._admission.socket.fileno(), self._router.fileno())

    def open(self, address: str, port: int) -> None:
        """Listen on `port` and the one after it. Raises LinkBroken: the address is not there, or a port is taken."""
        endpoints = (f"tcp://{_host(address)}:{port}", f"tcp://{_host(address)}:{port + 1}")
        try:
            self._publisher.bind(endpoints[0])
            try:
                self._router.bind(endpoints[1])
            except zmq.ZMQError:
                self._publisher.unbind(endpoints[0])
                raise
        except zmq.ZMQError as problem:
            raise LinkBroken(f"{address} port {port} and the one after it: {problem}") from problem

    def publish(self, topic: bytes, body: bytes) -> None:
        """Send to whoever subscribed. Who lags misses it: PUB never waits."""
        # Asking makes libzmq look at what subscribers have taken: see Bus.publish.
        self._publisher.get(zmq.EVENTS)
        self._publisher.send(topic, zmq.NOBLOCK | zmq.SNDMORE)
        self._publisher.send(body, zmq.NOBLOCK)

    def questions(self, limit: int) -> list[Asked]:
        """Up to `limit` waiting questions; newcomers are let in or refused as well.

        A message of too many frames is dropped, counted as "frames". An empty list means that nothing waits, and
        that the next arrival makes a descriptor readable.
        """
        self._admission.answer()
        self.counts["refused"] = self._admission.refused
        found: list[Asked] = []
        for _ in range(limit):
            if not is_readable(self._router):
                break
            frames = self._router.recv_multipart(zmq.NOBLOCK)
            if not 1 < len(frames) <= LARGEST_FRAMES:
                self.counts["frames"] += 1
                continue
            found.append(Asked(tuple(frames[:-1]), frames[-1]))
        return found

    def answer(self, asked: Asked, body: bytes) -> None:
        """Send an answer; one that has gone, or does not read, is nobody's failure."""
        try:
            self._router.send_multipart((*asked.envelope, body), zmq.NOBLOCK)
        except zmq.ZMQError:
            self.counts["answers_dropped"] += 1

    def close(self, linger_ms: int = 0) -> None:
        """Let what was published last leave within `linger_ms`, then drop everything."""
        self._publisher.close(linger_ms)
        self._router.close(linger_ms)
        self._admission.close()
        self._context.term()

    def _socket(self, kind: int, options: dict[Any, int]) -> Socket:
        made = self._context.socket(kind)
        for option, value in {**_OPTIONS, **options}.items():
            made.setsockopt(option, value)
        made.ipv6 = True
        made.curve_server = True
        made.zap_domain = DOMAIN
        made.curve_publickey, made.curve_secretkey = self._server
        return made


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
