from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
import zmq

from zcluster.adapters.bus import BusKeys
from zcluster.adapters.stream_bus import PeerAddress, Received, StreamBus
from zcluster.adapters.stream_sockets import MAX_FRAME_BYTES, REQUEST_QUEUE_MESSAGES, SEAL_BYTES, LinkAddress
from zcluster.wire.keys import WireKeys, derive

PATIENCE_S = 10.0
KEYS = derive(b"k" * 32)
OTHER_KEYS = derive(b"o" * 32)
LEFT = {"a": "127.0.0.1", "b": "127.0.0.2", "c": "127.0.0.3"}
RIGHT = {"a": "127.0.1.1", "b": "127.0.1.2", "c": "127.0.1.3"}


def bus_keys(wire: WireKeys) -> BusKeys:
    return BusKeys(wire.server, wire.client)


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


@pytest.fixture
def port() -> int:
    """A port with the next one free too."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            number: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", number + 1))
            except OSError:
                continue
            return number
    raise AssertionError("no two ports in a row")


class Side:
    """A bus and what it heard."""

    def __init__(self, node: str, port: int, links: str = "left right", keys: WireKeys = KEYS) -> None:
        places = [LinkAddress(link, at[node], port) for link, at in (("left", LEFT), ("right", RIGHT))]
        self.bus = StreamBus(
            node, bus_keys(keys), tuple(place for place in places if place.link in links.split())
        )
        self.node = node
        self.heard: list[Received] = []
        self.moved: list[str] = []
        self.bus.run(now_ms())

    def knows(self, *nodes: str, incarnation: int = 1, **addresses: str) -> None:
        peers = [
            PeerAddress(node, incarnation, addresses or {"left": LEFT[node], "right": RIGHT[node]})
            for node in nodes
        ]
        self.moved += self.bus.set_peers(tuple(peers), now_ms())

    def turn(self) -> None:
        while (part := self.bus.receive(64, now_ms())) or self.bus.has_more:
            self.heard += part
        if now_ms() >= self.bus.deadline():
            self.moved += self.bus.run(now_ms())

    def close(self) -> None:
        self.bus.close()


@contextmanager
def company(port: int, *nodes: str) -> Iterator[list[Side]]:
    sides = [Side(node, port) for node in nodes]
    try:
        for side in sides:
            side.knows(*(node for node in nodes if node != side.node))
        yield sides
    finally:
        for side in sides:
            side.close()


def until(sides: list[Side], check: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        for side in sides:
            side.turn()
        if check():
            return True
        time.sleep(0.002)
    return False


def meet(sides: list[Side]) -> None:
    """Until everybody hears everybody, on both kinds of socket."""

    def are_met() -> bool:
        for side in sides:
            side.bus.publish("calls", b"hello")
            for other in sides:
                if other is not side:
                    side.bus.send(other.node, b"you")
        return all(
            {each.sender for each in side.heard if each.body == body} >= {o.node for o in sides} - {side.node}
            for side in sides
            for body in (b"hello", b"you")
        )

    assert until(sides, are_met), [side.heard for side in sides]
    assert until(sides, lambda: True)
    for side in sides:
        side.heard.clear()


def bodies(side: Side) -> list[bytes]:
    return [each.body for each in side.heard if each.body not in (b"hello", b"you")]


def test_what_is_published_and_sent_arrives_with_its_sender(port: int) -> None:
    with company(port, "a", "b", "c") as (a, b, c):
        meet([a, b, c])
        a.bus.publish("registrations", b"all")
        assert a.bus.send("b", b"one")
        assert until([a, b, c], lambda: len(bodies(b)) == 2 and len(bodies(c)) == 1)
        assert set(b.heard) >= {Received("a", b"all"), Received("a", b"one")}
        assert bodies(c) == [b"all"]
        assert bodies(a) == []


def test_a_large_message_arrives_and_order_is_kept(port: int) -> None:
    with company(port, "a", "b") as (a, b):
        meet([a, b])
        wanted = [b"%d" % number + b"x" * (number * 10_000) for number in range(40)]
        for body in wanted:
            a.bus.send("b", body)
            b.turn()
        wanted.append(b"y" * MAX_FRAME_BYTES)
        a.bus.send("b", wanted[-1])
        assert until([a, b], lambda: bodies(b) == wanted)


def test_a_message_goes_over_one_link_once(port: int) -> None:
    with company(port, "a", "b") as (a, b):
        meet([a, b])
        for number in range(200):
            a.bus.publish("calls", b"%d" % number)
        assert until([a, b], lambda: len(bodies(b)) >= 200)
        until([a, b], lambda: False, 0.05)
        assert bodies(b) == [b"%d" % number for number in range(200)]


def test_the_descriptor_tells_of_every_arrival(port: int) -> None:
    import select

    with company(port, "a", "b") as (a, b):
        meet([a, b])
        waiting = select.poll()
        waiting.register(b.bus.fileno(), select.POLLIN)
        for number in range(300):
            b.turn()
            wanted = b"%d" % number
            a.bus.publish("calls", wanted)
            a.bus.receive(16, now_ms())
            while wanted not in bodies(b):
                assert b.bus.has_more or waiting.poll(1000), "the sign was lost"
                b.heard += b.bus.receive(16, now_ms())


def test_a_turn_is_bounded_and_nobodys_flood_hides_another(port: int) -> None:
    with company(port, "a", "b", "c") as (a, b, c):
        meet([a, b, c])
        for number in range(500):
            a.bus.publish("calls", b"a%d" % number)
        c.bus.publish("calls", b"from c")
        time.sleep(0.1)
        part = b.bus.receive(32, now_ms())
        assert 0 < len(part) <= 64
        assert b.bus.has_more
        part += b.bus.receive(32, now_ms())
        part += b.bus.receive(32, now_ms())
        assert Received("c", b"from c") in part


@pytest.mark.slow
def test_a_silent_link_is_left_for_the_next(port: int) -> None:
    a = Side("a", port)
    with closing(a):
        a.knows("b")
        assert a.bus.paths() == {"b": "left"}
        a.moved.clear()
        with closing(Side("b", port, "right")) as b:
            b.knows("a")
            assert until([a, b], lambda: a.bus.paths() == {"b": "right"})
            assert a.moved == ["b"]
            meet([a, b])
        again = Side("b", port, "left")
        with closing(again):
            again.knows("a")
            # Same life, but the link on which it was heard is dead now.
            assert until([a, again], lambda: a.bus.paths() == {"b": "left"})
            meet([a, again])
    assert a.bus.counts["silences"] >= 2


@pytest.mark.slow
def test_who_is_heard_stays_on_its_link(port: int) -> None:
    with company(port, "a", "b") as (a, b):
        meet([a, b])
        a.moved.clear()
        b.moved.clear()
        until([a, b], lambda: False, 1.5)
        assert a.moved == b.moved == []
        assert a.bus.counts["silences"] == 0


def test_our_own_stall_moves_nobody(port: int) -> None:
    with company(port, "a", "b") as (a, b):
        meet([a, b])
        a.moved.clear()
        assert a.bus.run(now_ms() + 60_000) == []


def test_a_link_that_the_control_process_does_not_name_is_left_at_once(port: int) -> None:
    with company(port, "a", "b") as (a, b):
        meet([a, b])
        a.moved.clear()
        a.knows("b", right=RIGHT["b"])
        assert a.bus.paths() == {"b": "right"}
        assert a.moved == ["b"]
        meet([a, b])
        a.knows("b", nowhere="127.0.9.9")
        assert a.bus.paths() == {"b": ""}
        assert not a.bus.send("b", b"lost")


def test_a_restarted_peer_is_heard_again(port: int) -> None:
    a, b = Side("a", port), Side("b", port)
    with closing(a):
        a.knows("b")
        b.knows("a")
        meet([a, b])
        b.close()
        a.moved.clear()
        b = Side("b", port)
        with closing(b):
            a.knows("b", incarnation=2)
            b.knows("a")
            assert a.moved == ["b"]
            meet([a, b])


def test_a_peer_that_left_is_not_heard(port: int) -> None:
    with company(port, "a", "b", "c") as (a, b, c):
        meet([a, b, c])
        b.knows("c")
        a.bus.publish("calls", b"late")
        a.bus.send("b", b"late too")
        assert until([a, b, c], lambda: b.bus.counts["stranger"] >= 1)
        until([a, b, c], lambda: False, 0.05)
        assert bodies(b) == []
        assert bodies(c) == [b"late"]


@pytest.mark.slow
def test_an_address_that_is_not_there_is_tried_again(port: int) -> None:
    squatter = socket.socket()
    squatter.bind((LEFT["a"], port))
    squatter.listen()
    a, b = Side("a", port, "left"), Side("b", port, "left")
    with closing(a), closing(b):
        assert a.bus.links == ()
        assert "cannot listen on 127.0.0.1" in a.bus.problems()["left"]
        squatter.close()
        a.knows("b")
        b.knows("a")
        assert until([a, b], lambda: a.bus.links == ("left",))
        assert a.bus.problems() == {}
        meet([a, b])


def hostile(
    context: zmq.Context[zmq.Socket[bytes]],
    kind: int,
    endpoint: str,
    server: bytes,
    pair: tuple[bytes, bytes],
) -> zmq.Socket[bytes]:
    made = context.socket(kind)
    made.linger = 0
    made.curve_serverkey = server
    made.curve_publickey, made.curve_secretkey = pair
    made.connect(endpoint)
    return made


@pytest.mark.parametrize("keys", [OTHER_KEYS.client, KEYS.reader], ids=["another cluster", "a reader"])
def test_who_is_no_member_cannot_send(port: int, keys: tuple[bytes, bytes]) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with company(port, "a", "b") as (a, b):
        meet([a, b])
        sender = hostile(context, zmq.PUSH, f"tcp://{LEFT['b']}:{port + 1}", KEYS.server.public, keys)
        sender.send_multipart([b"a", b"forged"])
        assert until([a, b], lambda: b.bus.counts["refused"] > 0)
        until([a, b], lambda: False, 0.1)
        assert bodies(b) == []
        sender.close()
    context.term()


@pytest.mark.parametrize(
    ("keys", "is_admitted"), [(KEYS.client, True), (KEYS.reader, False)], ids=["a member", "a reader"]
)
def test_members_alone_hear_what_is_published(
    port: int, keys: tuple[bytes, bytes], is_admitted: bool
) -> None:
    """The metadata of a call holds the keys of its media."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with company(port, "a", "b") as (a, b):
        listener = hostile(context, zmq.SUB, f"tcp://{LEFT['a']}:{port}", KEYS.server.public, keys)
        listener.setsockopt(zmq.SUBSCRIBE, b"zc1.calls.")

        def is_settled() -> bool:
            a.bus.publish("calls", b"news")
            return bool(listener.poll(0)) or a.bus.counts["refused"] > 0

        assert until([a, b], is_settled)
        assert bool(listener.poll(0)) is is_admitted
        listener.close()
    context.term()


def test_garbage_of_a_member_is_counted_and_dropped(port: int) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with company(port, "a", "b") as (a, b):
        meet([a, b])
        sender = hostile(context, zmq.PUSH, f"tcp://{LEFT['b']}:{port + 1}", KEYS.server.public, KEYS.client)
        for frames in ([b"one"], [b"a", b"b", b"c"], [b"\xff\xfe", b"x"], [b"n" * 65, b"x"], [b"zz", b"x"]):
            sender.send_multipart(frames)
        assert until([a, b], lambda: sum(b.bus.counts[each] for each in ("frames", "name", "stranger")) == 5)
        # Too long: the connection ends, ours goes on.
        sender.send_multipart([b"a", b"x" * (MAX_FRAME_BYTES + SEAL_BYTES)])
        until([a, b], lambda: False, 0.1)
        a.bus.send("b", b"still here")
        assert until([a, b], lambda: bodies(b) == [b"still here"])
        sender.close()
    context.term()


def test_a_publisher_that_says_garbage_or_another_name_is_sought_anew(port: int) -> None:
    """Who has the cluster's key and another node's address may publish; only its own name counts there."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    fake = context.socket(zmq.PUB)
    fake.linger = 0
    fake.curve_server = True
    fake.curve_publickey, fake.curve_secretkey = KEYS.server
    fake.bind(f"tcp://{LEFT['b']}:{port}")
    a, b = Side("a", port), Side("b", port, "right")
    with closing(a), closing(b):
        a.knows("b")
        b.knows("a")

        def is_counted() -> bool:
            fake.send_multipart([b"zc1.calls.c", b"of another"])
            fake.send_multipart([b"zc1.calls.b"])
            fake.send_multipart([b"zc1.b", b"short"])
            return min(a.bus.counts["name"], a.bus.counts["frames"]) > 0

        assert until([a, b], is_counted)
        assert bodies(a) == []
        assert until([a, b], lambda: a.bus.paths() == {"b": "right"})
        meet([a, b])
    fake.close()
    context.term()


def test_bytes_that_are_no_zeromq_harm_nobody(port: int) -> None:
    with company(port, "a", "b") as (a, b):
        meet([a, b])
        for at in (port, port + 1):
            with socket.create_connection((LEFT["b"], at)) as raw:
                raw.sendall(b"GET / HTTP/1.1\r\n\r\n" * 1000)
        a.bus.send("b", b"still here")
        assert until([a, b], lambda: bodies(b) == [b"still here"])


def test_a_peer_that_does_not_read_costs_a_queue_and_no_time(port: int) -> None:
    with company(port, "a", "b") as (a, b):
        meet([a, b])
        body = b"x" * 50_000
        sent = sum(a.bus.send("b", body) for _ in range(6000))
        assert REQUEST_QUEUE_MESSAGES < sent < 6000
        assert a.bus.counts["unsent"] >= 6000 - sent
        assert until([a, b], lambda: len(bodies(b)) == sent)
        a.bus.send("b", b"after")
        assert until([a, b], lambda: bodies(b)[-1] == b"after")
