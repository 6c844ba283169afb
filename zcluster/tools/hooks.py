"""Hooks: programs that are run, and URLs that are told, when something happens in the cluster.

What must hold: nobody waits for a hook. Each has its own queue (`hooks_queue`), one process at a time
(`hooks_program`) and its own memory (`hooks_memory`); all of them are children of the tools process, which gives way to
everything else. Each event is told at least once by the node that runs the hook, in order, or it is said that it was
not.
"""

from __future__ import annotations

import json
import select
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from zcluster.adapters.journal import Record
from zcluster.config.configuration import Configuration, Hook
from zcluster.tools.hooks_event import (
    Event,
    Told,
    body,
    environment,
    event_of,
    runs_without_asking,
    speaker,
    wants,
)
from zcluster.tools.hooks_memory import HookMemory, forget_others
from zcluster.tools.hooks_program import Ending, Program
from zcluster.tools.hooks_queue import HookQueue
from zcluster.tools.loop import monotonic_ms
from zcluster.tools.outlet import StatusDocument
from zcluster.tools.own_log import OwnLog
from zcluster.tools.picture import picture_of

DIRECTORY = "hooks"
MOST_STARTS = 4
# What another node should have told is kept for so long: it may be the one that died.
KEPT_MS = 5000
MOST_KEPT = 256
# The daemon waits for nobody when it stops, and this process outlives it by a second and a half at most
# (zcluster.adapters.orphan).
LAST_MS = 500
# It is run by path and isolated: beside it stand modules of ours that are called as some of the standard library are.
WEBHOOK = Path(__file__).with_name("webhook.py")
# Its exit status when another try is of no use.
WEBHOOK_NEVER = 2
# A webhook's own time-outs come first; this is for what they do not cover.
GRACE_MS = 1000


class _Kept(NamedTuple):
    event: Event
    until_ms: int


class _Hooked:
    """One hook with all that belongs to it."""

    def __init__(self, queue: HookQueue, memory: HookMemory) -> None:
        self.queue = queue
        self.memory = memory
        self.program: Program | None = None
        self.kept: deque[_Kept] = deque(maxlen=MOST_KEPT)

    @property
    def hook(self) -> Hook:
        return self.queue.hook

    def add(self, event: Event) -> None:
        if not self.memory.add(event, self.queue.pending()):
            return
        gone = self.queue.add(event)
        if gone is not None:
            self.memory.done(gone)


class HooksOutlet:
    """The hooks of the file on this node. `complain` gets lines for people; `clock` is monotonic milliseconds."""

    def __init__(
        self,
        hooks: Sequence[Hook],
        cluster: str,
        node: str,
        directory: Path,
        complain: Callable[[str], None],
        clock: Callable[[], int] = monotonic_ms,
    ) -> None:
        self._node = node
        self._clock = clock
        forget_others(directory, [hook.name for hook in hooks])
        self._hooked: list[_Hooked] = []
        for hook in hooks:
            hooked = _Hooked(HookQueue(hook, cluster, node, complain), HookMemory(directory, hook.name))
            for event in hooked.memory.load():
                gone = hooked.queue.add(event)
                if gone is not None:
                    hooked.memory.done(gone)
            self._hooked.append(hooked)

    def filenos(self) -> tuple[int, ...]:
        """The programs that run."""
        return tuple(fileno for program in self._programs() for fileno in program.filenos())

    def deadline(self) -> int | None:
        """When a program has had its time, or the next is to be started."""
        dues = [program.limit_ms for program in self._programs()]
        dues += [due_ms for each in self._hooked if (due_ms := each.queue.deadline()) is not None]
        return min(dues, default=None)

    def turn(self, now_ms: int) -> None:
        """Look at what runs, and start what is due."""
        for hooked in self._hooked:
            if hooked.program is not None and (ending := hooked.program.look(now_ms)) is not None:
                hooked.program = None
                self._take(hooked, ending, now_ms)
        starts = 0
        for hooked in self._hooked:
            if starts < MOST_STARTS and (told := hooked.queue.begin(now_ms)) is not None:
                hooked.program = _program(hooked.hook, told, now_ms)
                starts += 1

    def record(self, record: Record) -> None:
        """Something happened: it waits in the queue of each hook that wants it, and runs here."""
        event = event_of(record)
        for hooked in self._hooked:
            if not wants(hooked.hook, record):
                continue
            match runs_without_asking(hooked.hook.nodes, record, self._node):
                case True:
                    hooked.add(event)
                case None:
                    hooked.kept.append(_Kept(event, self._clock() + KEPT_MS))
                case False:
                    pass

    def status(self, document: StatusDocument) -> None:
        """Whether this node speaks for the cluster: then what was kept lately is told by it."""
        is_speaker = speaker(picture_of(document)) == self._node
        now_ms = self._clock()
        for hooked in self._hooked:
            while hooked.kept and hooked.kept[0].until_ms < now_ms:
                hooked.kept.popleft()
            if is_speaker:
                while hooked.kept:
                    hooked.add(hooked.kept.popleft().event)

    def unreachable(self, reason: str) -> None:
        """What waits is told all the same."""

    def counts(self) -> Mapping[str, int]:
        """By hook: told, tried, failed, given up, dropped, waiting, not kept."""
        found: dict[str, int] = {}
        for hooked in self._hooked:
            counts = {"dropped": 0, "waiting": len(hooked.queue), "unkept": hooked.memory.unwritten}
            found |= {f"{hooked.hook.name}_{word}": n for word, n in (counts | hooked.queue.counts).items()}
        return found

    def close(self) -> None:
        """Give what an orderly stop has told a moment, then end what runs; what is not told stays for the next life."""
        self._last_turns()
        for hooked in self._hooked:
            if hooked.program is not None:
                hooked.program.end()
                hooked.program = None
            hooked.memory.close()

    def _last_turns(self) -> None:
        until_ms = self._clock() + LAST_MS
        while (now_ms := self._clock()) < until_ms:
            self.turn(now_ms)
            running = self.filenos()
            if not running:
                return
            poll = (
                select.poll()
            )  # select(2) knows no descriptor above 1023, and strangers may have taken those below
            for descriptor in running:
                poll.register(descriptor, select.POLLIN)
            poll.poll(until_ms - now_ms)

    def _programs(self) -> Iterator[Program]:
        return (hooked.program for hooked in self._hooked if hooked.program is not None)

    def _take(self, hooked: _Hooked, ending: Ending, now_ms: int) -> None:
        if ending.status == 0 and not ending.is_late:
            over: Event | None = hooked.queue.succeeded()
        else:
            is_final = bool(hooked.hook.url) and ending.status == WEBHOOK_NEVER
            over = hooked.queue.failed(ending.text, now_ms, is_final=is_final)
        if over is not None:
            hooked.memory.done(over)


def hooks_outlet(configuration: Configuration, node: str, run_dir: Path, log: OwnLog) -> HooksOutlet:
    """The hooks of the file; what fails is a line of the log."""

    def complain(text: str) -> None:
        log.write("warning", "hook-failed", text)

    return HooksOutlet(configuration.hooks, configuration.name, node, run_dir / DIRECTORY, complain)


def _program(hook: Hook, told: Told, now_ms: int) -> Program:
    limit_ms = now_ms + hook.timeout_s * 1000
    if hook.command:
        return Program(hook.command, body(told), environment(told), limit_ms)
    wish = {"url": hook.url, "timeout_s": hook.timeout_s, "key": told.event.key}
    command = (sys.executable, "-I", "-S", str(WEBHOOK))
    given = json.dumps(wish).encode() + b"\n" + body(told)
    return Program(command, given, environment(told), limit_ms + GRACE_MS)
