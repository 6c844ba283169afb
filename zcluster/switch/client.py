"""The socket of a conversation with a switch: it moves bytes and decides nothing.

What must hold: nothing here blocks; `fileno` stays the same over all connections and is readable whenever `receive`
has something to do, a closed connection included. One turn reads a bounded amount, so that a storm of events cannot
hold the loop.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from contextlib import suppress
from ipaddress import ip_address

from zcluster.errors import ConfigurationError
from zcluster.switch import bounds
from zcluster.switch.commands import Command
from zcluster.switch.conversation import Conversation
from zcluster.switch.notices import Notice
from zcluster.switch.wishes import Login, Wishes

_ENDED = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR
CLOSED = "the switch closed the connection"


class EslClient:
    """One switch at a numeric address and port. Begins to connect with the first `receive`."""

    def __init__(self, host: str, port: int, login: Login, wishes: Wishes) -> None:
        """Raises ConfigurationError for a name (looking one up would block), CommandRefused as Conversation."""
        try:
            version = ip_address(host).version
        except ValueError as problem:
            raise ConfigurationError(
                f"event socket {host!r}: give an address, names are not looked up"
            ) from problem
        self._family = socket.AF_INET6 if version == 6 else socket.AF_INET
        self._address = (host, port)
        self._talk = Conversation(login, wishes)
        self._socket: socket.socket | None = None
        self._is_connected = False
        self._mask = 0
        self._poll = select.epoll()

    @property
    def is_open(self) -> bool:
        """Whether requests are taken."""
        return self._talk.is_open

    @property
    def oldest_pulse_ms(self) -> int | None:
        """When the oldest pulse that has not come back was sent, or None."""
        return self._talk.oldest_pulse_ms

    def fileno(self) -> int:
        """A descriptor that is readable whenever `receive` has something to do."""
        return self._poll.fileno()

    def deadline(self) -> int | None:
        """When `receive` must be called even if nothing is readable."""
        return self._talk.deadline()

    def receive(self, now_ms: int) -> list[Notice]:
        """Connects, reads and writes what is possible now; what came of it."""
        notices: list[Notice] = []
        for _, mask in self._poll.poll(0, 1):
            notices += self._turn(mask, now_ms)
            self._close_unwanted()
        notices += self._talk.handle_timer(now_ms)
        self._close_unwanted()
        if self._talk.wants_connection and self._socket is None:
            notices += self._connect(now_ms)
        notices += self._flush(now_ms)
        self._close_unwanted()
        return notices

    def request(self, command: Command, now_ms: int, limit_ms: int = bounds.ANSWER_MS) -> int:
        """As Conversation.request: the ticket, or SwitchUnavailable."""
        ticket = self._talk.request(command, now_ms, limit_ms)
        self._watch()
        return ticket

    def pulse(self, now_ms: int) -> int:
        """As Conversation.pulse: the pulse's number, or SwitchUnavailable."""
        number = self._talk.pulse(now_ms)
        self._watch()
        return number

    def close(self) -> None:
        """Ends the connection without a word. Nothing else may be called afterwards."""
        self._drop()
        self._poll.close()

    def _turn(self, mask: int, now_ms: int) -> list[Notice]:
        if self._socket is None:
            return []
        if not self._is_connected:
            return self._finish_connecting(now_ms)
        return self._read(self._socket, now_ms) if mask & _ENDED else []

    def _connect(self, now_ms: int) -> list[Notice]:
        made = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self._is_connected = made, False
        code = made.connect_ex(self._address)
        if code not in (0, errno.EINPROGRESS):
            notices = self._talk.lost(os.strerror(code), now_ms)
            self._drop()
            return notices
        self._mask = select.EPOLLOUT
        self._poll.register(made.fileno(), self._mask)
        return []

    def _finish_connecting(self, now_ms: int) -> list[Notice]:
        assert self._socket is not None
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            return self._talk.lost(os.strerror(code), now_ms)
        self._is_connected = True
        self._talk.connected(now_ms)
        self._watch()
        return []

    def _read(self, connection: socket.socket, now_ms: int) -> list[Notice]:
        notices: list[Notice] = []
        for _ in range(bounds.RECEIVES_IN_TURN):
            try:
                data = connection.recv(bounds.RECEIVE_BYTES)
            except BlockingIOError:
                break
            except OSError as problem:
                return [*notices, *self._talk.lost(problem.strerror or CLOSED, now_ms)]
            if not data:
                return [*notices, *self._talk.lost(CLOSED, now_ms)]
            notices += self._talk.receive(data, now_ms)
            if not self._talk.wants_connection:
                break
        return notices

    def _flush(self, now_ms: int) -> list[Notice]:
        if self._socket is None or not self._is_connected:
            return []
        if self._talk.outgoing:
            try:
                sent = self._socket.send(self._talk.outgoing)
            except BlockingIOError:
                sent = 0
            except OSError:
                # Reading tells the end, after what the switch may have said before it.
                return self._read(self._socket, now_ms) if self._mask & select.EPOLLIN else []
            del self._talk.outgoing[:sent]
        self._watch()
        return []

    def _watch(self) -> None:
        if self._socket is None or not self._is_connected:
            return
        mask = select.EPOLLIN | (select.EPOLLOUT if self._talk.outgoing else 0)
        if mask != self._mask:
            self._mask = mask
            self._poll.modify(self._socket.fileno(), mask)

    def _close_unwanted(self) -> None:
        if self._socket is not None and not self._talk.wants_connection:
            self._drop()

    def _drop(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()  # a closed descriptor leaves the epoll by itself
        self._socket = None
        self._is_connected = False
        self._mask = 0
