"""What is told goes four ways: this host's journal and log, the story ring, and the bus for peers and tools.

The log alone is spared what is said again and again (`zcluster.supervisor.restraint`).

What must hold: what this node tells is numbered without a gap from 1 in each of its lives, so that every listener
knows what it missed; telling never waits for a disk or a terminal (the side thread does); what peers tell is checked
like any bytes from the network, kept under their own names, and never spread further.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

import msgpack

from zcluster.adapters.journal import Journal, Record, record_from, without_facts
from zcluster.adapters.log import Log
from zcluster.control.actions import Tell
from zcluster.control.events import Event
from zcluster.errors import StateFileError
from zcluster.supervisor.loop import monotonic_ms
from zcluster.supervisor.restraint import Restraint
from zcluster.supervisor.side_thread import SideThread
from zcluster.supervisor.story import Story

LARGEST_STORY_BYTES = 16 << 10
FUTURE_MS = 24 * 3600 * 1000


def wall_ms() -> int:
    """Wall-clock milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Chronicle:
    """`publish` sends a body on the bus topic of this node's story; `log` gets this node's own lines.

    A chore of the loop, for what the log has to say of the minute before.
    """

    def __init__(
        self,
        node: str,
        incarnation: int,
        story: Story,
        journal: Journal,
        side_thread: SideThread,
        publish: Callable[[bytes], None],
        log: Log,
        wall_clock: Callable[[], int] = wall_ms,
        clock: Callable[[], int] = monotonic_ms,
    ) -> None:
        self._node = node
        self._incarnation = incarnation
        self._told = 0
        self.story = story
        self._journal = journal
        self._side_thread = side_thread
        self._publish = publish
        self._log = log
        self._wall_clock = wall_clock
        self._clock = clock
        self._restraint = Restraint()
        self.counts: Counter[str] = Counter()

    def tell(self, tell: Tell) -> None:
        """Something happened here."""
        self._told += 1
        record = Record(
            self._wall_clock(),
            self._node,
            tell.level,
            tell.code,
            tell.text,
            tell.facts,
            self._incarnation,
            self._told,
        )
        self.story.add(record)
        now_ms = self._clock()
        self._settle(now_ms)
        is_logged = self._restraint.admits(record.code, record.text, now_ms)
        self.counts["log_held_back"] += not is_logged
        self._keep(record, is_logged)
        self._publish(_body(record))

    def hear(self, bodies: Sequence[bytes]) -> None:
        """What peers told. Anything that is no record of another node is counted and dropped."""
        for body in bodies:
            try:
                record = self._checked(body)
            except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
                self.counts["stories_bad"] += 1
                continue
            if self.story.add(record):
                self._keep(record, is_logged=False)

    def deadline(self) -> int | None:
        """When the log has something to say of the minute before."""
        return self._restraint.deadline()

    def run(self, now_ms: int) -> Sequence[Event]:
        """Say it."""
        self._settle(now_ms)
        return ()

    def _settle(self, now_ms: int) -> None:
        for held in self._restraint.settle(now_ms):
            text = f"{held.count} more lines of {held.code} within a minute, the last: {held.sample}"
            facts = {"code": held.code, "count": held.count}
            self._log_alone(Record(self._wall_clock(), self._node, "notice", "held-back", text, facts))

    def _log_alone(self, record: Record) -> None:
        def write() -> None:
            try:
                self._log.write(record)
            except (OSError, ValueError):
                self.counts["log_failed"] += 1

        self._side_thread.submit(write)

    def _checked(self, body: bytes) -> Record:
        if len(body) > LARGEST_STORY_BYTES:
            raise ValueError("too long")
        record = record_from(msgpack.unpackb(body))
        if record.node == self._node or record.at_ms > self._wall_clock() + FUTURE_MS:
            raise ValueError("not a peer's, or of the future")
        return record

    def _keep(self, record: Record, is_logged: bool) -> None:
        def write() -> None:
            try:
                self._journal.append([record])
            except StateFileError:
                self.counts["journal_failed"] += 1
            try:
                if is_logged:
                    self._log.write(record)
            except (OSError, ValueError):
                self.counts["log_failed"] += 1

        if not self._side_thread.submit(write):
            self.counts["journal_overflow"] += 1


def _body(record: Record) -> bytes:
    """As on the bus; facts that do not fit are left out, so that no number is missing there."""
    try:
        body: bytes = msgpack.packb(record.plain(), default=str, unicode_errors="replace")
    except (ValueError, TypeError, OverflowError):
        body = b""
    if not 0 < len(body) <= LARGEST_STORY_BYTES:
        short = without_facts(record, len(body)).plain()
        body = msgpack.packb(short, unicode_errors="replace")
    return body
