"""The outlet into the local FreeSWITCH: every record becomes an event of it, and `fs_cli` has pages to read.

It has a connection of its own to the event socket, apart from those of the data process, and hears no events on it.

What must hold: each record is fired once into each life of the switch, in order, while the queue holds it; the switch
keeps how far it is told, for the next life of this process. What was not fired is counted by its reason. An event
whose answer never came may have been fired and is not sent again. Events go before pages; a page is sent when it says
something else than before, and the status every ten seconds besides, so that its hour can be believed. A switch that
is away, slow or hostile costs this process a bounded queue.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto

import msgpack

from zcluster.adapters.journal import Record, record_from
from zcluster.config.configuration import SwitchSettings
from zcluster.config.passwordfile import load_password
from zcluster.errors import CommandRefused, SwitchUnavailable
from zcluster.switch import notices
from zcluster.switch.client import EslClient
from zcluster.switch.commands import Command, api, set_global
from zcluster.switch.frames import ApiResponse, CommandReply
from zcluster.switch.notices import Notice
from zcluster.switch.wishes import Login, Wishes
from zcluster.tools import switch_pages as pages
from zcluster.tools.loop import monotonic_ms
from zcluster.tools.outlet import StatusDocument
from zcluster.tools.ring import Ring
from zcluster.tools.switch_memory import Told
from zcluster.tools.switch_words import event_of

LARGEST_QUEUE = 1000
# Nobody can have listened to a switch that was away; what is older says nothing of now.
KEPT_MS = 60_000
LARGEST_OUT = 64
# mod_event_socket reads a command byte by byte: a burst takes its time from what else the switch does.
FIRED_AT_ONCE = 10
FIRE_PAUSE_MS = 20
ANSWER_LIMIT_MS = 30_000
PAGES_PAUSE_MS = 1000
ORIGIN = "tools"
MEMORY = f"{pages.VARIABLE} told"
RECENT_RECORDS = 300
RECENT_BYTES = 1 << 20


class _Sent(Enum):
    EVENT = auto()
    PAGE = auto()
    MEMORY = auto()
    ALIAS = auto()


class SwitchEvents:
    """The outlet. `recent` gives the last records told, oldest first, those before this process among them."""

    def __init__(
        self,
        host: str,
        port: int,
        login: Login,
        recent: Callable[[], Sequence[Record]],
        wall_clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Raises ConfigurationError and CommandRefused as EslClient."""
        self._client = EslClient(host, port, login, Wishes(ORIGIN, hears_log=False, hears_events=False))
        self._recent = recent
        self._wall_clock = wall_clock
        self._counts: Counter[str] = Counter()
        self._now_ms = monotonic_ms()
        self._queue: deque[tuple[int, Record]] = deque()
        self._out: dict[int, _Sent] = {}
        self._document: StatusDocument | None = None
        self._document_ms = 0
        self._problem = ""
        self._fire_ms = 0
        self._told = Told()
        self._is_told_known = False
        self._groups: tuple[str, ...] = ()
        # What stands in the switch, and when the pages may be looked at again.
        self._pages: dict[str, str] = {}
        self._pages_ms = 0
        self._shown_ms = 0
        self._is_status_new = self._is_story_new = True

    # ---- the part of the loop

    def filenos(self) -> tuple[int, ...]:
        """The connection."""
        return (self._client.fileno(),)

    def deadline(self) -> int | None:
        """What the connection waits for, events that may go, or the next look at the pages."""
        due_ms = self._client.deadline()
        dues = [] if due_ms is None else [due_ms]
        if self._client.is_open and self._may_fire():
            dues.append(self._fire_ms)
        elif self._client.is_open and (self._is_status_new or self._is_story_new):
            dues.append(self._pages_ms)
        return min(dues, default=None)

    def turn(self, now_ms: int) -> None:
        """Hear what the switch answers, fire what waits, write pages."""
        self._now_ms = now_ms
        for notice in self._client.receive(now_ms):
            self._take(notice)
        if self._client.is_open:
            if self._is_told_known and now_ms >= self._fire_ms:
                self._fire()
            if not self._queue and now_ms >= self._pages_ms:
                self._show()

    def close(self) -> None:
        """Ends without a word: the hour on the page tells that it is old."""
        self._client.close()

    # ---- what comes from the daemon

    def record(self, record: Record) -> None:
        """Queued to be fired."""
        self._is_story_new = True
        if len(self._queue) >= LARGEST_QUEUE:
            self._queue.popleft()
            self._counts["dropped_full"] += 1
        self._queue.append((self._now_ms, record))

    def status(self, document: StatusDocument) -> None:
        """For the page."""
        self._document, self._document_ms, self._problem = document, self._wall_clock(), ""
        self._is_status_new = True
        groups = _groups_of(document)
        self._is_story_new |= groups != self._groups
        self._groups = groups

    def unreachable(self, reason: str) -> None:
        """For the page: what it says is no more than the last that was known."""
        self._problem, self._is_status_new = reason, True

    def counts(self) -> Mapping[str, int]:
        """fired; unconfirmed; known, dropped_full, dropped_late, unsayable, refused; pages, pages_refused;
        connections, lost; and how it is now: open, waiting."""
        return {**self._counts, "open": int(self._client.is_open), "waiting": len(self._queue)}

    # ---- the switch

    def _take(self, notice: Notice) -> None:
        match notice:
            case notices.Opened():
                self._counts["connections"] += 1
                self._pages.clear()
                self._pages_ms = self._now_ms
                self._is_status_new = self._is_story_new = True
                self._introduce()
                if not self._is_told_known:
                    self._send(_Sent.MEMORY, api("global_getvar", rest=MEMORY))
            case notices.Closed(was_open=was_open):
                self._counts["lost"] += was_open
            case notices.Answered(ticket, _, answer):
                self._settle(ticket, answer)
            case notices.Unanswered(ticket, _, _):
                self._counts["unconfirmed"] += self._out.pop(ticket, None) is _Sent.EVENT
            case _:
                pass

    def _settle(self, ticket: int, answer: CommandReply | ApiResponse) -> None:
        is_done = not answer.is_error
        match self._out.pop(ticket, None):
            case _Sent.EVENT:
                self._counts["fired" if is_done else "refused"] += 1
            case _Sent.PAGE:
                self._counts["pages" if is_done else "pages_refused"] += 1
            case _Sent.ALIAS:
                self._counts["alias_refused"] += not is_done
            case _Sent.MEMORY:
                self._is_told_known = True
                if isinstance(answer, ApiResponse):
                    self._told.read(answer.body)
            case None:
                pass

    def _introduce(self) -> None:
        """The word that fs_cli understands. No completion: FreeSWITCH would keep one more line of it each time."""
        self._send(_Sent.ALIAS, api("alias", "add", pages.VARIABLE, rest=pages.ALIAS))

    def _may_fire(self) -> bool:
        return self._is_told_known and bool(self._queue) and len(self._out) < LARGEST_OUT

    def _fire(self) -> None:
        """A few at a time, and no more than may be out; behind them, in one breath, how far it is told."""
        has_fired = False
        for _ in range(min(FIRED_AT_ONCE, LARGEST_OUT - len(self._out), len(self._queue))):
            self._fire_ms = self._now_ms + FIRE_PAUSE_MS
            queued_ms, record = self._queue[0]
            if self._now_ms - queued_ms > KEPT_MS:
                self._counts["dropped_late"] += 1
            elif self._told.knows(record):
                self._counts["known"] += 1
            elif not self._fire_one(record):
                break
            else:
                has_fired = True
            self._queue.popleft()
        if has_fired:
            self._write(MEMORY, self._told.text())

    def _fire_one(self, record: Record) -> bool:
        try:
            is_sent = self._send(_Sent.EVENT, event_of(record))
        except CommandRefused:
            self._counts["unsayable"] += 1
            return True
        if is_sent:
            self._told.add(record)
        return is_sent

    def _send(self, what: _Sent, command: Command) -> bool:
        try:
            ticket = self._client.request(command, self._now_ms, ANSWER_LIMIT_MS)
        except SwitchUnavailable:
            return False
        self._out[ticket] = what
        return True

    # ---- pages

    def _show(self) -> None:
        self._pages_ms = self._now_ms + PAGES_PAUSE_MS
        if self._is_status_new:
            self._is_status_new = False
            self._show_status()
        if self._is_story_new:
            self._is_story_new = False
            self._show_story()

    def _show_status(self) -> None:
        at_ms = self._document_ms or self._wall_clock()
        text = pages.status_text(self._document, at_ms, self._problem)
        shown = self._pages.get(pages.VARIABLE, "")
        if pages.shape(text) != pages.shape(shown) or at_ms - self._shown_ms >= pages.REFRESH_MS:
            self._shown_ms = at_ms
            self._write(pages.VARIABLE, text)
            self._write(f"{pages.VARIABLE} status", text)

    def _show_story(self) -> None:
        records = self._recent()
        self._write(f"{pages.VARIABLE} help", pages.help_text())
        self._write(f"{pages.VARIABLE} story", pages.story_text(records))
        self._write(f"{pages.VARIABLE} why", pages.why_text(records, ""))
        for group in self._groups:
            self._write(f"{pages.VARIABLE} why {group}", pages.why_text(records, group))

    def _write(self, name: str, text: str) -> None:
        if self._pages.get(name) == text:
            return
        try:
            command = set_global(name, text)
        except CommandRefused:
            self._counts["pages_refused"] += 1
            return
        if self._send(_Sent.PAGE, command):
            self._pages[name] = text


def switch_events(switch: SwitchSettings, ring: Ring) -> SwitchEvents:
    """The outlet of a node with that `[switch]`. Raises KeyFileError and those of SwitchEvents."""
    place = switch.event_socket
    login = Login(load_password(switch.password_file))
    return SwitchEvents(str(place.address), place.port, login, lambda: recent_of(ring))


def recent_of(ring: Ring) -> list[Record]:
    """The last records of the ring, oldest first."""
    entries = ring.after(ring.newest - RECENT_RECORDS, RECENT_BYTES)
    return [record_from(msgpack.unpackb(entry.body)) for entry in entries]


def _groups_of(document: StatusDocument) -> tuple[str, ...]:
    try:
        return tuple(str(group["name"]) for group in document["groups"])[: pages.LARGEST_GROUPS]
    except (KeyError, TypeError):
        return ()
