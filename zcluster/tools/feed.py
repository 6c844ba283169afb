"""What the local daemon says, handed on to the outlets: each record once and in order, and its newest status.

    follow      {"ask": "follow"} on a connection of its own, for as long as it lasts (`zcluster.supervisor.questions`)
    status      asked about once a second, and soon after each record, for that may have changed it

What must hold: nothing here waits. After a break it goes on from the number where it was; what the daemon has no more
is told as one record of the code "records-lost" and counted. The first story of a life is history as far as it was
handed on before (`zcluster.tools.place`), and otherwise as far as it is older than the daemon: it goes into the ring
alone. A daemon that does not answer is told at once, and asked again, later each time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from zcluster.adapters.control_client import ControlClient, Line
from zcluster.adapters.journal import Record, record_from
from zcluster.errors import ControlSocketError
from zcluster.tools.outlet import Outlet
from zcluster.tools.place import Place
from zcluster.tools.ring import Ring

SCHEMA = "zcluster.follow/1"
STATUS_MS = 1000
STATUS_PAUSE_MS = 250
STATUS_GATHER_MS = 30
ANSWER_LIMIT_MS = 3000
BACKOFF_MS = (100, 200, 500, 1000, 2000)
PLACE_MS = 1000
LOST_CODE = "records-lost"


class Memory(Protocol):
    """Where the place outlives this process (`zcluster.tools.place.PlaceFile`)."""

    def read(self) -> Place | None: ...
    def write(self, place: Place) -> None: ...


class Feed:
    """Asks the daemon behind `path`. A part of the loop; its first turn connects."""

    def __init__(self, path: Path, ring: Ring, memory: Memory, outlets: Sequence[Outlet]) -> None:
        self._path = path
        self._ring = ring
        self._memory = memory
        self._outlets = tuple(outlets)
        self._counts: Counter[str] = Counter()
        self._follower: ControlClient | None = None
        self._asker: ControlClient | None = None
        self._asked_ms = 0
        self._answer_ms = 0
        self._connect_ms = 0
        self._status_ms = 0
        self._failures = 0
        self._is_told_unreachable = False
        self._is_begun = False
        self._history: _History | None = _History(memory.read())
        self._written: Place | None = None
        self._write_ms = 0

    # ---- the part of the loop

    def filenos(self) -> tuple[int, ...]:
        """The connections."""
        return tuple(client.fileno() for client in (self._follower, self._asker) if client is not None)

    def deadline(self) -> int | None:
        """To connect, to ask again, to give an answer up, to write the place."""
        if self._follower is None:
            return self._connect_ms
        dues = [self._answer_ms] if self._asker is not None or not self._is_begun else [self._status_ms]
        if self._place() != self._written:
            dues.append(self._write_ms)
        return min(dues)

    def turn(self, now_ms: int) -> None:
        """Hand on what came, and ask what is due."""
        if self._follower is None and now_ms >= self._connect_ms:
            self._connect(now_ms)
        try:
            self._follow(now_ms)
            self._take_status(now_ms)
            self._ask_status(now_ms)
        except ControlSocketError as error:
            self._fail(str(error), now_ms)
        if self._place() != self._written and now_ms >= self._write_ms:
            self._write(now_ms)

    def counts(self) -> Mapping[str, int]:
        """For the metrics."""
        return self._counts

    def close(self) -> None:
        """Give the connections back, and remember the place."""
        self._drop()
        if self._place() != self._written:
            self._write(0)

    # ---- the daemon

    def _connect(self, now_ms: int) -> None:
        is_known = bool(self._ring.incarnation)
        begin: dict[str, object] = {"from": "start"}
        if is_known:
            begin = {"from": self._ring.newest, "incarnation": self._ring.incarnation}
        try:
            self._follower = ControlClient(self._path, {"ask": "follow", **begin})
        except ControlSocketError as error:
            self._fail(str(error), now_ms)
            return
        self._is_begun = False
        self._answer_ms = now_ms + ANSWER_LIMIT_MS

    def _fail(self, reason: str, now_ms: int) -> None:
        """The daemon is not there, or not as it should be: say so, and try again later each time."""
        self._drop()
        self._connect_ms = now_ms + BACKOFF_MS[min(self._failures, len(BACKOFF_MS) - 1)]
        self._failures += 1
        self._counts["disconnected"] += 1
        if not self._is_told_unreachable:
            self._is_told_unreachable = True
            for outlet in self._outlets:
                outlet.unreachable(reason)

    def _drop(self) -> None:
        for client in (self._follower, self._asker):
            if client is not None:
                client.close()
        self._follower = self._asker = None

    # ---- its story

    def _follow(self, now_ms: int) -> None:
        follower = self._follower
        if follower is None:
            return
        for line in follower.lines():
            if not self._is_begun:
                self._begin(line)
                self._status_ms = now_ms
            else:
                self._take(line, now_ms)
        if follower.problem:
            raise ControlSocketError(follower.problem)
        if not self._is_begun and now_ms >= self._answer_ms:
            raise ControlSocketError(f"{self._path}: the daemon does not answer; is it stopped?")

    def _begin(self, line: Line) -> None:
        node, incarnation, newest = line.get("node"), line.get("incarnation"), line.get("number")
        if line.get("schema") != SCHEMA or not isinstance(node, str):
            raise ControlSocketError(f"{self._path}: {line.get('error', 'an answer of another version')}")
        if type(incarnation) is not int or type(newest) is not int:
            raise ControlSocketError(f"{self._path}: a story without its incarnation or number")
        if self._ring.incarnation not in (0, incarnation):
            self._history = _History(None)
        self._ring.begin(node, incarnation)
        if self._history is not None:
            self._history.begin(node, incarnation, newest)
        self._is_begun = True
        self._lose(line)

    def _take(self, line: Line, now_ms: int) -> None:
        if "record" not in line:
            self._lose(line)
            return
        number = line.get("number")
        try:
            record = record_from(line["record"])
        except ValueError:
            self._counts["malformed"] += 1
            return
        if type(number) is not int:
            self._counts["malformed"] += 1
            return
        if number <= self._ring.newest:
            return
        self._ring.add(number, record)
        if self._history is not None and self._history.holds(number, record):
            self._counts["history"] += 1
            return
        self._history = None
        self._counts["records"] += 1
        for outlet in self._outlets:
            outlet.record(record)
        self._hasten_status(now_ms)

    def _lose(self, line: Line) -> None:
        lost = line.get("lost", 0)
        if type(lost) is not int or lost <= 0:
            return
        self._counts["lost"] += lost
        text = f"{lost} records of {self._ring.node} did not reach its tools process: `zcluster why` has what is left"
        facts = {"lost": lost}
        record = Record(time.time_ns() // 1_000_000, self._ring.node, "warning", LOST_CODE, text, facts)
        for outlet in self._outlets:
            outlet.record(record)

    # ---- its status

    def _hasten_status(self, now_ms: int) -> None:
        soon_ms = max(now_ms + STATUS_GATHER_MS, self._asked_ms + STATUS_PAUSE_MS)
        self._status_ms = min(self._status_ms, soon_ms)

    def _ask_status(self, now_ms: int) -> None:
        if not self._is_begun or self._follower is None or self._asker is not None:
            return
        if now_ms < self._status_ms:
            return
        self._asker = ControlClient(self._path, {"ask": "status"})
        self._asked_ms = now_ms
        self._answer_ms = now_ms + ANSWER_LIMIT_MS
        self._status_ms = now_ms + STATUS_MS
        self._counts["asked"] += 1

    def _take_status(self, now_ms: int) -> None:
        asker = self._asker
        if asker is None:
            return
        lines = asker.lines()
        if lines:
            asker.close()
            self._asker = None
            if lines[0].get("ok") is not True:
                raise ControlSocketError(f"{self._path}: {lines[0].get('error', 'no status')}")
            self._failures = 0
            self._is_told_unreachable = False
            for outlet in self._outlets:
                outlet.status(lines[0])
        elif asker.problem:
            raise ControlSocketError(asker.problem)
        elif now_ms >= self._answer_ms:
            raise ControlSocketError(f"{self._path}: the daemon does not answer; is it stopped?")

    # ---- the place

    def _place(self) -> Place | None:
        if not self._ring.newest:
            return None
        return Place(self._ring.incarnation, self._ring.newest)

    def _write(self, now_ms: int) -> None:
        place = self._place()
        if place is not None:
            self._memory.write(place)
            self._written = place
            self._write_ms = now_ms + PLACE_MS


class _History:
    """Which of the first records of a story were handed on already, or are none of this life's business."""

    def __init__(self, place: Place | None) -> None:
        self._place = place
        self._node = ""
        self._incarnation = 0
        self._newest = 0

    def begin(self, node: str, incarnation: int, newest: int) -> None:
        """What the daemon answered."""
        self._node, self._incarnation, self._newest = node, incarnation, newest
        if self._place is not None and self._place.incarnation != incarnation:
            self._place = None

    def holds(self, number: int, record: Record) -> bool:
        """Whether it is history. The daemon's own first record of its life is behind all that is older."""
        if number > self._newest:
            return False
        if self._place is not None:
            return number <= self._place.number
        return (record.node, record.incarnation) != (self._node, self._incarnation)
