"""Follow a cluster from a program of your own: what happens, in order and each thing once, and questions.

    from zcluster.client import Client, load_credential

    with Client(["10.77.9.1", "10.77.9.2"], load_credential("ops.reader")) as client:
        print(client.status()["groups"])
        for event in client.events():
            print(event.node, event.code, event.text)

A credential is what `zcluster reader-key` writes; the protocol is in docs/bus.md. Needs pyzmq and msgpack, and nothing
else of zcluster.

What must hold: over several endpoints each record comes once, and those of one node in the order in which it told
them; what was missed is asked for, and what nobody has any more is told by `Event.missed`. One thread at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import zmq

from zcluster.errors import BusError, BusRefused
from zcluster.reader.connection import ANSWER_LIMIT_S, Connection, Socket
from zcluster.reader.credential import Credential, load_credential
from zcluster.reader.order import Event, Order

__all__ = ["BusError", "BusRefused", "Client", "Credential", "Event", "load_credential"]


class Client:
    """A reader of one cluster, over any number of its nodes: one that is there is enough."""

    def __init__(self, hosts: Sequence[str] | str, credential: Credential) -> None:
        """`hosts`: where the bus for tools is, as of `Connection`. Nothing is waited for. Raises BusError."""
        self._context: zmq.Context[Socket] = zmq.Context()
        names = [hosts] if isinstance(hosts, str) else list(hosts)
        self._connections: list[Connection] = []
        try:
            for name in names:
                self._connections.append(Connection(self._context, name, credential))
        except BusError:
            self.close()
            raise
        self._order = Order()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, what: str, limit_s: float = ANSWER_LIMIT_S, **question: Any) -> dict[str, Any]:
        """The first node's answer that comes; each gets `limit_s`. Raises BusError, BusRefused for the key."""
        error = ""
        for connection in self._connections:
            answer = connection.ask({"ask": what, **question}, limit_s)
            if answer is not None and answer.get("ok") is True:
                return answer
            if answer is not None:
                error = f"{connection.host}: {answer.get('error')}"
        if error:
            raise BusError(error)
        hosts = ", ".join(connection.host for connection in self._connections)
        if self._connections and all(connection.refused for connection in self._connections):
            raise BusRefused(
                f"{hosts}: this reader's key is not admitted; is its name still in the file's readers?"
            )
        raise BusError(
            f"{hosts}: no answer; does the bus for tools listen there, and is this its cluster's key?"
        )

    def status(self) -> dict[str, Any]:
        """The status document of the first node that answers (docs/json.md)."""
        return self.ask("status")

    def snapshot(self) -> dict[str, Any]:
        """The status, and the first part of what a node has of the story: `events`, `more`, `lost`."""
        return self.ask("snapshot")

    def events(self, is_from_start: bool = False, timeout_s: float | None = None) -> Iterator[Event]:
        """What happens, for ever, or until nothing came for `timeout_s`. Raises BusRefused where no node admits us.

        With `is_from_start` what the nodes still know of before comes first.
        """
        poller = zmq.Poller()
        for connection in self._connections:
            connection.begin(is_from_start)
            poller.register(connection.subscriber, zmq.POLLIN)
            poller.register(connection.asker, zmq.POLLIN)
        self._order.is_from_start = is_from_start
        last_s = time.monotonic()
        while True:
            for connection in self._connections:
                for record in connection.events():
                    self._order.add(record, connection.by, time.monotonic())
            for event in self._order.ready(time.monotonic()):
                last_s = time.monotonic()
                yield event
            if self._connections and all(connection.refused for connection in self._connections):
                raise BusRefused(
                    "this reader's key is not admitted; is its name still in the file's readers?"
                )
            left_s = 1.0 if timeout_s is None else last_s + timeout_s - time.monotonic()
            if left_s <= 0:
                return
            wait_s = min(left_s, self._order.wait_s(time.monotonic()), 1.0)
            poller.poll(max(int(wait_s * 1000), 1))

    def close(self) -> None:
        """Give everything back."""
        for connection in self._connections:
            connection.close()
        self._context.destroy(0)
