"""SIP messages as text: datagrams in, requests and responses out, and back.

What must hold: only BadMessage leaves the reader, whatever the bytes; nothing of a datagram is kept beyond the
bounds below. Names of headers are compared without case and in their long form. Source: RFC 3261, sections 7 and 20.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from zcluster.errors import BadMessage

DATAGRAM_BYTES = 64 << 10
HEADERS = 64
LINE_CHARACTERS = 4096

Headers = tuple[tuple[str, str], ...]
VERSION = "SIP/2.0"

_COMPACT = {
    "c": "content-type",
    "f": "from",
    "i": "call-id",
    "l": "content-length",
    "m": "contact",
    "t": "to",
    "v": "via",
}
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_URI = re.compile(r"sips?:(?:([^@;?<>\s]*)@)?(\[[0-9a-fA-F:.]+\]|[^:;?<>@\s]+)(?::(\d{1,5}))?")
_TAG = re.compile(r";\s*tag=([^;,\s>]+)", re.IGNORECASE)
_BRANCH = re.compile(r";\s*branch=([^;,\s]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Message:
    headers: Headers
    body: str

    def get(self, name: str) -> str:
        """The first header of that name, or ""."""
        return next((value for each, value in self.headers if _is(each, name)), "")

    def all(self, name: str) -> Headers:
        """Every header of that name, in order."""
        return tuple(pair for pair in self.headers if _is(pair[0], name))

    @property
    def call_id(self) -> str:
        """Call-ID."""
        return self.get("Call-ID")

    @property
    def cseq(self) -> tuple[int, str]:
        """CSeq: number and method."""
        number, _, method = self.get("CSeq").partition(" ")
        return int(number), method.strip()

    @property
    def branch(self) -> str:
        """The branch of the topmost Via, "" where there is none."""
        found = _BRANCH.search(self.get("Via"))
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Request(_Message):
    """A request."""

    method: str
    uri: str


@dataclass(frozen=True, slots=True)
class Response(_Message):
    """A response. `status`: 100 to 699."""

    status: int
    reason: str


Message = Request | Response


@dataclass(frozen=True, slots=True)
class Uri:
    """The parts of a SIP URI that matter here; `port` 0 where none is given."""

    user: str
    host: str
    port: int

    @property
    def place(self) -> str:
        """user@host:port, as much of it as there is: FreeSWITCH's way to write a URI."""
        at = f"{self.user}@{self.host}" if self.user else self.host
        return f"{at}:{self.port}" if self.port else at


def parse(data: bytes) -> Message:
    """The message in a datagram. Raises BadMessage: "sip" for what is none, "bounds" for too much of it."""
    if len(data) > DATAGRAM_BYTES:
        raise BadMessage(f"a datagram of {len(data)} bytes", "bounds")
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("utf-8", "backslashreplace").lstrip("\r\n").split("\r\n")
    headers = _headers(lines)
    message = _first_line(first, headers, _body(headers, body))
    _check(message)
    return message


def write(message: Message) -> bytes:
    """The datagram; Content-Length is added."""
    if isinstance(message, Request):
        first = f"{message.method} {message.uri} {VERSION}"
    else:
        first = f"{VERSION} {message.status} {message.reason}"
    body = message.body.encode()
    lines = [first, *(f"{name}: {value}" for name, value in message.headers), f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def read_uri(text: str) -> Uri:
    """The first SIP URI in a header's value or a request line. Raises BadMessage, "uri"."""
    found = _URI.search(text)
    if not found or int(found[3] or 0) > 65535:
        raise BadMessage(f"{text[:80]!r} has no SIP URI", "uri")
    return Uri(found[1] or "", found[2], int(found[3] or 0))


def tag_of(value: str) -> str:
    """The tag of a From or To, "" where there is none."""
    found = _TAG.search(value)
    return found[1] if found else ""


def uri_text(value: str) -> str:
    """The URI of a name-addr as it stands there, parameters included: what is between < and >."""
    inside = re.search(r"<([^>]*)>", value)
    return inside[1] if inside else value.partition(";")[0].strip()


def display_name(value: str) -> str:
    """The name before the URI, without its quotes."""
    return value.partition("<")[0].strip().strip('"') if "<" in value else ""


def parameter(value: str, name: str) -> str:
    """A parameter behind the URI of a header's value, "" where there is none."""
    found = re.search(rf";\s*{re.escape(name)}\s*=\s*([^;,>\s]+)", value, re.IGNORECASE)
    return found[1] if found else ""


def _is(name: str, wanted: str) -> bool:
    lower = name.lower()
    return _COMPACT.get(lower, lower) == wanted.lower()


def _headers(lines: list[str]) -> Headers:
    if len(lines) > HEADERS:
        raise BadMessage(f"{len(lines)} headers", "bounds")
    found: list[tuple[str, str]] = []
    for line in lines:
        if len(line) > LINE_CHARACTERS:
            raise BadMessage("a header line is too long", "bounds")
        if line[:1] in (" ", "\t") and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name.strip()) or "\n" in value or "\r" in value:
            raise BadMessage(f"{line[:80]!r} is no header", "sip")
        found.append((name.strip(), value.strip()))
    return tuple(pair for pair in found)


def _body(headers: Headers, rest: bytes) -> str:
    length = next((value for name, value in headers if _is(name, "Content-Length")), str(len(rest)))
    if not (length.isascii() and length.isdigit() and len(length) <= 6) or int(length) > len(rest):
        raise BadMessage(f"Content-Length {length[:20]!r} with {len(rest)} bytes", "sip")
    return rest[: int(length)].decode("utf-8", "backslashreplace")


def _first_line(first: str, headers: Headers, body: str) -> Message:
    without_length = tuple(pair for pair in headers if not _is(pair[0], "Content-Length"))
    words = first.split(" ", 2)
    if len(words) < 3:
        raise BadMessage(f"{first[:80]!r} begins no SIP message", "sip")
    if words[0] == VERSION and re.fullmatch("[1-6][0-9]{2}", words[1]):
        return Response(without_length, body, int(words[1]), words[2])
    if words[2] == VERSION and _TOKEN.fullmatch(words[0]):
        return Request(without_length, body, words[0], words[1])
    raise BadMessage(f"{first[:80]!r} begins no SIP message", "sip")


def _check(message: Message) -> None:
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        if not message.get(name):
            raise BadMessage(f"a SIP message without {name}", "sip")
    number, _, method = message.get("CSeq").partition(" ")
    if not (number.isascii() and number.isdigit() and len(number) <= 10 and _TOKEN.fullmatch(method.strip())):
        raise BadMessage("a SIP message without a usable CSeq", "sip")
    if isinstance(message, Request) and message.method != method.strip():
        raise BadMessage("the method of CSeq is another one", "sip")
