"""What the core was handed and what it answered, as compact rows.

A row is `code, milliseconds since the row before, fields...`, and, where the core answered, `digest, kinds`. A
beat whose report and acknowledgements say what the peer's last one said is its sequences alone: two of three
events are copies, nearly all others such beats.

What must hold: a report that was the *same object* as the peer's report before is the same object again, for the
core compares reports by identity. So both ends begin with the peers' reports that the node itself knows, and like
the node they keep the report of the newest beat: one that comes late replaces nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from zcluster.control.actions import Action
from zcluster.control.events import BeatReceived, BeatRepeated, Event, Tick
from zcluster.control.messages import Ack, Beat, Report
from zcluster.control.node import Node
from zcluster.control.units import NodeName, Pair
from zcluster.errors import RecordingError
from zcluster.recording.digest import Digester, kinds
from zcluster.recording.values import pack, unpack

TICK, COPY, SAME_BEAT, SAME_REPORT, OTHER = range(5)
ANSWERED, RAISED = 8, 16


class Head(NamedTuple):
    """Of one acknowledgement all but its sequence."""

    peer: NodeName
    incarnation: int
    pairs: tuple[Pair, ...]
    is_long: bool


@dataclass(slots=True)
class Known:
    """What a peer's newest beat said."""

    incarnation: int
    sequence: int
    report: Report
    heads: tuple[Head, ...]

    def precedes(self, beat: Beat) -> bool:
        """Whether that beat is newer."""
        return (beat.incarnation, beat.sequence) > (self.incarnation, self.sequence)


class Step(NamedTuple):
    """One event, when, and what the core answered: `digest` 0 and no `kinds` for nothing."""

    now_ms: int
    event: Event
    digest: int
    kinds: str
    did_raise: bool


def known_reports(node: Node) -> dict[NodeName, Known]:
    """What the node has of each peer now: where a recording that begins with this node begins."""
    peers = node.situation.detector.peers.values()
    return {
        peer.name: Known(peer.incarnation, peer.sequence, peer.report, _heads(peer.acks)) for peer in peers
    }


def _heads(acks: Any) -> tuple[Head, ...]:
    return tuple(Head(peer, ack.incarnation, ack.pairs, ack.is_long) for peer, ack in acks.items())


class StepWriter:
    """Turns steps into blocks of bytes, one after another."""

    def __init__(self, began_ms: int, known: dict[NodeName, Known]) -> None:
        self._now_ms = began_ms
        self._known = known
        self._digester = Digester()

    def block(self, entries: Sequence[object]) -> bytes:
        """`entries`: event, now_ms, actions, and again; of the last step the actions are missing where the
        core raised.
        """
        rows: list[object] = []
        for at in range(0, len(entries), 3):
            event, now_ms = entries[at], entries[at + 1]
            actions: Any = entries[at + 2] if at + 2 < len(entries) else None
            self._add(rows, event, now_ms, actions)
        return pack(rows)

    def _add(self, rows: list[object], event: Any, now_ms: Any, actions: Sequence[Action] | None) -> None:
        after = (0 if actions is not None else RAISED) | (ANSWERED if actions else 0)
        since_ms = now_ms - self._now_ms
        self._now_ms = now_ms
        kind = type(event)
        if kind is BeatRepeated:
            rows += (COPY | after, since_ms, event.node, event.incarnation, event.sequence, event.link)
        elif kind is Tick:
            rows += (TICK | after, since_ms)
        elif kind is BeatReceived:
            self._add_beat(rows, after, since_ms, event)
        else:
            rows += (OTHER | after, since_ms, pack(event))
        if actions:
            rows += (self._digester.digest(actions), kinds(actions))

    def _add_beat(self, rows: list[object], after: int, since_ms: int, event: BeatReceived) -> None:
        beat = event.beat
        known = self._known.get(beat.node)
        is_same = known is not None and known.report is beat.report and known.incarnation == beat.incarnation
        if known is not None and is_same and (acked := _acked(known.heads, beat)) is not None:
            known.sequence = max(known.sequence, beat.sequence)
            rows += (SAME_BEAT | after, since_ms, beat.node, beat.sequence, acked, event.link)
            return
        _learn(self._known, beat)
        if is_same:
            acks = pack(beat.acks)
            rows += (SAME_REPORT | after, since_ms, beat.node, beat.sequence, acks, event.link)
        else:
            rows += (OTHER | after, since_ms, pack(event))


def _learn(known: dict[NodeName, Known], beat: Beat) -> None:
    before = known.get(beat.node)
    if before is None or before.precedes(beat):
        known[beat.node] = Known(beat.incarnation, beat.sequence, beat.report, _heads(beat.acks))


def _acked(heads: tuple[Head, ...], beat: Beat) -> list[int] | None:
    """The acknowledged sequences, where nothing else is new."""
    if len(beat.acks) != len(heads):
        return None
    acked = []
    for (peer, ack), head in zip(beat.acks.items(), heads, strict=True):
        incarnation, sequence, pairs, is_long = ack
        if (peer, incarnation, pairs, is_long) != head:
            return None
        acked.append(sequence)
    return acked


class StepReader:
    """Reads the blocks of a `StepWriter` that began with equal values."""

    def __init__(self, began_ms: int, known: dict[NodeName, Known]) -> None:
        self._now_ms = began_ms
        self._known = known

    def steps(self, block: bytes) -> Iterator[Step]:
        """The steps of one block; RecordingError."""
        rows = iter(unpack(block))
        try:
            for code in rows:
                self._now_ms += next(rows)
                event = self._event(code & (ANSWERED - 1), rows)
                answer = (next(rows), next(rows)) if code & ANSWERED else (0, "")
                yield Step(self._now_ms, event, answer[0], answer[1], bool(code & RAISED))
        except (StopIteration, RuntimeError, TypeError, KeyError, ValueError) as error:
            raise RecordingError(f"a block of the recording is malformed: {error!r}") from error

    def _event(self, code: int, rows: Iterator[Any]) -> Event:
        if code == TICK:
            return Tick()
        if code == COPY:
            return BeatRepeated(next(rows), next(rows), next(rows), next(rows))
        if code == OTHER:
            event: Event = unpack(next(rows))
            if isinstance(event, BeatReceived):
                _learn(self._known, event.beat)
            return event
        node, sequence, acked, link = next(rows), next(rows), next(rows), next(rows)
        known = self._known[node]
        acks = unpack(acked) if code == SAME_REPORT else _joined(known.heads, acked)
        beat = Beat(node, known.incarnation, sequence, acks, known.report)
        if code == SAME_REPORT:
            _learn(self._known, beat)
        else:
            known.sequence = max(known.sequence, sequence)
        return BeatReceived(beat, link)


def _joined(heads: tuple[Head, ...], acked: list[int]) -> dict[NodeName, Ack]:
    return {
        head.peer: Ack(head.incarnation, number, head.pairs, head.is_long)
        for head, number in zip(heads, acked, strict=True)
    }
