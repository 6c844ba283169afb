"""The one thread that drives the core: wait, drain every socket, then tell the time.

What must hold:
- A message is taken from its socket *before* the clock is read for it. A voter's grant runs from that reading,
  so a reading older than the message would let the grant end before the holder's lease.
- A `Tick` is handed in only after every socket was empty (or a bound was reached under a flood): silence is
  judged on what truly did not come, also after this process stood still.
- Actions are performed in their order right after each event; what fails comes back through the same inbox.
- Nothing here forks or waits for a disk, and every batch has a bound. The only sleep is the gathering, never beyond
  what is due: the copies of one beat come over several links within that time, and one turn takes them all.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from zcluster.control.actions import Action
from zcluster.control.events import Event, Tick

LARGEST_ROUNDS = 16
LARGEST_READY = 64
LARGEST_INBOX_EVENTS = 4096
LONGEST_WAIT_MS = 1000

Stalled = Callable[[int, int], None]
AfterTurn = Callable[[bool], None]
Intake = Callable[[], Sequence[Event]]


class Core(Protocol):
    """The control core's two doors."""

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        """Take one event, return what to do."""

    def deadline(self) -> int:
        """When a Tick is due, in monotonic milliseconds."""


class Hands(Protocol):
    """Who performs actions."""

    is_over: bool

    def perform(self, action: Action, now_ms: int) -> Sequence[Event]:
        """Do it; what became of it, where it can fail."""


class Chore(Protocol):
    """Something that is due now and then, beside the core."""

    def deadline(self) -> int | None:
        """When `run` is due, in monotonic milliseconds; None for not at all."""

    def run(self, now_ms: int) -> Sequence[Event]:
        """Do what is due."""


class Pace(Protocol):
    """How long to let things gather, asked once a turn."""

    def blind_ms(self) -> int:
        """Before looking for anything at all; 0 to wake up with the first thing that comes."""

    def gather_ms(self) -> int:
        """After the first thing came."""


@dataclass(slots=True)
class LoopFigures:
    """What the loop measured of itself. A turn is everything between two waits."""

    turns: int = 0
    events: int = 0
    ticks: int = 0
    busy_us: int = 0
    worst_turn_us: int = 0
    worst_tick_late_ms: int = 0
    worst_oversleep_ms: int = 0
    floods: int = 0


def monotonic_ms() -> int:
    """The clock of the core: monotonic milliseconds, rounded down."""
    return time.monotonic_ns() // 1_000_000


class Loop:
    """Drives `core` with what the watched descriptors bring, until `hands.is_over`.

    Without a `pace` nothing is gathered. `after_turn(has_ticked)` is called at the end of each turn;
    `stalled(overslept_ms, busy_ms)` is told of a turn that began `stall_ms`
    too late or took that long.
    """

    def __init__(
        self,
        core: Core,
        hands: Hands,
        chores: Sequence[Chore] = (),
        clock: Callable[[], int] = monotonic_ms,
        pace: Pace | None = None,
        stalled: Stalled | None = None,
        stall_ms: int = 50,
        after_turn: AfterTurn | None = None,
    ) -> None:
        self._core = core
        self._hands = hands
        self._chores = tuple(chores)
        self._clock = clock
        self._pace = pace
        self._stalled = stalled
        self._stall_ms = stall_ms
        self._after_turn = after_turn
        self._chores_ms = 0
        self._poll = select.epoll()
        self._intakes: dict[int, Intake] = {}
        self._inbox: deque[Event] = deque()
        self.figures = LoopFigures()

    def watch(self, descriptor: int, intake: Intake) -> None:
        """Call `intake` while `descriptor` is readable. One call takes a bounded batch."""
        self._intakes[descriptor] = intake
        self._poll.register(descriptor, select.EPOLLIN)

    def forget(self, descriptor: int) -> None:
        """Stop watching; call it before the descriptor is closed."""
        del self._intakes[descriptor]
        self._poll.unregister(descriptor)

    def run(self) -> None:
        """Turn until the hands are over."""
        while not self._hands.is_over:
            self.turn()

    def close(self) -> None:
        """Release the poll descriptor."""
        self._poll.close()

    def turn(self) -> None:
        """One turn: wait for the first thing to do, then do all there is."""
        due_ms = max(self._due_ms(), self._clock())
        pace = self._pace
        is_blind = pace is not None and self._sleep(pace.blind_ms(), due_ms)
        wait_ms = 0 if is_blind else max(due_ms - self._clock(), 0)
        ready = self._poll.poll(wait_ms / 1000, LARGEST_READY)
        if ready and pace is not None and not is_blind and self._sleep(pace.gather_ms(), due_ms):
            ready = self._poll.poll(0, LARGEST_READY)
        began_ns = time.perf_counter_ns()
        overslept_ms = self._clock() - due_ms
        may_tick = self._drain(ready)
        self._run_chores()
        now_ms = self._clock()
        late_ms = now_ms - self._core.deadline()
        has_ticked = late_ms >= 0 and may_tick and not self._hands.is_over
        if has_ticked:
            self.figures.ticks += 1
            self.figures.worst_tick_late_ms = max(self.figures.worst_tick_late_ms, late_ms)
            self._take(Tick(), now_ms)
        if self._after_turn is not None:
            self._after_turn(has_ticked)
        self._count_turn(time.perf_counter_ns() - began_ns, max(overslept_ms, 0))

    def _sleep(self, most_ms: int, due_ms: int) -> bool:
        """Let things gather, at most until something is due; whether there was time for that."""
        pause_ms = min(most_ms, due_ms - self._clock()) if most_ms else 0
        if pause_ms > 0:
            time.sleep(pause_ms / 1000)
        return pause_ms > 0

    def _due_ms(self) -> int:
        """When this turn must begin at the latest."""
        chores_ms = self._clock() + LONGEST_WAIT_MS
        for chore in self._chores:
            due_ms = chore.deadline()
            if due_ms is not None and due_ms < chores_ms:
                chores_ms = due_ms
        self._chores_ms = chores_ms
        return min(chores_ms, self._core.deadline())

    def _drain(self, ready: list[tuple[int, int]]) -> bool:
        """Until every socket is empty where a tick is due; otherwise what was ready. Whether a tick may follow."""
        for _ in range(LARGEST_ROUNDS):
            if not ready:
                return True
            for descriptor, _mask in ready:
                intake = self._intakes.get(descriptor)
                if intake is None:
                    continue  # forgotten by an event of this very round
                events = intake()
                if events:
                    now_ms = self._clock()
                    for event in events:
                        self._take(event, now_ms)
            if self._clock() < self._core.deadline():
                return False  # what came meanwhile is the next turn's
            ready = self._poll.poll(0, LARGEST_READY)
        self.figures.floods += 1
        return True

    def _run_chores(self) -> None:
        """What was due at the last look; what became due since comes in the next turn."""
        if self._clock() < self._chores_ms:
            return
        for chore in self._chores:
            due_ms = chore.deadline()
            if due_ms is not None and due_ms <= (now_ms := self._clock()):
                for event in chore.run(now_ms):
                    self._take(event, self._clock())

    def _take(self, event: Event, now_ms: int) -> None:
        """Hand one event in and perform what comes of it, and of that in turn."""
        inbox = self._inbox
        while True:
            self.figures.events += 1
            for action in self._core.handle(event, now_ms):
                outcome = self._hands.perform(action, now_ms)
                if outcome:
                    inbox.extend(outcome)
                    assert len(inbox) <= LARGEST_INBOX_EVENTS, "actions beget events without end"
            if not inbox:
                return
            event = inbox.popleft()
            now_ms = self._clock()

    def _count_turn(self, length_ns: int, overslept_ms: int) -> None:
        figures = self.figures
        length_us = length_ns // 1000
        figures.turns += 1
        figures.busy_us += length_us
        figures.worst_turn_us = max(figures.worst_turn_us, length_us)
        figures.worst_oversleep_ms = max(figures.worst_oversleep_ms, overslept_ms)
        busy_ms = length_us // 1000
        if self._stalled is not None and max(overslept_ms, busy_ms) >= self._stall_ms:
            self._stalled(overslept_ms, busy_ms)
