"""What the fake switch's inside asks of its shell, and the clock that it is handed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Now(NamedTuple):
    """One moment on two clocks: monotonic milliseconds, and microseconds since 1970."""

    mono_ms: int
    wall_us: int

    @property
    def wall_s(self) -> int:
        """Seconds since 1970."""
        return self.wall_us // 1_000_000


class Source(NamedTuple):
    """Where in FreeSWITCH an event is fired: its Event-Calling-* headers."""

    file: str
    function: str
    line: int


@dataclass(frozen=True, slots=True)
class Datagram:
    """Send this from the profile's socket."""

    profile: str
    peer: tuple[str, int]
    data: bytes


@dataclass(frozen=True, slots=True)
class Fired:
    """Put this event on the event thread's queue; the core adds its own headers."""

    name: str
    source: Source
    headers: Mapping[str, str]
    subclass: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """Give this statement to the database's thread: it is carried out with the next batch."""

    statement: str
    values: tuple[str | int, ...] = field(default=())


Output = Datagram | Fired | Write
