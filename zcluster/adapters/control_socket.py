"""The local control socket: one JSON object a line in, one or more a line out, behind file permissions.

What must hold: nothing here ever blocks the loop; clients, bytes and answers are bounded, and a client that
breaks a bound is dropped; who may ask is decided by the socket file's mode alone (0600: root).
The socket file of a predecessor is replaced; the daemon's lock file makes sure that it is dead.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from zcluster.errors import ControlSocketError, KernelRefused

FILE_NAME = "control.sock"
LARGEST_REQUEST_BYTES = 16 << 10
LARGEST_ANSWER_BYTES = 4 << 20
LARGEST_CLIENTS = 64
LARGEST_TURN_EVENTS = 64
_EXHAUSTED = (errno.EMFILE, errno.ENFILE)


class Request(NamedTuple):
    """One asked line. `client` names the connection to `answer`; it is never used twice."""

    client: int
    body: Mapping[str, object]


class _Client:
    """One connection: bytes not yet a line, and bytes not yet taken."""

    __slots__ = ("connection", "is_ending", "name", "received", "unsent")

    def __init__(self, name: int, connection: socket.socket) -> None:
        self.name = name
        self.connection = connection
        self.received = bytearray()
        self.unsent = bytearray()
        self.is_ending = False


class ControlSocket:
    """The listening socket and its clients behind one descriptor that the loop can poll for reading."""

    def __init__(self, path: Path, mode: int = 0o600) -> None:
        """Bind and listen at `path`. Raises KernelRefused."""
        self.path = path
        self.dropped_clients = 0
        self._clients: dict[int, _Client] = {}
        self._names = 0
        self._by_descriptor: dict[int, _Client] = {}
        self._poll = select.epoll()
        self._spare = _spare()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._bind(mode)
        except OSError as error:
            self.close()
            raise KernelRefused(f"control socket {path}: {error.strerror or error}") from error
        self._poll.register(self._listener.fileno(), select.EPOLLIN)

    def _bind(self, mode: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            self.path.unlink()
        previous = os.umask(0o777 & ~mode)
        try:
            self._listener.bind(str(self.path))
        finally:
            os.umask(previous)
        self._listener.listen(LARGEST_CLIENTS)

    def fileno(self) -> int:
        """A descriptor that is readable whenever `receive` has something to do."""
        return self._poll.fileno()

    def receive(self) -> list[Request]:
        """Accept, read and write what is possible now; the complete requests that came in."""
        requests: list[Request] = []
        for descriptor, mask in self._poll.poll(0, LARGEST_TURN_EVENTS):
            if descriptor == self._listener.fileno():
                self._accept()
                continue
            client = self._by_descriptor[descriptor]
            if mask & select.EPOLLOUT:
                self._flush(client)
            if mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and client.name in self._clients:
                requests.extend(self._read(client))
        return requests

    def answer(self, client_name: int, body: Mapping[str, object]) -> None:
        """Send one answer; a client that has gone meanwhile is nobody's failure."""
        client = self._clients.get(client_name)
        if client is None:
            return
        self._send(client, json.dumps(body, separators=(",", ":"), default=str).encode("utf-8") + b"\n")

    def pass_on(self, client_name: int, lines: bytes) -> None:
        """Send lines that this client did not ask for one by one; look at `unsent_bytes` before."""
        client = self._clients.get(client_name)
        if client is not None:
            self._send(client, lines)

    def unsent_bytes(self, client_name: int) -> int | None:
        """What this client has not taken yet; None for one that has gone or reads its last answer."""
        client = self._clients.get(client_name)
        return None if client is None or client.is_ending else len(client.unsent)

    def end(self, client_name: int) -> None:
        """Close this client's connection: there will be no more for it."""
        client = self._clients.get(client_name)
        if client is not None:
            self._forget(client)

    def _send(self, client: _Client, lines: bytes) -> None:
        if len(client.unsent) + len(lines) > LARGEST_ANSWER_BYTES:
            self._drop(client)
            return
        client.unsent += lines
        self._flush(client)

    def close(self) -> None:
        """Close everything and remove the socket file."""
        for client in list(self._clients.values()):
            self._forget(client)
        self._listener.close()
        self._poll.close()
        self._give_up_spare()
        with suppress(OSError):
            self.path.unlink()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._turn_away()
            return  # or the client gave up before we came
        if len(self._clients) >= LARGEST_CLIENTS:
            self.dropped_clients += 1
            connection.close()
            return
        connection.setblocking(False)
        self._names += 1
        client = _Client(self._names, connection)
        self._clients[client.name] = client
        self._by_descriptor[connection.fileno()] = client
        self._poll.register(connection.fileno(), select.EPOLLIN)

    def _turn_away(self) -> None:
        """No descriptor is free: one that waits would be readable for ever. The spare one lets it be ended."""
        self.dropped_clients += 1
        self._give_up_spare()
        with suppress(OSError):
            self._listener.accept()[0].close()
        self._spare = _spare()

    def _give_up_spare(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _read(self, client: _Client) -> Iterator[Request]:
        try:
            piece = client.connection.recv(LARGEST_REQUEST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            # Half-closed after asking is fine: the answer still goes out, then the connection ends.
            client.is_ending = True
            if client.unsent:
                self._watch(client, select.EPOLLOUT)
            else:
                self._forget(client)
            return
        client.received += piece
        *lines, rest = client.received.split(b"\n")
        client.received = rest
        if len(rest) > LARGEST_REQUEST_BYTES:
            self._drop(client)
            return
        for line in lines:
            body = _request_body(bytes(line))
            if body is None:
                self.answer(client.name, {"ok": False, "error": "a request is one JSON object a line"})
            else:
                yield Request(client.name, body)

    def _flush(self, client: _Client) -> None:
        try:
            sent = client.connection.send(client.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._forget(client)
            return
        del client.unsent[:sent]
        if client.is_ending and not client.unsent:
            self._forget(client)
            return
        reading = 0 if client.is_ending else select.EPOLLIN
        self._watch(client, reading | (select.EPOLLOUT if client.unsent else 0))

    def _watch(self, client: _Client, mask: int) -> None:
        self._poll.modify(client.connection.fileno(), mask)

    def _drop(self, client: _Client) -> None:
        self.dropped_clients += 1
        self._forget(client)

    def _forget(self, client: _Client) -> None:
        self._clients.pop(client.name, None)
        self._by_descriptor.pop(client.connection.fileno(), None)
        # A closed descriptor leaves the epoll by itself, but not while a child that is being started has it too.
        self._poll.unregister(client.connection.fileno())
        client.connection.close()


def _spare() -> int | None:
    """A descriptor to give up when there is no other; None if there is none left even for that."""
    with suppress(OSError):
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    return None


def _request_body(line: bytes) -> Mapping[str, object] | None:
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def ask(path: Path, body: Mapping[str, object], timeout_s: float = 5.0) -> Mapping[str, object]:
    """Ask the daemon behind `path` and wait for its answer. Raises ControlSocketError with the mend."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.sendall(json.dumps(body).encode("utf-8") + b"\n")
            line = _line_from(connection)
    except OSError as error:
        raise ControlSocketError(mend(path, error, timeout_s)) from error
    answer = _request_body(line)
    if answer is None:
        raise ControlSocketError(f"{path}: the daemon closed the connection without an answer; see its log")
    return answer


def _line_from(connection: socket.socket) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n") and len(received) <= LARGEST_ANSWER_BYTES:
        piece = connection.recv(1 << 16)
        if not piece:
            break
        received += piece
    return bytes(received)


def mend(path: Path, error: OSError, timeout_s: float = 0.0) -> str:
    """Why the daemon behind `path` cannot be asked, and what to do."""
    match error:
        case FileNotFoundError():
            return (
                f"no daemon listens at {path}: ask on a host of the cluster (if this is one: `systemctl status "
                "zcluster`)"
            )
        case ConnectionRefusedError():
            return f"the daemon of {path} has ended without cleaning up; start `zcluster run` again"
        case PermissionError():
            return f"not allowed to open {path}; ask as root"
        case TimeoutError():
            return f"the daemon behind {path} did not answer within {timeout_s:g} s; is it stopped?"
    return f"{path}: {error.strerror or error}"
