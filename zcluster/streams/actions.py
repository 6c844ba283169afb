"""Everything that the streams of a node may ask of their shell. It performs a list in its order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zcluster.control.units import GroupName, NodeName
from zcluster.streams.messages import Message
from zcluster.streams.units import Changes, StreamId


@dataclass(frozen=True, slots=True)
class Publish:
    """Send to every subscriber. A loss is nobody's failure: it is found and mended."""

    message: Message


@dataclass(frozen=True, slots=True)
class Send:
    """Send to one node alone."""

    node: NodeName
    message: Message


@dataclass(frozen=True, slots=True)
class Replicated:
    """These records of another node's stream changed here: key, record or None, ... (for the own switch)."""

    stream: StreamId
    changes: Changes


@dataclass(frozen=True, slots=True)
class GroupAdopted:
    """The records of `group` are in our own stream now. `source` is whose they were, None for nobody's."""

    name: str
    group: GroupName
    counter: int
    source: StreamId | None
    records: int


@dataclass(frozen=True, slots=True)
class CopyCompleted:
    """The copy of this stream became complete (or, False, is no longer)."""

    stream: StreamId
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Tell:
    """Something an operator should be able to read later; levels and fields as in control/actions.py."""

    level: str
    code: str
    text: str
    facts: Mapping[str, object]


Action = Publish | Send | Replicated | GroupAdopted | CopyCompleted | Tell
