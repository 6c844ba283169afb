"""The switch as the telephony core sees it: notices of the event socket become its events, its actions become requests.

What must hold: every `Run` ends in exactly one Answered or Unanswered, within its limit; the core hears of a dead
switch in the turn in which its sockets close. There are two conversations. One sees events and takes commands, and
a slow command (an `api` that waits for a lock) makes everything behind it late. So pulses have one of their own,
and while that stands, the end of the first (a listener that lost too many events is killed) is no dead switch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zcluster.errors import SwitchUnavailable
from zcluster.switch import notices
from zcluster.switch.client import EslClient
from zcluster.switch.commands import api
from zcluster.switch.frames import ApiResponse, CommandReply
from zcluster.switch.notices import Notice
from zcluster.switch.wishes import PROBE, Login, Wishes
from zcluster.telephony.actions import Run
from zcluster.telephony.events import (
    Answered,
    Event,
    EventsLost,
    Happened,
    PulseReturned,
    SwitchClosed,
    SwitchOpened,
    Unanswered,
)

# An answer that is late ends its purpose, not the conversation: nothing else would be known of the switch then.
LONGEST_ANSWER_MS = 60_000
QUESTION_LIMIT_MS = 10_000
LARGEST_HELD_EVENTS = 10_000
BUILD, SWITCHNAME = "switch:build", "switch:name"
_QUESTIONS = {BUILD: api("version"), SWITCHNAME: api("switchname")}


@dataclass(slots=True)
class _Asked:
    """A command that is out. `job`: what its output will be told under, "" for one that answers itself."""

    purpose: str
    job: str
    due_ms: int


@dataclass(slots=True)
class _Opening:
    """Logged in, and asking who it is. What happens meanwhile is held: SwitchOpened comes first."""

    core_uuid: str
    is_same_life: bool
    answers: dict[str, str]
    held: list[Event]


class Switch:
    """One switch at a numeric address and port. `origin`: one word, new for each life of this process."""

    def __init__(
        self, host: str, port: int, login: Login, origin: str, names: Sequence[str], subclasses: Sequence[str]
    ) -> None:
        """Raises ConfigurationError and CommandRefused as EslClient."""
        self.main = EslClient(host, port, login, Wishes(origin, tuple(names), tuple(subclasses)))
        self.pulse = EslClient(host, port, login, Wishes(f"{origin}-pulse", hears_log=False))
        self.unsent_pulses = 0
        self.pulse_ms = 0
        self.longest_pulse_ms = 0
        self._asked: dict[int, _Asked] = {}
        self._jobs: dict[str, _Asked] = {}
        self._opening: _Opening | None = None
        self._is_open = False
        # Whether a closed switch was told, and as one of which nothing answers.
        self._told_gone: bool | None = None
        self._reason = ""

    def filenos(self) -> tuple[int, int]:
        """Descriptors that are readable whenever `receive` has something to do."""
        return (self.main.fileno(), self.pulse.fileno())

    def deadline(self) -> int | None:
        """When `receive` must be called even if nothing is readable."""
        dues = [self.main.deadline(), self.pulse.deadline()]
        dues += [each.due_ms for each in (*self._asked.values(), *self._jobs.values())]
        return min((due_ms for due_ms in dues if due_ms is not None), default=None)

    def receive(self, now_ms: int) -> list[Event]:
        """What the switch says, and what became of commands."""
        events: list[Event] = []
        for notice in self.main.receive(now_ms):
            self._take(notice, now_ms, events)
        # Second, so that when both ended, both are known to have.
        for notice in self.pulse.receive(now_ms):
            if isinstance(notice, notices.PulseBack):
                self.pulse_ms = notice.round_trip_ms
                self.longest_pulse_ms = max(self.longest_pulse_ms, notice.round_trip_ms)
                events.append(PulseReturned(notice.round_trip_ms))
        self._tell_closed(events)
        self._expire(now_ms, events)
        return events

    def run(self, action: Run, now_ms: int) -> list[Event]:
        """Give a command; what is known at once."""
        command = action.command
        try:
            ticket = self.main.request(command, now_ms, LONGEST_ANSWER_MS)
        except SwitchUnavailable as problem:
            return [Unanswered(action.purpose, str(problem))]
        asked = _Asked(action.purpose, command.job, now_ms + action.limit_ms)
        self._asked[ticket] = asked
        if command.job:
            self._jobs[command.job] = asked
        return []

    def send_pulse(self, now_ms: int) -> None:
        """Send one through the switch's event system; one that cannot be sent does not come back."""
        try:
            self.pulse.pulse(now_ms)
        except SwitchUnavailable:
            self.unsent_pulses += 1

    def close(self) -> None:
        """End both conversations without a word."""
        self.main.close()
        self.pulse.close()

    # -- notices

    def _take(self, notice: Notice, now_ms: int, events: list[Event]) -> None:
        match notice:
            case notices.Opened(core_uuid, is_same):
                self._begin(core_uuid, is_same, now_ms)
            case notices.Closed(reason, was_open):
                self._end(reason, was_open)
            case notices.Happened(event):
                if event.subclass != PROBE:
                    self._say(Happened(event), events)
            case notices.EventsLost(sign, detail):
                self._say(EventsLost(f"{sign}: {detail}"), events)
            case notices.Answered(ticket, _, answer):
                self._take_answer(ticket, answer, events)
            case notices.Unanswered(ticket, _, reason):
                asked = self._asked.pop(ticket, None)
                if asked is not None and not asked.job:
                    self._finish(Unanswered(asked.purpose, reason), events)
            case notices.JobDone(job, _, body):
                asked = self._jobs.pop(job, None)
                if asked is not None:
                    self._finish(Answered(asked.purpose, body), events)
            case notices.JobLost(job, _, reason):
                asked = self._jobs.pop(job, None)
                if asked is not None:
                    self._finish(Unanswered(asked.purpose, reason), events)
            case notices.PulseBack():
                pass

    def _take_answer(self, ticket: int, answer: CommandReply | ApiResponse, events: list[Event]) -> None:
        asked = self._asked.pop(ticket, None)
        if asked is None or asked.job:
            return
        if isinstance(answer, ApiResponse):
            self._finish(Answered(asked.purpose, answer.body), events)
        elif answer.is_error:
            self._finish(Unanswered(asked.purpose, answer.text), events)
        else:
            self._finish(Answered(asked.purpose, answer.text), events)

    def _finish(self, end: Answered | Unanswered, events: list[Event]) -> None:
        opening = self._opening
        if end.purpose not in _QUESTIONS:
            events.append(end)
        elif opening is not None:
            opening.answers[end.purpose] = _text_of(end)
            if len(opening.answers) == len(_QUESTIONS):
                self._opening = None
                self._is_open, self._told_gone = True, None
                build, name = opening.answers[BUILD], opening.answers[SWITCHNAME]
                events.append(SwitchOpened(opening.core_uuid, build, name, opening.is_same_life))
                events += opening.held

    def _say(self, event: Event, events: list[Event]) -> None:
        if self._opening is None:
            events.append(event)
        elif len(self._opening.held) < LARGEST_HELD_EVENTS:
            self._opening.held.append(event)

    # -- the conversation's beginning and end

    def _begin(self, core_uuid: str, is_same: bool, now_ms: int) -> None:
        self._opening = _Opening(core_uuid, is_same, {}, [])
        for purpose, command in _QUESTIONS.items():
            self.run(Run(purpose, command, QUESTION_LIMIT_MS), now_ms)

    def _end(self, reason: str, was_open: bool) -> None:
        self._opening = None
        self._asked.clear()
        self._jobs.clear()
        if was_open or not self._reason:
            self._reason = reason
        self._is_open = False

    def _tell_closed(self, events: list[Event]) -> None:
        """Say that the switch is closed: once, and once more when the rest of it is gone too."""
        if self._is_open or self._opening is not None or not self._reason:
            return
        is_gone = not self.pulse.is_open
        if self._told_gone is None or (is_gone and not self._told_gone):
            self._told_gone = is_gone
            events.append(SwitchClosed(self._reason, is_gone))

    def _expire(self, now_ms: int, events: list[Event]) -> None:
        """Give up what is too late. Its answer may still come: to nobody."""
        for ticket, asked in [each for each in self._asked.items() if each[1].due_ms <= now_ms]:
            del self._asked[ticket]
            if not asked.job:
                self._finish(Unanswered(asked.purpose, "the switch did not answer in time"), events)
        for job, asked in [each for each in self._jobs.items() if each[1].due_ms <= now_ms]:
            del self._jobs[job]
            self._finish(Unanswered(asked.purpose, "the job was not done in time"), events)


def _text_of(end: Answered | Unanswered) -> str:
    return end.text.strip() if isinstance(end, Answered) and not end.text.startswith("-ERR") else ""
