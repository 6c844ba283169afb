"""Netlink in one small file: pack and parse attributes, ask the kernel, and believe only its answer.

What must hold: every request is confirmed by the kernel before the call returns, or it raises `Refused`.
The kernel handles a request inside the `sendto` call, so its answer already waits when that call returns;
nothing here ever sleeps or blocks. One socket belongs to one thread.

Sources: linux/netlink.h, net/netlink/af_netlink.c. Why no library: docs/decisions/0100-raw-netlink.md.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

from zcluster.errors import KernelRefused

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
NLM_F_DUMP = 0x300

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")  # length, type
NESTED = 0x8000
TYPE_MASK = 0x3FFF

RECEIVE_BYTES = 1 << 17
BUFFER_BYTES = 1 << 20

_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLM_F_CAPPED = 0x100
_NLM_F_ACK_TLVS = 0x200
_NLMSGERR_ATTR_MSG = 1
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_ERROR_CODE = struct.Struct("=i")


class Refused(KernelRefused):
    """The kernel answered a netlink request with an error, or not at all. `number` is the errno."""

    def __init__(self, action: str, number: int, detail: str = "") -> None:
        self.number = number
        super().__init__(f"{action}: {os.strerror(number)}" + (f" ({detail})" if detail else ""))


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *inner: bytes) -> bytes:
    """An attribute that holds attributes. The whole must stay below 64 KiB."""
    return attribute(kind | NESTED, b"".join(inner))


def text(kind: int, value: str) -> bytes:
    """A zero-terminated string attribute."""
    return attribute(kind, value.encode() + b"\0")


def message(kind: int, flags: int, body: bytes, sequence: int = 1) -> bytes:
    """One netlink message with its header; `NLM_F_REQUEST` is added."""
    return (
        HEADER.pack(16 + len(body), kind, flags | NLM_F_REQUEST, sequence, 0) + body + bytes(-len(body) % 4)
    )


def each_attribute(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each attribute in order; a malformed tail ends the walk."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > len(data):
            return
        yield kind & TYPE_MASK, data[offset + 4 : offset + length]
        offset += length + (-length % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes by type; where one type comes twice the last one counts."""
    return dict(each_attribute(data))


def each_message(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, flags, sequence, body) of each message of one datagram."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind, flags, sequence, _port = HEADER.unpack_from(data, offset)
        if length < 16 or offset + length > len(data):
            return
        yield kind, flags, sequence, data[offset + 16 : offset + length]
        offset += length + (-length % 4)


class Netlink:
    """One netlink socket of the network namespace in which it was made.

    `groups`: a bit mask of the old-style multicast groups (RTMGRP_*) whose notices `receive` returns.
    Raises `Refused` if the socket cannot be had.
    """

    def __init__(self, protocol: int, groups: int = 0) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
            self._grow()
            self._socket.bind((0, groups))
        except OSError as error:
            raise Refused("opening a netlink socket", error.errno or errno.EIO) from error

    def fileno(self) -> int:
        """The descriptor, readable when a notice of a subscribed group waits."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def ask(self, action: str, kind: int, flags: int, body: bytes) -> None:
        """One request, confirmed by the kernel. `action` opens the error's text."""
        self.transact(action, message(kind, flags | NLM_F_ACK, body, 1), 1)

    def transact(self, action: str, data: bytes | bytearray, confirming: int) -> None:
        """Send prepared messages; return when the one with sequence `confirming` was confirmed.

        The first error among the answers raises `Refused`. All answers are taken, so none is left to be
        mistaken for the answer to a later request.
        """
        self._send(action, data)
        is_confirmed = False
        refusal: Refused | None = None
        for kind, flags, sequence, body in self._answers(action):
            if kind != _NLMSG_ERROR:
                continue
            number = -_ERROR_CODE.unpack_from(body)[0]
            if number and refusal is None:
                refusal = Refused(action, number, _detail(flags, body))
            is_confirmed = is_confirmed or (number == 0 and sequence == confirming)
        if refusal is not None:
            raise refusal
        if not is_confirmed:
            raise Refused(action, errno.ENOMSG, "the kernel did not confirm")

    def dump(self, action: str, kind: int, body: bytes, flags: int = NLM_F_DUMP) -> list[bytes]:
        """Every record of a listing (or, with `flags=0`, the one record asked for), without its header."""
        self._send(action, message(kind, flags, body, 1))
        records = []
        for answer, answer_flags, _sequence, record in self._answers(action):
            if answer in (_NLMSG_ERROR, _NLMSG_DONE):
                number = -_ERROR_CODE.unpack_from(record)[0] if len(record) >= 4 else 0
                if number:
                    raise Refused(action, number, _detail(answer_flags, record))
            else:
                records.append(record)
        return records

    def receive(self) -> list[tuple[int, bytes]]:
        """The waiting notices as (type, body). Raises `Refused` with ENOBUFS when some were lost."""
        return [(kind, body) for kind, _flags, _sequence, body in self._answers("reading kernel notices")]

    def _grow(self) -> None:
        """Make room for one large request (a thousand addresses) and for a burst of notices."""
        for forced, plain in ((_SO_SNDBUFFORCE, socket.SO_SNDBUF), (_SO_RCVBUFFORCE, socket.SO_RCVBUF)):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, forced, BUFFER_BYTES)
            except PermissionError:  # up to the host's limit, then
                self._socket.setsockopt(socket.SOL_SOCKET, plain, BUFFER_BYTES)

    def _send(self, action: str, data: bytes | bytearray) -> None:
        try:
            self._socket.sendto(data, (0, 0))
        except OSError as error:
            raise Refused(action, error.errno or errno.EIO) from error

    def _answers(self, action: str) -> Iterator[tuple[int, int, int, bytes]]:
        while True:
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                raise Refused(action, error.errno or errno.EIO) from error
            yield from each_message(data)


def _detail(flags: int, body: bytes) -> str:
    """The kernel's own words about an error, where it gave some (NETLINK_EXT_ACK)."""
    if not flags & _NLM_F_ACK_TLVS:
        return ""
    length = HEADER.unpack_from(body, 4)[0]
    start = 4 + (16 if flags & _NLM_F_CAPPED else length + (-length % 4))
    return attributes(body[start:]).get(_NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")
