"""The bus for tools on loopback, behind a small daemon, turning in a thread of its own."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgpack
import zmq

from tests.tools.small_daemon import NODE, SmallDaemon
from zcluster.adapters.journal import Record
from zcluster.adapters.tools_bus import ToolsBus
from zcluster.tools.bus import BusOutlet
from zcluster.tools.bus_passing import Passing
from zcluster.tools.feed import Feed
from zcluster.tools.listening import Endpoint
from zcluster.tools.loop import Loop
from zcluster.tools.place import PlaceFile
from zcluster.tools.ring import Ring
from zcluster.wire.keys import CurvePair, derive, reader_pair

SECRET = b"s" * 32
KEYS = derive(SECRET)
GRAFANA = reader_pair(SECRET, "grafana")
WITHDRAWN = reader_pair(SECRET, "withdrawn")
PATIENCE_S = 30
GIVE_UP_MS = 3000
PATIENCE_MS = PATIENCE_S * 1000


def free_ports() -> int:
    """A port that is free, and the one after it is too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


class BusStage:
    """A daemon, its tools process and its bus. What touches them is done in their thread, by `do`."""

    def __init__(self, run_dir: Path, port: int = 0, daemon: SmallDaemon | None = None) -> None:
        self.port = port or free_ports()
        self.run_dir = run_dir
        self.daemon = daemon or SmallDaemon(run_dir)
        self._has_daemon = True
        self.ring = Ring()
        self.complaints: list[str] = []
        self.bus = ToolsBus(KEYS.server, [GRAFANA.public])
        self.outlet = BusOutlet(
            NODE,
            self.ring,
            self.bus,
            Passing(run_dir, GIVE_UP_MS),
            ["loopback"],
            lambda _: Endpoint("127.0.0.1", self.port),
            self.complaints.append,
        )
        self.feed = Feed(run_dir / "control.sock", self.ring, PlaceFile(run_dir), [self.outlet])
        self._todo: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._is_over = False
        self._wake, self._sleep = socket.socketpair()
        self._loop = Loop(self._sleep.fileno(), (self.feed, self.outlet), lambda: self._is_over)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def do(self, action: Callable[[], Any]) -> Any:
        """Have it done between two turns, and wait for it."""
        self._todo.put(action)
        self._wake.send(b".")
        return self._done.get(timeout=PATIENCE_S)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until that is so, asked between turns."""
        end = time.monotonic() + PATIENCE_S
        while not self.do(is_so):
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.005)

    def tell(self, *records: Record) -> None:
        """The daemon tells something."""
        for record in records:
            self.do(lambda record=record: self.daemon.tell(record))  # type: ignore[misc]

    def end_daemon(self) -> None:
        """The daemon is gone."""
        self._has_daemon = False
        self.do(self.daemon.close)

    def begin_daemon(self, daemon: SmallDaemon) -> None:
        """Another life of the daemon."""
        self.daemon = daemon
        self._has_daemon = True

    def close(self) -> None:
        """End the thread and give everything back."""
        self._is_over = True
        self._wake.send(b".")
        self._thread.join(PATIENCE_S)
        self.outlet.close()
        self.feed.close()
        if self._has_daemon:
            self.daemon.close()
        self._wake.close()
        self._sleep.close()

    def _turn_daemon(self) -> None:
        if self._has_daemon:
            self.daemon.turn()

    def _run(self) -> None:
        while not self._is_over:
            self._turn_daemon()
            self._loop.turn(5)
            self._turn_daemon()
            while not self._todo.empty():
                self._sleep.recv(1)
                self._done.put(self._todo.get()())


class Reader:
    """A tool that speaks plain ZeroMQ."""

    def __init__(self, port: int, pair: CurvePair = GRAFANA, server: bytes = KEYS.server.public) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.port = port
        self._pair = pair
        self._server = server

    def subscriber(self, *topics: str, **options: int | bytes) -> zmq.Socket[bytes]:
        made = self._socket(zmq.SUB, options)
        for topic in topics:
            made.subscribe(topic)
        made.connect(f"tcp://127.0.0.1:{self.port}")
        return made

    def asker(self) -> zmq.Socket[bytes]:
        made = self._socket(zmq.DEALER, {})
        made.connect(f"tcp://127.0.0.1:{self.port + 1}")
        return made

    def ask(self, **question: object) -> dict[str, Any]:
        """One question by a connection of its own."""
        with self.asker() as asker:
            asker.send(msgpack.packb(question))
            return dict(msgpack.unpackb(asker.recv()))

    def _socket(self, kind: int, options: Mapping[str, int | bytes]) -> zmq.Socket[bytes]:
        made = self.context.socket(kind)
        made.linger = 0
        made.rcvtimeo = PATIENCE_MS
        made.sndtimeo = PATIENCE_MS
        for name, value in options.items():
            setattr(made, name, value)
        made.curve_serverkey = self._server
        made.curve_publickey, made.curve_secretkey = self._pair
        return made

    def close(self) -> None:
        self.context.destroy(0)


def received(subscriber: zmq.Socket[bytes]) -> tuple[str, dict[str, Any]]:
    """The next message."""
    topic, body = subscriber.recv_multipart()
    return topic.decode(), msgpack.unpackb(body)
