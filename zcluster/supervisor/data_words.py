"""What the data process says of the switch and of its copies, as the core hears it.

What must hold: a data process that ends or starts moves nothing. What its last life said of the switch stands
until the next one has looked for it for VERDICT_MS or finds the switch well. Copies that fill, or a data
process that is missing, keep a node from taking over, and never take anything away from one that holds: the core is
told of them only while it holds nothing (and holds them for no fault: `zcluster.control.health`). What the switch is
stands until it is said anew. Pure; time is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zcluster.control.events import Event, HealthChanged, SwitchIdentified
from zcluster.supervisor.switch_identity import build_mark, short_name
from zcluster.wire.local_link import Completeness, Health, SwitchIdentity

VERDICT_MS = 5000
REASON_PAUSE_MS = 1000
MOST_SUBJECTS = 256
SWITCH = "switch"
COPIES = "copies"
NO_DATA_PROCESS = "the data process does not run"
NO_WORD_YET = "the data process has not seen the switch and the other copies yet"


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The data process for the status. `pid` is None while there is none; `problems` of the switch, by subject."""

    pid: int | None
    restarts: int
    is_settled: bool
    problems: Mapping[str, str]
    completeness: Completeness | None


class DataWords:
    """`shown` is what the core knows: subject to problem, without those that are well."""

    def __init__(self) -> None:
        self.shown: dict[str, str] = {}
        self.completeness: Completeness | None = None
        self.is_settled = False
        self._said: dict[str, str] = {}
        self._is_begun = False
        self._verdict_ms: int | None = None
        self._reason_ms = -REASON_PAUSE_MS
        self._is_news = True
        self._is_reason_late = False
        self._held_nothing: bool | None = None
        self._identity: SwitchIdentified | None = None
        self._identity_shown: SwitchIdentified | None = None

    def begin(self) -> None:
        """A data process was started."""
        self._forget()
        self._is_begun = True

    def end(self) -> None:
        """It is gone."""
        self._forget()

    def _forget(self) -> None:
        self.completeness = None
        self.is_settled = False
        self._said = {}
        self._is_begun = False
        self._verdict_ms = None
        self._is_news = True

    def hear(self, word: Health | Completeness | SwitchIdentity, now_ms: int) -> None:
        """It said something. Its time to see the switch begins with its first word of it: until then it starts, and
        on a busy host that takes as long as it takes.
        """
        self._is_news = True
        if isinstance(word, Completeness):
            self.completeness = word
            return
        if isinstance(word, SwitchIdentity):
            self._identity = SwitchIdentified(build_mark(word.build), short_name(word.switchname))
            return
        if self._verdict_ms is None:
            self._verdict_ms = now_ms + VERDICT_MS
        if word.problem and (word.subject in self._said or len(self._said) < MOST_SUBJECTS):
            self._said[word.subject] = word.problem
        elif not word.problem:
            self._said.pop(word.subject, None)
            self.is_settled = self.is_settled or word.subject == SWITCH

    def problems(self) -> dict[str, str]:
        """What is known to be wrong with the switch, subject to problem."""
        if not self.is_settled:
            return {subject: problem for subject, problem in self.shown.items() if subject != COPIES}
        return {_subject(subject): problem for subject, problem in sorted(self._said.items())}

    def deadline(self, holds_nothing: bool) -> int | None:
        """When `events` has something to say; 0 for now."""
        if self._is_news or holds_nothing is not self._held_nothing:
            return 0
        times = [self._reason_ms + REASON_PAUSE_MS] if self._is_reason_late else []
        if self._said and not self.is_settled and self._verdict_ms is not None:
            times.append(self._verdict_ms)
        return min(times, default=None)

    def events(self, now_ms: int, holds_nothing: bool) -> list[Event]:
        """What the core must hear now. Its state follows these events."""
        if self._said and self._verdict_ms is not None and now_ms >= self._verdict_ms:
            self.is_settled = True
        self._is_news = self._is_reason_late = False
        self._held_nothing = holds_nothing
        wanted = self.problems()
        if holds_nothing and (reason := self._copies_reason(now_ms)):
            wanted[COPIES] = reason
        changed: list[Event] = [
            HealthChanged(subject, problem)
            for subject, problem in wanted.items()
            if self.shown.get(subject) != problem
        ]
        changed += [HealthChanged(subject, "") for subject in self.shown if subject not in wanted]
        self.shown = wanted
        if self._identity is not None and self._identity != self._identity_shown:
            self._identity_shown = self._identity
            changed.append(self._identity)
        return changed

    def _copies_reason(self, now_ms: int) -> str:
        """Why this node is not ready to take over; of reasons that follow one another fast, only some."""
        if not self._is_begun:
            reason = NO_DATA_PROCESS
        elif self.completeness is None or not self.is_settled:
            reason = NO_WORD_YET
        elif self.completeness.is_ready:
            return ""
        else:
            reason = self.completeness.reason or "not complete"
        before = self.shown.get(COPIES)
        if before is None or before == reason or now_ms >= self._reason_ms + REASON_PAUSE_MS:
            self._reason_ms = now_ms
            return reason
        self._is_reason_late = True
        return before


def _subject(subject: str) -> str:
    """Its own name among the subjects of this node's health."""
    return subject if subject == SWITCH else f"{SWITCH} {subject}"
