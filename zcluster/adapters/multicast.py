"""The datagrams of one link: multicast for discovery, unicast to peers that are known.

Two sockets, both tied to the interface. One is bound to our address of the link: it sends all, so that
the source is never a floating address, and it receives unicast. The other is bound to the group and
receives multicast. No wildcard: nothing sent to a floating address, or over another link, is taken for a
beat of this one. No SO_REUSEADDR either: with it, any local user could bind the same port and take our
beats away; without it the sockets of several links share a port all the same, as their devices differ.

What must hold: nothing here blocks, and each call does a bounded amount of work.
Sources: ip(7), ipv6(7), socket(7); linux/in6.h for what Python does not name.
"""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from ipaddress import ip_address

from zcluster.errors import KernelRefused, LinkBroken

# One byte more than a beat may have, so that a longer datagram shows itself as too long.
RECEIVE_BYTES = 1473
RECEIVE_BUFFER_BYTES = 256 * 1024
SEND_BUFFER_BYTES = 64 * 1024
CONTROL_PRIORITY = 6
CLASS_SELECTOR_6 = 0xC0

IP_MULTICAST_ALL = 49
IPV6_MULTICAST_ALL = 29

# A full queue: this beat is lost, the next one comes soon.
_BUSY = frozenset((errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.ENOMEM))
# A rule or route of this host against one peer is no reason to give up the link and all others on it.
_BUSY_OR_ONE_PEER = _BUSY | {errno.EPERM, errno.EACCES, errno.EHOSTUNREACH}
# No way to the peer: its matter while our interface is up, the link's when it is not.
_NO_WAY = frozenset((errno.ENETUNREACH, errno.EINVAL))
_GET_FLAGS, _IS_UP = 0x8913, 0x1  # SIOCGIFFLAGS (linux/sockios.h), IFF_UP


class BeaconSocket:
    """Sends and receives datagrams on one link.

    `address` is ours on `interface`; `group` is a multicast address of the same family, or "" where
    the link has none; `ttl` is the reach of multicast in hops. Raises LinkBroken when the interface or
    the address is not there, KernelRefused when the port is taken or the kernel refuses an option.
    """

    def __init__(self, interface: str, address: str, group: str, port: int, ttl: int = 1) -> None:
        self._interface = interface
        self._port = port
        self._group = group
        self._version = ip_address(address).version
        self._index = _index(interface)
        self._receivers: list[socket.socket] = []
        try:
            self._sender = self._bound(address)
            self._prepare_sending(address, ttl)
            if group:
                self._join(self._bound(group), address)
        except OSError as problem:
            self.close()
            raise self._refused(f"bind {address} and {group or 'no group'} port {port}", problem) from problem

    def filenos(self) -> tuple[int, ...]:
        """What to wait on for reading; level-triggered."""
        return tuple(receiver.fileno() for receiver in self._receivers)

    def send(self, data: bytes) -> bool:
        """Sends to the group. False when the kernel's queue was full; raises LinkBroken."""
        assert self._group, "this link has no multicast group"
        return self._send(data, self._group, _BUSY)

    def send_to(self, data: bytes, address: str) -> bool:
        """Sends to the same port of `address`.

        False when the queue was full, or a rule or route of this host is against it; raises LinkBroken.
        """
        return self._send(data, address, _BUSY_OR_ONE_PEER)

    def receive(self, limit: int) -> list[tuple[bytes, str]]:
        """Up to `limit` waiting datagrams of each socket, as (bytes, source address).

        An empty list means that nothing waits. A datagram of 1473 bytes was longer and is cut. Raises
        LinkBroken.
        """
        return [(data, source) for data, source, _ in self.receive_marked(limit)]

    def receive_marked(self, limit: int) -> list[tuple[bytes, str, bool]]:
        """As `receive`, and whether each came by multicast: who hears ours tells who needs unicast."""
        received: list[tuple[bytes, str, bool]] = []
        for receiver in self._receivers:
            self._drain(receiver, limit, received)
        return received

    def sources(self) -> tuple[tuple[int, bool], ...]:
        """The same descriptors, each with whether it is that of multicast: see `receive_from`."""
        return tuple((receiver.fileno(), receiver is not self._sender) for receiver in self._receivers)

    def receive_from(
        self, is_multicast: bool, limit: int, with_source: bool = True
    ) -> list[tuple[bytes, str, bool]]:
        """As `receive_marked`, from one of `sources` only: what did not become readable is not asked.

        Without `with_source` each source is "", which costs a third less.
        """
        received: list[tuple[bytes, str, bool]] = []
        for receiver in self._receivers:
            if (receiver is not self._sender) is is_multicast:
                self._drain(receiver, limit, received, with_source)
        return received

    def close(self) -> None:
        """Leaves the group and frees the port."""
        for receiver in self._receivers:
            receiver.close()
        self._receivers.clear()

    def _send(self, data: bytes, address: str, forgiven: frozenset[int]) -> bool:
        try:
            self._sender.sendto(data, self._target(address))
        except OSError as problem:
            if problem.errno in forgiven:
                return False
            if forgiven is _BUSY_OR_ONE_PEER and problem.errno in _NO_WAY and self._is_up():
                return False
            raise self._broken(f"send to {address}", problem) from problem
        return True

    def _is_up(self) -> bool:
        """Whether our interface is there and up (netdevice(7))."""
        request = struct.pack("16sh14x", self._interface.encode(), 0)
        try:
            answer = fcntl.ioctl(self._sender, _GET_FLAGS, request)
        except OSError:
            return False
        return bool(struct.unpack_from("16xh", answer)[0] & _IS_UP)

    def _drain(
        self,
        receiver: socket.socket,
        limit: int,
        received: list[tuple[bytes, str, bool]],
        with_source: bool = True,
    ) -> None:
        is_multicast = receiver is not self._sender
        try:
            for _ in range(limit):
                if with_source:
                    data, source = receiver.recvfrom(RECEIVE_BYTES)
                    received.append((data, source[0], is_multicast))
                else:
                    received.append((receiver.recv(RECEIVE_BYTES), "", is_multicast))
        except BlockingIOError:
            return
        except OSError as problem:
            raise self._broken("receive", problem) from problem

    def _bound(self, address: str) -> socket.socket:
        family = socket.AF_INET if self._version == 4 else socket.AF_INET6
        made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._receivers.append(made)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._interface.encode())
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if self._version == 6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(self._target(address))
        return made

    def _prepare_sending(self, address: str, ttl: int) -> None:
        sender = self._sender
        if self._version == 4:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, self._membership("0.0.0.0", address))
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, CLASS_SELECTOR_6)
        else:
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, self._index)
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, CLASS_SELECTOR_6)
        # After the class: setting that one sets a priority as well.
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, CONTROL_PRIORITY)

    def _join(self, receiver: socket.socket, address: str) -> None:
        # Without ..._ALL 0 the kernel hands over what any other process joined as well.
        if self._version == 4:
            receiver.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
            membership = self._membership(self._group, address)
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        else:
            receiver.setsockopt(socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
            membership = socket.inet_pton(socket.AF_INET6, self._group) + struct.pack("@I", self._index)
            receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)

    def _membership(self, group: str, address: str) -> bytes:
        """A struct ip_mreqn: ip(7)."""
        return socket.inet_aton(group) + socket.inet_aton(address) + struct.pack("@i", self._index)

    def _target(self, address: str) -> tuple[str, int] | tuple[str, int, int, int]:
        # The scope matters to link-local addresses alone; others ignore it.
        return (address, self._port) if self._version == 4 else (address, self._port, 0, self._index)

    def _refused(self, what: str, problem: OSError) -> KernelRefused:
        if problem.errno in (errno.EADDRINUSE, errno.EACCES, errno.EPERM, errno.ENOPROTOOPT):
            return KernelRefused(f"{self._interface}: cannot {what}: {problem.strerror}")
        return self._broken(what, problem)

    def _broken(self, what: str, problem: OSError) -> LinkBroken:
        return LinkBroken(f"{self._interface}: cannot {what}: {problem.strerror}")


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError as problem:
        raise LinkBroken(f"{interface}: there is no such interface") from problem
