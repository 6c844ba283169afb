"""The documents of the daemon of this host: its control socket, and the data process's socket beside it.

    follow   one connection for as long as it lasts; on its end the status is asked for at once
    status   every `interval_ms`, and soon after each record, for that may have changed it
    streams, limits    every LISTS_MS, where there is a data process

What must hold: nothing here waits; whether the daemon is there is told by the status alone, and at once; each question
has one connection, and at most one of a kind is under way.
"""

from __future__ import annotations

from pathlib import Path

from zcluster.adapters.control_client import ControlClient, Line
from zcluster.adapters.journal import Record, record_from
from zcluster.console.status import SCHEMA as STATUS_SCHEMA
from zcluster.console.top.events import Answered, Came, Event, Lost, Told, Unreachable
from zcluster.console.wish import MOVE_WAIT_S
from zcluster.errors import ControlSocketError

FOLLOW_SCHEMA = "zcluster.follow/1"
ANSWER_LIMIT_MS = 2000
MOVE_LIMIT_MS = int(MOVE_WAIT_S * 1000)
LISTS_MS = 1000
RETRY_MS = 500
HASTE_MS = 60
LISTS = ("streams", "limits")


class _Question:
    """One question under way. Raises ControlSocketError when nobody listens."""

    def __init__(self, path: Path, body: dict[str, object], limit_ms: int) -> None:
        self.limit_ms = limit_ms
        self.client = ControlClient(path, body)

    def answer(self, now_ms: int) -> Line | None:
        """The answer, None while it is awaited. Raises ControlSocketError for one that does not come."""
        lines = self.client.lines()
        if lines:
            return lines[0]
        if self.client.problem:
            raise ControlSocketError(self.client.problem)
        if now_ms >= self.limit_ms:
            raise ControlSocketError("the daemon does not answer; is it stopped?")
        return None


class LocalSource:
    """Of the daemon behind `control_path`; `data_path` may not exist."""

    refusal = ""

    def __init__(self, control_path: Path, data_path: Path, interval_ms: int) -> None:
        self._control_path = control_path
        self._data_path = data_path
        self._interval_ms = interval_ms
        self._status: _Question | None = None
        self._status_ms = 0
        self._lists: dict[str, _Question] = {}
        self._lists_ms = 0
        self._move: _Question | None = None
        self._follower: ControlClient | None = None
        self._follow_ms = 0
        self._incarnation = 0
        self._number = 0
        self._is_begun = False
        self._is_anew = False

    def filenos(self) -> list[int]:
        """Every connection."""
        questions = [self._status, self._move, *self._lists.values()]
        found = [question.client.fileno() for question in questions if question is not None]
        return [*found, self._follower.fileno()] if self._follower is not None else found

    def deadline(self) -> int:
        """To ask, or to give an answer up."""
        dues = [self._status.limit_ms if self._status is not None else self._status_ms]
        dues += [question.limit_ms for question in self._lists.values()] or [self._lists_ms]
        dues += [self._move.limit_ms] if self._move is not None else []
        dues += [self._follow_ms] if self._follower is None else []
        return min(dues)

    def turn(self, now_ms: int) -> list[Event]:
        """Read what came, ask what is due."""
        events: list[Event] = []
        self._follow(now_ms, events)
        self._take_status(now_ms, events)
        self._take_lists(now_ms, events)
        self._take_move(now_ms, events)
        return events

    def move(self, group: str, target: str, now_ms: int) -> None:
        """Ask for a switchover; a second one waits for nothing and takes the first one's place."""
        self._end_move()
        try:
            body: dict[str, object] = {"ask": "move", "group": group, "to": target}
            self._move = _Question(self._control_path, body, now_ms + MOVE_LIMIT_MS)
        except ControlSocketError:
            self._status_ms = now_ms  # the status will say that nobody is there

    def close(self) -> None:
        """Give the connections back."""
        for question in (self._status, *self._lists.values()):
            if question is not None:
                question.client.close()
        self._status, self._lists = None, {}
        self._end_move()
        self._unfollow(0)

    # -- the status

    def _take_status(self, now_ms: int, events: list[Event]) -> None:
        try:
            if self._status is not None:
                answer = self._status.answer(now_ms)
                if answer is None:
                    return
                self._end_status()
                if answer.get("schema") != STATUS_SCHEMA:
                    raise ControlSocketError(f"{self._control_path}: not a daemon of this version")
                events.append(Came("status", answer))
            if now_ms >= self._status_ms:
                self._status_ms = now_ms + self._interval_ms
                body: dict[str, object] = {"ask": "status"}
                self._status = _Question(self._control_path, body, now_ms + ANSWER_LIMIT_MS)
        except ControlSocketError as error:
            self._end_status()
            self._status_ms = now_ms + RETRY_MS
            events.append(Unreachable(str(error)))

    def _end_status(self) -> None:
        if self._status is not None:
            self._status.client.close()
            self._status = None

    # -- the story

    def _follow(self, now_ms: int, events: list[Event]) -> None:
        if self._follower is None:
            if now_ms >= self._follow_ms:
                self._begin_following(now_ms)
            return
        records: list[Record] = []
        for line in self._follower.lines():
            self._take_line(line, records, events)
        if records:
            events.append(Told(tuple(records), self._is_anew))
            self._is_anew = False
            self._status_ms = min(self._status_ms, now_ms + HASTE_MS)
        if self._follower.problem:
            self._unfollow(now_ms + RETRY_MS)
            self._status_ms = now_ms  # is it still there?

    def _begin_following(self, now_ms: int) -> None:
        place: dict[str, object] = {"from": "start"}
        if self._incarnation:
            place = {"from": self._number, "incarnation": self._incarnation}
        try:
            self._follower = ControlClient(self._control_path, {"ask": "follow", **place})
            self._is_begun = False
        except ControlSocketError:
            self._follow_ms = now_ms + RETRY_MS

    def _unfollow(self, again_ms: int) -> None:
        if self._follower is not None:
            self._follower.close()
            self._follower = None
        self._follow_ms = again_ms

    def _take_line(self, line: Line, records: list[Record], events: list[Event]) -> None:
        lost, number = line.get("lost"), line.get("number")
        if not self._is_begun:
            incarnation = line.get("incarnation")
            self._is_begun = line.get("schema") == FOLLOW_SCHEMA and type(incarnation) is int
            if self._is_begun and type(incarnation) is int and incarnation != self._incarnation:
                self._incarnation, self._number, self._is_anew = incarnation, 0, True
            lost = None  # what was told before we came was not lost on us
        if type(lost) is int and lost > 0:
            events.append(Lost(lost))
        if "record" in line and type(number) is int:
            self._number = number
            try:
                records.append(record_from(line["record"]))
            except ValueError:
                events.append(Lost(1))

    # -- the streams and the limits

    def _take_lists(self, now_ms: int, events: list[Event]) -> None:
        for name, question in list(self._lists.items()):
            try:
                answer = question.answer(now_ms)
            except ControlSocketError:
                answer = {}
            if answer is not None:
                del self._lists[name]
                question.client.close()
                events.append(Came(name, answer if answer.get("ok") is True else {}))
        if now_ms < self._lists_ms or self._lists:
            return
        self._lists_ms = now_ms + LISTS_MS
        for name in LISTS:
            try:
                self._lists[name] = _Question(self._data_path, {"ask": name}, now_ms + ANSWER_LIMIT_MS)
            except ControlSocketError:
                events.append(Came(name, {}))

    # -- moves

    def _take_move(self, now_ms: int, events: list[Event]) -> None:
        if self._move is None:
            return
        try:
            answer = self._move.answer(now_ms)
        except ControlSocketError as error:
            answer = {"ok": False, "error": str(error)}
        if answer is not None:
            self._end_move()
            text = answer.get("text") or answer.get("error") or "no reason was given"
            events.append(Answered(answer.get("ok") is True, str(text)))
            self._status_ms = now_ms

    def _end_move(self) -> None:
        if self._move is not None:
            self._move.client.close()
            self._move = None
