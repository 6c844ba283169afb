"""The client's side of an event socket, over all its connections: what to send, when to try again, what was said.

What must hold: no socket and no clock here; time is an argument, in milliseconds of one monotonic clock. The shell
has a connection while `wants_connection`, gives what it reads to `receive`, sends `outgoing`, and calls
`handle_timer` at `deadline()`. Any fault of the switch ends the connection and begins another; one that never
becomes ready is tried more and more slowly.
"""

from __future__ import annotations

from enum import StrEnum

from zcluster.errors import BadMessage, SwitchUnavailable
from zcluster.switch import bounds, commands
from zcluster.switch.commands import Command
from zcluster.switch.esl import EslReader
from zcluster.switch.frames import (
    ApiResponse,
    AuthRequest,
    CommandReply,
    DisconnectNotice,
    Event,
    Frame,
    LogData,
    Malformed,
    Rejection,
    Unknown,
)
from zcluster.switch.losses import PulseWatch, SequenceWatch, complains_of_loss, pulse_number
from zcluster.switch.notices import (
    Answered,
    Closed,
    EventsLost,
    Happened,
    LossSign,
    Notice,
    Opened,
    PulseBack,
)
from zcluster.switch.waiting import Asked, Jobs, Requests
from zcluster.switch.wishes import ALL, BACKGROUND_JOB, ORIGIN_HEADER, PROBE, PULSE_HEADER, Login, Wishes


class Stage(StrEnum):
    """How far a connection is."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    GREETED = "greeted"
    AUTHENTICATING = "authenticating"
    SUBSCRIBING = "subscribing"
    OPEN = "open"


# Where each stage goes on to; from everywhere a fault leads back to WAITING.
_NEXT = {
    Stage.WAITING: Stage.CONNECTING,
    Stage.CONNECTING: Stage.GREETED,
    Stage.GREETED: Stage.AUTHENTICATING,
    Stage.AUTHENTICATING: Stage.SUBSCRIBING,
    Stage.SUBSCRIBING: Stage.OPEN,
}


class _Ended(Exception):
    """The connection is to end, with this reason. `is_refusal`: trying again soon is of no use."""

    def __init__(self, reason: str, is_refusal: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_refusal = is_refusal


class Conversation:
    """One switch, talked to as long as we live."""

    def __init__(self, login: Login, wishes: Wishes) -> None:
        """Raises CommandRefused when login or wishes cannot be expressed, before anything is tried."""
        self.stage = Stage.WAITING
        self.outgoing = bytearray()
        self._login = login.command()
        self._wishes = wishes
        self._first = wishes.commands()
        self._reader = EslReader()
        self._requests = Requests()
        self._jobs = Jobs()
        self._pulses = PulseWatch()
        self._sequence = SequenceWatch()
        self._setup_left = 0
        self._core_uuid = ""
        self._told_core_uuid = ""
        self._due_ms = 0
        self._retry_ms = bounds.FIRST_RETRY_MS
        self._farewell = ""

    @property
    def is_open(self) -> bool:
        """Whether requests are taken."""
        return self.stage is Stage.OPEN

    @property
    def wants_connection(self) -> bool:
        """Whether the shell is to have a connection, or to be making one."""
        return self.stage is not Stage.WAITING

    @property
    def oldest_pulse_ms(self) -> int | None:
        """When the oldest pulse that has not come back was sent, or None."""
        return self._pulses.oldest_ms

    def request(self, command: Command, now_ms: int, limit_ms: int = bounds.ANSWER_MS) -> int:
        """Sends a command; its ticket comes back in Answered or Unanswered.

        An answer later than `limit_ms` after its turn ends the connection. A bgapi's `limit_ms` is for its reply;
        its output has JOB_MS. Raises SwitchUnavailable, and then nothing was sent.
        """
        if not self.is_open:
            raise SwitchUnavailable("the switch is not connected")
        if len(self.outgoing) + len(command.data) > bounds.UNSENT_BYTES:
            raise SwitchUnavailable("the switch takes no more commands: too much is unsent")
        self._requests.check_room()
        if command.job:
            self._jobs.add(command, now_ms + bounds.JOB_MS)
        return self._send(command, now_ms, limit_ms)

    def pulse(self, now_ms: int) -> int:
        """Sends an event through the switch's event system, to come back as PulseBack with that number.

        Raises SwitchUnavailable as `request` does.
        """
        number = self._pulses.next_number
        headers = {ORIGIN_HEADER: self._wishes.origin, PULSE_HEADER: str(number)}
        self.request(commands.sendevent("CUSTOM", PROBE, headers), now_ms)
        self._pulses.note_sent(now_ms)
        return number

    def connected(self, now_ms: int) -> None:
        """The shell's connection stands: the greeting is awaited."""
        if self.stage is Stage.CONNECTING:
            self._go_on(now_ms + bounds.GREETING_MS)

    def receive(self, data: bytes, now_ms: int) -> list[Notice]:
        """What `data` tells. After it look at `wants_connection`: the switch may have to be left."""
        notices: list[Notice] = []
        if not self.wants_connection:
            return notices
        try:
            for frame in self._reader.feed(data):
                notices += self._take(frame, now_ms)
        except _Ended as end:
            notices += self._end(end, now_ms)
        except BadMessage as problem:
            notices += self._end(_Ended(f"not an event socket's talk: {problem}"), now_ms)
        return notices

    def lost(self, reason: str, now_ms: int) -> list[Notice]:
        """The connection ended, or could not be made."""
        return self._end(_Ended(self._farewell or reason), now_ms) if self.wants_connection else []

    def handle_timer(self, now_ms: int) -> list[Notice]:
        """What time alone makes happen; safe to call at any time."""
        notices: list[Notice] = [*self._jobs.overdue(now_ms)]
        answer_ms = self._requests.deadline()
        if self.stage is Stage.WAITING:
            if self._due_ms <= now_ms:
                self._go_on(now_ms + bounds.CONNECT_MS)
        elif self.stage is not Stage.OPEN and self._due_ms <= now_ms:
            notices += self._end(_Ended(f"nothing came of it while {self.stage.value}"), now_ms)
        elif answer_ms is not None and answer_ms <= now_ms:
            notices += self._end(_Ended(f"no answer to {self._requests.oldest()[:80]!r} in time"), now_ms)
        return notices

    def deadline(self) -> int | None:
        """When `handle_timer` is due next, or None: then only bytes can make something happen."""
        own_ms = None if self.stage is Stage.OPEN else self._due_ms
        dues = (own_ms, self._requests.deadline(), self._jobs.deadline())
        return min((due_ms for due_ms in dues if due_ms is not None), default=None)

    def _go_on(self, due_ms: int) -> None:
        self.stage = _NEXT[self.stage]
        self._due_ms = due_ms

    def _send(self, command: Command, now_ms: int, limit_ms: int) -> int:
        ticket = self._requests.add(command, now_ms, limit_ms)
        self.outgoing += command.data
        return ticket

    def _take(self, frame: Frame, now_ms: int) -> list[Notice]:
        match frame:
            case Event():
                return self._take_event(frame, now_ms)
            case CommandReply() | ApiResponse():
                return self._take_answer(frame, now_ms)
            case AuthRequest():
                if self.stage is not Stage.GREETED:
                    raise _Ended("asked to authenticate again")
                self._go_on(self._due_ms)
                self._send(self._login, now_ms, bounds.GREETING_MS)
            case LogData(text=text):
                return [EventsLost(LossSign.LOG, text.strip()[:200])] if complains_of_loss(text) else []
            case DisconnectNotice(text=text, lingers=lingers):
                return self._take_farewell(text, lingers)
            case Rejection(text=text):
                raise _Ended(
                    f"the switch's access list does not admit us: {text.strip()[:80]}", is_refusal=True
                )
            case Malformed(is_fatal=True, kind=kind, detail=detail):
                raise _Ended(f"not an event socket's talk ({kind}): {detail}")
            case Malformed(kind=kind, detail=detail):
                return [EventsLost(LossSign.MALFORMED, f"{kind}: {detail}")]
            case Unknown():
                pass
        return []

    def _take_event(self, event: Event, now_ms: int) -> list[Notice]:
        if not self.is_open:
            return []  # what is asked for after Opened has it
        notices = self._check_sequence(event)
        if event.name == BACKGROUND_JOB and (done := self._jobs.done(event.get("Job-UUID"), event.body)):
            return [*notices, done]
        if event.subclass == PROBE and event.get(ORIGIN_HEADER) == self._wishes.origin:
            return [*notices, *self._take_pulse(event, now_ms)]
        return [*notices, Happened(event)]

    def _take_pulse(self, event: Event, now_ms: int) -> list[Notice]:
        number = pulse_number(event.headers, PULSE_HEADER)
        if number is None:
            return []
        round_trip_ms, lost = self._pulses.receive(number, now_ms)
        notices: list[Notice] = [
            EventsLost(LossSign.PULSE, f"pulse {each} did not come back") for each in lost
        ]
        if round_trip_ms is not None:
            notices.append(PulseBack(number, round_trip_ms))
        return notices

    def _check_sequence(self, event: Event) -> list[Notice]:
        number = event.number("Event-Sequence")
        if ALL not in self._wishes.names or self._wishes.filters or number is None:
            return []  # among some events, gaps are the rule
        missing, lowest = self._sequence.note(number)
        return [EventsLost(LossSign.SEQUENCE, f"{missing} missing from {lowest} on")] if missing else []

    def _take_answer(self, answer: CommandReply | ApiResponse, now_ms: int) -> list[Notice]:
        asked = self._requests.answer(answer, now_ms)
        match self.stage:
            case Stage.AUTHENTICATING:
                if answer.is_error:
                    raise _Ended("the switch refuses our password", is_refusal=True)
                self._go_on(self._due_ms)
                self._setup_left = len(self._first)
                for command in self._first:
                    self._send(command, now_ms, bounds.GREETING_MS)
                return []
            case Stage.SUBSCRIBING:
                return self._take_setup(asked, answer)
        notices: list[Notice] = [Answered(asked.ticket, asked.command.name, answer, now_ms - asked.asked_ms)]
        if asked.command.job and answer.is_error:
            notices += self._jobs.lost(asked.command.job, "the switch refused it")
        return notices

    def _take_setup(self, asked: Asked, answer: CommandReply | ApiResponse) -> list[Notice]:
        if isinstance(answer, ApiResponse):
            self._core_uuid = "" if answer.is_error else answer.body.strip()[:64]
        elif answer.is_error and asked.command.name.startswith(("event", "filter")):
            raise _Ended(
                f"the switch refuses {asked.command.name[:80]!r}: {answer.text[:80]}", is_refusal=True
            )
        self._setup_left -= 1
        if self._setup_left:
            return []
        self._go_on(self._due_ms)
        self._retry_ms = bounds.FIRST_RETRY_MS
        is_same = bool(self._core_uuid) and self._core_uuid == self._told_core_uuid
        self._told_core_uuid = self._core_uuid
        return [Opened(self._core_uuid, is_same)]

    def _take_farewell(self, text: str, lingers: bool) -> list[Notice]:
        self._farewell = (
            f"the switch said: {text.strip().splitlines()[0][:80] if text.strip() else 'goodbye'}"
        )
        if not lingers:
            raise _Ended(self._farewell)
        return []

    def _end(self, end: _Ended, now_ms: int) -> list[Notice]:
        was_open = self.is_open
        retry_ms = bounds.LONGEST_RETRY_MS if end.is_refusal else self._retry_ms
        self._retry_ms = min(2 * self._retry_ms, bounds.LONGEST_RETRY_MS)
        # What was asked while setting up is our own affair: nobody holds its tickets.
        unanswered = self._requests.drop_all(end.reason)
        notices: list[Notice] = [*unanswered] if was_open else []
        notices += self._jobs.drop_all(end.reason)
        if complains_of_loss(end.reason):
            notices.append(EventsLost(LossSign.LOG, end.reason))
        self.stage = Stage.WAITING
        self._due_ms = now_ms + retry_ms
        self._reader = EslReader()
        self.outgoing.clear()
        self._pulses.forget()
        self._sequence.forget()
        self._core_uuid = self._farewell = ""
        return [*notices, Closed(end.reason, was_open, retry_ms)]
