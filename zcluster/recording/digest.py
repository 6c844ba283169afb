"""What the core decided, as one number a step: the proof that a replay decided the same.

What must hold: equal actions have equal digests, in any process and whatever was digested before; the bytes of
a report are kept by identity only because they cost.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from zcluster.control.actions import Action, SendBeat
from zcluster.control.messages import Beat, Report
from zcluster.recording.values import pack


class Digester:
    """Digests the actions of one node, step by step."""

    def __init__(self) -> None:
        self._report: Report | None = None
        self._report_digest = 0

    def digest(self, actions: Sequence[Action]) -> int:
        """CRC-32 of what one step returned, in order; 0 for nothing."""
        found = 0
        for action in actions:
            if type(action) is SendBeat:
                found = zlib.crc32(self._beat(action.beat), found)
            else:
                found = zlib.crc32(pack(action), found)
        return found

    def _beat(self, beat: Beat) -> bytes:
        if beat.report is not self._report:
            self._report = beat.report
            self._report_digest = zlib.crc32(pack(beat.report))
        row: list[object] = [beat.node, beat.incarnation, beat.sequence, self._report_digest]
        for peer, ack in beat.acks.items():
            row += (peer, ack.incarnation, ack.sequence, ack.is_long)
            for pair in ack.pairs:
                row += pair
        return pack(row)


def kinds(actions: Sequence[Action]) -> str:
    """The names of what was asked for, for people."""
    return " ".join(type(action).__name__ for action in actions)
