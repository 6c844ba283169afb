"""Whether this node could carry traffic now, and the reasons why not.

A service network counts as lost when its carrier is gone, when its configured references have not
answered lately, or, without references, when peers that were heard on it before are heard only elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from zcluster.control.actions import AskReference
from zcluster.control.designation import may_carry
from zcluster.control.reasons import WAITING_SUBJECTS
from zcluster.control.situation import Situation
from zcluster.control.units import LinkName

REFERENCE_INTERVAL_MS = 250
REFERENCE_LIMIT_MS = 1000
SERVICE_SILENCES = 3


class Health:
    """`problems` are true faults of this node; `review()` returns all reasons for not being ready."""

    def __init__(self, situation: Situation, links: Mapping[LinkName, bool]) -> None:
        self._s = situation
        self.links = dict(links)
        self.problems: tuple[str, ...] = ()
        self._subjects: dict[str, str] = {}
        self._reference_ms: dict[LinkName, int] = {}
        self._asked_ms = situation.now_ms - REFERENCE_INTERVAL_MS
        self._reviewed_ms = situation.now_ms - REFERENCE_INTERVAL_MS

    def link_changed(self, link: LinkName, is_up: bool) -> None:
        """A carrier came or went."""
        self.links[link] = is_up
        if is_up and link in self._reference_ms:
            self._reference_ms[link] = self._s.now_ms

    def reference_seen(self, link: LinkName) -> None:
        """A reference address answered."""
        self._reference_ms[link] = self._s.reference_ms = self._s.now_ms

    def changed(self, subject: str, problem: str) -> None:
        """Something else broke or came back."""
        if problem:
            self._subjects[subject] = problem
        else:
            self._subjects.pop(subject, None)

    def review(self) -> tuple[str, ...]:
        """Every reason why this node is not ready, in a stable order."""
        s = self._s
        told = [(subject, f"{subject}: {text}") for subject, text in sorted(self._subjects.items())]
        interval_ms = 2 * s.timing.beat_ms if s.is_pair else REFERENCE_INTERVAL_MS
        if s.settings.referenced_links and s.now_ms >= self._asked_ms + interval_ms:
            self._asked_ms = s.now_ms
            s.out.append(AskReference())
        problems = []
        for link in s.settings.service_links if may_carry(s.settings, s.name) else ():
            if not self.links.get(link, False):
                problems.append(f"{link}: no carrier")
            elif link in s.settings.referenced_links:
                last_ms = self._reference_ms.setdefault(link, s.now_ms)
                if s.now_ms - last_ms > REFERENCE_LIMIT_MS:
                    problems.append(f"{link}: no reference answers")
            elif self._is_deaf(link):
                problems.append(f"{link}: hears nobody, other links do")
        self.problems = (*problems, *(text for subject, text in told if subject not in WAITING_SUBJECTS))
        return (*self.problems, *(text for subject, text in told if subject in WAITING_SUBJECTS))

    def _is_deaf(self, link: LinkName) -> bool:
        """Every living peer was heard on this link before, and none is now."""
        s = self._s
        limit_ms = s.now_ms - SERVICE_SILENCES * s.timing.silence_ms
        was_heard = False
        for peer in s.detector.alive(s.now_ms):
            record = peer.links.get(link)
            if record is not None:
                if record.heard_ms > limit_ms:
                    return False
                was_heard = True
        return was_heard
