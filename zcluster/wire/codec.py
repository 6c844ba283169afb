"""A beat as bytes, cheap while nothing but sequences changes.

A payload is a MessagePack map: 0 node, 1 incarnation, 2 sequence, 3 the acknowledged sequences (of five bytes
each, the highest first, in the order of the heads in the slow part), 4 the slow part (see `report`), and in some
beats 5 the sender's wall clock in milliseconds since 1970 (see `clocks`). Unknown keys are ignored.

What must hold: only BadMessage leaves the decoder, whatever the bytes. A report that did not change
decodes to the same object as before, because the core compares reports by identity. All of it is the CPU
budget of the control process: a known slow part is neither written nor read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, overload

import msgpack

from zcluster.control.acks import AckHeads, Acks
from zcluster.control.messages import Beat, Report
from zcluster.control.units import NodeName
from zcluster.errors import BadMessage
from zcluster.wire import bounds
from zcluster.wire.report import Head, Slow, pack_slow, unpack_map, unpack_slow

NODE, INCARNATION, SEQUENCE, ACKED, SLOW, WALL = range(6)

# The fast part around the slow one at its largest: keys, lengths, two numbers of nine bytes.
FAST_BYTES = 32
NUMBER_BYTES = 9
WALL_BYTES = 1 + NUMBER_BYTES
SHORT_REASONS = 2
SHORT_REASON_CHARACTERS = 32


class _Written(NamedTuple):
    """The slow part as it was last written, and of what."""

    report: Report
    heads: tuple[Head, ...]
    data: bytes


class _Read(NamedTuple):
    """The slow part of one node as it was last read."""

    data: bytes
    report: Report
    heads: AckHeads


class BeatEncoder:
    """Writes the beats of one node. It keeps the bytes of the slow part by identity of the report."""

    def __init__(self) -> None:
        self._pack = msgpack.Packer().pack
        self._written: _Written | None = None

    def encode(self, beat: Beat, wall_ms: int | None = None) -> bytes:
        """The payload of `beat`; raises BadMessage for a beat that every peer would drop.

        Reasons of unreadiness are free text: they are made printable and cut to their bounds here, more
        so when the whole would not fit a datagram, because a sick node must stay audible. `wall_ms` is put in
        where there is room.
        """
        written = self._written
        acked = _acked(written, beat) if written is not None else None
        if written is None or acked is None:
            written = self._written = _write(beat)
            acked = [beat.acks[head.peer].sequence for head in written.heads]
        fields: dict[int, object] = {
            NODE: beat.node,
            INCARNATION: beat.incarnation,
            SEQUENCE: beat.sequence,
            ACKED: _packed_sequences(acked),
            SLOW: written.data,
        }
        payload: bytes = self._pack(fields)
        if wall_ms is not None and len(payload) + WALL_BYTES <= bounds.MAX_PAYLOAD_BYTES:
            payload = self._pack({**fields, WALL: wall_ms})
        return payload


def _acked(written: _Written, beat: Beat) -> list[int] | None:
    """The acknowledged sequences in the written order, or None when the slow part must be written anew."""
    acks = beat.acks
    if beat.report is not written.report or len(acks) != len(written.heads):
        return None
    acked = []
    for peer, incarnation, pairs, is_long in written.heads:
        ack = acks.get(peer)
        if ack is None or ack.incarnation != incarnation or ack.pairs != pairs or ack.is_long is not is_long:
            return None
        acked.append(ack.sequence)
    return acked


def _write(beat: Beat) -> _Written:
    bounds.name(beat.node, "node")
    bounds.incarnation(beat.incarnation, "incarnation")
    bounds.beat_sequence(beat.sequence, "sequence")
    for peer, ack in beat.acks.items():
        bounds.beat_sequence(ack.sequence, f"ack of {peer}")
    heads = tuple(Head(peer, ack.incarnation, ack.pairs, ack.is_long) for peer, ack in beat.acks.items())
    data = _packed(beat.report, heads, bounds.MAX_REASONS, bounds.MAX_REASON_CHARACTERS)
    room = bounds.MAX_PAYLOAD_BYTES - FAST_BYTES - len(beat.node) - bounds.BEAT_SEQUENCE_BYTES * len(heads)
    if len(data) > room:
        data = _packed(beat.report, heads, SHORT_REASONS, SHORT_REASON_CHARACTERS)
    # Our own reader is the judge: what it refuses, every peer would drop, and we would look dead.
    unpack_slow(data)
    return _Written(beat.report, heads, data)


def _packed(report: Report, heads: tuple[Head, ...], reasons: int, characters: int) -> bytes:
    unready = tuple(_printable(reason)[:characters] for reason in report.unready[:reasons])
    return pack_slow(Slow(report._replace(unready=unready), heads))


def _printable(reason: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in reason)


class Fast(NamedTuple):
    """A beat half read: its name and `wall_ms` (None where it does not say) are checked, what it acknowledges and
    reports is not.
    """

    node: NodeName
    incarnation: int
    sequence: int
    acked: object
    data: object
    wall_ms: int | None = None


def read_fast(payload: bytes) -> Fast:
    """The outer map of a payload, enough to tell whether the rest is wanted; raises BadMessage."""
    fields = unpack_map(payload, "beat")
    node = fields.get(NODE)
    incarnation = fields.get(INCARNATION)
    sequence = fields.get(SEQUENCE)
    if type(node) is not str:
        raise BadMessage("node: not a name")
    if type(incarnation) is not int or not 0 <= incarnation < bounds.INCARNATION_END:
        raise BadMessage("incarnation: not a number below 2^53")
    if type(sequence) is not int or not 0 <= sequence < bounds.BEAT_SEQUENCE_END:
        raise BadMessage("sequence: not a number below 2^40")
    wall_ms = fields.get(WALL)
    if wall_ms is not None and (type(wall_ms) is not int or not 0 <= wall_ms < bounds.INCARNATION_END):
        raise BadMessage("wall clock: not a number below 2^53")
    return Fast(node, incarnation, sequence, fields.get(ACKED), fields.get(SLOW), wall_ms)


class BeatDecoder:
    """Reads beats. It keeps the last slow part of each node, at most MAX_NODES of them."""

    def __init__(self) -> None:
        self._read: dict[NodeName, _Read] = {}

    def decode(self, payload: bytes) -> Beat:
        """The beat in an authenticated `payload`; raises BadMessage."""
        return self.complete(read_fast(payload))

    def complete(self, fast: Fast) -> Beat:
        """The beat of which `fast` was read; raises BadMessage. It replaces what is known of the node."""
        node, incarnation, sequence, acked, data, _ = fast
        known = self._read.get(node)
        if known is None or known.data != data:
            known = self._learn(node, known, data)
        if type(acked) is not bytes or len(acked) != bounds.BEAT_SEQUENCE_BYTES * len(known.heads.places):
            raise BadMessage("acks: not one sequence for each peer")
        return Beat(node, incarnation, sequence, Acks(known.heads, PackedSequences(acked)), known.report)

    def _learn(self, node: NodeName, known: _Read | None, data: object) -> _Read:
        bounds.name(node, "node")
        if type(data) is not bytes or len(data) > bounds.MAX_COMPRESSED_BYTES:
            raise BadMessage(f"report: not at most {bounds.MAX_COMPRESSED_BYTES} bytes")
        report, heads = unpack_slow(data)
        if known is not None and known.report == report:
            report = known.report
        if known is None and len(self._read) >= bounds.MAX_NODES:
            del self._read[next(iter(self._read))]
        read = self._read[node] = _Read(data, report, _ack_heads(heads))
        return read


def _ack_heads(heads: tuple[Head, ...]) -> AckHeads:
    return AckHeads(
        {head.peer: place for place, head in enumerate(heads)},
        tuple(head.incarnation for head in heads),
        tuple(head.pairs for head in heads),
        tuple(head.is_long for head in heads),
    )


class PackedSequences(Sequence[int]):
    """Sequences as they are carried: read only where somebody asks, as most are asked for by nobody."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[int]: ...

    def __getitem__(self, place: int | slice) -> int | Sequence[int]:
        if isinstance(place, slice):
            return list(self)[place]
        if not 0 <= place < len(self):
            raise IndexError(place)
        start = place * bounds.BEAT_SEQUENCE_BYTES
        return int.from_bytes(self._data[start : start + bounds.BEAT_SEQUENCE_BYTES], "big")

    def __len__(self) -> int:
        return len(self._data) // bounds.BEAT_SEQUENCE_BYTES


def _packed_sequences(sequences: list[int]) -> bytes:
    return b"".join([sequence.to_bytes(bounds.BEAT_SEQUENCE_BYTES, "big") for sequence in sequences])
