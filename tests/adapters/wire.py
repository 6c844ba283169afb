"""Two network namespaces joined by a cable, and a station that asks and listens in one of them.

The namespaces have no names: they live as long as the descriptors that the test holds, so a test that dies
leaves nothing behind. A station speaks raw ARP, ICMP and neighbour discovery; nothing is forked.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from zcluster.adapters import netlink
from zcluster.adapters.netlink import attribute, nested, text

Address = IPv4Address | IPv6Address

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_LINK, _DELETE_LINK, _NEW_ADDRESS, _DELETE_ADDRESS, _NEW_ROUTE = 16, 17, 20, 21, 24
ETHERNET_ARP, ETHERNET_V6 = b"\x08\x06", b"\x86\xdd"
BROADCAST = b"\xff" * 6


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Namespace:
    """A network namespace without a name."""

    def __init__(self) -> None:
        failures: list[OSError] = []

        def begin() -> None:
            try:
                _checked(_LIBC.unshare(_CLONE_NEWNET))
                self.descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            except OSError as error:
                failures.append(error)

        thread = threading.Thread(target=begin)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Everything the calling thread opens in here belongs to this namespace."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _checked(_LIBC.setns(self.descriptor, _CLONE_NEWNET))
            yield
        finally:
            _checked(_LIBC.setns(before, _CLONE_NEWNET))
            os.close(before)

    def close(self) -> None:
        """Let the namespace and all in it go."""
        os.close(self.descriptor)


def _link(action: str, kind: int, flags: int, index: int, up: bool, *inner: bytes) -> None:
    route = netlink.Netlink(netlink.NETLINK_ROUTE)
    try:
        body = struct.pack("=BxHiII", 0, 0, index, int(up), int(up)) + b"".join(inner)
        route.ask(action, kind, flags, body)
    finally:
        route.close()


def set_link(name: str, up: bool) -> None:
    """Set an interface of the present namespace up or down."""
    route = netlink.Netlink(netlink.NETLINK_ROUTE)
    try:
        body = struct.pack("=BxHiII", 0, 0, socket.if_nametoindex(name), int(up), 1)
        route.ask("setting a link", _NEW_LINK, 0, body)
    finally:
        route.close()


def delete_link(name: str) -> None:
    """Delete an interface of the present namespace."""
    _link("deleting a link", _DELETE_LINK, 0, socket.if_nametoindex(name), False)


def add_cable(name: str, far_name: str, far: Namespace) -> None:
    """A veth pair: `name` here, `far_name` in the other namespace; both up."""
    peer = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + text(3, far_name) + _far(far)
    info = nested(18, text(1, "veth"), nested(2, attribute(1, peer)))
    flags = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
    _link("adding a cable", _NEW_LINK, flags, 0, False, text(3, name), info)
    set_link(name, True)
    with far.inside():
        set_link(far_name, True)


def _far(far: Namespace) -> bytes:
    return attribute(28, struct.pack("=I", far.descriptor))


def add_address(name: str, written: str, prefix: int, kind: int = _NEW_ADDRESS) -> None:
    """A plain, permanent address (`kind` 20) on an interface of the present namespace, or away with it (21)."""
    address = ip_address(written)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    body = struct.pack("=BBBBi", family, prefix, 2, 0, socket.if_nametoindex(name))
    body += attribute(2, address.packed) + attribute(1, address.packed) + attribute(8, struct.pack("=I", 2))
    route = netlink.Netlink(netlink.NETLINK_ROUTE)
    try:
        route.ask(f"address {written}", kind, netlink.NLM_F_CREATE, body)
    finally:
        route.close()
    time.sleep(0.005)  # the kernel begins to use an IPv6 address in a work queue, about 0.1 ms later


def delete_address(name: str, written: str, prefix: int) -> None:
    """Take an address away."""
    add_address(name, written, prefix, _DELETE_ADDRESS)


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data[: len(data) & ~1])) + (
        data[-1] << 8 if len(data) & 1 else 0
    )
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


def arp_frame(
    mac: bytes, operation: int, sender: str, target: str, to: bytes = BROADCAST, target_mac: bytes = bytes(6)
) -> bytes:
    """A whole ARP frame (RFC 826)."""
    head = to + mac + ETHERNET_ARP + b"\0\1\x08\0\6\4" + struct.pack(">H", operation)
    return head + mac + socket.inet_aton(sender) + target_mac + socket.inet_aton(target)


def neighbour_frame(
    mac: bytes, kind: int, source: str, destination: str, target: str, flags: int = 0
) -> bytes:
    """A whole neighbour solicitation (135) or advertisement (136) with a link-layer option (RFC 4861)."""
    start = ip_address(source).packed
    end = ip_address(destination).packed
    option = b"" if source == "::" else bytes((1 if kind == 135 else 2, 1)) + mac
    message = struct.pack(">BBHI", kind, 0, 0, flags) + ip_address(target).packed + option
    pseudo = start + end + struct.pack(">II", len(message), 58)
    message = message[:2] + struct.pack(">H", checksum(pseudo + message)) + message[4:]
    to = b"\x33\x33" + end[-4:]
    return (
        to + mac + ETHERNET_V6 + struct.pack(">IHBB", 6 << 28, len(message), 58, 255) + start + end + message
    )


def solicited_node(target: str) -> str:
    """The multicast group in which the owner of `target` listens."""
    return str(IPv6Address(IPv6Address("ff02::1:ff00:0").packed[:13] + ip_address(target).packed[13:]))


class Station:
    """Asks and listens on one interface of the present namespace, below all packet filters."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.raw.bind((interface, 0))
        self.mac: bytes = self.raw.getsockname()[4]
        self.index = socket.if_nametoindex(interface)
        self.ping4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.ping6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        self.sequence = 0

    def close(self) -> None:
        """Give the sockets back."""
        for one in (self.raw, self.ping4, self.ping6):
            one.close()

    def send(self, frame: bytes) -> None:
        """Put a frame on the wire."""
        self.raw.send(frame)

    def flush(self) -> None:
        """Forget what was heard so far."""
        for one in (self.raw, self.ping4, self.ping6):
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    one.recv(2048)
            one.setblocking(True)

    def hear(self, wanted: Callable[[bytes], bool], wait_s: float = 0.15) -> bytes | None:
        """The first frame from the wire that is wanted, or None when the time is up."""
        end = time.monotonic() + wait_s
        while (rest := end - time.monotonic()) > 0:
            self.raw.settimeout(rest)
            try:
                frame, sender = self.raw.recvfrom(2048)
            except TimeoutError:
                return None
            if sender[2] != socket.PACKET_OUTGOING and wanted(frame):
                return frame
        return None

    def arp(self, target: str, sender: str, wait_s: float = 0.15) -> bytes | None:
        """Ask who has `target`; the answering MAC."""
        self.flush()
        self.send(arp_frame(self.mac, 1, sender, target))
        packed = socket.inet_aton(target)
        answer = self.hear(
            lambda frame: frame[12:14] == ETHERNET_ARP and frame[21] == 2 and frame[28:32] == packed, wait_s
        )
        return answer[22:28] if answer else None

    def solicit(self, target: str, source: str, wait_s: float = 0.15) -> bytes | None:
        """Ask by neighbour discovery who has `target`; the answering frame's MAC."""
        self.flush()
        self.send(neighbour_frame(self.mac, 135, source, solicited_node(target), target))
        answer = self.hear(lambda frame: is_advertisement(frame, target), wait_s)
        return answer[6:12] if answer else None

    def ping(self, target: str, wait_s: float = 0.15) -> bool:
        """Whether `target` answers an echo request through this host's own stack."""
        address = ip_address(target)
        self.sequence = (self.sequence + 1) & 0xFFFF
        pinger, echo = (self.ping4, 8) if address.version == 4 else (self.ping6, 128)
        request = struct.pack(">BBHHH", echo, 0, 0, 77, self.sequence)
        if address.version == 4:
            request = request[:2] + struct.pack(">H", checksum(request)) + request[4:]
        pinger.sendto(request, (target, 0))
        end = time.monotonic() + wait_s
        while (rest := end - time.monotonic()) > 0:
            pinger.settimeout(rest)
            try:
                data, sender = pinger.recvfrom(2048)
            except TimeoutError:
                return False
            answer = data[20:] if address.version == 4 else data
            if answer[0] in (0, 129) and answer[4:8] == request[4:8] and sender[0] == target:
                return True
        return False


def is_advertisement(frame: bytes, target: str) -> bool:
    """Whether the frame is a neighbour advertisement for `target`."""
    return (
        frame[12:14] == ETHERNET_V6
        and len(frame) >= 78
        and frame[20] == 58
        and frame[54] == 136
        and frame[62:78] == ip_address(target).packed
    )


@dataclass(slots=True)
class Wire:
    """`host` is where the code under test lives, with interface h0 (10.77.0.1, fd77::1) and `h1` spare;
    `other` is its neighbour with o0 (10.77.0.2, fd77::2), on which `station` asks and listens.
    `port` is a station on the host's own h0.
    """

    host: Namespace
    other: Namespace
    station: Station
    port: Station

    def neighbour_arp(self, target: str) -> bytes | None:
        """Ask from the other side."""
        return self.station.arp(target, "10.77.0.2")


def build() -> Wire:
    """Both namespaces, cabled, addressed and known to one another."""
    host, other = Namespace(), Namespace()
    with host.inside():
        set_link("lo", True)
        add_cable("h0", "o0", other)
        add_cable("h1", "o1", other)
        add_address("h0", "10.77.0.1", 24)
        add_address("h0", "fd77::1", 64)
    with other.inside():
        set_link("lo", True)
        add_address("o0", "10.77.0.2", 24)
        add_address("o0", "fd77::2", 64)
        station = Station("o0")
    with host.inside():
        port = Station("h0")
    attempts = 0
    while not (station.ping("10.77.0.1", 0.05) and station.ping("fd77::1", 0.05)):
        attempts += 1  # a fresh cable carries frames only once the kernel's link watch has run
        assert attempts < 30, "the cable carries nothing"
    return Wire(host, other, station, port)


def destroy(wire: Wire) -> None:
    """Let everything go."""
    wire.station.close()
    wire.port.close()
    wire.host.close()
    wire.other.close()
