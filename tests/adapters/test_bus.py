from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest
import zmq
from zmq.utils import z85

from zcluster.adapters.bus import BEAT_TOPIC, MAX_FRAME_BYTES, STORY_TOPIC, Bus, BusKeys
from zcluster.errors import LinkBroken
from zcluster.wire.keys import WireKeys, derive

PATIENCE_S = 5.0
TOPIC = BEAT_TOPIC + b"a"

Received = list[tuple[str, bytes, bytes]]


def bus_keys(wire: WireKeys) -> BusKeys:
    return BusKeys(wire.server, wire.client)


KEYS = derive(b"k" * 32)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@pytest.fixture
def sender(port: int) -> Iterator[Bus]:
    with closing(Bus(bus_keys(KEYS))) as bus:
        bus.open_link("left", "127.0.0.1", port)
        yield bus


@pytest.fixture
def listener(port: int) -> Iterator[Bus]:
    with closing(Bus(bus_keys(KEYS))) as bus:
        bus.open_link("left", "127.0.0.2", port)
        bus.connect("left", "127.0.0.1", port)
        yield bus


def until(check: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Calls `check` until it holds or patience ends."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if check():
            return True
        time.sleep(0.005)
    return False


def heard(sender: Bus, listener: Bus, body: bytes = b"beat", patience_s: float = PATIENCE_S) -> Received:
    """Publishes until the listener hears it; PUB and SUB join late."""
    received: Received = []

    def exchange() -> bool:
        sender.publish(TOPIC, body)
        sender.receive(16)
        received.extend(listener.receive(16))
        return any(each[2] == body for each in received)

    until(exchange, patience_s)
    return [each for each in received if each[2] == body]


def open_again(bus: Bus, address: str, port: int) -> bool:
    try:
        bus.open_link("left", address, port)
    except LinkBroken:
        return False
    return True


def test_a_message_arrives_with_its_link_and_topic(sender: Bus, listener: Bus) -> None:
    assert heard(sender, listener)[0] == ("left", TOPIC, b"beat")


def test_stories_arrive_and_other_topics_do_not(sender: Bus, listener: Bus) -> None:
    assert heard(sender, listener)
    sender.publish(b"zc1.registrations.a", b"bulk")
    sender.publish(STORY_TOPIC + b"a", b"story")
    bodies: set[bytes] = set()

    def take() -> bool:
        bodies.update(body for _, _, body in listener.receive(16))
        return b"story" in bodies

    assert until(take)
    assert b"bulk" not in bodies


def test_the_descriptor_becomes_readable_after_a_drain(sender: Bus, listener: Bus) -> None:
    assert heard(sender, listener)
    waiting = select.poll()
    for fileno in listener.filenos():
        waiting.register(fileno, select.POLLIN)
    for number in range(300):
        while listener.receive(4):
            pass
        sender.publish(TOPIC, b"%d" % number)
        received: Received = []
        while ("left", TOPIC, b"%d" % number) not in received:
            # The edge may stand for libzmq's own business: then nothing is there yet, and another comes.
            assert waiting.poll(1000), "the edge was lost"
            while part := listener.receive(4):
                received.extend(part)


def test_a_drain_is_bounded(sender: Bus, listener: Bus) -> None:
    assert heard(sender, listener)
    for _ in range(20):
        sender.publish(TOPIC, b"many")
    received: Received = []

    def take() -> bool:
        part = listener.receive(3)
        assert len(part) <= 3
        received.extend(part)
        return sum(each[2] == b"many" for each in received) == 20

    assert until(take)


def test_another_clusters_key_neither_hears_nor_is_heard(sender: Bus, port: int) -> None:
    with closing(Bus(bus_keys(derive(b"x" * 32)))) as stranger:
        stranger.open_link("left", "127.0.0.3", port)
        stranger.connect("left", "127.0.0.1", port)
        assert not heard(sender, stranger, patience_s=0.5)


def subscribed(public: bytes, secret: bytes, sender: Bus, port: int) -> bool:
    """Whether a tool with this key pair, knowing the server's public key, hears the sender."""
    with zmq.Context() as context, context.socket(zmq.SUB) as tool:
        tool.linger = 0
        tool.curve_serverkey = KEYS.server.public
        tool.curve_publickey, tool.curve_secretkey = public, secret
        tool.subscribe(b"zc1.")
        tool.connect(f"tcp://127.0.0.1:{port}")

        def exchange() -> bool:
            sender.receive(16)
            sender.publish(TOPIC, b"beat")
            return bool(tool.poll(1))

        return until(exchange, patience_s=1.0)


def test_a_reader_of_the_bus_for_tools_is_not_admitted(sender: Bus, port: int) -> None:
    """A flood of subscriptions held up whoever publishes for seconds: the loop that renews leases."""
    assert not subscribed(KEYS.reader.public, KEYS.reader.secret, sender, port)
    assert sender.counts["refused"] > 0
    assert subscribed(*KEYS.client, sender, port)


def test_the_servers_public_key_alone_admits_nobody(sender: Bus, port: int) -> None:
    public, secret = zmq.curve_keypair()
    assert not subscribed(public, secret, sender, port)
    assert sender.counts["refused"] > 0


def test_nobody_is_admitted_without_an_answer_from_the_loop(sender: Bus, listener: Bus) -> None:
    def exchange() -> bool:
        sender.publish(TOPIC, b"beat")
        return bool(listener.receive(16))

    assert not until(exchange, patience_s=0.4)
    assert heard(sender, listener)


def test_an_oversized_frame_never_arrives_and_the_connection_can_be_renewed(
    sender: Bus, listener: Bus, port: int
) -> None:
    assert heard(sender, listener)
    sender.publish(TOPIC, bytes(MAX_FRAME_BYTES + 1))
    assert not heard(sender, listener, b"after", patience_s=0.5), "libzmq mended itself: drop reconnect()"
    listener.reconnect("left", "127.0.0.1", port)
    assert heard(sender, listener, b"after")
    assert not any(len(each[2]) > MAX_FRAME_BYTES for each in listener.receive(100))


def test_a_peers_port_held_by_something_else_meanwhile_does_no_lasting_harm(listener: Bus, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as impostor:
        impostor.settimeout(PATIENCE_S)
        connection, _ = impostor.accept()
        with connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" * 8)
            connection.settimeout(PATIENCE_S)
            with suppress(ConnectionResetError):
                while connection.recv(4096):
                    pass
    with closing(Bus(bus_keys(KEYS))) as sender:
        assert until(lambda: open_again(sender, "127.0.0.1", port))
        listener.reconnect("left", "127.0.0.1", port)
        assert heard(sender, listener)


def test_a_stranger_who_sends_nonsense_to_the_publisher_disturbs_nobody(
    sender: Bus, listener: Bus, port: int
) -> None:
    assert heard(sender, listener)
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(15) + b"\x00" * 32
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n" * 10, bytes(200), b"\xff" * 5000, greeting + b"\x04\xff" * 99):
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(nonsense)
    assert heard(sender, listener, b"after")


@pytest.mark.parametrize("frames", [[TOPIC], [TOPIC, b"b", b"more"]])
def test_a_wrong_number_of_frames_is_counted(listener: Bus, port: int, frames: list[bytes]) -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as peer:
        peer.linger = 0
        peer.curve_server = True
        peer.curve_publickey, peer.curve_secretkey = KEYS.server
        peer.bind(f"tcp://127.0.0.1:{port}")
        received: Received = []

        def exchange() -> bool:
            peer.send_multipart(frames)
            received.extend(listener.receive(16))
            return listener.counts["frames"] > 0

        assert until(exchange)
        assert received == []


def test_a_link_closed_and_opened_again_carries_messages(sender: Bus, listener: Bus, port: int) -> None:
    assert heard(sender, listener)
    sender.close_link("left")
    sender.publish(TOPIC, b"nobody hears this")
    assert until(lambda: open_again(sender, "127.0.0.1", port))
    assert heard(sender, listener, b"again")
    listener.close_link("left")
    listener.close_link("left")
    assert until(lambda: open_again(listener, "127.0.0.2", port))
    listener.connect("left", "127.0.0.1", port)
    assert heard(sender, listener, b"once more")


def test_a_disconnected_peer_is_not_heard(sender: Bus, listener: Bus, port: int) -> None:
    assert heard(sender, listener)
    listener.disconnect("left", "127.0.0.1", port)
    listener.disconnect("left", "127.0.0.1", port)
    # libzmq takes a moment to end the connection; then there is silence.
    assert until(lambda: not heard(sender, listener, b"late", patience_s=0.2))


def test_an_address_that_is_not_ours_breaks_the_link(sender: Bus, port: int) -> None:
    with pytest.raises(LinkBroken, match=r"right: cannot publish on 192\.0\.2\.1"):
        sender.open_link("right", "192.0.2.1", port)


def test_a_taken_port_breaks_the_link(sender: Bus, port: int) -> None:
    with closing(Bus(bus_keys(KEYS))) as second, pytest.raises(LinkBroken, match="in use"):
        second.open_link("left", "127.0.0.1", port)


def test_the_connection_comes_from_the_links_address(listener: Bus, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(PATIENCE_S)
        connection, source = server.accept()
        connection.close()
    assert source[0] == "127.0.0.2"


def test_two_links_are_told_apart(sender: Bus, listener: Bus, port: int) -> None:
    sender.open_link("right", "127.0.1.1", port)
    listener.open_link("right", "127.0.1.2", port)
    listener.connect("right", "127.0.1.1", port)
    links: set[str] = set()

    def take() -> bool:
        links.update(link for link, _, _ in heard(sender, listener))
        return links == {"left", "right"}

    assert until(take)


def test_keys_are_valid_curve_pairs() -> None:
    for pair in (KEYS.server, KEYS.client, KEYS.reader):
        assert zmq.curve_public(pair.secret) == pair.public
        assert len(z85.decode(pair.public)) == 32
