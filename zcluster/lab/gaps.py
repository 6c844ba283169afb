"""How long an address did not answer, judged from the probes that were sent to it.

What must hold: pure. A machine that stands still for a moment delays probes and answers together and loses
none: that is no gap. A gap always holds a probe that stayed unanswered, or was answered only long after (it
lay in the client kernel's queue, waiting for a neighbour that did not exist).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LATE_NS = 60_000_000  # on one machine an answer takes 0.05 ms; a longer wait was a queue's, not the path's
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Probe:
    """One question: when it was sent, and when the kernel received the answer (0: it never came)."""

    sent_ns: int
    answered_ns: int

    @property
    def is_missed(self) -> bool:
        """Whether nobody answered in time."""
        return self.answered_ns == 0 or self.answered_ns - self.sent_ns > LATE_NS


@dataclass(frozen=True, slots=True)
class Gap:
    """From the last answer to the next one. `is_over` is False when none came until the record's end."""

    begin_ns: int
    end_ns: int
    is_over: bool

    @property
    def length_ms(self) -> float:
        """The gap's length so far."""
        return (self.end_ns - self.begin_ns) / _NS_PER_MS


def longest_gap(probes: Sequence[Probe], since_ns: int, now_ns: int) -> Gap | None:
    """The longest gap with a missed probe sent at or after `since_ns`; None if nothing was missed.

    `probes` are in the order of sending and begin early enough to hold an answer before `since_ns`. Probes
    sent within the last LATE_NS are not judged missed: their answers may still come.
    """
    longest: Gap | None = None
    last_answer_ns = probes[0].sent_ns if probes else since_ns
    begin_ns: int | None = None
    late_answer_ns = 0
    for probe in probes:
        if probe.is_missed:
            if probe.sent_ns >= since_ns and probe.sent_ns <= now_ns - LATE_NS and begin_ns is None:
                begin_ns, late_answer_ns = last_answer_ns, 0
            if begin_ns is not None and probe.answered_ns and not late_answer_ns:
                late_answer_ns = probe.answered_ns
            continue
        if begin_ns is not None:
            end_ns = min(late_answer_ns, probe.answered_ns) if late_answer_ns else probe.answered_ns
            longest = _longer(longest, Gap(begin_ns, end_ns, True))
            begin_ns = None
        last_answer_ns = probe.answered_ns
    if begin_ns is not None:
        # A late answer is an answer: the address is back, its first prompt probe is only not in the record yet.
        longest = _longer(longest, Gap(begin_ns, late_answer_ns or now_ns, bool(late_answer_ns)))
    return longest


def _longer(one: Gap | None, other: Gap) -> Gap:
    return other if one is None or other.length_ms > one.length_ms else one
