"""Everything that can happen to the streams of a node. A newcomer reads this file and `actions.py` first."""

from __future__ import annotations

from dataclasses import dataclass

from zcluster.control.units import GroupName, NodeName
from zcluster.streams.messages import Message


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has come, and everything that was received before is handed in."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """An authenticated node said this, on the bus or to us alone."""

    message: Message
    sender: NodeName


@dataclass(frozen=True, slots=True)
class RecordsChanged:
    """The own switch put or removed (body None) these records, keyed by `units.record_key`, in this order."""

    name: str
    changes: tuple[tuple[bytes, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class StreamLoaded:
    """Everything that the own switch knew before we connected is handed in for this stream."""

    name: str


@dataclass(frozen=True, slots=True)
class PeerFailed:
    """The control process holds this node for failed, or it left."""

    node: NodeName


@dataclass(frozen=True, slots=True)
class PeerHeard:
    """The control process hears this node (again)."""

    node: NodeName


@dataclass(frozen=True, slots=True)
class PathChanged:
    """What is asked of or sent by this node goes another way from now on; what was under way may be lost."""

    node: NodeName


@dataclass(frozen=True, slots=True)
class GroupWon:
    """This node is the master of `group` with this ballot counter: its records are ours to write now."""

    group: GroupName
    counter: int


@dataclass(frozen=True, slots=True)
class GroupLost:
    """This node is not the master of `group` any more: what the switch says of it counts no longer."""

    group: GroupName


Event = (
    Tick
    | MessageReceived
    | RecordsChanged
    | StreamLoaded
    | PeerFailed
    | PeerHeard
    | PathChanged
    | GroupWon
    | GroupLost
)
