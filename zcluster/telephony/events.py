"""Everything that can happen to the telephony of a node. A newcomer reads this file and `actions.py` first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from zcluster.control.units import GroupName, NodeName
from zcluster.streams.actions import CopyCompleted, GroupAdopted, Replicated
from zcluster.switch.frames import Event as SwitchEvent


class Moment(NamedTuple):
    """Now, on two clocks: the host's monotonic one, and the wall's (milliseconds since 1970)."""

    mono_ms: int
    wall_ms: int


class Row(NamedTuple):
    """A row of FreeSWITCH's table `recovery`; `metadata` is its call XML, untouched."""

    runtime_uuid: str
    technology: str
    profile: str
    hostname: str
    uuid: str
    metadata: bytes


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has come."""


@dataclass(frozen=True, slots=True)
class SwitchOpened:
    """Logged in to the switch and subscribed. What happened before is unknown.

    `build`: the text of `api version`, "" when it would not say. `is_same_life`: the switch did not restart.
    """

    core_uuid: str
    build: str
    switchname: str
    is_same_life: bool


@dataclass(frozen=True, slots=True)
class SwitchClosed:
    """The event socket is gone: refused, ended, or never had. It comes again when `is_gone` becomes true.

    `is_gone`: nothing of the switch answers. False: it still does, on a connection of its own for pulses, so that
    only this conversation ended.
    """

    reason: str
    is_gone: bool = True


@dataclass(frozen=True, slots=True)
class Happened:
    """The switch fired an event."""

    event: SwitchEvent


@dataclass(frozen=True, slots=True)
class EventsLost:
    """Events of the switch did not reach us: ask for what there is."""

    detail: str


@dataclass(frozen=True, slots=True)
class PulseReturned:
    """A pulse came back through the switch's event system."""

    round_trip_ms: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The switch's output for the `Command` of that purpose (of a background one: of its job)."""

    purpose: str
    text: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The command of that purpose was refused, ended with the connection, or took too long."""

    purpose: str
    reason: str


@dataclass(frozen=True, slots=True)
class RowsChanged:
    """What the switch wrote to its recovery table, in its order: (uuid, row), None for a deleted one."""

    changes: tuple[tuple[str, Row | None], ...]


@dataclass(frozen=True, slots=True)
class RowsListed:
    """The recovery table was read as a whole, and each of its rows told by a RowsChanged of its own before this.

    `rows`: uuid and runtime_uuid of all that there are; who is not among them is gone.
    """

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RowsLoaded:
    """The rows of `LoadRows` stand in the switch's table. `skipped`: uuids that lived there already."""

    purpose: str
    count: int
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowsRefused:
    """The switch's table could not be written."""

    purpose: str
    reason: str


@dataclass(frozen=True, slots=True)
class GroupWon:
    """This node is the master of `group` by that ballot. Its addresses are not open yet."""

    group: GroupName
    counter: int


@dataclass(frozen=True, slots=True)
class GroupOpened:
    """The addresses of `group` are here and the gate is open. Comes again after `GroupLapsed`, same counter."""

    group: GroupName
    counter: int


@dataclass(frozen=True, slots=True)
class GroupLapsed:
    """The gate closed without a new master: calls stay alive, it may open again."""

    group: GroupName


@dataclass(frozen=True, slots=True)
class GroupLost:
    """Another ballot counts, or the group was given away: calls here end behind the closed gate."""

    group: GroupName


@dataclass(frozen=True, slots=True)
class HealthCleared:
    """An operator says that the switch is well again: what would stay a fault until then may go."""


@dataclass(frozen=True, slots=True)
class PeersChanged:
    """The nodes that live now, without this one, and the holder of each group as far as it is known."""

    alive: tuple[NodeName, ...]
    holders: tuple[tuple[GroupName, NodeName], ...] = ()


Event = (
    Tick
    | SwitchOpened
    | SwitchClosed
    | Happened
    | EventsLost
    | PulseReturned
    | Answered
    | Unanswered
    | RowsChanged
    | RowsListed
    | RowsLoaded
    | RowsRefused
    | GroupWon
    | GroupOpened
    | GroupLapsed
    | GroupLost
    | HealthCleared
    | PeersChanged
    | Replicated
    | GroupAdopted
    | CopyCompleted
)
