"""What mod_hash does with a remote: logs in and asks for `hash_dump limit` every interval.

What must hold: it never blocks; whatever the remote says, what is kept of it is bounded. A remote that is gone, or
silent for 5 s, counts nothing from then on. Source: limit_remote_thread in mod_hash.c; the bytes are those of
tests/switch/captures/hash-remote-client-requests.recv.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

from zcluster.errors import BadMessage
from zcluster.lab.fake_switch.limits import Limits
from zcluster.lab.fake_switch.settings import Place
from zcluster.switch.answers import NO_REPLY
from zcluster.switch.esl import EslReader
from zcluster.switch.frames import ApiResponse, AuthRequest, CommandReply, DisconnectNotice, Frame

ANSWER_MS = 5000
BODY_BYTES = 1 << 20
_RECEIVE_BYTES = 64 << 10
_ASK = b"api hash_dump limit\n\n"


class LimitsPoll:
    """One remote of one switch."""

    def __init__(self, limits: Limits, place: Place, password: str, interval_ms: int) -> None:
        self._limits = limits
        self._place = place
        self._password = password
        self._interval_ms = interval_ms
        self._socket: socket.socket | None = None
        self._reader = EslReader(BODY_BYTES)
        self._is_up = False
        self._asked_ms: int | None = None
        self._due_ms = 0

    def deadline(self) -> int:
        """When `advance` must be called at the latest."""
        return self._due_ms

    def advance(self, now_ms: int) -> None:
        """Reads what has come, and asks when it is time. Call it at least every interval."""
        if self._socket is not None:
            self._read(self._socket, now_ms)
        if now_ms < self._due_ms:
            return
        self._due_ms = now_ms + self._interval_ms
        if self._asked_ms is not None and now_ms - self._asked_ms > ANSWER_MS:
            self._lose()
        if self._socket is None:
            self._connect(now_ms)
        elif self._is_up and self._asked_ms is None:
            self._send(_ASK, now_ms)

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _connect(self, now_ms: int) -> None:
        family = socket.AF_INET6 if ":" in self._place[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._reader = EslReader(BODY_BYTES)
        self._asked_ms = now_ms
        with suppress(BlockingIOError):
            try:
                self._socket.connect(self._place)
            except ConnectionError:
                self._lose()

    def _read(self, connection: socket.socket, now_ms: int) -> None:
        try:
            data = connection.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as problem:
            if problem.errno != errno.ENOTCONN:  # that one: still connecting
                self._lose()
            return
        try:
            frames = self._reader.feed(data) if data else []
        except BadMessage:
            data, frames = b"", []
        if not data:
            self._lose()
        for frame in frames:
            self._hear(frame, now_ms)

    def _hear(self, frame: Frame, now_ms: int) -> None:
        match frame:
            case AuthRequest():
                self._send(f"auth {self._password}\n\n".encode(), now_ms)
            case CommandReply() if not frame.is_error:
                self._is_up, self._asked_ms = True, None
            case ApiResponse():
                self._asked_ms = None
                self._limits.hear_remote("" if frame.body == NO_REPLY else frame.body)
            case CommandReply() | DisconnectNotice():
                self._lose()
            case _:
                pass

    def _send(self, data: bytes, now_ms: int) -> None:
        if self._socket is None:
            return
        self._asked_ms = now_ms
        try:
            self._socket.send(data)
        except OSError:
            self._lose()

    def _lose(self) -> None:
        self.close()
        self._is_up, self._asked_ms = False, None
        self._limits.lose_remote()
