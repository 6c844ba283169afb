"""The core's values as MessagePack, exactly: what comes back is equal to what went in, type for type.

What must hold: lossless for every value that may stand in an event, an action or the constructor of a node.
Each class has a number, its place in `CLASSES`: new ones go to the end, so that old recordings stay readable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgpack

from zcluster.control import actions, document, events, messages, units
from zcluster.control.timing import Timing
from zcluster.errors import RecordingError

TUPLE, WORDS, FIRST_CLASS = 0, 1, 2

CLASSES: tuple[type[Any], ...] = (
    units.Ballot,
    units.Pair,
    units.NodeState,
    Timing,
    document.Pin,
    document.Document,
    document.Acceptance,
    document.Proposal,
    document.Site,
    document.GroupSettings,
    document.Settings,
    document.LongGrant,
    document.Held,
    document.Handover,
    document.Durable,
    messages.Ack,
    messages.Claim,
    messages.Grant,
    messages.Release,
    messages.Ask,
    messages.FoundingView,
    messages.Report,
    messages.Beat,
    events.Tick,
    events.BeatReceived,
    events.BeatRepeated,
    events.LinkChanged,
    events.ReferenceSeen,
    events.AddressSeen,
    events.Opened,
    events.Closed,
    events.GateLost,
    events.Stored,
    events.StoreFailed,
    events.MoveAsked,
    events.RosterAsked,
    events.PinAsked,
    events.RestartAsked,
    events.StopAsked,
    events.HealthChanged,
    actions.SendBeat,
    actions.ArmGate,
    actions.PointGate,
    actions.OpenAddresses,
    actions.CloseAddresses,
    actions.SendProbe,
    actions.AskReference,
    actions.Announce,
    actions.RenewAddresses,
    actions.StoreDurable,
    actions.Tell,
    actions.AnswerWish,
    actions.Exit,
    events.SwitchIdentified,
    document.Freeze,
    events.FreezeAsked,
    events.ThawAsked,
    events.FreezeOver,
)

Parts = Callable[[Any], list[object]]


def _parts_of(kind: type[Any]) -> Parts:
    if issubclass(kind, tuple):
        return list
    if issubclass(kind, str):
        return lambda word: [str(word)]
    names = tuple(field.name for field in dataclasses.fields(kind))
    return lambda value: [getattr(value, name) for name in names]


_WRITERS: dict[type[Any], tuple[int, Parts]] = {
    kind: (FIRST_CLASS + number, _parts_of(kind)) for number, kind in enumerate(CLASSES)
}


def pack(value: object) -> bytes:
    """The bytes of any value of the core. What the core never uses is written as words."""
    return cast(bytes, msgpack.packb(value, default=_extend, strict_types=True))


def _extend(value: object) -> object:
    known = _WRITERS.get(type(value))
    if known is not None:
        code, parts = known
        return msgpack.ExtType(code, pack(parts(value)))
    if isinstance(value, Mapping):
        return dict(value.items())  # equal to it: acknowledgements as they were read
    if type(value) is tuple:
        return msgpack.ExtType(TUPLE, pack(list(value)))
    return msgpack.ExtType(WORDS, str(value).encode("utf-8"))


def unpack(data: bytes) -> Any:
    """The value of those bytes; RecordingError."""
    try:
        return msgpack.unpackb(data, ext_hook=_build, strict_map_key=False)
    except (ValueError, TypeError, KeyError, RecursionError, msgpack.UnpackException) as error:
        raise RecordingError(f"a value in the recording is malformed: {error}") from error


def _build(code: int, data: bytes) -> object:
    if code == WORDS:
        return data.decode("utf-8")
    parts = unpack(data)
    if type(parts) is not list:
        raise ValueError("a record that is no row")
    if code == TUPLE:
        return tuple(parts)
    if not FIRST_CLASS <= code < FIRST_CLASS + len(CLASSES):
        raise ValueError(f"class number {code} is of a later version")
    return CLASSES[code - FIRST_CLASS](*parts)
