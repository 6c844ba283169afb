"""What can only be asked again and again: the verdict on the cluster, and counts of the data process.

What must hold: a stopped daemon delays nothing else; a line is shown only when something changed that is more than
the passing of time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zcluster.adapters.control_client import ControlClient
from zcluster.console.verdict import ExitStatus, judge
from zcluster.console.watch.events import LIMITS, Counted, Disconnected, Event, Judged
from zcluster.errors import ControlSocketError

STATUS_SCHEMA = "zcluster.status/1"
STATUS_EVERY_MS = 1000
COUNTS_EVERY_MS = 2000
LONGEST_WAIT_MS = 10_000
LARGEST_LIMITS = 2000
_LENGTH = re.compile(r"(?:\d+(?:\.\d+)? (?:ms|s|min|h|d)\b ?)+")

Answer = Mapping[str, Any]


class Poll:
    """Asks `question` every so often. `heard` makes events of an answer, `unheard` of the reason there is none."""

    def __init__(
        self,
        path: Path,
        question: Mapping[str, object],
        every_ms: int,
        heard: Callable[[Answer], list[Event]],
        unheard: Callable[[str], list[Event]],
    ) -> None:
        self._path = path
        self._question = question
        self._every_ms = every_ms
        self._heard = heard
        self._unheard = unheard
        self._client: ControlClient | None = None
        self._due_ms: int | None = None

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        return (self._client.fileno(),) if self._client is not None else ()

    def deadline(self) -> int | None:
        """When to ask, or to stop waiting; None before the first turn, which is due at once."""
        return self._due_ms

    def turn(self, now_ms: int) -> list[Event]:
        """Ask what is due, take what came."""
        if self._client is None:
            if self._due_ms is not None and now_ms < self._due_ms:
                return []
            self._due_ms = now_ms + LONGEST_WAIT_MS
            try:
                self._client = ControlClient(self._path, self._question)
            except ControlSocketError as error:
                return self._ended(now_ms, self._unheard(str(error)))
        lines = self._client.lines()
        if lines:
            return self._ended(now_ms, self._heard(lines[0]))
        if self._client.problem:
            return self._ended(now_ms, self._unheard(self._client.problem))
        if self._due_ms is not None and now_ms >= self._due_ms:
            text = f"{self._path} does not answer; is its process stopped?"
            return self._ended(now_ms, self._unheard(text))
        return []

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.close()

    def _ended(self, now_ms: int, events: list[Event]) -> list[Event]:
        if self._client is not None:
            self._client.close()
            self._client = None
        self._due_ms = now_ms + self._every_ms
        return events


class Verdicts:
    """The sentence of `zcluster status`, whenever it says something else. `is_whole`: the first with its document."""

    def __init__(self, is_whole: bool, is_repeated: bool) -> None:
        """`is_repeated`: changes are wanted too, not only the first."""
        self._is_whole = is_whole
        self._is_repeated = is_repeated
        self._said: tuple[int, str] | None = None

    def poll(self, path: Path) -> Poll:
        """The source."""
        return Poll(path, {"ask": "status"}, STATUS_EVERY_MS, self.heard, self.unheard)

    def heard(self, document: Answer) -> list[Event]:
        """The event that the document makes."""
        if document.get("schema") != STATUS_SCHEMA:
            return self.unheard(f"not a daemon of this version: {document.get('error', '')}")
        verdict = judge(document)
        whole = document if self._is_whole else None
        self._is_whole = False
        return self._changed(Judged(int(verdict.exit_status), verdict.sentence, whole))

    def unheard(self, why: str) -> list[Event]:
        """Nobody can be asked."""
        return self._changed(Judged(int(ExitStatus.NOT_REACHABLE), why))

    def _changed(self, found: Judged) -> list[Event]:
        said = found.exit_status, _LENGTH.sub("", found.sentence)
        if said == self._said or (self._said is not None and not self._is_repeated):
            return []
        self._said = said
        return [found]


class Counts:
    """How many rows a stream of the data process has; of limits, how many sessions they count."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._known: tuple[int, Mapping[str, Mapping[str, int]]] | None = None
        self._problem = ""

    def poll(self, path: Path) -> Poll:
        """The source."""
        question: dict[str, object] = {"ask": self._stream}
        question.update({"limit": LARGEST_LIMITS} if self._stream == LIMITS else {"count": True})
        return Poll(path, question, COUNTS_EVERY_MS, self.heard, self.unheard)

    def heard(self, answer: Answer) -> list[Event]:
        """The event that the answer makes."""
        if answer.get("schema") != f"zcluster.{self._stream}/1":
            return self.unheard(str(answer.get("error") or "not a data process of this version"))
        self._problem = ""
        if self._stream == LIMITS:
            by = {"name": {row["name"]: row["total"] for row in answer["rows"]}}
            found = sum(by["name"].values()), by
        else:
            found = answer["total"], answer["by"]
        if found == self._known:
            return []
        before = self._known[0] if self._known is not None else None
        self._known = found
        return [Counted(self._stream, found[0], before, found[1])]

    def unheard(self, why: str) -> list[Event]:
        """Once for each reason."""
        if why == self._problem:
            return []
        self._problem = why
        return [Disconnected(self._stream, f"{why}; trying again")]
