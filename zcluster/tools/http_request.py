"""One HTTP request out of bytes, and one answer into bytes (RFC 9112), as much as load balancers and scrapers need.

What must hold: pure and bounded; whatever bytes come, the outcome is a request, "not whole yet", or a refusal with its
status. No body is ever read: GET and HEAD have none. Every answer ends its connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote

LARGEST_HEAD_BYTES = 8 << 10
MOST_HEADERS = 64
METHODS = ("GET", "HEAD")

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION = re.compile(r"HTTP/[0-9]\.[0-9]")
_TARGET = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is decoded and has no query; names in `headers` are lower case, repeated ones are joined by ", "."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def accept(self) -> str:
        """What the client would like to have."""
        return self.headers.get("accept", "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `extra`: further headers, by ourselves alone."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    extra: tuple[tuple[str, str], ...] = ()


class RefusedRequest(Exception):
    """These bytes are no request that we answer. `status` says why, in HTTP's own numbers."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def request_from(received: bytes) -> Request | None:
    """The request at the beginning of `received`; None while its head is not whole. Raises RefusedRequest."""
    end = _end_of_head(received)
    if end is None:
        if len(received) > LARGEST_HEAD_BYTES:
            raise RefusedRequest(431, f"the head of a request has {LARGEST_HEAD_BYTES} bytes at most")
        return None
    first, *lines = received[:end].decode("latin-1").replace("\r\n", "\n").split("\n")
    if len(lines) > MOST_HEADERS:
        raise RefusedRequest(431, f"a request has {MOST_HEADERS} headers at most")
    method, target = _request_line(first)
    return Request(method, _path(target), _headers(lines))


def encode(answer: Answer, is_head: bool) -> bytes:
    """The answer as bytes; without its body where only the head was asked for."""
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
        *(f"{name}: {value}" for name, value in answer.extra),
    ]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head if is_head else head + answer.body


def refusal(refused: RefusedRequest) -> Answer:
    """The answer to what was refused."""
    extra = (("Allow", ", ".join(METHODS)),) if refused.status == HTTPStatus.METHOD_NOT_ALLOWED else ()
    return Answer(refused.status, f"{refused}\n".encode(), extra=extra)


def _end_of_head(received: bytes) -> int | None:
    """Where the head ends (RFC 9112, 2.2: a bare LF may end a line), within its bound."""
    ends = [
        place for mark in (b"\r\n\r\n", b"\n\n") if (place := received.find(mark, 0, LARGEST_HEAD_BYTES)) >= 0
    ]
    return min(ends, default=None)


def _request_line(line: str) -> tuple[str, str]:
    words = line.split(" ")
    if len(words) != 3 or not _TOKEN.fullmatch(words[0]) or not _TARGET.fullmatch(words[1]):
        raise RefusedRequest(400, "a request begins with a method, a path and a version")
    if not _VERSION.fullmatch(words[2]):
        raise RefusedRequest(400, "a request begins with a method, a path and a version")
    if not words[2].startswith("HTTP/1."):
        raise RefusedRequest(505, "this server speaks HTTP/1.1")
    if words[0] not in METHODS:
        raise RefusedRequest(405, f"only {' and '.join(METHODS)} are answered here")
    return words[0], words[1]


def _path(target: str) -> str:
    if not target.startswith("/"):
        raise RefusedRequest(400, "a path begins with /")
    return unquote(target.partition("?")[0], errors="replace")


def _headers(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            raise RefusedRequest(400, "a header is a name, a colon and a value")
        name, value = name.lower(), value.strip()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
