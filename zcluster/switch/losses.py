"""The signs by which lost events are seen.

What must hold: each loss is told once, and order alone never counts as loss: a switch with several dispatch threads
delivers out of order (measured: 740 after 745).

A switch keeps 100,000 events for a listener and then drops; it says so in its log when the queue takes events again,
and closes the listener after 500 (mod_event_socket.c). Numbers missing among *all* events are a suspicion only: 556
is missing in the captured `event ALL` on both connections at once. So the certain signs are the log and our own pulses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from zcluster.switch import bounds

CRITICAL = 2
REORDERED_EVENTS = 32
REORDERED_PULSES = 1

# Wordings of several versions: "Lost 3 events!", "Lost [3] events! Event Queue size...", "Event enqueue ERROR",
# "Killing listener because of too many lost events".
_COMPLAINT = re.compile(
    r"lost \[?\d+\]? events|too many lost events|because of lost events|event enqueue error", re.I
)


def complains_of_loss(text: str) -> bool:
    """Whether a line of the switch's log, or its farewell, says that events were dropped."""
    return _COMPLAINT.search(text) is not None


class SequenceWatch:
    """Finds the numbers that are missing, once 32 later ones have been seen."""

    __slots__ = ("_highest", "_missing")

    def __init__(self) -> None:
        self._highest: int | None = None
        self._missing: dict[int, None] = {}

    def forget(self) -> None:
        """Begins anew, with another life of the switch or another connection."""
        self._highest = None
        self._missing.clear()

    def note(self, number: int) -> tuple[int, int]:
        """How many numbers are given up as missing after `number`, and the lowest of them (0 when none)."""
        if self._highest is None:
            self._highest = number
        self._missing.pop(number, None)
        if number <= self._highest:
            return 0, 0
        skipped = range(self._highest + 1, number)
        self._highest = number
        given_up = [each for each in self._missing if number - each > REORDERED_EVENTS]
        for each in given_up:
            del self._missing[each]
        far = skipped[: max(0, len(skipped) - REORDERED_EVENTS)]
        self._missing.update(dict.fromkeys(skipped[len(far) :]))
        lowest = given_up[0] if given_up else far[0] if far else 0
        return len(given_up) + len(far), lowest


class PulseWatch:
    """Numbers our pulses and finds those that never came back."""

    __slots__ = ("_last", "_sent")

    def __init__(self) -> None:
        self._last = 0
        self._sent: dict[int, int] = {}

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest pulse that is still out was sent, or None."""
        return min(self._sent.values(), default=None)

    def forget(self) -> None:
        """The pulses that are out will not come back: the connection ended."""
        self._sent.clear()

    @property
    def next_number(self) -> int:
        """The number that the next pulse will have."""
        return self._last + 1

    def note_sent(self, now_ms: int) -> None:
        """The next pulse is out. At most 64 are kept; the oldest is given up silently."""
        self._last += 1
        self._sent[self._last] = now_ms
        if len(self._sent) > bounds.WAITING_PULSES:
            del self._sent[next(iter(self._sent))]

    def receive(self, number: int, now_ms: int) -> tuple[int | None, tuple[int, ...]]:
        """The round trip of that pulse (None when it is not out), and the earlier ones now known lost."""
        sent_ms = self._sent.pop(number, None)
        if sent_ms is None:
            return None, ()
        lost = tuple(each for each in self._sent if each < number - REORDERED_PULSES)
        for each in lost:
            del self._sent[each]
        return now_ms - sent_ms, lost


def pulse_number(headers: Mapping[str, str], header: str) -> int | None:
    """The number in a pulse's header, or None for one that is not ours to read."""
    text = headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
