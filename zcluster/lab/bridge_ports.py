"""Sets what ports of a bridge let through in one message, without the host at the other end losing its carrier.

What must hold: all ports change in one system call, so that an isolated host is isolated at one moment.

Source: net/bridge/br_netlink.c, br_setport (RTM_SETLINK of family AF_BRIDGE; pyroute2 0.9 has no way to send
it). A port in state "disabled" drops both ways; without a spanning tree the state stays until it is set again
or the port goes down and up. A port that does not flood multicast gets none, for these bridges learn no members.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from enum import IntEnum

_RTM_SETLINK = 19
_NLMSG_ERROR = 2
_REQUEST_AND_ACKNOWLEDGE = 0x1 | 0x4
_AF_BRIDGE = 7
_IFLA_PROTINFO = 12 | 0x8000  # NLA_F_NESTED
_IFLA_BRPORT_STATE = 1
_IFLA_BRPORT_MULTICAST_FLOOD = 27
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ATTRIBUTE = struct.Struct("=HH")
_WAIT_S = 2.0


class PortState(IntEnum):
    """linux/if_bridge.h, BR_STATE_*: the two that are needed."""

    DISABLED = 0
    FORWARDING = 3


def set_port_states(indexes: Sequence[int], state: PortState) -> None:
    """Set the state of bridge ports, by interface index, in the caller's namespace. Raises OSError."""
    _set_ports([(index, _IFLA_BRPORT_STATE, state) for index in indexes])


def set_multicast_flood(indexes: Sequence[int], is_on: bool) -> None:
    """Let bridge ports pass multicast frames on to their hosts, or not. Raises OSError."""
    _set_ports([(index, _IFLA_BRPORT_MULTICAST_FLOOD, int(is_on)) for index in indexes])


def _set_ports(settings: Sequence[tuple[int, int, int]]) -> None:
    messages = [_message(number + 1, *setting) for number, setting in enumerate(settings)]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(_WAIT_S)
        netlink.send(b"".join(messages))
        for _ in messages:
            _check(netlink.recv(4096))


def _message(sequence: int, index: int, attribute: int, value: int) -> bytes:
    port = _ATTRIBUTE.pack(5, attribute) + bytes([value, 0, 0, 0])
    body = _LINK.pack(_AF_BRIDGE, 0, index, 0, 0) + _ATTRIBUTE.pack(4 + len(port), _IFLA_PROTINFO) + port
    return _HEADER.pack(_HEADER.size + len(body), _RTM_SETLINK, _REQUEST_AND_ACKNOWLEDGE, sequence, 0) + body


def _check(answer: bytes) -> None:
    _, kind, _, _, _ = _HEADER.unpack_from(answer)
    (error,) = struct.unpack_from("=i", answer, _HEADER.size)
    if kind != _NLMSG_ERROR or error != 0:
        raise OSError(-error, f"bridge port: {os.strerror(-error)}")
