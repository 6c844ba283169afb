"""What the core decided, as one number a step: the proof that a replay decided the same.

What must hold: equal actions have equal digests, in any process and whatever was digested before; the digest of
a report is kept by identity only because it costs.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence

import msgpack

from zcluster.control.actions import Action, SendBeat
from zcluster.control.messages import Beat, Report
from zcluster.recording.values import CLASSES

_FIELDS: dict[type[object], tuple[int, tuple[str, ...]]] = {
    kind: (number, tuple(field.name for field in dataclasses.fields(kind)))
    for number, kind in enumerate(CLASSES)
    if dataclasses.is_dataclass(kind)
}


class Digester:
    """Digests the actions of one node, step by step."""

    def __init__(self) -> None:
        self._pack = msgpack.Packer(default=_plain).pack
        self._report: Report | None = None
        self._report_digest = 0

    def digest(self, actions: Sequence[Action]) -> int:
        """CRC-32 of what one step returned, in order; 0 for nothing."""
        row: list[object] = []
        for action in actions:
            if type(action) is SendBeat:
                self._add_beat(row, action.beat)
            else:
                number, names = _FIELDS[type(action)]
                row.append(number)
                row += [getattr(action, name) for name in names]
        return zlib.crc32(self._pack(row)) if row else 0

    def _add_beat(self, row: list[object], beat: Beat) -> None:
        if beat.report is not self._report:
            self._report = beat.report
            self._report_digest = zlib.crc32(self._pack(beat.report))
        row += (beat.node, beat.incarnation, beat.sequence, self._report_digest, beat.acks)


def _plain(value: object) -> object:
    """A record as a row; what the core never uses as its words."""
    known = _FIELDS.get(type(value))
    return [getattr(value, name) for name in known[1]] if known is not None else str(value)


def kinds(actions: Sequence[Action]) -> str:
    """The names of what was asked for, for people."""
    return " ".join([type(action).__name__ for action in actions])
