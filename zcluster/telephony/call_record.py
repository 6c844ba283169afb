"""A leg of a call as a record of the stream "calls", keyed by its group and uuid.

What must hold: a record from a peer is refused as a whole (BadMessage) unless every field is of its kind and within
its bound; so whoever holds a CallRecord need not look again. A ringing leg has no metadata: it cannot be recovered,
only listed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from zcluster.errors import BadMessage
from zcluster.telephony.events import Row
from zcluster.telephony.metadata import MAX_PACKED_BYTES, pack_metadata, read_facts
from zcluster.telephony.packing import pack, unpack

VERSION = 1
RINGING, ANSWERED = "ringing", "answered"
SOFIA = "sofia"
PARTY_CHARACTERS = 128
TEXT_CHARACTERS = 255
LARGEST_LIMITS = 64
CSEQ_END = 2**31
SECONDS_END = 2**40

# It goes into commands and into key bytes: one word of printable ASCII, and
# nothing that the switch would split or unquote.
_UUID = re.compile(r"[!#-&(-\[\]-~]{1,255}")
_UNFIT = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One leg. `metadata` is packed, b"" when there is none (yet); `limits` and `reruns` as in CallFacts.

    `cseq`: what the last takeover began with, 0 for none; the next one must begin above it.
    """

    profile: str
    runtime_uuid: str = ""
    build: str = ""
    hostname: str = ""
    partner: str = ""
    caller: str = ""
    callee: str = ""
    started_s: int = 0
    answered_s: int = 0
    direction: str = ""
    state: str = RINGING
    limits: tuple[str, ...] = ()
    reruns: tuple[str, ...] = ()
    is_recovered: bool = False
    cseq: int = 0
    metadata: bytes = b""
    technology: str = SOFIA

    @property
    def limits_of_ours(self) -> tuple[str, ...]:
        """What this leg counts in without the switch knowing, once it is recovered (mod_hash ran nothing)."""
        if self.partner:
            return self.limits
        return tuple(name for name in self.limits if name not in self.reruns)


_NAMES = tuple(each.name for each in fields(CallRecord))
_KINDS = tuple(type(getattr(CallRecord(""), name)) for name in _NAMES)
_TEXTS = tuple(place for place, kind in enumerate(_KINDS) if kind is str)
_METADATA = _NAMES.index("metadata")


def is_uuid(text: str) -> bool:
    """Whether a call of this name can be followed: `origination_uuid` allows any text."""
    return _UUID.fullmatch(text) is not None


def bounded(text: str, characters: int = PARTY_CHARACTERS) -> str:
    """A text as it may stand in a record and a journal."""
    return _UNFIT.sub("?", text[:characters])


def record_of_row(row: Row, build: str, cseq: int = 0) -> CallRecord:
    """The record of a leg that the switch tracks. Raises BadMessage for what is no call.

    Metadata that is too large for a record is left out.
    """
    facts = read_facts(row.metadata)
    try:
        packed = pack_metadata(row.metadata)
    except ValueError:
        packed = b""
    return CallRecord(
        profile=bounded(row.profile, TEXT_CHARACTERS),
        runtime_uuid=bounded(row.runtime_uuid, TEXT_CHARACTERS),
        build=bounded(build, TEXT_CHARACTERS),
        hostname=bounded(row.hostname, TEXT_CHARACTERS),
        partner=facts.partner if is_uuid(facts.partner) else "",
        caller=bounded(facts.caller),
        callee=bounded(facts.callee),
        started_s=min(facts.started_s, SECONDS_END - 1),
        answered_s=min(facts.answered_s, SECONDS_END - 1),
        direction=bounded(facts.direction, 16),
        state=ANSWERED,
        limits=tuple(bounded(name) for name in facts.limits[:LARGEST_LIMITS]),
        reruns=tuple(bounded(name) for name in facts.reruns[:LARGEST_LIMITS]),
        is_recovered=facts.is_recovered,
        cseq=min(max(cseq, facts.cseq), CSEQ_END - 1),
        metadata=packed,
        technology=bounded(row.technology, TEXT_CHARACTERS),
    )


def pack_call(record: CallRecord) -> bytes:
    """The body of the record."""
    return pack((VERSION, *(getattr(record, name) for name in _NAMES)))


def unpack_call(body: bytes) -> CallRecord:
    """The leg that a body tells of; raises BadMessage."""
    return _checked(_fields(body))


def unpack_outline(body: bytes) -> tuple[CallRecord, bool]:
    """The leg without its metadata, and whether it has any: thousands are planned with. Raises BadMessage."""
    values = _fields(body)
    metadata = values[_METADATA]
    has_metadata = metadata != b""
    if type(metadata) is bytes:
        values[_METADATA] = metadata[:0] if len(metadata) <= MAX_PACKED_BYTES else metadata
    return _checked(values), has_metadata


def _fields(body: bytes) -> list[Any]:
    version, *values = unpack(body, 1 + len(_NAMES))
    if type(version) is not int or version < VERSION:
        raise BadMessage("call: of no version", "version")
    return values


def _checked(values: list[Any]) -> CallRecord:
    if tuple(map(type, values)) != _KINDS:
        raise BadMessage("call: a field is of the wrong kind", "kind")
    texts = [values[place] for place in _TEXTS]
    if max(map(len, texts)) > TEXT_CHARACTERS or _UNFIT.search("".join(texts)):
        raise BadMessage("call: a text is too long, or not plain", "text")
    record = CallRecord(*values)
    for names in (record.limits, record.reruns):
        if len(names) > LARGEST_LIMITS or any(type(n) is not str or len(n) > PARTY_CHARACTERS for n in names):
            raise BadMessage("call: its limits are too many or too long", "limits")
    if record.state not in (RINGING, ANSWERED) or (record.partner and not is_uuid(record.partner)):
        raise BadMessage("call: of an unknown state, or bonded with no call", "state")
    if not 0 <= record.cseq < CSEQ_END or len(record.metadata) > MAX_PACKED_BYTES:
        raise BadMessage("call: its CSeq or its metadata is too large", "large")
    if not 0 <= record.started_s < SECONDS_END or not 0 <= record.answered_s < SECONDS_END:
        raise BadMessage("call: of no time", "time")
    return record
