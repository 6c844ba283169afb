"""The holder's lease: which of its beats a majority has acknowledged, and until when that lets it answer.

Must hold: the lease runs from the *sending* of the majority-th newest acknowledged beat, on the holder's
own clock; an acknowledgement counts only for beats that listed the pair.
"""

from __future__ import annotations

from collections.abc import Collection

from zcluster.control.units import NodeName

SENT_BEATS_KEPT = 256
LONG_SLOT = 1 << 31


def slot_of(sequence: int) -> int:
    """The gate's slot of one beat. The upper half of the numbers is for long leases; at 50 beats a second
    the lower half lasts more than a year, and its first elements have run out by then.
    """
    return sequence % LONG_SLOT


def long_slot_of(sequence: int) -> int:
    """The slot of the long element that is armed beside the usual one of the same beat."""
    return LONG_SLOT | slot_of(sequence)


class SentBeats:
    """When each of the latest own beats was handed out, by sequence: bounded."""

    def __init__(self) -> None:
        self._sent_ms: dict[int, int] = {}

    def record(self, sequence: int, now_ms: int) -> None:
        """Call before the beat leaves, so that the time is never later than the true sending."""
        self._sent_ms[sequence] = now_ms
        self._sent_ms.pop(sequence - SENT_BEATS_KEPT, None)

    def sent_ms(self, sequence: int) -> int | None:
        """None for a beat too old to matter or never sent."""
        return self._sent_ms.get(sequence)


class Lease:
    """Acknowledgements of one pair. `first_sequence` is the first own beat that listed it."""

    __slots__ = ("_acked", "first_sequence")

    def __init__(self, first_sequence: int) -> None:
        self.first_sequence = first_sequence
        self._acked: dict[NodeName, int] = {}

    def acknowledge(self, voter: NodeName, sequence: int) -> bool:
        """Note that `voter` granted the pair for the beat `sequence`; false if that is nothing new."""
        if sequence < self.first_sequence or sequence <= self._acked.get(voter, 0):
            return False
        self._acked[voter] = sequence
        return True

    def newest_majority(self, roster: Collection[NodeName], quorum: int) -> int:
        """The newest own beat that `quorum` of the roster acknowledged, it or a later one; 0 if none."""
        acked = sorted([sequence for voter, sequence in self._acked.items() if voter in roster], reverse=True)
        return acked[quorum - 1] if len(acked) >= quorum else 0

    def is_granted(self, roster: Collection[NodeName], quorum: int) -> bool:
        """Whether a majority has ever granted the pair."""
        return self.newest_majority(roster, quorum) > 0
