"""The data process as a child of this one: started, told, heard, and started again when it ends.

What must hold: nothing here keeps the loop waiting (it is made in a side thread, nothing is sent that cannot leave
now), and nothing that becomes of the child moves an address (`data_words`). It is told the whole state anew at its
start and the newest at each change. One that says nothing or reads nothing for long is ended and begun anew. It
ends with us: its end of the pair closes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from zcluster.adapters.child_process import ChildProcess
from zcluster.adapters.local_channel import LocalChannel, pair
from zcluster.control.actions import Tell
from zcluster.control.events import Event
from zcluster.errors import BadMessage, KernelRefused
from zcluster.supervisor.child_start import ChildDoors
from zcluster.supervisor.data_words import DataFacts, DataWords
from zcluster.supervisor.restarts import Restarts
from zcluster.supervisor.side_thread import Sequel
from zcluster.wire.local_link import (
    LARGEST_PACKET_BYTES,
    Completeness,
    Figures,
    Groups,
    Health,
    PacketReader,
    Peers,
    Stop,
    SwitchIdentity,
    Told,
    packets,
)

FLUSH_MS = 20
ENDING_LIMIT_MS = 1000
UNREAD_LIMIT_MS = 10_000
SILENT_LIMIT_MS = 30_000
# Before its first word, while it loads its modules on a host that has other things to do.
START_LIMIT_MS = 120_000
BATCH_PACKETS = 64
# In one second: of what it tells, what reaches the journal; of packets, what is read before it counts as broken.
LARGEST_TOLD, LARGEST_PACKETS, WINDOW_MS = 50, 2000, 1000
STOP_WAIT_S, KILL_WAIT_S = 0.3, 1.0


class NewsDoor(Protocol):
    """What the child is told (`zcluster.supervisor.data_news`)."""

    def groups(self) -> Groups: ...
    def peers(self) -> Peers: ...
    def holds_nothing(self) -> bool: ...


@dataclass(slots=True)
class _Life:
    """One data process, from the moment when its start was asked for; `child` is None until it runs.

    `groups` and `peers` are what it was told last. `unread_ms`: since when something could not leave.
    `kill_ms`: it closed its end, and has until then to end by itself.
    """

    channel: LocalChannel
    heard_ms: int
    started_ms: int
    limit_ms: int = START_LIMIT_MS
    child: ChildProcess | None = None
    reader: PacketReader = field(default_factory=PacketReader)
    groups: Groups | None = None
    peers: Peers | None = None
    flush_ms: int = 0
    unread_ms: int | None = None
    is_abandoned: bool = False
    kill_ms: int | None = None
    counted_from_ms: int = 0
    packets_left: int = LARGEST_PACKETS


class DataChild:
    """One data process at a time. It is a chore of the loop, and looks at the core after each turn."""

    def __init__(self, doors: ChildDoors, news: NewsDoor, clock: Callable[[], int]) -> None:
        self._doors = doors
        self._news = news
        self._clock = clock
        self._words = DataWords()
        self._life: _Life | None = None
        self._start_ms: int | None = clock()
        self._is_over = False
        self._restarts = Restarts()
        self._starts = 0
        self._told_from_ms = 0
        self._told_left = LARGEST_TOLD
        self.figures: Mapping[str, int] = {}
        self.counts: Counter[str] = Counter()

    def facts(self) -> DataFacts:
        """For the status."""
        child = self._life.child if self._life is not None else None
        return DataFacts(
            pid=child.pid if child is not None else None,
            restarts=max(self._starts - 1, 0),
            is_settled=self._words.is_settled,
            problems=self._words.problems(),
            completeness=self._words.completeness,
        )

    def close(self) -> None:
        """Ask it to end, and end it: nothing that it has must survive. Waits for a moment."""
        self._is_over = True
        self._start_ms = None
        life, self._life = self._life, None
        if life is None:
            return
        life.channel.send(packets(Stop()))
        life.channel.close()
        if life.child is not None and not life.child.reap(STOP_WAIT_S):
            life.child.kill()
            life.child.reap(KILL_WAIT_S)

    # ---- out

    def after_turn(self, has_ticked: bool) -> None:
        """Tell the child at once what this turn changed. Who lives is judged in ticks alone."""
        life = self._life
        if life is None or life.is_abandoned:
            return
        groups = self._news.groups()
        if groups != life.groups:
            life.groups = groups
            life.channel.send(packets(groups), "groups")
        if has_ticked or life.peers is None:
            peers = self._news.peers()
            if peers != life.peers:
                life.peers = peers
                life.channel.send(packets(peers), "peers")

    # ---- the chore

    def deadline(self) -> int | None:
        """When something is due: a start, words for the core, a full socket, a child that does not turn."""
        times = [self._start_ms, self._words.deadline(self._news.holds_nothing())]
        life = self._life
        if life is not None and not life.is_abandoned:
            times.append(life.heard_ms + life.limit_ms)
            if life.channel.waits():
                times.append(life.flush_ms)
        elif life is not None:
            times.append(life.kill_ms)
        return min((time_ms for time_ms in times if time_ms is not None), default=None)

    def run(self, now_ms: int) -> Sequence[Event]:
        """Do what is due."""
        if self._start_ms is not None and now_ms >= self._start_ms:
            self._start(now_ms)
        life = self._life
        if life is not None and not life.is_abandoned:
            self._look_after(life, now_ms)
        elif life is not None and life.kill_ms is not None and now_ms >= life.kill_ms:
            self._kill(life)
        return self._words.events(now_ms, self._news.holds_nothing())

    def _look_after(self, life: _Life, now_ms: int) -> None:
        life.channel.flush()
        life.flush_ms = now_ms + FLUSH_MS
        if not life.channel.waits():
            life.unread_ms = None
        elif life.unread_ms is None:
            life.unread_ms = now_ms
        elif now_ms - life.unread_ms >= UNREAD_LIMIT_MS:
            self._abandon(life, f"has read nothing for {(now_ms - life.unread_ms) // 1000} s")
            return
        if now_ms - life.heard_ms >= life.limit_ms:
            self._abandon(life, f"has said nothing for {(now_ms - life.heard_ms) // 1000} s")

    # ---- lives

    def _start(self, now_ms: int) -> None:
        self._start_ms = None
        channel, theirs = pair()
        life = _Life(channel, heard_ms=now_ms, started_ms=now_ms)

        def make() -> Sequel:
            try:
                child, problem = self._doors.start(theirs.fileno()), ""
            except KernelRefused as refusal:
                child, problem = None, str(refusal)
            finally:
                theirs.close()
            return lambda: self._made(life, child, problem)

        if not self._doors.submit(make):
            theirs.close()
            channel.close()
            self._failed("too much waits to be started", now_ms, 0)
            return
        self._life = life
        self._starts += 1
        self._words.begin()
        self._doors.watch(channel.fileno(), lambda: self._receive(life))

    def _made(self, life: _Life, child: ChildProcess | None, problem: str) -> Sequence[Event]:
        """In the loop: it runs, or could not be started."""
        if child is None:
            if life is self._life:
                self._end(life, problem)
            return self._words.events(self._clock(), self._news.holds_nothing())
        if life is not self._life:
            child.kill()
            child.reap(KILL_WAIT_S)
            return ()
        life.child = child
        self._doors.watch(child.fileno(), lambda: self._receive_end(life, child))
        if life.is_abandoned and life.kill_ms is None:
            child.kill()
        return ()

    def _abandon(self, life: _Life, why: str) -> None:
        """It is of no use any more: end it; its end comes back as one."""
        self._let_go(life)
        self._doors.tell(Tell("warning", "data-abandoned", f"the data process {why}, and is ended", {}))
        self._kill(life)

    def _let_go(self, life: _Life) -> None:
        """Hear it no more, and tell it nothing."""
        if not life.is_abandoned:
            life.is_abandoned = True
            self._doors.forget(life.channel.fileno())
            life.channel.close()

    def _kill(self, life: _Life) -> None:
        life.kill_ms = None
        if life.child is not None:
            life.child.kill()

    def _receive_end(self, life: _Life, child: ChildProcess) -> Sequence[Event]:
        """The child's descriptor became readable: it has ended. Its last words count."""
        self._read(life)
        self._doors.forget(child.fileno())
        ending = child.reap(KILL_WAIT_S)
        self._end(life, ending)
        return self._words.events(self._clock(), self._news.holds_nothing())

    def _end(self, life: _Life, ending: str) -> None:
        now_ms = self._clock()
        self._let_go(life)
        self._life = None
        self._words.end()
        self._failed(ending, now_ms, now_ms - life.started_ms)

    def _failed(self, ending: str, now_ms: int, lived_ms: int) -> None:
        """Begin anew, later each time."""
        pause_ms = self._restarts.pause_ms(lived_ms)
        self.counts["ended"] += 1
        self._start_ms = None if self._is_over else now_ms + pause_ms
        if self._restarts.is_told:
            text = f"the data process {ending}; no address moves, and it starts again in {pause_ms} ms"
            facts = {"failures": self._restarts.failures}
            self._doors.tell(Tell("warning", "data-ended", text, facts))

    # ---- in

    def _receive(self, life: _Life) -> Sequence[Event]:
        """It said something, or closed its end."""
        self._read(life)
        if life.channel.is_over and not life.is_abandoned:
            self._let_go(life)
            life.kill_ms = self._clock() + ENDING_LIMIT_MS
        return self._words.events(self._clock(), self._news.holds_nothing())

    def _read(self, life: _Life) -> None:
        if life.is_abandoned:
            return
        now_ms = self._clock()
        found = life.channel.receive(LARGEST_PACKET_BYTES, BATCH_PACKETS)
        if now_ms - life.counted_from_ms >= WINDOW_MS:
            life.counted_from_ms, life.packets_left = now_ms, LARGEST_PACKETS
        life.packets_left -= len(found)
        if life.packets_left < 0:
            self._abandon(life, f"says more than {LARGEST_PACKETS} things in a second")
            return
        for packet in found:
            life.heard_ms, life.limit_ms = now_ms, SILENT_LIMIT_MS
            try:
                message = life.reader.read(packet)
            except BadMessage:
                self.counts["malformed"] += 1
                continue
            match message:
                case Health() | Completeness() | SwitchIdentity():
                    self._words.hear(message, now_ms)
                case Told():
                    self._tell(message, now_ms)
                case Figures(numbers):
                    self.figures = numbers
                case Peers() | Groups() | Stop():
                    self.counts["malformed"] += 1
                case None:
                    pass

    def _tell(self, told: Told, now_ms: int) -> None:
        if now_ms - self._told_from_ms >= WINDOW_MS:
            self._told_from_ms, self._told_left = now_ms, LARGEST_TOLD
        if not self._told_left:
            self.counts["untold"] += 1
            return
        self._told_left -= 1
        self._doors.tell(Tell(told.level, told.code, told.text, told.facts))
