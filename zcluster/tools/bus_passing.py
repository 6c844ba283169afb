"""Questions of readers that another process of this host answers.

What must hold: nothing here waits; the questions under way are bounded, and each is answered or given up; a reader
that asks much keeps the daemon no busier than a bounded number of local commands would.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from zcluster.adapters.control_client import ControlClient
from zcluster.adapters.tools_bus import Asked
from zcluster.errors import ControlSocketError
from zcluster.tools.bus_answers import passed_body, refusal_body
from zcluster.tools.bus_questions import Door, Identity, Passed

LARGEST_UNDER_WAY = 4
ANSWER_LIMIT_MS = 10_000
# To each process, of all readers: whoever asks again as soon as it has its answer would keep busy the loop that renews
# leases. An answer takes it a few milliseconds. The data process gives lists away page by page, as they are asked for.
LARGEST_A_SECOND = {Door.CONTROL: 20, Door.DATA: 100}


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """One that is being answered, until `limit_ms`."""

    asked: Asked
    identity: Identity
    client: ControlClient
    limit_ms: int


class Passing:
    """Asks the sockets in `run_dir`, and gives a question up after `limit_ms`."""

    def __init__(self, run_dir: Path, limit_ms: int = ANSWER_LIMIT_MS) -> None:
        self.counts: Counter[str] = Counter()
        self._limit_ms = limit_ms
        self._run_dir = run_dir
        self._under_way: list[_UnderWay] = []
        self._second_ms = 0
        self._this_second: Counter[Door] = Counter()

    def filenos(self) -> tuple[int, ...]:
        """The connections."""
        return tuple(each.client.fileno() for each in self._under_way)

    def deadline(self) -> int | None:
        """When the first is given up."""
        return min((each.limit_ms for each in self._under_way), default=None)

    def ask(self, asked: Asked, question: Passed, now_ms: int) -> str:
        """Hand it on; or why not, for the reader."""
        if now_ms - self._second_ms >= 1000:
            self._second_ms = now_ms
            self._this_second.clear()
        self._this_second[question.door] += 1
        is_much = self._this_second[question.door] > LARGEST_A_SECOND[question.door]
        if is_much or len(self._under_way) >= LARGEST_UNDER_WAY:
            self.counts["passed_refused"] += 1
            return "too many questions are being answered; ask again"
        try:
            client = ControlClient(self._run_dir / question.door.value, question.body)
        except ControlSocketError:
            return _unanswered(question.door)
        self.counts["passed"] += 1
        self._under_way.append(_UnderWay(asked, question.identity, client, now_ms + self._limit_ms))
        return ""

    def turn(self, now_ms: int) -> list[tuple[Asked, bytes]]:
        """The answers that are there now."""
        found: list[tuple[Asked, bytes]] = []
        for each in tuple(self._under_way):
            body = _body(each, now_ms)
            if body:
                each.client.close()
                self._under_way.remove(each)
                found.append((each.asked, body))
        return found

    def close(self) -> None:
        """Give up what is under way."""
        for each in self._under_way:
            each.client.close()
        self._under_way.clear()


def _body(each: _UnderWay, now_ms: int) -> bytes:
    """The answer, or why there will be none; b"" while it is awaited."""
    lines = each.client.lines()
    if lines:
        return passed_body(each.identity, lines[0])
    if each.client.problem:
        return refusal_body(each.identity, "the process that was asked gave no answer; ask again")
    if now_ms >= each.limit_ms:
        return refusal_body(each.identity, "the process that was asked does not answer; is it stopped?")
    return b""


def _unanswered(door: Door) -> str:
    if door is Door.DATA:
        return "no data process answers on this node: it has no switch, or just starts"
    return "the daemon of this node does not answer"
