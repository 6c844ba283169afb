"""What was asked and is not answered yet: requests in order, jobs by their Job-UUID.

What must hold: a switch answers one connection's commands in order, so the oldest request is the one answered; both
are bounded, and whatever was accepted leaves here exactly once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from zcluster.errors import BadMessage, SwitchUnavailable
from zcluster.switch import bounds
from zcluster.switch.commands import Answer, Command
from zcluster.switch.frames import ApiResponse, CommandReply
from zcluster.switch.notices import JobDone, JobLost, Unanswered


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is out. `limit_ms`: how long its answer may take once it is its turn."""

    ticket: int
    command: Command
    asked_ms: int
    limit_ms: int


class Requests:
    """The requests that are out, oldest first."""

    __slots__ = ("_last", "_out", "_turn_ms")

    def __init__(self) -> None:
        self._last = 0
        self._out: deque[Asked] = deque()
        self._turn_ms = 0

    def __len__(self) -> int:
        return len(self._out)

    def check_room(self) -> None:
        """Raises SwitchUnavailable when too many are out."""
        if len(self._out) >= bounds.WAITING_ANSWERS:
            raise SwitchUnavailable(f"{len(self._out)} commands wait for the switch's answer already")

    def add(self, command: Command, now_ms: int, limit_ms: int) -> int:
        """Its ticket. Raises SwitchUnavailable when too many are out."""
        self.check_room()
        if not self._out:
            self._turn_ms = now_ms
        self._last += 1
        self._out.append(Asked(self._last, command, now_ms, limit_ms))
        return self._last

    def answer(self, answer: CommandReply | ApiResponse, now_ms: int) -> Asked:
        """The request that this answers. Raises BadMessage, "unasked", when it answers none."""
        expected = self._out[0].command.answer if self._out else None
        # An api that is not allowed, or not known, is refused by a reply.
        is_reply = isinstance(answer, CommandReply)
        fits = expected is Answer.REPLY if is_reply else expected is Answer.OUTPUT
        if expected is None or not (fits or (is_reply and answer.is_error)):
            raise BadMessage("the switch answers what was not asked", "unasked")
        self._turn_ms = now_ms
        return self._out.popleft()

    def deadline(self) -> int | None:
        """When the oldest is too late, or None."""
        return self._turn_ms + self._out[0].limit_ms if self._out else None

    def oldest(self) -> str:
        """The name of the command whose turn it is."""
        return self._out[0].command.name if self._out else ""

    def drop_all(self, reason: str) -> list[Unanswered]:
        """Ends them all."""
        ended = [Unanswered(asked.ticket, asked.command.name, reason) for asked in self._out]
        self._out.clear()
        return ended


class Jobs:
    """The bgapi jobs that are out, by Job-UUID."""

    __slots__ = ("_out",)

    def __init__(self) -> None:
        self._out: dict[str, tuple[str, int]] = {}

    def __len__(self) -> int:
        return len(self._out)

    def add(self, command: Command, due_ms: int) -> None:
        """Raises SwitchUnavailable when too many are out, or that Job-UUID is."""
        if len(self._out) >= bounds.WAITING_JOBS:
            raise SwitchUnavailable(f"{len(self._out)} jobs are running already")
        if command.job in self._out:
            raise SwitchUnavailable(f"the job {command.job} is running already")
        self._out[command.job] = (command.name, due_ms)

    def done(self, job: str, body: str) -> JobDone | None:
        """Its end, or None when it is not one of ours."""
        found = self._out.pop(job, None)
        return JobDone(job, found[0], body) if found else None

    def lost(self, job: str, reason: str) -> list[JobLost]:
        """Ends that job, if it is out."""
        found = self._out.pop(job, None)
        return [JobLost(job, found[0], reason)] if found else []

    def overdue(self, now_ms: int) -> list[JobLost]:
        """Ends those whose time is over."""
        late = [job for job, (_, due_ms) in self._out.items() if due_ms <= now_ms]
        return [lost for job in late for lost in self.lost(job, "its output did not come in time")]

    def deadline(self) -> int | None:
        """When the next is overdue, or None."""
        return min((due_ms for _, due_ms in self._out.values()), default=None)

    def drop_all(self, reason: str) -> list[JobLost]:
        """Ends them all."""
        return [lost for job in list(self._out) for lost in self.lost(job, reason)]
