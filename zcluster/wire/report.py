"""The slow part of a beat as bytes: the report, and of each acknowledgement all but its sequence.

Both ends keep these bytes while nothing changes, so they may cost: MessagePack, then zlib (RFC 1950),
because names repeat and twenty nodes must fit one datagram. Layout: a map whose keys are the constants
below, records as arrays in the order of the NamedTuples of `zcluster.control.messages`; hardware
addresses as six bytes each, one after the other.

What must hold: keys that are not known and fields at the end of a record are ignored (a later minor
version may add them), and what an earlier one did not know is absent (the switch's build and name: ""; a freeze:
none); everything else is typed and bounded, or BadMessage says what is not.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar, cast

import msgpack

from zcluster.control.document import Acceptance, Document, Freeze, Pin, Proposal
from zcluster.control.frozen import LARGEST_REASON_BYTES, LARGEST_WHO_BYTES
from zcluster.control.messages import Ask, Claim, FoundingView, Grant, Release, Report
from zcluster.control.units import Ballot, NodeName, NodeState, Pair
from zcluster.errors import BadMessage
from zcluster.wire import bounds

CLUSTER_ID, GENERATION, STATE, CLAIMS, GRANTS, RELEASES, ASKS = range(1, 8)
UNREADY, MACS, FOUNDING, DOCUMENT, VERSION, SETTINGS_DIGEST, HEADS, FLOOR, CEILING = range(8, 17)
STORED_GENERATION, PROPOSAL, ACCEPTANCE, IS_AMNESIAC, ASKS_LONG, CONTINUES = range(17, 23)
BUILD, SWITCHNAME, MINOR = range(23, 26)

COMPRESSION_LEVEL = 6
HARDWARE_ADDRESS_BYTES = 6

# UNKNOWN is how a peer looks before it was heard: no node says it of itself.
_STATES = {str(state): state for state in NodeState if state is not NodeState.UNKNOWN}
_is_hardware_address = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}").fullmatch

Record = TypeVar("Record")


class Head(NamedTuple):
    """What seldom changes in an acknowledgement: its peer, and all of it but the sequence."""

    peer: NodeName
    incarnation: int
    pairs: tuple[Pair, ...]
    is_long: bool


class Slow(NamedTuple):
    """The slow part of a beat. The order of `heads` is that of the sequences in the fast part."""

    report: Report
    heads: tuple[Head, ...]


def pack_slow(slow: Slow) -> bytes:
    """The bytes of the slow part; raises BadMessage where a value could not be carried."""
    report = slow.report
    fields: dict[int, object] = {
        CLUSTER_ID: report.cluster_id,
        GENERATION: report.generation,
        STATE: str(report.state),
        CLAIMS: report.claims,
        GRANTS: report.grants,
        RELEASES: report.releases,
        ASKS: report.asks,
        UNREADY: report.unready,
        MACS: _packed_macs(report.macs),
        FOUNDING: report.founding,
        DOCUMENT: _document_row(report.document),
        VERSION: report.version,
        SETTINGS_DIGEST: report.settings_digest,
        FLOOR: report.floor,
        CEILING: report.ceiling,
        STORED_GENERATION: report.stored_generation,
        PROPOSAL: _ended_by_document(report.proposal),
        ACCEPTANCE: _ended_by_document(report.acceptance),
        IS_AMNESIAC: report.is_amnesiac,
        ASKS_LONG: report.asks_long,
        CONTINUES: report.continues,
        HEADS: slow.heads,
    }
    # Nothing for nothing: a node without a switch pays no byte for it.
    if report.build:
        fields[BUILD] = report.build
    if report.switchname:
        fields[SWITCHNAME] = report.switchname
    if report.minor:
        fields[MINOR] = report.minor
    try:
        return zlib.compress(msgpack.packb(fields), COMPRESSION_LEVEL)
    except (ValueError, TypeError, OverflowError) as problem:
        raise BadMessage(f"report: cannot be written: {problem}") from problem


def unpack_slow(data: bytes) -> Slow:
    """The slow part of its bytes; raises BadMessage."""
    fields = unpack_map(_inflated(data), "report")
    return Slow(_report(fields), _heads(fields.get(HEADS)))


def unpack_map(data: bytes, field: str) -> dict[object, object]:
    """The MessagePack map in `data`; raises BadMessage for anything else. Lengths are bounded by `data`."""
    try:
        fields = msgpack.unpackb(data, strict_map_key=False)
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as problem:
        raise BadMessage(f"{field}: not MessagePack: {problem}") from problem
    if type(fields) is not dict:
        raise BadMessage(f"{field}: not a map")
    return fields


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, bounds.MAX_REPORT_BYTES)
    except zlib.error as problem:
        raise BadMessage(f"report: not zlib: {problem}") from problem
    if not inflater.eof or inflater.unused_data:
        raise BadMessage("report: cut short, too long, or followed by something")
    return plain


def _report(fields: dict[object, object]) -> Report:
    return Report(
        cluster_id=bounds.cluster_id(fields.get(CLUSTER_ID), "cluster id"),
        generation=bounds.counter(fields.get(GENERATION), "generation"),
        state=_state(fields.get(STATE)),
        claims=_records(fields.get(CLAIMS), "claim", bounds.MAX_GROUPS, 3, _claim),
        grants=_records(fields.get(GRANTS), "grant", bounds.MAX_GROUPS, 4, _grant),
        releases=_records(fields.get(RELEASES), "release", bounds.MAX_RELEASES, 4, _release),
        asks=_records(fields.get(ASKS), "ask", bounds.MAX_ASKS, 3, _ask),
        unready=_unready(fields.get(UNREADY)),
        macs=_macs(fields.get(MACS)),
        founding=_founding(fields.get(FOUNDING)),
        document=_document(fields.get(DOCUMENT)),
        version=bounds.text(fields.get(VERSION), "version", bounds.MAX_TOKEN_CHARACTERS),
        settings_digest=bounds.name_or_empty(fields.get(SETTINGS_DIGEST), "settings digest"),
        floor=bounds.counter(fields.get(FLOOR), "floor"),
        ceiling=bounds.counter(fields.get(CEILING), "ceiling"),
        stored_generation=bounds.counter(fields.get(STORED_GENERATION), "stored generation"),
        proposal=_proposal(fields.get(PROPOSAL)),
        acceptance=_acceptance(fields.get(ACCEPTANCE)),
        is_amnesiac=bounds.flag(fields.get(IS_AMNESIAC), "amnesiac"),
        asks_long=bounds.flag(fields.get(ASKS_LONG), "asks long"),
        continues=bounds.incarnation(fields.get(CONTINUES), "continues"),
        build=bounds.text(fields.get(BUILD, ""), "build", bounds.MAX_BUILD_CHARACTERS),
        switchname=bounds.text(fields.get(SWITCHNAME, ""), "switchname", bounds.MAX_TOKEN_CHARACTERS),
        minor=bounds.counter(fields.get(MINOR, 0), "minor version"),
    )


def _records(
    value: object, field: str, limit: int, width: int, build: Callable[[list[object]], Record]
) -> tuple[Record, ...]:
    rows = bounds.items(value, f"{field}s", limit)
    return tuple(build(bounds.row(each, field, width)) for each in rows)


def _state(value: object) -> NodeState:
    state = _STATES.get(value) if type(value) is str else None
    if state is None:
        raise BadMessage("state: not one that a node says of itself")
    return state


def _claim(fields: list[object]) -> Claim:
    group, count, is_open = fields
    return Claim(bounds.name(group, "claim"), bounds.counter(count, "claim"), bounds.flag(is_open, "claim"))


def _grant(fields: list[object]) -> Grant:
    group, count, holder, is_live = fields
    return Grant(
        bounds.name(group, "grant"),
        bounds.counter(count, "grant"),
        bounds.name(holder, "grant"),
        bounds.flag(is_live, "grant"),
    )


def _release(fields: list[object]) -> Release:
    group, count, successor, cause = fields
    return Release(
        bounds.name(group, "release"),
        bounds.counter(count, "release"),
        bounds.name_or_empty(successor, "release"),
        bounds.name_or_empty(cause, "release"),
    )


def _ask(fields: list[object]) -> Ask:
    identity, group, target = fields
    return Ask(bounds.name(identity, "ask"), bounds.name(group, "ask"), bounds.name_or_empty(target, "ask"))


def _unready(value: object) -> tuple[str, ...]:
    reasons = bounds.items(value, "unready", bounds.MAX_REASONS)
    return tuple(bounds.text(each, "unready", bounds.MAX_REASON_CHARACTERS) for each in reasons)


def _macs(value: object) -> tuple[str, ...]:
    width = HARDWARE_ADDRESS_BYTES
    if type(value) is not bytes or len(value) % width or len(value) > width * bounds.MAX_HARDWARE_ADDRESSES:
        raise BadMessage(f"macs: not at most {bounds.MAX_HARDWARE_ADDRESSES} times {width} bytes")
    return tuple(value[start : start + width].hex(":") for start in range(0, len(value), width))


def _packed_macs(macs: Iterable[str]) -> bytes:
    for mac in macs:
        if not _is_hardware_address(mac):
            raise BadMessage(f"macs: {mac!r} is not of the form aa:bb:cc:dd:ee:ff")
    return b"".join(bytes.fromhex(mac.replace(":", "")) for mac in macs)


def _founding(value: object) -> FoundingView | None:
    if value is None:
        return None
    cluster_id, members, is_accepted = bounds.row(value, "founding", 3)
    return FoundingView(
        bounds.cluster_id(cluster_id, "founding"),
        bounds.names(members, "founding"),
        bounds.flag(is_accepted, "founding"),
    )


def _document(value: object) -> Document | None:
    if value is None:
        return None
    cluster_id, generation, roster, forgotten, pins, is_forced = bounds.row(value, "document", 6)
    frozen = bounds.row(value, "document", 7)[6] if len(cast(list[object], value)) > 6 else None
    return Document(
        bounds.cluster_id(cluster_id, "document"),
        bounds.counter(generation, "document"),
        bounds.names(roster, "document"),
        bounds.names(forgotten, "document"),
        _records(pins, "pin", bounds.MAX_GROUPS, 2, _pin),
        bounds.flag(is_forced, "document"),
        _freeze(frozen),
    )


def _freeze(value: object) -> Freeze | None:
    if value is None:
        return None
    reason, who, node, since_ms, until_ms, holders, is_firm = bounds.row(value, "freeze", 7)
    freeze = Freeze(
        bounds.text(reason, "freeze", LARGEST_REASON_BYTES),
        bounds.text(who, "freeze", LARGEST_WHO_BYTES),
        bounds.name(node, "freeze"),
        bounds.incarnation(since_ms, "freeze"),
        bounds.incarnation(until_ms, "freeze"),
        _records(holders, "frozen holder", bounds.MAX_GROUPS, 2, _pin),
        bounds.flag(is_firm, "freeze"),
    )
    if len({pin.group for pin in freeze.holders}) != len(freeze.holders):
        raise BadMessage("freeze: a group stands twice")
    return freeze


def _document_row(document: Document | None) -> tuple[object, ...] | None:
    return None if document is None else document.row()


def _ended_by_document(record: Proposal | Acceptance | None) -> tuple[object, ...] | None:
    return None if record is None else (*record[:-1], _document_row(record.value))


def _pin(fields: list[object]) -> Pin:
    group, node = fields
    return Pin(bounds.name(group, "pin"), bounds.name(node, "pin"))


def _ballot(value: object, field: str) -> Ballot:
    count, node = bounds.row(value, field, 2)
    return Ballot(bounds.counter(count, field), bounds.name_or_empty(node, field))


def _proposal(value: object) -> Proposal | None:
    if value is None:
        return None
    generation, ballot, document = bounds.row(value, "proposal", 3)
    return Proposal(bounds.counter(generation, "proposal"), _ballot(ballot, "proposal"), _document(document))


def _acceptance(value: object) -> Acceptance | None:
    if value is None:
        return None
    generation, promised, accepted, document = bounds.row(value, "acceptance", 4)
    return Acceptance(
        bounds.counter(generation, "acceptance"),
        _ballot(promised, "acceptance"),
        _ballot(accepted, "acceptance"),
        _document(document),
    )


def _heads(value: object) -> tuple[Head, ...]:
    rows = [bounds.row(each, "ack", 4) for each in bounds.items(value, "acks", bounds.MAX_NODES)]
    heads = tuple(
        Head(
            bounds.name(peer, "ack"),
            bounds.incarnation(incarnation, "ack"),
            bounds.pairs(pairs, "ack"),
            bounds.flag(is_long, "ack"),
        )
        for peer, incarnation, pairs, is_long in rows
    )
    if len({head.peer for head in heads}) != len(heads):
        raise BadMessage("acks: a peer stands twice")
    return heads
