"""The tools process as a child of this one: started, and started again when it ends or says nothing for long.

What must hold: nothing of it reaches the core, and the loop never waits for it: it is made in a side thread, it is told
nothing, what it says (that it lives) is looked at now and then alone. It ends with us, for its end of the pair closes;
nobody waits for that at a stop or a planned restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zcluster.adapters.child_process import ChildProcess
from zcluster.adapters.local_channel import LocalChannel, pair
from zcluster.control.actions import Tell
from zcluster.control.events import Event
from zcluster.errors import KernelRefused
from zcluster.supervisor.child_start import ChildDoors
from zcluster.supervisor.restarts import Restarts
from zcluster.supervisor.side_thread import Sequel

LOOK_MS = 10_000
SILENT_LIMIT_MS = 30_000
# Before its first sign. It loads half a second's worth of modules and gives way to everybody: on two processors under a
# load of fifty it took a minute, and was ended and begun anew for ever by the limit above.
START_LIMIT_MS = 300_000
BATCH_PACKETS, LARGEST_PACKET_BYTES = 64, 64
KILL_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class ToolsFacts:
    """The tools process for the status. `pid` is None while there is none."""

    pid: int | None
    restarts: int


@dataclass(slots=True)
class _Life:
    """One tools process, from the moment when its start was asked for; `child` is None until it runs."""

    channel: LocalChannel
    started_ms: int
    heard_ms: int
    limit_ms: int = START_LIMIT_MS
    child: ChildProcess | None = None


class ToolsChild:
    """One tools process at a time. It is a chore of the loop."""

    def __init__(self, doors: ChildDoors, clock: Callable[[], int]) -> None:
        self._doors = doors
        self._clock = clock
        self._life: _Life | None = None
        self._start_ms: int | None = clock()
        self._look_ms = 0
        self._restarts = Restarts()
        self._starts = 0
        self.counts: Counter[str] = Counter()

    def facts(self) -> ToolsFacts:
        """For the status."""
        child = self._life.child if self._life is not None else None
        return ToolsFacts(child.pid if child is not None else None, max(self._starts - 1, 0))

    def close(self) -> None:
        """Let it end, and wait for nothing."""
        self._start_ms = None
        life, self._life = self._life, None
        if life is not None:
            life.channel.close()

    def deadline(self) -> int | None:
        """When it is to be started, or looked at."""
        return self._look_ms if self._life is not None else self._start_ms

    def run(self, now_ms: int) -> Sequence[Event]:
        """Do what is due."""
        if self._life is not None:
            self._look(self._life, now_ms)
        elif self._start_ms is not None and now_ms >= self._start_ms:
            self._start(now_ms)
        return ()

    def _look(self, life: _Life, now_ms: int) -> None:
        """Whether it lives. One whose start hangs is not looked for: there is nothing to end."""
        self._look_ms = now_ms + LOOK_MS
        if life.channel.receive(LARGEST_PACKET_BYTES, BATCH_PACKETS):
            life.heard_ms, life.limit_ms = now_ms, SILENT_LIMIT_MS
        elif life.child is None:
            life.heard_ms = now_ms
        elif now_ms - life.heard_ms >= life.limit_ms:
            life.child.kill()

    def _start(self, now_ms: int) -> None:
        self._start_ms = None
        channel, theirs = pair()
        life = _Life(channel, now_ms, now_ms)

        def make() -> Sequel:
            try:
                child, problem = self._doors.start(theirs.fileno()), ""
            except KernelRefused as refusal:
                child, problem = None, str(refusal)
            finally:
                theirs.close()
            return lambda: self._made(life, child, problem)

        self._look_ms = now_ms + LOOK_MS
        self._life = life
        self._starts += 1
        if not self._doors.submit(make):
            theirs.close()
            self._end(life, "cannot be started: too much waits for that")

    def _made(self, life: _Life, child: ChildProcess | None, problem: str) -> Sequence[Event]:
        """In the loop: it runs, or could not be started."""
        if child is None:
            if life is self._life:
                self._end(life, f"cannot be started: {problem}")
            return ()
        if life is not self._life:
            child.kill()
            child.reap(KILL_WAIT_S)
            return ()
        life.child = child
        self._doors.watch(child.fileno(), lambda: self._receive_end(life, child))
        return ()

    def _receive_end(self, life: _Life, child: ChildProcess) -> Sequence[Event]:
        """The child's descriptor became readable: it has ended."""
        self._doors.forget(child.fileno())
        self._end(life, child.reap(KILL_WAIT_S))
        return ()

    def _end(self, life: _Life, ending: str) -> None:
        now_ms = self._clock()
        life.channel.close()
        self._life = None
        self.counts["ended"] += 1
        pause_ms = self._restarts.pause_ms(now_ms - life.started_ms)
        self._start_ms = now_ms + pause_ms
        if self._restarts.is_told:
            text = f"the tools process {ending}; no address and no call needs it, and it starts again in {pause_ms} ms"
            self._doors.tell(Tell("warning", "tools-ended", text, {"failures": self._restarts.failures}))
