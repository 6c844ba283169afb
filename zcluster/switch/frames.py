"""What a switch can say on an event socket: the catalogue of frames.

What must hold: every frame is a plain value whose text can be encoded as UTF-8, whatever bytes it came from (a
byte that is no UTF-8 reads as \\xNN). Names of the outer headers are in lower case; those of an event are as sent.
Source: mod_event_socket.c of FreeSWITCH, and the recorded bytes in tests/switch/captures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Headers = Mapping[str, str]

ARRAY = "ARRAY::"
ARRAY_SEPARATOR = "|:"


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """The greeting: the switch waits for `auth` or `userauth`."""


@dataclass(frozen=True, slots=True)
class CommandReply:
    """The answer to every command but `api`. `text` is Reply-Text, "+OK ..." or "-ERR ...".

    A `getvar` would answer with bare text, so neither sign need be there.
    """

    text: str
    headers: Headers = field(default_factory=dict)

    @property
    def is_error(self) -> bool:
        """Whether the switch refused."""
        return self.text.startswith("-")


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """The output of one `api` command, whole and unaltered."""

    body: str

    @property
    def is_error(self) -> bool:
        """Whether it reads as a refusal. Several commands say +OK and have failed: see FreeSWITCH's habits."""
        return self.body.startswith(("-ERR", "-USAGE"))


@dataclass(frozen=True, slots=True)
class Event:
    """One event, the same whether it came as plain text or JSON.

    Of a header that comes twice the first counts, as in switch_event_get_header. Content-Length is not among
    them. An array is one text in FreeSWITCH's own notation, "ARRAY::a|:b": see `elements`.
    """

    headers: Headers
    body: str = ""

    @property
    def name(self) -> str:
        """Event-Name, or "" where a defective switch left it out."""
        return self.headers.get("Event-Name", "")

    @property
    def subclass(self) -> str:
        """Event-Subclass of a CUSTOM event, else ""."""
        return self.headers.get("Event-Subclass", "")

    def get(self, name: str, default: str = "") -> str:
        """The header of exactly that name."""
        return self.headers.get(name, default)

    def number(self, name: str) -> int | None:
        """The header as a whole number of at most 18 digits (it fits 64 bits), or None."""
        text = self.headers.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


@dataclass(frozen=True, slots=True)
class LogData:
    """One line of the switch's log. `level`: 0 console, 1 alert, 2 critical ... 7 debug; -1 unreadable."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class DisconnectNotice:
    """The switch is about to close; with `lingers` not before it has sent what is left."""

    text: str
    lingers: bool = False


@dataclass(frozen=True, slots=True)
class Rejection:
    """The switch's access list does not admit this address; it closes after this."""

    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A well-formed frame of a type that nobody here asked for."""

    content_type: str
    body_bytes: int


@dataclass(frozen=True, slots=True)
class Malformed:
    """What is not a frame. After a fatal one the stream has lost its framing: only closing helps.

    One that is not fatal stands for one event that could not be read: count it as lost. `kind` is one word.
    """

    kind: str
    detail: str
    is_fatal: bool


Frame = (
    AuthRequest
    | CommandReply
    | ApiResponse
    | Event
    | LogData
    | DisconnectNotice
    | Rejection
    | Unknown
    | Malformed
)


def elements(value: str) -> tuple[str, ...]:
    """The elements of an array header, or the one value of an ordinary header."""
    if not value.startswith(ARRAY):
        return (value,)
    return tuple(value.removeprefix(ARRAY).split(ARRAY_SEPARATOR))
