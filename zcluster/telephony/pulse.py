"""Is the switch of this node fit to carry traffic? Told as a problem under a subject, "" when it is over.

    switch         not connected yet; its event socket is gone; its event thread is stuck
    profile NAME   a SIP profile of the file's groups does not run here
    paused         `fsctl pause`: it refuses calls, and recovering would lose every call
    condition N    the N-th [[switch.condition]] of the file was met

What must hold: before the switch was heard through its event system and its profiles were seen, it is not fit. A
switch of which nothing answers is told at once. Our own standing still is no fault of the switch: a pulse gets as
much longer as we were late. A condition stays until the switch starts anew or an operator clears it: the file names
events that mean "broken", and none that mean "mended".
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from zcluster.switch.commands import api
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.telephony.actions import Action, Run, SendPulse, SwitchHealth, Tell
from zcluster.telephony.events import (
    Answered,
    Event,
    Happened,
    HealthCleared,
    Moment,
    PulseReturned,
    SwitchClosed,
    SwitchOpened,
    Tick,
    Unanswered,
)
from zcluster.telephony.part import Copies
from zcluster.telephony.settings import Condition, TelephonySettings

POLL_MS = 2000
ANSWER_LIMIT_MS = 5000
# A turn that is so late is our own stall; less is the usual grain of waiting.
STALL_MS = 20
LARGEST_UNANSWERED = 64
PROFILES = "pulse:profiles"
PAUSED = "pulse:paused"
SWITCH = "switch"
# What may change which profiles run: asked again at once, because these events alone prove nothing.
PROFILE_SUBCLASSES = ("sofia::profile_start", "sofia::profile_stop")
PROFILE_EVENTS = ("FAILURE", "MODULE_LOAD", "MODULE_UNLOAD")


@dataclass(slots=True)
class _Sent:
    """A pulse under way: when it was sent, and when its absence is a fault."""

    sent_ms: int
    limit_ms: int


class Pulse:
    """One switch."""

    def __init__(self, settings: TelephonySettings, copies: Copies) -> None:
        self._settings = settings
        self._problems: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._is_open = False
        self._is_heard = False
        self._is_seen = False
        self._is_stuck = False
        self._sent: deque[_Sent] = deque()
        self._pulse_at_ms: int | None = None
        self._reopen_limit_ms: int | None = None
        self._polls: dict[str, int | None] = {PROFILES: None, PAUSED: None}
        self._problems[SWITCH] = "not connected yet"

    def handle(self, event: Event, now: Moment) -> list[Action]:
        """What happened, and what is to be done about it."""
        now_ms = now.mono_ms
        actions: list[Action] = []
        match event:
            case Tick():
                actions += self._tick(now_ms)
            case SwitchOpened(is_same_life=is_same_life):
                self._open(is_same_life, now_ms)
            case SwitchClosed(reason, is_gone):
                self._close(reason, is_gone, now_ms)
            case PulseReturned(round_trip_ms):
                self._return(now_ms - round_trip_ms)
            case Answered(purpose, text) if purpose in self._polls:
                self._take_answer(purpose, text, now_ms)
            case Unanswered(purpose, _) if purpose in self._polls:
                self._polls[purpose] = now_ms + POLL_MS if self._is_open else None
            case Happened(happened):
                actions += self._notice(happened, now_ms)
            case HealthCleared():
                self._forget_conditions()
        return self._changes() + actions

    def deadline(self) -> int | None:
        """When something is due: a pulse, a question, or a judgement."""
        if self._told != self._problems:
            return 0
        times = [self._pulse_at_ms, self._reopen_limit_ms, *self._polls.values()]
        times += [each.limit_ms for each in self._sent]
        return min((each for each in times if each is not None), default=None)

    # -- the conversation

    def _open(self, is_same_life: bool, now_ms: int) -> None:
        self._is_open = True
        self._is_heard = self._is_seen = self._is_stuck = False
        self._sent.clear()
        self._pulse_at_ms = now_ms
        self._reopen_limit_ms = None
        self._polls = {PROFILES: now_ms, PAUSED: now_ms}
        if not is_same_life:
            self._forget_conditions()

    def _close(self, reason: str, is_gone: bool, now_ms: int) -> None:
        """Without the switch nothing waits; while only the conversation ended it may begin again."""
        self._is_open = False
        self._sent.clear()
        self._pulse_at_ms = None
        self._polls = {PROFILES: None, PAUSED: None}
        if is_gone:
            self._reopen_limit_ms = None
            # The first words stay: why it cannot be reached again is less telling than why it went.
            if not self._problems.get(SWITCH) or SWITCH not in self._told:
                self._problems[SWITCH] = f"event socket closed: {reason}"
                self._is_stuck = False
        elif self._reopen_limit_ms is None and not self._problems.get(SWITCH):
            self._reopen_limit_ms = now_ms + self._settings.pulse_limit_ms

    def _return(self, sent_ms: int) -> None:
        """A pulse came back: the event system was alive when it was sent."""
        while self._sent and self._sent[0].sent_ms <= sent_ms:
            self._sent.popleft()
        if self._is_open:
            self._is_heard, self._is_stuck = True, False
            self._judge_well()

    def _judge_well(self) -> None:
        if self._is_heard and self._is_seen:
            self._problems[SWITCH] = ""

    # -- what is asked

    def _take_answer(self, purpose: str, text: str, now_ms: int) -> None:
        if not self._is_open:
            return
        self._polls[purpose] = now_ms + POLL_MS
        if purpose == PAUSED:
            # Anything but these two words ("-ERR ...") says nothing.
            if text.strip() in ("true", "false"):
                is_paused = text.strip() == "true"
                self._problems["paused"] = "the switch is paused (fsctl pause)" if is_paused else ""
            return
        running = running_profiles(text)
        for group in self._settings.groups:
            for profile in group.profiles:
                self._problems[f"profile {profile}"] = "" if profile in running else "not running"
        self._is_seen = True
        self._judge_well()

    def _notice(self, happened: SwitchEvent, now_ms: int) -> list[Action]:
        if happened.subclass in PROFILE_SUBCLASSES or happened.name in PROFILE_EVENTS:
            self._hurry(PROFILES, now_ms)
        actions: list[Action] = []
        for number, condition in enumerate(self._settings.conditions, 1):
            subject = f"condition {number}"
            if not self._problems.get(subject) and is_met(condition, happened):
                self._problems[subject] = f"{condition.event} was fired as the file's condition {number} says"
                facts = {"event": condition.event, "headers": dict(condition.headers)}
                actions.append(Tell("alarm", "condition-met", self._problems[subject], facts))
        return actions

    def _hurry(self, purpose: str, now_ms: int) -> None:
        """Ask again now, unless the answer is awaited already."""
        if self._polls[purpose] is not None:
            self._polls[purpose] = now_ms

    def _forget_conditions(self) -> None:
        for subject in self._problems:
            if subject.startswith("condition "):
                self._problems[subject] = ""

    # -- time

    def _excuse(self, late_ms: int) -> None:
        for each in self._sent:
            each.limit_ms += late_ms
        if self._reopen_limit_ms is not None:
            self._reopen_limit_ms += late_ms

    def _tick(self, now_ms: int) -> list[Action]:
        """Everything that was received is handed in: judge, and ask what is due."""
        due_ms = self.deadline()
        if due_ms and now_ms - due_ms >= STALL_MS:
            self._excuse(now_ms - due_ms)
        actions: list[Action] = []
        if self._reopen_limit_ms is not None and now_ms >= self._reopen_limit_ms:
            self._reopen_limit_ms = None
            self._problems[SWITCH] = "its event socket takes no connection"
        if self._sent and now_ms >= self._sent[0].limit_ms:
            # One judgement for each silence; the next pulse that comes back ends it.
            silent_ms = now_ms - self._sent[0].sent_ms
            self._sent.popleft()
            if not self._is_stuck:
                self._is_stuck, self._is_heard = True, False
                self._problems[SWITCH] = f"its event thread is stuck: no pulse came back for {silent_ms} ms"
        if self._pulse_at_ms is not None and now_ms >= self._pulse_at_ms:
            self._pulse_at_ms = now_ms + self._settings.pulse_ms
            if len(self._sent) < LARGEST_UNANSWERED:
                self._sent.append(_Sent(now_ms, now_ms + self._settings.pulse_limit_ms))
            actions.append(SendPulse())
        for purpose, due_ms in self._polls.items():
            if due_ms is not None and now_ms >= due_ms:
                self._polls[purpose] = None
                actions.append(Run(purpose, _QUESTIONS[purpose], ANSWER_LIMIT_MS))
        return actions

    def _changes(self) -> list[Action]:
        """What became of each subject since it was last told; before all else, for it moves addresses."""
        changed: list[Action] = []
        for subject, problem in self._problems.items():
            # Silence about a profile that runs is no news; about the switch itself everything is.
            if self._told.get(subject, "") != problem:
                changed.append(SwitchHealth(subject, problem))
        self._told = dict(self._problems)
        return changed


_QUESTIONS = {PROFILES: api("sofia", "status"), PAUSED: api("fsctl", "pause_check")}


def running_profiles(status: str) -> frozenset[str]:
    """The profiles that run, by the table that `sofia status` prints."""
    rows = (line.split() for line in status.splitlines())
    # name, "profile", sip:..., RUNNING (0): a gateway's row has another word, an alias' too.
    return frozenset(
        row[0] for row in rows if len(row) >= 4 and row[1] == "profile" and row[3].startswith("RUNNING")
    )


def is_met(condition: Condition, happened: SwitchEvent) -> bool:
    """Whether an event is the one that a condition names, in every header."""
    name = happened.subclass if happened.name == "CUSTOM" else happened.name
    return name == condition.event and all(happened.get(head) == value for head, value in condition.headers)
