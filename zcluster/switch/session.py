"""The server's side of one event socket connection, as mod_event_socket answers it.

What must hold: no socket and no clock. Commands are answered one after another: while an `api` is with the owner,
what was sent behind it waits. Before the right password nothing is passed on. What a client does not take is
bounded: an event too much is counted as lost and told in its log, an answer too much ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest

from zcluster.errors import BadMessage
from zcluster.switch import answers, bounds
from zcluster.switch.commands import Form
from zcluster.switch.frames import Event
from zcluster.switch.losses import CRITICAL
from zcluster.switch.requests import Request, RequestReader

NOT_FOUND = "-ERR command not found"
_OWN_HEADERS = frozenset({"content-length", "content-type"})


@dataclass(frozen=True, slots=True)
class ApiAsked:
    """An `api` (answer it) or, with a `job`, a `bgapi` (finish the job). `command`: name and arguments."""

    client: int
    command: str
    job: str = ""


@dataclass(frozen=True, slots=True)
class EventSent:
    """A client fired this event; the names of its headers are as it wrote them, for so FreeSWITCH hands them on."""

    client: int
    event: Event


Asking = ApiAsked | EventSent


class ServerSession:
    """One client. `client` is its number, `outgoing` what is to be sent to it."""

    def __init__(self, client: int, password: str) -> None:
        self.client = client
        self.outgoing = bytearray(answers.AUTH_REQUEST)
        self.is_authenticated = False
        self.is_ending = False
        self.lost_events = 0
        self._password = password.encode()
        self._reader = RequestReader()
        self._is_waiting = False
        self._jobs = 0
        self._form = Form.PLAIN
        self._names: set[str] = set()
        self._subclasses: set[str] = set()
        self._filters: set[tuple[str, str]] = set()
        self._log_level = -1

    def receive(self, data: bytes) -> list[Asking]:
        """What these bytes ask of the owner."""
        try:
            self._reader.feed(data)
            return self._go_on()
        except BadMessage as problem:
            self._end(f"-ERR {problem.kind}")
            return []

    def answer(self, body: str) -> list[Asking]:
        """The output of the `api` that is with the owner; what was waiting behind it."""
        if not self._is_waiting or self.is_ending:
            return []
        self._is_waiting = False
        self._say(answers.response(body))
        return self.receive(b"")

    def publish(self, event: Event) -> None:
        """Sends the event if it is subscribed to, and if the client keeps up."""
        if self.is_ending or not self._wants(event):
            return
        data = answers.event(self._form, event)
        if len(self.outgoing) + len(data) > bounds.UNSENT_BYTES:
            self.lost_events += 1
            if self.lost_events > bounds.SERVER_MISSED_EVENTS:
                self.is_ending = True
            return
        self.outgoing += data
        if self.lost_events and self._log_level >= CRITICAL:
            self.outgoing += answers.log_line(CRITICAL, f"Lost [{self.lost_events}] events!\n")
        self.lost_events = 0

    def _go_on(self) -> list[Asking]:
        asked: list[Asking] = []
        while not (self.is_ending or self._is_waiting) and (request := self._reader.next()) is not None:
            if self.is_authenticated:
                asked += self._obey(request)
            else:
                self._authenticate(request)
        return asked

    def _authenticate(self, request: Request) -> None:
        if request.verb == "exit":
            self._leave()
        elif request.verb != "auth":
            self._say(answers.reply(NOT_FOUND))
        elif compare_digest(request.rest.encode(), self._password):
            self.is_authenticated = True
            self._say(answers.reply("+OK accepted"))
        else:
            self._end("-ERR invalid")

    def _obey(self, request: Request) -> list[Asking]:
        match request.verb:
            case "api" if request.rest:
                self._is_waiting = True
                return [ApiAsked(self.client, request.rest)]
            case "bgapi" if request.rest:
                return [self._begin_job(request)]
            case "sendevent":
                self._say(answers.reply("+OK"))
                return [EventSent(self.client, _sent_event(request))]
            case "exit":
                self._leave()
            case verb:
                self._say(answers.reply(self._settle(verb, request.rest.split())))
        return []

    def _settle(self, verb: str, words: list[str]) -> str:
        """Changes what is sent to this client; the reply."""
        match verb, words:
            case "event", [form, *wanted] if form in tuple(Form) and wanted:
                if not self._subscribe(wanted):
                    return "-ERR too many events"
                self._form = Form(form)
                return f"+OK event listener enabled {form}"
            case "event", _:
                return "-ERR no keywords supplied"
            case "nixevent", [_, *_]:
                self._names.difference_update(words)
                self._subclasses.difference_update(words)
                return "+OK events nixed"
            case "noevents", []:
                if not self._names:
                    return "-ERR not listening for events"
                self._names.clear()
                self._subclasses.clear()
                return "+OK no longer listening for events"
            case "filter", ["delete", "all"]:
                self._filters.clear()
                return "+OK filter deleted. [all][]"
            case "filter", ["delete", header, *value]:
                self._filters.discard((header, " ".join(value)))
                return f"+OK filter deleted. [{header}][{' '.join(value)}]"
            case "filter", [header, *value] if value:
                if len(self._filters) < bounds.HEADERS_IN_BLOCK:
                    self._filters.add((header, " ".join(value)))
                return f"+OK filter added. [{header}]=[{' '.join(value)}]"
            case "log", [level] if level in set("01234567"):
                self._log_level = int(level)
                return f"+OK log level {level} [{level}]"
            case "nolog", []:
                self._log_level = -1
                return "+OK no longer logging"
        return NOT_FOUND

    def _subscribe(self, wanted: list[str]) -> bool:
        """False, and nothing changes, when it is more than a client may keep."""
        if len(wanted) + len(self._names) + len(self._subclasses) > bounds.EVENT_HEADERS:
            return False
        # Whatever follows CUSTOM is a subclass.
        names_end = wanted.index("CUSTOM") + 1 if "CUSTOM" in wanted else len(wanted)
        self._names.update(wanted[:names_end])
        self._subclasses.update(wanted[names_end:])
        return True

    def _wants(self, event: Event) -> bool:
        if "ALL" not in self._names:
            if event.name not in self._names:
                return False
            if event.name == "CUSTOM" and event.subclass not in self._subclasses:
                return False
        return not self._filters or any(event.get(header) == value for header, value in self._filters)

    def _begin_job(self, request: Request) -> ApiAsked:
        self._jobs += 1
        job = (
            request.headers.get("job-uuid", "")[: bounds.JOB_CHARACTERS] or f"job-{self.client}-{self._jobs}"
        )
        self._say(answers.reply(f"+OK Job-UUID: {job}", job))
        return ApiAsked(self.client, request.rest, job)

    def _leave(self) -> None:
        self._end("+OK bye")

    def _end(self, text: str) -> None:
        self._say(answers.reply(text) + answers.notice())
        self.is_ending = True

    def _say(self, data: bytes) -> None:
        if len(self.outgoing) > bounds.UNSENT_BYTES:
            self.is_ending = True
        else:
            self.outgoing += data


def _sent_event(request: Request) -> Event:
    headers = {name: value for name, value in request.headers.items() if name not in _OWN_HEADERS}
    named = {"Event-Name": request.rest.strip()}
    if subclass := headers.pop("event-subclass", ""):
        named["Event-Subclass"] = subclass
    written = {request.spelling[name]: value for name, value in headers.items()}
    return Event({**named, **written}, request.body)
