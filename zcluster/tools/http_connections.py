"""Listening sockets and their connections, for small questions with quick answers.

What must hold: nothing here blocks; connections, the bytes of a request and the time that each may take are bounded,
so that a client who says nothing, or one byte a second, or never reads, costs its own connection alone. Where all
places are taken the one that has been asking longest makes room: an honest client has asked before we look. An address
that this host does not have (yet) is tried again, and what is wrong with it is told.
"""

from __future__ import annotations

import errno
import select
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto

from zcluster.errors import ZclusterError
from zcluster.tools.http_request import (
    Answer,
    RefusedRequest,
    Request,
    encode,
    refusal,
    request_from,
)
from zcluster.tools.listening import Endpoint

MOST_CONNECTIONS = 32
MOST_TURN_EVENTS = 64
MOST_TURN_ACCEPTS = 16
BACKLOG = 64
PIECE_BYTES = 16 << 10
ASKING_LIMIT_MS = 5000
ANSWERING_LIMIT_MS = 10_000
# A connection is closed when the client has seen the end of the answer, or after this: a close with unread bytes
# would reset it, and with it the answer (RFC 9112, 9.6).
ENDING_LIMIT_MS = 1000
BIND_AGAIN_MS = 5000
# While no descriptor is free, whoever waits to be accepted would wake us without a pause.
ACCEPT_AGAIN_MS = 200
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _Phase(Enum):
    ASKING = auto()
    ANSWERING = auto()
    ENDING = auto()


class _Connection:
    """One client."""

    __slots__ = ("limit_ms", "phase", "received", "socket", "unsent")

    def __init__(self, connected: socket.socket, limit_ms: int) -> None:
        self.socket = connected
        self.phase = _Phase.ASKING
        self.limit_ms = limit_ms
        self.received = bytearray()
        self.unsent = b""


class HttpConnections:
    """`answer` is asked for each request and must return at once. `find` says where to listen, or raises ZclusterError.

    `problems`: why it does not listen (everywhere), in words.
    """

    def __init__(
        self,
        find: Callable[[], Sequence[Endpoint]],
        answer: Callable[[Request], Answer],
        clock: Callable[[], int],
    ) -> None:
        self._find = find
        self._answer = answer
        self._poll = select.epoll()
        self._listeners: dict[int, socket.socket] = {}
        # In the order in which they came: the longest asking are first.
        self._connections: dict[int, _Connection] = {}
        self._bound: set[Endpoint] = set()
        self._bind_ms = clock()
        self._accept_ms: int | None = None
        self.problems: frozenset[str] = frozenset()
        self.counts: Counter[str] = Counter()
        self._bind(clock())

    def fileno(self) -> int:
        """A descriptor that is readable whenever `turn` has something to do."""
        return self._poll.fileno()

    def deadline(self) -> int | None:
        """When a connection has had its time, or an address is tried again."""
        dues = [connection.limit_ms for connection in self._connections.values()]
        if self.problems:
            dues.append(self._bind_ms)
        if self._accept_ms is not None:
            dues.append(self._accept_ms)
        return min(dues, default=None)

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where it listens now."""
        return [Endpoint(*listener.getsockname()[:2]) for listener in self._listeners.values()]

    def turn(self, now_ms: int) -> None:
        """Accept, read, answer and end what is due, a bounded amount of it."""
        if self.problems and now_ms >= self._bind_ms:
            self._bind(now_ms)
        if self._accept_ms is not None and now_ms >= self._accept_ms:
            self._accept_ms = None
            self._watch_listeners(select.EPOLLIN)
        for descriptor, _ in self._poll.poll(0, MOST_TURN_EVENTS):
            listener = self._listeners.get(descriptor)
            if listener is not None:
                self._accept(listener, now_ms)
                continue
            connection = self._connections.get(descriptor)
            if connection is not None:
                self._advance(connection, now_ms)
        late = [each for each in self._connections.values() if each.limit_ms <= now_ms]
        for connection in late:
            if connection.phase is not _Phase.ENDING:
                self.counts["timed_out"] += 1
            self._close(connection)

    def close(self) -> None:
        """Close everything."""
        for connection in list(self._connections.values()):
            self._close(connection)
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        self._poll.close()

    def _bind(self, now_ms: int) -> None:
        self._bind_ms = now_ms + BIND_AGAIN_MS
        problems: list[str] = []
        try:
            wanted = self._find()
        except ZclusterError as error:
            wanted, problems = (), [f"does not listen yet: {error}"]
        for endpoint in wanted:
            if endpoint in self._bound:
                continue
            try:
                listener = _listener(endpoint)
            except OSError as error:
                problems.append(f"cannot listen at {endpoint}: {error.strerror or error}")
                continue
            self._bound.add(endpoint)
            self._listeners[listener.fileno()] = listener
            self._poll.register(listener.fileno(), select.EPOLLIN)
        self.problems = frozenset(problems)

    def _accept(self, listener: socket.socket, now_ms: int) -> None:
        for _ in range(MOST_TURN_ACCEPTS):
            try:
                connected, _ = listener.accept()
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self.counts["exhausted"] += 1
                    self._accept_ms = now_ms + ACCEPT_AGAIN_MS
                    self._watch_listeners(0)
                return  # or nobody waits, or the client gave up
            if len(self._connections) >= MOST_CONNECTIONS:
                self.counts["made_room"] += 1
                self._close(self._least_worth())
            connected.setblocking(False)
            connection = _Connection(connected, now_ms + ASKING_LIMIT_MS)
            self._connections[connected.fileno()] = connection
            self._poll.register(connected.fileno(), select.EPOLLIN)
            self._advance(connection, now_ms)  # mostly the question is there already

    def _watch_listeners(self, mask: int) -> None:
        for descriptor in self._listeners:
            self._poll.modify(descriptor, mask)

    def _least_worth(self) -> _Connection:
        phases = (_Phase.ENDING, _Phase.ASKING, _Phase.ANSWERING)
        return min(self._connections.values(), key=lambda each: phases.index(each.phase))

    def _advance(self, connection: _Connection, now_ms: int) -> None:
        try:
            match connection.phase:
                case _Phase.ASKING:
                    self._read(connection, now_ms)
                case _Phase.ANSWERING:
                    self._write(connection, now_ms)
                case _Phase.ENDING:
                    if not connection.socket.recv(PIECE_BYTES):
                        self._close(connection)
        except BlockingIOError:
            pass
        except OSError:
            self._close(connection)

    def _read(self, connection: _Connection, now_ms: int) -> None:
        piece = connection.socket.recv(PIECE_BYTES)
        if not piece:
            self._close(connection)
            return
        connection.received += piece
        try:
            request = request_from(bytes(connection.received))
            if request is None:
                return
            answer, is_head = self._answer(request), request.method == "HEAD"
            self.counts["requests"] += 1
        except RefusedRequest as refused:
            answer, is_head = refusal(refused), False
            self.counts["refused"] += 1
        connection.received.clear()
        connection.unsent = encode(answer, is_head)
        connection.phase = _Phase.ANSWERING
        connection.limit_ms = now_ms + ANSWERING_LIMIT_MS
        self._poll.modify(connection.socket.fileno(), select.EPOLLOUT)
        self._write(connection, now_ms)

    def _write(self, connection: _Connection, now_ms: int) -> None:
        sent = connection.socket.send(connection.unsent)
        connection.unsent = connection.unsent[sent:]
        if connection.unsent:
            return
        connection.socket.shutdown(socket.SHUT_WR)
        connection.phase = _Phase.ENDING
        connection.limit_ms = now_ms + ENDING_LIMIT_MS
        self._poll.modify(connection.socket.fileno(), select.EPOLLIN)

    def _close(self, connection: _Connection) -> None:
        if self._connections.pop(connection.socket.fileno(), None) is None:
            return
        # A closed descriptor leaves the epoll by itself, but not while a child that is being started has it too.
        with suppress(OSError):
            self._poll.unregister(connection.socket.fileno())
        connection.socket.close()


def _listener(endpoint: Endpoint) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((endpoint.address, endpoint.port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
