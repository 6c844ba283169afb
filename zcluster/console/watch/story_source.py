"""The story as it is told, from the daemon's control socket, over restarts of the daemon.

What must hold: no record is shown twice; what could not be heard is said, not hidden. The daemon is always asked
from the beginning of its ring: what is known of it tells, after a restart of the daemon, which of its records are
new.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zcluster.adapters.control_client import ControlClient
from zcluster.adapters.journal import Record, record_from
from zcluster.console.watch.events import STORY, Connected, Disconnected, Event, Happened, Missed
from zcluster.errors import ControlSocketError

SCHEMA = "zcluster.follow/1"
RETRY_MS = 1000
LARGEST_REMEMBERED = 2000
AGAIN = (
    "followed again: what this node heard is complete; what others told while its daemon was down is only in "
    "`zcluster why` on their hosts"
)


class StorySource:
    """`is_from_start`: what the ring has is shown first. The first connection must come about."""

    def __init__(self, path: Path, is_from_start: bool) -> None:
        """Raises ControlSocketError."""
        self._path = path
        self._is_from_start = is_from_start
        self._shown: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self._skip_until = 0
        self._number = 0
        self._incarnation: int | None = None
        self._retry_ms: int | None = None
        self._is_answered = False
        self._client: ControlClient | None = self._connection()

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        return (self._client.fileno(),) if self._client is not None else ()

    def deadline(self) -> int | None:
        """When to try again."""
        return self._retry_ms

    def turn(self, now_ms: int) -> list[Event]:
        """What came. Raises ControlSocketError where the daemon refuses for good."""
        if self._client is None:
            if self._retry_ms is not None and now_ms < self._retry_ms:
                return []
            try:
                self._client = self._connection()
            except ControlSocketError:
                self._retry_ms = now_ms + RETRY_MS
                return []
        events: list[Event] = []
        for line in self._client.lines():
            events.extend(self._taken(line))
        if self._client.problem:
            events.extend(self._gone(self._client.problem, now_ms))
        return events

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.close()

    def _connection(self) -> ControlClient:
        question: dict[str, object] = {"ask": "follow", "from": "start"}
        if self._incarnation is not None:
            question.update({"from": self._number, "incarnation": self._incarnation})
        self._is_answered = False
        self._retry_ms = None
        return ControlClient(self._path, question)

    def _gone(self, problem: str, now_ms: int) -> list[Event]:
        assert self._client is not None
        self._client.close()
        self._client = None
        self._retry_ms = now_ms + RETRY_MS
        if self._incarnation is None and not self._is_answered:
            raise ControlSocketError(problem)
        return [Disconnected(STORY, f"{problem}; trying again")] if self._is_answered else []

    def _taken(self, line: Mapping[str, Any]) -> list[Event]:
        if not self._is_answered:
            return self._begun(line)
        if "lost" in line:
            return [Missed(int(line["lost"]))]
        try:
            record, number = record_from(line.get("record")), int(line["number"])
        except (KeyError, TypeError, ValueError):
            return []  # a line of a later version, or the answer to nothing we asked
        self._number = number
        if self._is_known(record) or number <= self._skip_until:
            return []
        return [Happened(number, record)]

    def _begun(self, line: Mapping[str, Any]) -> list[Event]:
        if line.get("schema") != SCHEMA:
            raise ControlSocketError(f"{self._path}: not a daemon of this version: {line.get('error', '')}")
        self._is_answered = True
        node, incarnation = str(line["node"]), int(line["incarnation"])
        is_first, is_same = self._incarnation is None, self._incarnation == incarnation
        self._incarnation = incarnation
        self._skip_until = int(line["number"]) if is_first and not self._is_from_start else 0
        if is_first:
            return [Connected(STORY, node, incarnation, f"following the story as {node} hears it")]
        events: list[Event] = [Connected(STORY, node, incarnation, "followed again" if is_same else AGAIN)]
        return [*events, Missed(int(line["lost"]))] if line["lost"] else events

    def _is_known(self, record: Record) -> bool:
        """Whether it was here before; now it is."""
        identity: tuple[object, ...] = (record.node, record.incarnation, record.number)
        if not record.number:
            identity = (record.node, record.at_ms, record.text)
        if identity in self._shown:
            return True
        self._shown[identity] = None
        if len(self._shown) > LARGEST_REMEMBERED:
            self._shown.popitem(last=False)
        return False
