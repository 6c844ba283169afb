"""Ask and tell the service networks who has which address, and hear what others say about it.

What must hold: our own frames are never reported; a malformed frame is counted and dropped; nothing blocks;
sending for an address while the gate is closed sends nothing and says so.

One descriptor stands for the sockets of all interfaces (an epoll), so the loop watches one thing.

Sources: packet(7), RFC 5227, RFC 4861.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from zcluster.adapters import neighbour_frames, packet_filter
from zcluster.adapters.neighbour_frames import ALL_NODES, ETHERNET_ARP, ETHERNET_IPV6, Sighting
from zcluster.errors import BadMessage, KernelRefused

Address = IPv4Address | IPv6Address

FRAMES_AT_ONCE = 128  # of one socket in one `receive`; what is left waits for the next
FRAME_BYTES = 256  # longer than any message we read; a neighbour message with odd options is cut and dropped

_ADD_MEMBERSHIP = 1
_MULTICAST_GROUP = 0
_SOL_PACKET = 263


@dataclass(frozen=True, slots=True)
class _Port:
    """The sockets of one interface: one for ARP, one for IPv6."""

    mac: bytes
    sockets: tuple[socket.socket, ...]


class Neighbours:
    """Packet sockets on the service interfaces of the network namespace in which this was made.

    `own_macs`: all MACs of this host, so that a frame that a switch sends back is not taken for another
    host's. `missing` names interfaces that did not exist at the last `bind`; `malformed` counts.
    Raises `KernelRefused` without CAP_NET_RAW.
    """

    def __init__(
        self, interfaces: Sequence[str], watched: Collection[Address], own_macs: Collection[str] = ()
    ) -> None:
        self._ready = select.epoll()
        self._ports: dict[str, _Port] = {}
        self._interfaces_by_socket: dict[int, tuple[str, socket.socket]] = {}
        self._watched: frozenset[Address] = frozenset(watched)
        self._own_macs: frozenset[str] = frozenset()
        self.missing: tuple[str, ...] = ()
        self.malformed = 0
        self.bind(interfaces, own_macs)

    def fileno(self) -> int:
        """Readable when a frame waits on any interface."""
        return self._ready.fileno()

    def close(self) -> None:
        """Give everything back."""
        self._unbind()
        self._ready.close()

    def bind(self, interfaces: Sequence[str], own_macs: Collection[str] = ()) -> None:
        """Open the sockets anew: at the start, and when an interface came, went or changed its MAC."""
        self._unbind()
        present = {name for _index, name in socket.if_nameindex()}
        self.missing = tuple(name for name in interfaces if name not in present)
        for name in dict.fromkeys(interfaces):
            if name in present:
                self._open(name)
        ours = {port.mac.hex(":") for port in self._ports.values()}
        self._own_macs = frozenset(own_macs) | ours

    def watch(self, addresses: Collection[Address]) -> None:
        """From now on hear about exactly these: the managed ones, the references, the canary."""
        self._watched = frozenset(addresses)
        for name, port in self._ports.items():
            self._filter(name, port.sockets)

    def probe(self, interface: str, address: Address) -> bool:
        """Ask who has the address, naming none as ours. False if the frame could not leave."""
        port = self._ports.get(interface)
        return port is not None and _send(port, address, neighbour_frames.probe(port.mac, address))

    def announce(self, interface: str, address: Address) -> bool:
        """Tell everybody that the address is here now. False if the gate or the link let nothing out."""
        port = self._ports.get(interface)
        if port is None:
            return False
        sent = [_send(port, address, frame) for frame in neighbour_frames.announcements(port.mac, address)]
        return all(sent)

    def receive(self) -> list[Sighting]:
        """What others did with watched addresses since the last call, in order of arrival by interface."""
        seen: list[Sighting] = []
        for descriptor, _events in self._ready.poll(0):
            interface, packets = self._interfaces_by_socket[descriptor]
            for _count in range(FRAMES_AT_ONCE):
                try:
                    frame = packets.recv(FRAME_BYTES)
                except BlockingIOError:
                    break
                except OSError:  # the link went down or away: `Links` tells it
                    break
                self._take(frame, interface, seen)
        return seen

    def _take(self, frame: bytes, interface: str, seen: list[Sighting]) -> None:
        try:
            sighting = neighbour_frames.read(frame, interface)
        except BadMessage:
            self.malformed += 1
            return
        if sighting and sighting.address in self._watched and sighting.mac not in self._own_macs:
            seen.append(sighting)

    def _open(self, name: str) -> None:
        opened = []
        try:
            for protocol in (ETHERNET_ARP, ETHERNET_IPV6):
                # without a protocol it hears nothing until it is bound, so nothing comes in unfiltered
                packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
                opened.append((packets, protocol))
            sockets = tuple(packets for packets, _protocol in opened)
            self._filter(name, sockets)
            for packets, protocol in opened:
                packets.bind((name, protocol))
        except OSError as error:
            for packets, _protocol in opened:
                packets.close()
            mend = "run as root or grant CAP_NET_RAW"
            raise KernelRefused(f"listening on {name}: {error.strerror}; {mend}") from error
        self._ports[name] = _Port(sockets[0].getsockname()[4], sockets)
        for packets in sockets:
            self._interfaces_by_socket[packets.fileno()] = (name, packets)
            self._ready.register(packets.fileno(), select.EPOLLIN)

    def _filter(self, name: str, sockets: tuple[socket.socket, ...]) -> None:
        """Set what these sockets let through, and what the network card does."""
        fours = [address for address in self._watched if isinstance(address, IPv4Address)]
        sixes = [address for address in self._watched if isinstance(address, IPv6Address)]
        packet_filter.attach(sockets[0], packet_filter.arp(fours))
        packet_filter.attach(sockets[1], packet_filter.neighbour_discovery(sixes))
        index = socket.if_nametoindex(name)
        groups = {ALL_NODES, *map(neighbour_frames.solicited_node, sixes)}
        for mac in sorted(map(neighbour_frames.multicast_mac, groups)):
            wanted = struct.pack("=iHH8s", index, _MULTICAST_GROUP, len(mac), mac)
            sockets[1].setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, wanted)

    def _unbind(self) -> None:
        for descriptor, (_name, packets) in self._interfaces_by_socket.items():
            self._ready.unregister(descriptor)
            packets.close()
        self._interfaces_by_socket.clear()
        self._ports.clear()


def _send(port: _Port, address: Address, frame: bytes) -> bool:
    """Through the socket of the right protocol: packet filters believe what the socket says."""
    try:
        port.sockets[0 if address.version == 4 else 1].send(frame)
    except OSError as error:
        # ENOBUFS is also how the kernel tells that the gate's egress chain dropped the frame
        if error.errno in (
            errno.ENOBUFS,
            errno.ENETDOWN,
            errno.ENXIO,
            errno.ENODEV,
            errno.EAGAIN,
            errno.EPERM,
        ):
            return False
        raise KernelRefused(f"sending a neighbour frame: {error.strerror}") from error
    return True
