"""Everything that the telephony core may ask of its shell. It performs a list in its order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zcluster.switch.commands import Command
from zcluster.telephony.events import Row


@dataclass(frozen=True, slots=True)
class Run:
    """Give the switch a command. Exactly one `Answered` or `Unanswered` with `purpose` follows.

    A bgapi counts as answered when its job is done. `purpose` begins with the part's own word and a colon,
    such as "calls:recover:sip1:3": a part ignores the purposes of others.
    """

    purpose: str
    command: Command
    limit_ms: int = 10_000


@dataclass(frozen=True, slots=True)
class SendPulse:
    """Send a pulse through the switch's event system. -> PulseReturned, or nothing."""


@dataclass(frozen=True, slots=True)
class LoadRows:
    """Put these rows into the switch's recovery table in one short transaction. -> RowsLoaded, RowsRefused.

    Rows of a uuid that is there already are skipped.
    """

    purpose: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class DropRows:
    """Delete these uuids from the switch's recovery table, without recovering them. -> RowsLoaded, RowsRefused."""

    purpose: str
    uuids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DropForeignRows:
    """Delete every row whose runtime_uuid is not `core_uuid`: what an earlier life left behind.

    -> RowsLoaded, RowsRefused.
    """

    purpose: str
    core_uuid: str


@dataclass(frozen=True, slots=True)
class ChangeRecords:
    """Put or remove (None) these records of our own stream `name`; keys by `streams.units.record_key`."""

    name: str
    changes: tuple[tuple[bytes, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class StreamIsWhole:
    """Everything that the switch knew before is in our own stream `name` now."""

    name: str


@dataclass(frozen=True, slots=True)
class SwitchHealth:
    """Why this node's switch cannot carry traffic, under one subject; "" when that is over."""

    subject: str
    problem: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Something an operator should be able to read later. Level: notice, warning or alarm."""

    level: str
    code: str
    text: str
    facts: Mapping[str, object]


Action = (
    Run
    | SendPulse
    | LoadRows
    | DropRows
    | DropForeignRows
    | ChangeRecords
    | StreamIsWhole
    | SwitchHealth
    | Tell
)
