"""Replication over real sockets: events a second decoded and applied, beside raw pyzmq moving the same batches.

Run it with `python -m bench.stream_bus` (a minute). A writer and 1 or 4 subscribers, each a process, CURVE on all
sockets, loopback. `ours`: StreamBus on both sides, and at the subscriber the stream codec and a Replicator. `raw`:
the same payloads from a PUB socket with the same options to SUB sockets that only receive them. Both are encoded
before the clock starts: writing is the affair of bench/streams.py. The clock runs from the first batch sent until
the last subscriber has the last one. On few cores the subscribers take turns, so look at the processor time too;
DESIGN.md's bound is a ratio of 2.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median

import zmq
from rich.console import Console
from rich.table import Table as Page

from bench.streams import registration
from zcluster.adapters.bus import BusKeys
from zcluster.adapters.stream_bus import PeerAddress, StreamBus
from zcluster.adapters.stream_sockets import LinkAddress
from zcluster.streams.actions import Publish, Send
from zcluster.streams.events import GroupWon, MessageReceived, RecordsChanged, StreamLoaded, Tick
from zcluster.streams.limits import StreamLimits
from zcluster.streams.replicator import Replicator
from zcluster.streams.units import REGISTRATIONS, record_key
from zcluster.wire.keys import derive
from zcluster.wire.stream_codec import decode, encode

EVENTS = 200_000
BATCH = 128
RECORDS = 50_000
WIRE = derive(b"bench" * 6 + b"zc")
KEYS = BusKeys(WIRE.server, WIRE.client)
WRITER = "127.0.0.1"
PATIENCE_S = 120
CURVE_OPTIONS = {zmq.LINGER: 0, zmq.SNDBUF: 1 << 20, zmq.RCVBUF: 1 << 20}


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds by the clock, and of processor time at the writer and at a subscriber."""

    took_s: float
    writer_s: float
    subscriber_s: float


def now_ms() -> int:
    """Monotonic milliseconds."""
    return time.monotonic_ns() // 1_000_000


def changes(number: int) -> tuple[tuple[bytes, bytes | None], ...]:
    """The changes of one batch; later ones replace the records of earlier ones."""
    made = []
    for at in range(number * BATCH, (number + 1) * BATCH):
        key, body = registration(at % RECORDS, at // RECORDS)
        made.append((record_key("blue", key[-24:]), body))
    return tuple(made)


class Side:
    """A replicator on a bus."""

    def __init__(self, node: str, address: str, port: int, peers: dict[str, str]) -> None:
        self.replicator = Replicator(node, 1, b"k" * 32, StreamLimits(batch_age_ms=1000))
        self.bus = StreamBus(node, KEYS, (LinkAddress("hb", address, port),))
        self.bus.run(now_ms())
        places = tuple(PeerAddress(name, 1, {"hb": at}) for name, at in peers.items())
        self.bus.set_peers(places, now_ms())

    def handle(self, event: MessageReceived | RecordsChanged | GroupWon | StreamLoaded | Tick) -> None:
        for action in self.replicator.handle(event, now_ms()):
            match action:
                case Publish(message):
                    self.bus.publish(message.stream.name, encode(message))
                case Send(node, message):
                    self.bus.send(node, encode(message))

    def turn(self) -> None:
        for each in self.bus.receive(64, now_ms()):
            self.handle(MessageReceived(decode(each.body), each.sender))
        if now_ms() >= self.bus.deadline():
            self.bus.run(now_ms())
        if now_ms() >= self.replicator.deadline():
            self.handle(Tick())


def our_subscriber(number: int, port: int, total: int, pipe: Connection) -> None:
    """Apply until everything is here."""
    side = Side(f"s{number}", f"127.0.0.{10 + number}", port, {"w": WRITER})
    tables = side.replicator.tables[REGISTRATIONS]

    def copied() -> int:
        return max((copy.applied for stream, copy in tables.copies.items() if stream.node == "w"), default=0)

    def wait(sequence: int) -> None:
        until_s = time.monotonic() + PATIENCE_S
        while copied() < sequence:
            assert time.monotonic() < until_s, (number, copied(), side.replicator.counts, side.bus.counts)
            side.turn()
            if not side.bus.has_more:
                zmq.select([side.bus.fileno()], [], [], 0.01)

    # The claim and the first record: the connection stands.
    wait(1)
    pipe.send("ready")
    began = time.process_time()
    wait(total)
    pipe.send(time.process_time() - began)


def our_writer(port: int, batches: int, subscribers: int, pipes: list[Connection]) -> Run:
    """Write, publish, and wait for all."""
    side = Side("w", WRITER, port, {f"s{each}": f"127.0.0.{10 + each}" for each in range(subscribers)})
    payloads: list[bytes] = []
    side.handle(GroupWon("blue", 1))
    side.handle(RecordsChanged(REGISTRATIONS, ((record_key("blue", b"first"), b"x"),)))
    side.handle(StreamLoaded(REGISTRATIONS))
    while not all(pipe.poll() for pipe in pipes):
        side.turn()
        time.sleep(0.001)
    for pipe in pipes:
        pipe.recv()
    # Writing is bench/streams.py's affair: what is measured here begins with bytes, like the raw run.
    for number in range(batches):
        if now_ms() >= side.bus.deadline():
            side.bus.run(now_ms())
        for action in side.replicator.handle(RecordsChanged(REGISTRATIONS, changes(number)), now_ms()):
            if isinstance(action, Publish):
                payloads.append(encode(action.message))
    began, cpu = time.perf_counter(), time.process_time()
    for payload in payloads:
        side.bus.publish(REGISTRATIONS, payload)
    written = time.process_time() - cpu
    while not all(pipe.poll() for pipe in pipes):
        side.turn()
        time.sleep(0.0005)
    took = time.perf_counter() - began
    return Run(took, written, median(float(pipe.recv()) for pipe in pipes))


def raw_subscriber(number: int, port: int, total: int, pipe: Connection) -> None:
    """Receive until everything came."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made = context.socket(zmq.SUB)
    for option, value in {**CURVE_OPTIONS, zmq.RCVHWM: 1024}.items():
        made.setsockopt(option, value)
    made.curve_serverkey = WIRE.server.public
    made.curve_publickey, made.curve_secretkey = WIRE.client
    made.setsockopt(zmq.SUBSCRIBE, b"zc1.")
    made.connect(f"tcp://{WRITER}:{port}")
    made.recv_multipart()
    pipe.send("ready")
    began = time.process_time()
    left = total // BATCH
    while left:
        left -= made.recv_multipart()[0] != b"zc1.hello"
    pipe.send(time.process_time() - began)
    context.destroy(0)


def raw_writer(port: int, batches: int, subscribers: int, pipes: list[Connection]) -> Run:
    """Send what was encoded before, and wait for all."""
    payloads: list[bytes] = []
    replicator = Replicator("w", 1, b"k" * 32, StreamLimits(batch_age_ms=1000))
    replicator.handle(GroupWon("blue", 1), 0)
    for number in range(batches):
        for action in replicator.handle(RecordsChanged(REGISTRATIONS, changes(number)), 0):
            if isinstance(action, Publish):
                payload = encode(action.message)
                if len(payload) > BATCH * 100:
                    payloads.append(payload)
    payloads = payloads[:batches]
    assert len(payloads) == batches
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made = context.socket(zmq.PUB)
    for option, value in {**CURVE_OPTIONS, zmq.SNDHWM: 4096}.items():
        made.setsockopt(option, value)
    made.curve_server = True
    made.curve_publickey, made.curve_secretkey = WIRE.server
    made.bind(f"tcp://{WRITER}:{port}")
    while not all(pipe.poll() for pipe in pipes):
        made.send_multipart([b"zc1.hello", b""])
        time.sleep(0.005)
    for pipe in pipes:
        pipe.recv()
    began, cpu = time.perf_counter(), time.process_time()
    for payload in payloads:
        made.get(zmq.EVENTS)
        made.send_multipart([b"zc1.registrations.w", payload])
    written = time.process_time() - cpu
    while not all(pipe.poll() for pipe in pipes):
        time.sleep(0.0005)
    took = time.perf_counter() - began
    context.destroy(0)
    return Run(took, written, median(float(pipe.recv()) for pipe in pipes))


Subscriber = Callable[[int, int, int, Connection], None]
Writer = Callable[[int, int, int, list[Connection]], Run]


def one(subscriber: Subscriber, writer: Writer, subscribers: int, events: int) -> Run:
    """One run with fresh processes."""
    fork = multiprocessing.get_context("spawn")
    with socket.socket() as probe:
        probe.bind((WRITER, 0))
        port = int(probe.getsockname()[1])
    pipes, children = [], []
    for number in range(subscribers):
        here, there = fork.Pipe()
        child = fork.Process(target=subscriber, args=(number, port, events, there), daemon=True)
        child.start()
        pipes.append(here)
        children.append(child)
    try:
        return writer(port, events // BATCH, subscribers, pipes)
    finally:
        for child in children:
            child.join(5)
            child.kill()


def figures(runs: list[Run], events: int) -> dict[str, float]:
    """Medians."""
    return {
        "events a second, each subscriber": events / median(run.took_s for run in runs),
        "us of a processor an event, writer": 1e6 * median(run.writer_s for run in runs) / events,
        "us of a processor an event, subscriber": 1e6 * median(run.subscriber_s for run in runs) / events,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--runs", type=int, default=3)
    wanted = parser.parse_args()
    events = wanted.events // BATCH * BATCH
    page = Page(
        f"{events:,} events of 350 bytes in batches of {BATCH}, {os.cpu_count()} cores",
        "ours",
        "raw pyzmq",
        "ratio",
    )
    for subscribers in (1, 4):
        ours = [one(our_subscriber, our_writer, subscribers, events) for _ in range(wanted.runs)]
        raw = [one(raw_subscriber, raw_writer, subscribers, events) for _ in range(wanted.runs)]
        mine, theirs = figures(ours, events), figures(raw, events)
        for name, one_of_ours in mine.items():
            one_of_theirs = theirs[name]
            is_rate = name.startswith("events")
            ratio = one_of_theirs / one_of_ours if is_rate else one_of_ours / one_of_theirs
            row = (f"{subscribers}: {name}", f"{one_of_ours:,.2f}", f"{one_of_theirs:,.2f}", f"{ratio:.2f}")
            page.add_row(*row)
    Console(width=110).print(page)


if __name__ == "__main__":
    main()
