"""`--connect HOST`: another node's answers behind sockets of this host, so that every command reads them as its own.

    control.sock    status, why, follow
    data.sock       calls, registrations, limits, streams

Both stand in a directory of the caller's own for as long as the command runs; a thread hands questions on to the bus
for tools of that node (docs/bus.md), and what it publishes back.

What must hold: nothing can be changed from here; a follower is told what it missed, and its connection ends with the
life of the daemon that it follows, as that of a local one does; what is under way and what waits is bounded.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from zcluster.adapters.control_socket import FILE_NAME as CONTROL_SOCKET
from zcluster.adapters.control_socket import ControlSocket, Request
from zcluster.console.asked import NO_WISHES, Sockets
from zcluster.errors import ControlSocketError
from zcluster.reader.connection import Connection, Waiting, context
from zcluster.reader.credential import load_credential

DATA_SOCKET = "data.sock"
FOLLOW_SCHEMA = "zcluster.follow/1"
ANSWER_LIMIT_S = 12.0
FIRST_LIMIT_S = 5.0
SILENCE_S = 6.0
LARGEST_UNDER_WAY = 64
LARGEST_UNSENT_BYTES = 256 << 10
TURN_MS = 250
_READING = ("ping", "status", "why", "calls", "registrations", "lost", "limits", "streams")


@contextmanager
def sockets_at(host: str, key: Path) -> Iterator[Sockets]:
    """The sockets of `host` ("HOST", "HOST:PORT"), read with the credential in `key`.

    Raises ControlSocketError where it does not answer or does not admit us, and BusError for a bad key file or host.
    """
    credential = load_credential(key)
    with ExitStack() as stack:
        shared = context()
        stack.callback(shared.destroy, 0)
        connection = Connection(shared, host, credential)
        stack.callback(connection.close)
        if connection.ask({"ask": "ping"}, FIRST_LIMIT_S) is None:
            raise ControlSocketError(_unanswered(host, key, connection.refused))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zcluster-")))
        bridge = _Bridge(connection, directory)
        stack.callback(bridge.close)
        yield Sockets(directory / CONTROL_SOCKET, directory / DATA_SOCKET)


def _unanswered(host: str, key: Path, is_refused: bool) -> str:
    if is_refused:
        return f"{host}: the key {key} is not admitted; is its name still in [tools] readers of the cluster's file?"
    return f"{host}: no answer; does the bus for tools listen there ([tools] listen), and is {key} of its cluster?"


class _UnderWay(NamedTuple):
    """A question that was handed on."""

    socket: ControlSocket
    client: int
    limit_s: float


@dataclass(slots=True)
class _Follower:
    """One that follows the story; `incarnation` 0 before the first answer. `asked`: what is under way for it."""

    incarnation: int
    number: int
    is_now: bool
    is_begun: bool = False
    asked: str = ""


class _Bridge:
    """Both sockets and the thread that serves them, until `close`."""

    def __init__(self, connection: Connection, directory: Path) -> None:
        self._connection = connection
        self._control = ControlSocket(directory / CONTROL_SOCKET)
        self._data = ControlSocket(directory / DATA_SOCKET)
        self._under_way: dict[str, _UnderWay] = {}
        self._followers: dict[int, _Follower] = {}
        self._heard_s = time.monotonic()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="zcluster-connect", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, then the sockets."""
        self._is_over = True
        self._thread.join()
        self._control.close()
        self._data.close()

    def _run(self) -> None:
        waiting = Waiting(self._connection, self._control.fileno(), self._data.fileno())
        while not self._is_over:
            waiting.wait(TURN_MS)
            for socket in (self._control, self._data):
                for request in socket.receive():
                    self._take(socket, request)
            for answer in self._connection.answers():
                self._take_answer(answer)
            for is_event, body in self._connection.published():
                self._take_published(is_event, body)
            self._give_up(time.monotonic())

    # ---- questions

    def _take(self, socket: ControlSocket, request: Request) -> None:
        body = request.body
        if body.get("ask") == "follow":
            self._follow(request.client, body)
        elif body.get("ask") not in _READING:
            socket.answer(request.client, {"ok": False, "error": NO_WISHES})
        elif len(self._under_way) >= LARGEST_UNDER_WAY:
            socket.end(request.client)
        else:
            # What was left empty is left out: the bus knows fewer spellings than the sockets of this host.
            question = {key: value for key, value in body.items() if value != ""}
            limit_s = time.monotonic() + ANSWER_LIMIT_S
            self._under_way[self._connection.send(question)] = _UnderWay(socket, request.client, limit_s)

    def _take_answer(self, answer: dict[str, Any]) -> None:
        self._heard_s = time.monotonic()
        identity = answer.pop("id", None)
        under_way = self._under_way.pop(identity, None) if isinstance(identity, str) else None
        if under_way is not None:
            under_way.socket.answer(under_way.client, answer)
            return
        for client, follower in list(self._followers.items()):
            if follower.asked and follower.asked == identity:
                follower.asked = ""
                self._take_story(client, follower, answer)

    def _give_up(self, now_s: float) -> None:
        for identity, under_way in list(self._under_way.items()):
            if now_s >= under_way.limit_s:
                del self._under_way[identity]
                under_way.socket.end(under_way.client)
        if now_s - self._heard_s >= SILENCE_S:
            for client in list(self._followers):
                self._end(client)

    # ---- the story

    def _follow(self, client: int, body: Mapping[str, Any]) -> None:
        begin, incarnation = body.get("from", "now"), body.get("incarnation", 0)
        is_numbered = type(begin) is int and type(incarnation) is int
        follower = _Follower(incarnation if is_numbered else 0, begin if is_numbered else 0, begin == "now")
        self._heard_s = time.monotonic()
        self._followers[client] = follower
        self._ask_for(follower)

    def _ask_for(self, follower: _Follower) -> None:
        place = {"incarnation": follower.incarnation, "number": follower.number}
        follower.asked = self._connection.send({"ask": "since", **place})

    def _take_story(self, client: int, follower: _Follower, answer: Mapping[str, Any]) -> None:
        events, incarnation, newest = answer.get("events"), answer.get("incarnation"), answer.get("number")
        if not isinstance(events, list) or type(incarnation) is not int or type(newest) is not int:
            self._end(client)
            return
        is_same = incarnation == follower.incarnation
        if follower.is_begun and not is_same:
            self._end(client)
            return
        lost = answer.get("lost", 0)
        if not follower.is_begun:
            follower.is_begun, follower.incarnation = True, incarnation
            follower.number = follower.number if is_same else 0
            about = {
                "schema": FOLLOW_SCHEMA,
                "ok": True,
                "node": answer.get("by"),
                "incarnation": incarnation,
            }
            self._control.answer(client, {**about, "number": newest, "lost": lost if is_same else 0})
        elif lost:
            self._control.answer(client, {"lost": lost})
        if follower.is_now:
            follower.is_now, follower.number = False, newest
            return
        for event in events:
            self._pass_on(client, follower, event)
        if answer.get("more"):
            self._ask_for(follower)
        else:
            follower.number = max(follower.number, newest)

    def _take_published(self, is_event: bool, body: Mapping[str, Any]) -> None:
        self._heard_s = time.monotonic()
        incarnation, number = body.get("incarnation"), body.get("number")
        if type(incarnation) is not int or type(number) is not int or not incarnation:
            return
        for client, follower in list(self._followers.items()):
            unsent = self._control.unsent_bytes(client)
            if unsent is None or (follower.is_begun and incarnation != follower.incarnation):
                self._end(client)
            elif follower.asked or not follower.is_begun or unsent > LARGEST_UNSENT_BYTES:
                continue
            elif is_event and number == follower.number + 1:
                self._pass_on(client, follower, body)
            elif number > follower.number:
                self._ask_for(follower)

    def _pass_on(self, client: int, follower: _Follower, event: Mapping[str, Any]) -> None:
        number = event.get("number")
        if type(number) is int and number > follower.number:
            follower.number = number
            line = json.dumps({"number": number, "record": event.get("record")}, default=str)
            self._control.pass_on(client, line.encode("utf-8") + b"\n")

    def _end(self, client: int) -> None:
        self._followers.pop(client, None)
        self._control.end(client)
