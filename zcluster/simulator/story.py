"""What happened in one seed, as lines that a person can read; only kept when a seed is told again.

Beats and their receipt are far too many to print: a beat makes a line only when what it says has changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from zcluster.control.actions import (
    Action,
    AnswerWish,
    ArmGate,
    AskReference,
    PointGate,
    RenewAddresses,
    SendBeat,
    StoreDurable,
    Tell,
)
from zcluster.control.events import BeatReceived, BeatRepeated, Event, ReferenceSeen, Tick
from zcluster.control.messages import Report

STORY_LINES = 80
KEPT_LINES = 4000

_UNTOLD_EVENTS = (BeatReceived, BeatRepeated, ReferenceSeen, Tick)
_UNTOLD_ACTIONS = (ArmGate, AskReference, PointGate, RenewAddresses)


class Story:
    """Collects lines; the newest `KEPT_LINES` are kept."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._said: dict[str, Report] = {}

    def say(self, now: float, who: str, text: str) -> None:
        """Add one line: true time in ms, who it happened to, what."""
        self._lines.append(f"{now:10.2f}  {who:8} {text}")

    def event(self, now: float, who: str, event: Event) -> None:
        """Something that was handed to a core."""
        if not isinstance(event, _UNTOLD_EVENTS):
            self.say(now, who, f"-> {event}")

    def action(self, now: float, who: str, action: Action) -> None:
        """Something that a core asked for."""
        if isinstance(action, _UNTOLD_ACTIONS):
            return
        match action:
            case SendBeat(beat):
                self._beat(now, who, beat.sequence, beat.report)
            case Tell(level, code, text, _):
                self.say(now, who, f"   says {level} {code}: {text}")
            case AnswerWish(identity, is_accepted, text):
                self.say(now, who, f"   answers move {identity}: {'yes' if is_accepted else 'no'}, {text}")
            case StoreDurable(number, durable):
                self.say(
                    now,
                    who,
                    f"   stores {number}: incarnation {durable.incarnation}, ceiling {durable.ceiling}",
                )
            case _:
                self.say(now, who, f"   asks {action}")

    def _beat(self, now: float, who: str, sequence: int, report: Report) -> None:
        before = self._said.get(who)
        if before is report:
            return
        self._said[who] = report
        changes = list(_differences(before, report))
        if changes:
            self.say(now, who, f"   beat {sequence} says {'; '.join(changes)}")

    def tail(self, lines: int = STORY_LINES) -> str:
        """The last lines, oldest first."""
        return "\n".join(list(self._lines)[-lines:])


def _differences(before: Report | None, after: Report) -> Iterable[str]:
    for field in ("state", "claims", "grants", "releases", "asks", "unready", "generation"):
        value = getattr(after, field)
        if before is None or getattr(before, field) != value:
            yield f"{field} {_plain(value)}"


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return (
            "["
            + ", ".join(":".join(map(str, item)) if isinstance(item, tuple) else str(item) for item in value)
            + "]"
        )
    return str(value)
