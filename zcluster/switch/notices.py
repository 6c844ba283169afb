"""What a conversation with a switch can tell its owner: the catalogue of notices.

What must hold: every accepted request ends in exactly one Answered or Unanswered, every accepted job in exactly one
JobDone or JobLost, and every Opened in exactly one Closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from zcluster.switch.frames import ApiResponse, CommandReply, Event


class LossSign(StrEnum):
    """How it was seen that events did not reach us."""

    LOG = "log"
    """The switch's log says that a listener's queue was full."""
    MALFORMED = "malformed"
    """An event came that could not be read."""
    PULSE = "pulse"
    """A pulse never came back although later ones did."""
    SEQUENCE = "sequence"
    """A number is missing among all events. Only a suspicion: a switch sometimes skips one."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Authenticated and subscribed. What happened before is unknown: ask for what there is now.

    `core_uuid` is "" when the switch would not say it. `is_same_switch`: the same life of the switch as last time.
    """

    core_uuid: str
    is_same_switch: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection ended, or could not be had; another attempt follows in `retry_ms`."""

    reason: str
    was_open: bool
    retry_ms: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to the request with that ticket, `took_ms` after it was asked."""

    ticket: int
    command: str
    answer: CommandReply | ApiResponse
    took_ms: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The connection ended before the answer: the switch may have done it or not."""

    ticket: int
    command: str
    reason: str


@dataclass(frozen=True, slots=True)
class JobDone:
    """The output of a bgapi."""

    job: str
    command: str
    body: str


@dataclass(frozen=True, slots=True)
class JobLost:
    """No output of that bgapi will be told: refused, too late, or the connection ended."""

    job: str
    command: str
    reason: str


@dataclass(frozen=True, slots=True)
class Happened:
    """An event that was subscribed to."""

    event: Event


@dataclass(frozen=True, slots=True)
class PulseBack:
    """A pulse went through the switch's event system and came back."""

    number: int
    round_trip_ms: int


@dataclass(frozen=True, slots=True)
class EventsLost:
    """Events did not reach us: what they would have told must be asked for."""

    sign: LossSign
    detail: str


Notice = Opened | Closed | Answered | Unanswered | JobDone | JobLost | Happened | PulseBack | EventsLost
