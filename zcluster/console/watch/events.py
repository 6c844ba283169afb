"""What `zcluster watch` shows, one value a line; JSON has schema "zcluster.watch/1".

schema, stream ("story", "status", "registrations", "calls", "limits"), event, at_ms (when it was shown), and
event "record"        number (its place in the daemon's ring), record (at_ms, node, level, code, text, facts,
                      incarnation, number: those of the node where it happened)
event "lost"          lost: so many records came while this command did not read
event "snapshot"      exit_status, sentence, status (the whole status document); once, with --from-start
event "verdict"       exit_status, sentence: as `zcluster status` would end and say, 3 without an answer
event "counts"        total, before (null at first), by (for each of some properties: value -> count)
event "connected"     node, incarnation, text
event "disconnected"  text: why, and what may be missing
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zcluster.adapters.journal import Record

SCHEMA = "zcluster.watch/1"
STORY, STATUS, REGISTRATIONS, CALLS, LIMITS = "story", "status", "registrations", "calls", "limits"
STREAMS = (STORY, STATUS, REGISTRATIONS, CALLS, LIMITS)


@dataclass(frozen=True, slots=True)
class Happened:
    """A record of the story."""

    number: int
    record: Record


@dataclass(frozen=True, slots=True)
class Missed:
    """So many records came and went while we did not read."""

    lost: int


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on the cluster; `document` only where it is to be shown whole."""

    exit_status: int
    sentence: str
    document: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """How many rows a data stream has now, and had when it was last shown."""

    stream: str
    total: int
    before: int | None
    by: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Connected:
    """The stream is followed (again)."""

    stream: str
    node: str
    incarnation: int
    text: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """Nothing comes of that stream at present."""

    stream: str
    text: str


Event = Happened | Missed | Judged | Counted | Connected | Disconnected


def plain(event: Event, at_ms: int) -> dict[str, object]:
    """The JSON object of a line."""
    match event:
        case Happened(number, record):
            return _of(STORY, "record", at_ms, number=number, record=record.plain())
        case Missed(lost):
            return _of(STORY, "lost", at_ms, lost=lost)
        case Judged(exit_status, sentence, None):
            return _of(STATUS, "verdict", at_ms, exit_status=int(exit_status), sentence=sentence)
        case Judged(exit_status, sentence, document):
            return _of(
                STATUS, "snapshot", at_ms, exit_status=int(exit_status), sentence=sentence, status=document
            )
        case Counted(stream, total, before, by):
            return _of(stream, "counts", at_ms, total=total, before=before, by=by)
        case Connected(stream, node, incarnation, text):
            return _of(stream, "connected", at_ms, node=node, incarnation=incarnation, text=text)
        case Disconnected(stream, text):
            return _of(stream, "disconnected", at_ms, text=text)


def _of(stream: str, event: str, at_ms: int, **more: object) -> dict[str, object]:
    return {"schema": SCHEMA, "stream": stream, "event": event, "at_ms": at_ms, **more}
