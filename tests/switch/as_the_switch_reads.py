"""How FreeSWITCH reads a command, written after read_packet in mod_event_socket.c as literally as can be.

It is the twin that our commands are held against: not how we would read them, but how the switch does.
"""

from __future__ import annotations

from typing import NamedTuple

CMD_BUFLEN = 1024 * 1000


class Packet(NamedTuple):
    """One command: its first line, its headers in order, its body."""

    command: str
    headers: list[tuple[str, str]]
    body: str


def _c_string(data: bytes) -> bytes:
    return data.split(b"\0", 1)[0]


def _strip_cr(text: bytes) -> bytes:
    for end in (b"\r", b"\n"):
        if end in text:
            return text.split(end, 1)[0]
    return text


def read_packet(stream: bytes) -> tuple[Packet | None, bytes]:
    """The first command of `stream`, and what is left of it."""
    at, newlines = 0, 0
    block = bytearray()
    while at < len(stream):
        byte = stream[at : at + 1]
        at += 1
        block += byte
        if bytes(block[:1]) in (b"\r", b"\n"):
            block.clear()
            continue
        if byte == b"\n":
            newlines += 1
        elif byte != b"\r":
            newlines = 0
        if newlines == 2 or len(block) >= CMD_BUFLEN:
            return _parse(_c_string(bytes(block)), stream[at:])
    return None, stream


def _parse(block: bytes, left: bytes) -> tuple[Packet, bytes]:
    command: bytes | None = None
    headers: list[tuple[str, str]] = []
    body = b""
    current: bytes | None = block
    while current is not None:
        cut = current.find(b"\r")
        if cut < 0:
            cut = current.find(b"\n")
        following = current[cut:].lstrip(b"\r\n") if cut >= 0 else None
        if command is None:
            command = _strip_cr(block)
        else:
            name, colon, value = _strip_cr(current).partition(b":")
            if name and colon:
                value = value.lstrip(b" ")
                headers.append((name.decode(), value.decode()))
                if name.lower() == b"content-length" and value.isdigit():
                    body, left = left[: int(value)], left[int(value) :]
        current = following
    return Packet((command or b"").decode(), headers, _c_string(body).decode()), left
