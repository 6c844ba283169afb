from __future__ import annotations

import ctypes
import itertools
import os
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.adapters.wire import Wire
from zcluster.adapters.multicast import RECEIVE_BYTES, BeaconSocket
from zcluster.errors import KernelRefused, LinkBroken

pytestmark = pytest.mark.kernel

GROUP = "239.77.0.1"
GROUP_6 = "ff02::7a63"
PORT = 5404
TIMEOUT_S = 5
CLONE_NEWNET = 0x40000000

_library = ctypes.CDLL(None, use_errno=True)
_names = (f"zcm{os.getpid()}n{number}" for number in itertools.count())


def command(*words: str) -> None:
    subprocess.run(words, check=True, timeout=TIMEOUT_S, capture_output=True)


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread in the network namespace; a socket keeps the one it was made in."""
    with open("/proc/thread-self/ns/net") as before, open(f"/run/netns/{namespace}") as there:
        assert _library.setns(there.fileno(), CLONE_NEWNET) == 0
        try:
            yield
        finally:
            assert _library.setns(before.fileno(), CLONE_NEWNET) == 0


def beacon(
    namespace: str, interface: str, address: str, group: str = GROUP, port: int = PORT
) -> BeaconSocket:
    with inside(namespace):
        return BeaconSocket(interface, address, group, port)


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[str, str]]:
    """Two namespaces joined by two cables: a0-a0 in 10.77.1.0/24 and fd77::/64, b0-b0 in 10.77.2.0/24."""
    left, right = next(_names), next(_names)
    made = []
    try:
        for host in (left, right):
            command("ip", "netns", "add", host)
            made.append(host)
        for link, network in (("a0", 1), ("b0", 2)):
            command(
                "ip", "-n", left, "link", "add", link, "type", "veth", "peer", "name", link, "netns", right
            )
            for number, host in enumerate(made, 1):
                command("ip", "-n", host, "address", "add", f"10.77.{network}.{number}/24", "dev", link)
                command("ip", "-n", host, "link", "set", link, "up")
        for number, host in enumerate(made, 1):
            command("ip", "-n", host, "address", "add", f"fd77::{number}/64", "dev", "a0", "nodad")
        yield left, right
    finally:
        for host in made:
            command("ip", "netns", "delete", host)


@pytest.fixture
def pair(hosts: tuple[str, str]) -> Iterator[tuple[BeaconSocket, BeaconSocket]]:
    with (
        closing(beacon(hosts[0], "a0", "10.77.1.1")) as left,
        closing(beacon(hosts[1], "a0", "10.77.1.2")) as right,
    ):
        yield left, right


def wait_for(receiver: BeaconSocket, count: int, patience_s: float = TIMEOUT_S) -> list[tuple[bytes, str]]:
    """What the receiver hears until it has `count` datagrams or patience ends."""
    waiting = select.poll()
    for fileno in receiver.filenos():
        waiting.register(fileno, select.POLLIN)
    received: list[tuple[bytes, str]] = []
    end = time.monotonic() + patience_s
    while len(received) < count and (left_s := end - time.monotonic()) > 0:
        waiting.poll(int(left_s * 1000) + 1)
        received.extend(receiver.receive(64))
    return received


def test_multicast_reaches_the_other_host_and_not_ourselves(pair: tuple[BeaconSocket, BeaconSocket]) -> None:
    left, right = pair
    assert left.send(b"beat")
    assert wait_for(right, 1) == [(b"beat", "10.77.1.1")]
    assert wait_for(left, 1, 0.05) == []


def test_unicast_reaches_the_address(pair: tuple[BeaconSocket, BeaconSocket]) -> None:
    left, right = pair
    assert right.send_to(b"beat", "10.77.1.1")
    assert wait_for(left, 1) == [(b"beat", "10.77.1.2")]


def test_each_datagram_tells_which_way_it_came(pair: tuple[BeaconSocket, BeaconSocket]) -> None:
    left, right = pair
    left.send(b"beat")
    left.send_to(b"beat", "10.77.1.2")
    assert sorted(right.receive_marked(8)) == [(b"beat", "10.77.1.1", False), (b"beat", "10.77.1.1", True)]


def test_a_rule_against_one_peer_does_not_break_the_link(
    hosts: tuple[str, str], pair: tuple[BeaconSocket, BeaconSocket]
) -> None:
    left, right = pair
    chain = "{ type filter hook output priority 0; ip daddr { 10.77.1.66, 239.77.0.1 } drop; }"
    command("ip", "netns", "exec", hosts[0], "nft", f"table inet zct {{ chain output {chain}; }}")
    try:
        assert left.send_to(b"beat", "10.77.1.66") is False
        assert left.send_to(b"beat", "10.77.1.2") is True
        assert wait_for(right, 1) == [(b"beat", "10.77.1.1")]
        with pytest.raises(LinkBroken, match="not permitted"):
            left.send(b"beat")
    finally:
        command("ip", "netns", "exec", hosts[0], "nft", "delete table inet zct")


def test_a_peer_without_a_route_does_not_break_the_link(wire: Wire) -> None:
    with wire.host.inside(), closing(BeaconSocket("h0", "fd77::1", "", PORT)) as socket_6:
        assert socket_6.send_to(b"beat", "2001:db8::1") is False
        assert socket_6.send_to(b"beat", "fd77::2") is True
    with wire.host.inside(), closing(BeaconSocket("h0", "10.77.0.1", "", PORT)) as socket_4:
        assert socket_4.send_to(b"beat", "10.77.0.255") is False
        assert socket_4.send_to(b"beat", "10.77.0.2") is True


def test_each_socket_is_drained_up_to_the_limit(pair: tuple[BeaconSocket, BeaconSocket]) -> None:
    left, right = pair
    for number in range(5):
        left.send(b"m%d" % number)
        left.send_to(b"u%d" % number, "10.77.1.2")
    drains = [sorted(data for data, _ in right.receive(2)) for _ in range(4)]
    assert drains == [[b"m0", b"m1", b"u0", b"u1"], [b"m2", b"m3", b"u2", b"u3"], [b"m4", b"u4"], []]


def test_a_datagram_that_is_too_long_shows_it(pair: tuple[BeaconSocket, BeaconSocket]) -> None:
    left, right = pair
    left.send(bytes(4000))
    assert [len(data) for data, _ in wait_for(right, 1)] == [RECEIVE_BYTES]


def test_another_link_on_the_same_port_is_told_apart(
    hosts: tuple[str, str], pair: tuple[BeaconSocket, BeaconSocket]
) -> None:
    left, right = pair
    with (
        closing(beacon(hosts[0], "b0", "10.77.2.1")) as other_left,
        closing(beacon(hosts[1], "b0", "10.77.2.2")) as other_right,
    ):
        other_left.send(b"other")
        assert wait_for(other_right, 1) == [(b"other", "10.77.2.1")]
        left.send(b"this")
        assert wait_for(right, 1) == [(b"this", "10.77.1.1")]
        assert wait_for(other_right, 1, 0.05) == []


def test_what_comes_for_our_address_over_another_link_is_not_heard(
    hosts: tuple[str, str], pair: tuple[BeaconSocket, BeaconSocket]
) -> None:
    _, right = pair
    command("ip", "-n", hosts[0], "route", "add", "10.77.1.2/32", "dev", "b0", "via", "10.77.2.2")
    try:
        with inside(hosts[0]), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stray:
            stray.bind(("10.77.2.1", 0))
            stray.sendto(b"stray", ("10.77.1.2", PORT))
        assert wait_for(right, 1, 0.1) == []
    finally:
        command("ip", "-n", hosts[0], "route", "delete", "10.77.1.2/32")


def test_a_group_that_others_joined_is_not_heard(
    hosts: tuple[str, str], pair: tuple[BeaconSocket, BeaconSocket]
) -> None:
    left, _ = pair
    with closing(beacon(hosts[1], "a0", "10.77.1.2", "239.77.0.2", PORT + 1)) as other:
        left.send(b"beat")
        assert wait_for(other, 1, 0.05) == []


def test_a_link_without_a_group_speaks_unicast(hosts: tuple[str, str]) -> None:
    with (
        closing(beacon(hosts[0], "a0", "10.77.1.1", "")) as left,
        closing(beacon(hosts[1], "a0", "10.77.1.2", "")) as right,
    ):
        assert len(left.filenos()) == 1
        left.send_to(b"beat", "10.77.1.2")
        assert wait_for(right, 1) == [(b"beat", "10.77.1.1")]


def test_a_floating_address_is_neither_source_nor_target(
    hosts: tuple[str, str], pair: tuple[BeaconSocket, BeaconSocket]
) -> None:
    left, right = pair
    command("ip", "-n", hosts[1], "address", "add", "10.77.1.9/32", "dev", "a0")
    try:
        left.send_to(b"beat", "10.77.1.9")
        assert wait_for(right, 1, 0.05) == []
    finally:
        command("ip", "-n", hosts[1], "address", "delete", "10.77.1.9/32", "dev", "a0")


def test_version_6_speaks_both_ways(hosts: tuple[str, str]) -> None:
    with (
        closing(beacon(hosts[0], "a0", "fd77::1", GROUP_6)) as left,
        closing(beacon(hosts[1], "a0", "fd77::2", GROUP_6)) as right,
    ):
        left.send(b"multicast")
        left.send_to(b"unicast", "fd77::2")
        assert sorted(wait_for(right, 2)) == [(b"multicast", "fd77::1"), (b"unicast", "fd77::1")]
        assert wait_for(left, 1, 0.05) == []


def test_a_beat_is_marked_as_control_traffic(hosts: tuple[str, str]) -> None:
    with inside(hosts[1]), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reader:
        reader.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        reader.settimeout(TIMEOUT_S)
        reader.bind(("10.77.1.2", PORT))
        with closing(beacon(hosts[0], "a0", "10.77.1.1")) as left:
            left.send_to(b"beat", "10.77.1.2")
            ancillary = reader.recvmsg(100, 100)[1]
    assert (socket.IPPROTO_IP, socket.IP_TOS, b"\xc0") in ancillary


def test_a_second_socket_on_the_port_is_refused(
    hosts: tuple[str, str], pair: tuple[BeaconSocket, BeaconSocket]
) -> None:
    with pytest.raises(KernelRefused, match="a0: cannot bind") as refusal:
        beacon(hosts[0], "a0", "10.77.1.1")
    assert not isinstance(refusal.value, LinkBroken)
    with inside(hosts[0]), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            thief.bind(("10.77.1.1", PORT))


@pytest.mark.parametrize(("interface", "address"), [("none0", "10.77.1.1"), ("a0", "192.0.2.1")])
def test_what_is_not_there_breaks_the_link(hosts: tuple[str, str], interface: str, address: str) -> None:
    with pytest.raises(LinkBroken, match=interface):
        beacon(hosts[0], interface, address)


@pytest.mark.parametrize("ending", ["delete", "down"])
def test_an_interface_that_goes_breaks_the_link_and_can_be_opened_again(
    hosts: tuple[str, str], ending: str
) -> None:
    left, right = hosts
    make = ["ip", "-n", left, "link", "add", "c0", "type", "veth", "peer", "name", "c0", "netns", right]
    command(*make)
    for number, host in enumerate(hosts, 1):
        command("ip", "-n", host, "address", "add", f"10.77.3.{number}/24", "dev", "c0")
        command("ip", "-n", host, "link", "set", "c0", "up")
    try:
        with closing(beacon(left, "c0", "10.77.3.1")) as broken:
            assert broken.send(b"beat")
            if ending == "delete":
                command("ip", "-n", left, "link", "delete", "c0")
            else:
                command("ip", "-n", left, "link", "set", "c0", "down")
            with pytest.raises(LinkBroken, match="c0: cannot send to 239"):
                broken.send(b"beat")
            with pytest.raises(LinkBroken, match="c0: cannot send to 10"):
                broken.send_to(b"beat", "10.77.3.2")
        if ending == "delete":
            command(*make)
            for number, host in enumerate(hosts, 1):
                command("ip", "-n", host, "address", "add", f"10.77.3.{number}/24", "dev", "c0")
                command("ip", "-n", host, "link", "set", "c0", "up")
        else:
            command("ip", "-n", left, "link", "set", "c0", "up")
        with (
            closing(beacon(left, "c0", "10.77.3.1")) as sender,
            closing(beacon(right, "c0", "10.77.3.2")) as there,
        ):
            assert sender.send(b"again")
            assert wait_for(there, 1) == [(b"again", "10.77.3.1")]
    finally:
        command("ip", "-n", left, "link", "delete", "c0")
