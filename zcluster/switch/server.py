"""A small event socket server: what mod_hash polls as its remote, and what a client can be tested against.

What must hold: nothing here blocks; clients, what they may send ahead and what they may leave unread are bounded;
who does not authenticate in time is sent away. Listen on a loopback address: the password travels in the clear.
"""

from __future__ import annotations

import select
import socket
from contextlib import suppress

from zcluster.errors import KernelRefused
from zcluster.switch import bounds
from zcluster.switch.frames import Event
from zcluster.switch.session import Asking, ServerSession


class _Client:
    """One connection."""

    __slots__ = ("connection", "due_ms", "mask", "session")

    def __init__(self, session: ServerSession, connection: socket.socket, due_ms: int) -> None:
        self.session = session
        self.connection = connection
        self.due_ms = due_ms
        self.mask = select.EPOLLIN


class EslServer:
    """Listens on one address; behind one descriptor, like the client."""

    def __init__(self, host: str, port: int, password: str) -> None:
        """`port` 0 takes a free one, told by `port`. Raises KernelRefused when it cannot listen there."""
        self.dropped_clients = 0
        self._password = password
        self._numbers = 0
        self._clients: dict[int, _Client] = {}
        self._descriptors: dict[int, int] = {}
        self._poll = select.epoll()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((host, port))
            self._listener.listen(bounds.SERVER_CLIENTS)
        except OSError as problem:
            self.close()
            raise KernelRefused(f"event socket server on {host} port {port}: {problem.strerror}") from problem
        self.port: int = self._listener.getsockname()[1]
        self._poll.register(self._listener.fileno(), select.EPOLLIN)

    @property
    def clients(self) -> tuple[int, ...]:
        """The numbers of those that are connected."""
        return tuple(self._clients)

    def fileno(self) -> int:
        """A descriptor that is readable whenever `receive` has something to do."""
        return self._poll.fileno()

    def deadline(self) -> int | None:
        """When `receive` must be called even if nothing is readable: somebody has not authenticated yet."""
        strangers = (each.due_ms for each in self._clients.values() if not each.session.is_authenticated)
        return min(strangers, default=None)

    def receive(self, now_ms: int) -> list[Asking]:
        """Accepts, reads and writes what is possible now; what clients ask."""
        asked: list[Asking] = []
        for descriptor, mask in self._poll.poll(0):
            if descriptor == self._listener.fileno():
                self._accept(now_ms)
                continue
            client = self._clients.get(self._descriptors.get(descriptor, 0))
            if client is None:
                continue
            if mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                asked += self._read(client)
            self._flush(client)
        for client in tuple(self._clients.values()):
            if not client.session.is_authenticated and client.due_ms <= now_ms:
                self._drop(client)
        return asked

    def answer(self, client: int, body: str) -> list[Asking]:
        """The output of that client's `api`; what it asked meanwhile. One that has gone is nobody's failure."""
        found = self._clients.get(client)
        if found is None:
            return []
        asked = found.session.answer(body)
        self._flush(found)
        return asked

    def publish(self, event: Event) -> None:
        """Sends the event to all who subscribed to it."""
        for client in tuple(self._clients.values()):
            client.session.publish(event)
            self._flush(client)

    def finish_job(self, job: str, command: str, body: str) -> None:
        """Tells the output of a `bgapi` to all who subscribed to BACKGROUND_JOB."""
        name, _, argument = command.partition(" ")
        headers = {"Event-Name": "BACKGROUND_JOB", "Job-UUID": job, "Job-Command": name}
        if argument:
            headers["Job-Command-Arg"] = argument
        self.publish(Event(headers, body))

    def close(self) -> None:
        """Closes everything."""
        for client in tuple(self._clients.values()):
            self._forget(client)
        self._listener.close()
        self._poll.close()

    def _accept(self, now_ms: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # the client gave up before we came, or no descriptor is free: it may try again
        if len(self._clients) >= bounds.SERVER_CLIENTS:
            self.dropped_clients += 1
            connection.close()
            return
        connection.setblocking(False)
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._numbers += 1
        session = ServerSession(self._numbers, self._password)
        client = _Client(session, connection, now_ms + bounds.SERVER_AUTHENTICATION_MS)
        self._clients[session.client] = client
        self._descriptors[connection.fileno()] = session.client
        self._poll.register(connection.fileno(), client.mask)
        self._flush(client)

    def _read(self, client: _Client) -> list[Asking]:
        try:
            data = client.connection.recv(bounds.RECEIVE_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self._forget(client)
            return []
        return client.session.receive(data)

    def _flush(self, client: _Client) -> None:
        session = client.session
        if session.client not in self._clients:
            return
        try:
            sent = client.connection.send(session.outgoing) if session.outgoing else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._forget(client)
            return
        del session.outgoing[:sent]
        if session.is_ending:
            # Its farewell is sent as far as the kernel takes it at once: who does not read gets no more.
            self._forget(client)
            return
        mask = select.EPOLLIN | (select.EPOLLOUT if session.outgoing else 0)
        if mask != client.mask:
            client.mask = mask
            self._poll.modify(client.connection.fileno(), mask)

    def _drop(self, client: _Client) -> None:
        self.dropped_clients += 1
        self._forget(client)

    def _forget(self, client: _Client) -> None:
        self._clients.pop(client.session.client, None)
        self._descriptors.pop(client.connection.fileno(), None)
        client.connection.close()
