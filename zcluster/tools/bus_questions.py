"""What a reader may ask over the bus for tools, as values.

    {"ask": "snapshot"}                                     the status, and what the ring has of the story
    {"ask": "since", "incarnation": I, "number": N}         what came after that number
    {"ask": "status" | "ping"}                              of the control process
    {"ask": "why", "group": ""}                             of the control process
    {"ask": "calls" | "registrations" | "lost" | "limits" | "streams", ...}     of the data process

Each may have an "id", a number or a short text, that comes back with its answer. What lists take is said in
`zcluster.data.questions`.

What must hold: a question is untrusted bytes. What is handed on to another process is made anew from the keys and
values that are known here, so that nothing but these questions gets there, and none of them changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeGuard

import msgpack

from zcluster.errors import BadMessage

LARGEST_TEXT = 256
LARGEST_ID_CHARACTERS = 64
LARGEST_ROWS = 2000
NUMBER_END = 2**53
KEYS_AT_MOST = 12

Identity = int | str | None


class Door(Enum):
    """Whose question it is: which socket of this host answers."""

    CONTROL = "control.sock"
    DATA = "data.sock"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The status and the story."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class Since:
    """What came after `number` in life `incarnation` of the answering daemon."""

    identity: Identity
    incarnation: int
    number: int


@dataclass(frozen=True, slots=True)
class Passed:
    """A question for another process of this host: `body`, made of known keys alone."""

    identity: Identity
    door: Door
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Refused:
    """A question that nobody answers, and why."""

    identity: Identity
    text: str


Question = Snapshot | Since | Passed | Refused


def _text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LARGEST_TEXT and value.isprintable()


def _rows(value: object) -> bool:
    return type(value) is int and 1 <= value <= LARGEST_ROWS


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _number(value: object) -> bool:
    return type(value) is int and 0 <= value < NUMBER_END


Check = Callable[[object], bool]

_LIST: Mapping[str, Check] = {
    **dict.fromkeys(("group", "node", "profile", "match", "from"), _text),
    "limit": _rows,
    "count": _flag,
}
_SINCE: Mapping[str, Check] = {"incarnation": _number, "number": _number}
_KEYS: Mapping[str, tuple[Door | None, Mapping[str, Check]]] = {
    "snapshot": (None, {}),
    "since": (None, _SINCE),
    "ping": (Door.CONTROL, {}),
    "status": (Door.CONTROL, {}),
    "why": (Door.CONTROL, {"group": _text}),
    "calls": (Door.DATA, _LIST),
    "registrations": (Door.DATA, _LIST),
    "lost": (Door.DATA, _LIST),
    "limits": (Door.DATA, _LIST),
    "streams": (Door.DATA, {}),
}
KNOWN = ", ".join(_KEYS)


def read_question(content: bytes) -> Question:
    """The question in those bytes. Raises BadMessage for what is none; its text may be answered."""
    body = _body(content)
    identity, ask = body.pop("id", None), body.pop("ask", None)
    if not _is_identity(identity):
        raise BadMessage(f"id is a number or a text of at most {LARGEST_ID_CHARACTERS} characters")
    if not isinstance(ask, str) or ask not in _KEYS:
        return Refused(identity, f"readers may ask for {KNOWN}; this bus takes no wishes")
    door, checks = _KEYS[ask]
    for key, value in body.items():
        check = checks.get(key)
        if check is None or not check(value):
            known = ", ".join(checks) or "nothing else"
            return Refused(
                identity, f"{ask} takes {known}; this one has something else, or a value that is none"
            )
    if door is not None:
        return Passed(identity, door, {"ask": ask, **body})
    if ask == "snapshot":
        return Snapshot(identity)
    incarnation, number = body.get("incarnation"), body.get("number")
    if not isinstance(incarnation, int) or not isinstance(number, int):
        return Refused(identity, "since takes the incarnation and the number of the last event that came")
    return Since(identity, incarnation, number)


def _body(content: bytes) -> dict[str, object]:
    try:
        body = msgpack.unpackb(content, max_map_len=KEYS_AT_MOST, max_array_len=0, max_ext_len=0)
    except (ValueError, TypeError, RecursionError, OverflowError, msgpack.UnpackException):
        raise BadMessage("a question is one MessagePack map", "bytes") from None
    if not isinstance(body, dict) or not all(isinstance(key, str) for key in body):
        raise BadMessage("a question is one MessagePack map whose keys are texts", "bytes")
    return body


def _is_identity(value: object) -> TypeGuard[Identity]:
    if isinstance(value, str):
        return len(value) <= LARGEST_ID_CHARACTERS
    return value is None or _number(value)
