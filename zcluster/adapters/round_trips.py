"""How long the way to a peer and back is, as the kernel measured it on the connections that are there anyway.

The kernel keeps for each TCP connection the shortest round trip of about the last five minutes (the sysctl
net.ipv4.tcp_min_rtt_wlen), to a microsecond. The shortest, because the smoothed one has the receiver's delayed
acknowledgements in it: measured on one machine, 4 ms beside a true 5 us. So a way that becomes longer shows after
minutes; that a link is late *now* is told by how far its beats are behind (`zcluster.supervisor.lateness`).

What must hold: needs no privilege; a kernel that cannot answer gives nothing, never an error.
Sources: sock_diag(7), linux/inet_diag.h, linux/tcp.h (struct tcp_info).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection, Iterator
from ipaddress import ip_address

from zcluster.adapters.netlink import HEADER, each_attribute, message

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_DUMP = 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
INET_DIAG_INFO = 2
TCP_ESTABLISHED = 1
# family, protocol, extensions, padding, states; then an inet_diag_sockid of 48 bytes, of which nothing is asked
REQUEST = struct.Struct("=BBBxI48x")
# family, state, timer, retransmissions; then ports and addresses, in the order of the network
ANSWER = struct.Struct("!BBBBHH16s16s")
ANSWER_BYTES = 72
MIN_RTT = struct.Struct("=I")
MIN_RTT_PLACE = 148
UNKNOWN_RTT = 0xFFFFFFFF
WAIT_S = 1.0
RECEIVE_BYTES = 1 << 18
LARGEST_ANSWERS = 256

RoundTripsByAddress = dict[str, int]


def round_trips(ports: Collection[int]) -> RoundTripsByAddress:
    """The shortest round trip in microseconds to each address that has a connection to or from one of `ports`.

    Takes less than a millisecond for some hundred connections.
    """
    found: RoundTripsByAddress = {}
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            for answer in _dump(family):
                _note(answer, ports, found)
        except OSError:
            continue  # a kernel without tcp_diag
    return found


def _dump(family: int) -> Iterator[bytes]:
    """The bodies of the answers for all established connections of the family."""
    body = REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 1 << TCP_ESTABLISHED)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as diag:
        diag.settimeout(WAIT_S)
        diag.sendall(message(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, body))
        for _ in range(LARGEST_ANSWERS):
            data = diag.recv(RECEIVE_BYTES)
            offset = 0
            while offset + HEADER.size <= len(data):
                length, kind, _, _, _ = HEADER.unpack_from(data, offset)
                if length < HEADER.size or kind in (NLMSG_DONE, NLMSG_ERROR):
                    return
                yield data[offset + HEADER.size : offset + length]
                offset += length + (-length % 4)


def _note(answer: bytes, ports: Collection[int], found: RoundTripsByAddress) -> None:
    if len(answer) < ANSWER_BYTES:
        return
    family, _, _, _, own_port, port, _, address = ANSWER.unpack_from(answer)
    if own_port not in ports and port not in ports:
        return
    for kind, value in each_attribute(answer[ANSWER_BYTES:]):
        if kind == INET_DIAG_INFO and len(value) >= MIN_RTT_PLACE + MIN_RTT.size:
            (us,) = MIN_RTT.unpack_from(value, MIN_RTT_PLACE)
            if us != UNKNOWN_RTT:
                name = str(ip_address(address[:4] if family == socket.AF_INET else address))
                found[name] = min(us, found.get(name, us))
