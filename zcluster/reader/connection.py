"""One node's bus for tools, as a reader of it sees it (docs/bus.md).

What must hold: nothing here waits but `ask`; what comes is untrusted and left out where it cannot be read; a record
that was missed is asked for until nobody has it any more.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgpack
import zmq
from zmq.utils.monitor import recv_monitor_message

from zcluster.errors import BusError
from zcluster.reader.credential import Credential

EVENT_TOPIC, HEARTBEAT_TOPIC = b"zc1.event.", b"zc1.heartbeat."
ANSWER_LIMIT_S = 5.0
LARGEST_QUEUE_MESSAGES = 20_000
LARGEST_FRAME_BYTES = 8 << 20

LAST_PORT = 65535
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.%a-z]{2,64}\]")

Socket = zmq.Socket[bytes]


class Connection:
    """One endpoint: what it publishes, and its answers. Nothing here waits but `ask`."""

    def __init__(self, context: zmq.Context[Socket], host: str, credential: Credential) -> None:
        """`host`: a name or an address, with ":PORT" where it is not the credential's ("[fd77::1]:PORT" for IPv6).

        Raises BusError for what is neither.
        """
        self.host = host
        self.refused = False
        self.by = ""
        self.incarnation = self.number = 0
        name, port = _split(host, credential.port)
        self._newest = 0
        self._asked_s = 0.0
        self._is_asking = False
        self._names = 0
        self.asker = _socket(context, zmq.DEALER, credential)
        self._monitor = self.asker.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED
        )
        self.subscriber = _socket(context, zmq.SUB, credential)
        for topic in (EVENT_TOPIC, HEARTBEAT_TOPIC):
            self.subscriber.setsockopt(zmq.SUBSCRIBE, topic)
        try:
            self.subscriber.connect(f"tcp://{name}:{port}")
            self.asker.connect(f"tcp://{name}:{port + 1}")
        except zmq.ZMQError as problem:
            self.close()
            raise BusError(f"{host!r} is not a place to connect to: {problem}") from problem

    def send(self, question: Mapping[str, Any]) -> str:
        """Ask, and go on: the answer has this `id`."""
        self._names += 1
        identity = f"q{self._names}"
        try:
            self.asker.send(msgpack.packb({**question, "id": identity}), zmq.NOBLOCK)
        except zmq.Again:
            pass  # a queue full of questions that nobody took: as good as one that is not answered
        return identity

    def answers(self) -> list[dict[str, Any]]:
        """Those that came."""
        self._look()
        return [body for (body,) in _drained(self.asker, 1) if isinstance(body, dict)]

    def ask(self, question: Mapping[str, Any], limit_s: float = ANSWER_LIMIT_S) -> dict[str, Any] | None:
        """Ask and wait: the answer, or None. What comes meanwhile of other questions is thrown away."""
        identity, end_s = self.send(question), time.monotonic() + limit_s
        while not self.refused:
            for answer in self.answers():
                if answer.get("id") == identity:
                    return answer
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                break
            # The refusal of a key comes over the monitor.
            poller = zmq.Poller()
            poller.register(self.asker, zmq.POLLIN)
            poller.register(self._monitor, zmq.POLLIN)
            poller.poll(max(int(left_s * 1000), 1))
        return None

    def published(self) -> list[tuple[bool, dict[str, Any]]]:
        """The events (True) and heartbeats that came, as they came: for who minds the gaps himself."""
        drained = _drained(self.subscriber, 2)
        return [(topic.startswith(EVENT_TOPIC), body) for topic, body in drained if isinstance(body, dict)]

    def begin(self, is_from_start: bool) -> None:
        """From now on `events` gives what comes; with `is_from_start` what the node still has of before, first."""
        if is_from_start:
            self._repair()

    def events(self) -> list[dict[str, Any]]:
        """The records that came, in the order of that node; those that were missed are asked for."""
        found: list[dict[str, Any]] = []
        for is_event, body in self.published():
            self._take(is_event, body, found)
        for answer in self.answers():
            self._take_story(answer, found)
        is_behind = self.incarnation != 0 and self._newest > self.number
        if self._is_asking and time.monotonic() - self._asked_s > ANSWER_LIMIT_S:
            self._is_asking = False
        if is_behind and not self._is_asking:
            self._repair()
        return found

    def _take(self, is_event: bool, body: dict[str, Any], found: list[dict[str, Any]]) -> None:
        by, incarnation, number = body.get("by"), body.get("incarnation"), body.get("number")
        if (
            not isinstance(by, str)
            or type(incarnation) is not int
            or type(number) is not int
            or not incarnation
        ):
            return
        if (by, incarnation) != (self.by, self.incarnation):
            # Of its new life everything that is left is wanted; at the first contact what comes from here on.
            is_first = not self.by
            self.by, self.incarnation = by, incarnation
            self.number = number - int(is_event) if is_first and not self._is_asking else 0
            self._newest = 0
        self._newest = max(self._newest, number)
        if is_event and number == self.number + 1:
            self.number = number
            _keep(body.get("record"), found)

    def _repair(self) -> None:
        self.send({"ask": "since", "incarnation": self.incarnation, "number": self.number})
        self._is_asking, self._asked_s = True, time.monotonic()

    def _take_story(self, answer: dict[str, Any], found: list[dict[str, Any]]) -> None:
        events, incarnation, newest = answer.get("events"), answer.get("incarnation"), answer.get("number")
        if not isinstance(events, list) or type(incarnation) is not int or type(newest) is not int:
            return
        self._is_asking = False
        if incarnation != self.incarnation:
            self.by, self.incarnation, self.number, self._newest = str(answer.get("by")), incarnation, 0, 0
        for event in events:
            if (
                isinstance(event, dict)
                and type(number := event.get("number")) is int
                and number > self.number
            ):
                self.number = number
                _keep(event.get("record"), found)
        if not answer.get("more"):
            self.number = max(self.number, newest)  # what is not among them nobody has any more
        self._newest = max(self._newest, newest)

    def _look(self) -> None:
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            self.refused = event == zmq.EVENT_HANDSHAKE_FAILED_AUTH

    def close(self) -> None:
        """Give the sockets back."""
        self.asker.disable_monitor()
        for socket in (self._monitor, self.asker, self.subscriber):
            socket.close(0)


class Waiting:
    """Waits for a connection and for other descriptors, whichever is readable first."""

    def __init__(self, connection: Connection, *descriptors: int) -> None:
        self._poller = zmq.Poller()
        for source in (connection.asker, connection.subscriber, *descriptors):
            self._poller.register(source, zmq.POLLIN)

    def wait(self, limit_ms: int) -> None:
        """At most so long."""
        self._poller.poll(limit_ms)


def context() -> zmq.Context[Socket]:
    """What connections are made in: `destroy` it behind them."""
    return zmq.Context()


def _keep(record: object, found: list[dict[str, Any]]) -> None:
    if isinstance(record, dict):
        found.append(record)


def _drained(socket: Socket, frames: int) -> Iterator[list[Any]]:
    """The messages of that many frames, the last one read; what cannot be read is left out."""
    while socket.poll(0):
        message: list[Any] = list(socket.recv_multipart(zmq.NOBLOCK))
        try:
            message[-1] = msgpack.unpackb(message[-1])
        except (ValueError, TypeError, msgpack.UnpackException):
            continue
        if len(message) == frames:
            yield message


def _socket(context: zmq.Context[Socket], kind: int, credential: Credential) -> Socket:
    made = context.socket(kind)
    made.linger = 0
    made.rcvhwm = LARGEST_QUEUE_MESSAGES
    made.maxmsgsize = LARGEST_FRAME_BYTES
    made.ipv6 = True
    made.reconnect_ivl, made.reconnect_ivl_max = 100, 2000
    # A host that died is noticed, so that the connection is made anew when it is back.
    made.heartbeat_ivl, made.heartbeat_timeout = 2000, 6000
    made.curve_serverkey = credential.server
    made.curve_publickey, made.curve_secretkey = credential.public, credential.secret
    return made


def _split(host: str, port: int) -> tuple[str, int]:
    """A host and its port; an IPv6 address stands in brackets where a port follows. Raises BusError."""
    name, colon, last = host.rpartition(":")
    if not colon or (":" in name and not name.endswith("]")):
        name, last = host if not colon or host.startswith("[") else f"[{host}]", str(port)
    if not _HOST.fullmatch(name) or not last.isdecimal() or not 0 < int(last) < LAST_PORT:
        raise BusError(f"{host!r} is neither a host nor HOST:PORT")
    return name, int(last)
