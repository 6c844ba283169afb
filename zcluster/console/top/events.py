"""What a source tells top, and what top asks of a source.

What must hold: values only; a body is as it came, untrusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from zcluster.adapters.journal import Record


@dataclass(frozen=True, slots=True)
class Came:
    """A document: "status", "streams" or "limits"."""

    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """Records of the story, in order; `is_anew`: they take the place of all before."""

    records: tuple[Record, ...]
    is_anew: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """So many records came and went before we could read them."""

    count: int


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nothing comes any more, and why. It is over when a status comes."""

    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a move."""

    is_accepted: bool
    text: str


Event = Came | Told | Lost | Unreachable | Answered


class Source(Protocol):
    """Where documents come from. Nothing here blocks; times are monotonic milliseconds."""

    @property
    def refusal(self) -> str:
        """Why moves cannot be asked for here, "" where they can."""

    def filenos(self) -> Sequence[int]:
        """What to wait on for reading; it may change from turn to turn."""

    def deadline(self) -> int:
        """When `turn` is due at the latest."""

    def turn(self, now_ms: int) -> list[Event]:
        """Read what came, ask what is due."""

    def move(self, group: str, target: str, now_ms: int) -> None:
        """Ask for a switchover; `Answered` follows."""

    def close(self) -> None:
        """Give everything back."""
