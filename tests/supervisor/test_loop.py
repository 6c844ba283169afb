from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from threading import Timer

import pytest

from zcluster.control.actions import Action, AskReference, CloseAddresses, Exit
from zcluster.control.events import Closed, Event, ReferenceSeen, Tick
from zcluster.supervisor.loop import LARGEST_ROUNDS, Loop


class Script:
    """A core, its hands, a chore and a clock that write down what was asked of them, in order."""

    def __init__(self) -> None:
        self.story: list[object] = []
        self.now_ms = 1000
        self.deadline_ms = 1000
        self.answers: dict[Event, list[Action]] = {}
        self.outcomes: dict[Action, Sequence[Event]] = {}
        self.is_over = False

    def clock(self) -> int:
        return self.now_ms

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        self.story.append((event, now_ms))
        if isinstance(event, Tick):
            self.deadline_ms = now_ms + 20
        return self.answers.get(event, [])

    def deadline(self) -> int:
        return self.deadline_ms

    def perform(self, action: Action, now_ms: int) -> Sequence[Event]:
        self.story.append(action)
        self.is_over = isinstance(action, Exit)
        return self.outcomes.get(action, ())


class Pipe:
    """A descriptor that brings events; reading takes time by the script's clock."""

    def __init__(self, script: Script, reading_takes_ms: int = 0) -> None:
        self.script = script
        self.reading_takes_ms = reading_takes_ms
        self.read_end, self.write_end = os.pipe()
        self.waiting: list[Event] = []

    def bring(self, *events: Event) -> None:
        self.waiting.extend(events)
        os.write(self.write_end, b"x")

    def receive(self) -> list[Event]:
        """One event a call, as a bounded batch would."""
        self.script.now_ms += self.reading_takes_ms
        event = self.waiting.pop(0)
        if not self.waiting:
            os.read(self.read_end, 100)
        return [event]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def loop(script: Script) -> Iterator[Loop]:
    loop = Loop(script, script, (), script.clock)
    yield loop
    loop.close()


def test_the_end_of_each_turn_is_told_with_whether_time_was_judged(script: Script) -> None:
    ends: list[bool] = []
    loop = Loop(script, script, (), script.clock, after_turn=ends.append)
    pipe = Pipe(script)
    loop.watch(pipe.read_end, pipe.receive)
    loop.turn()
    pipe.bring(seen(1))
    loop.turn()
    loop.close()
    assert ends == [True, False]
    assert [entry[0] for entry in script.story if isinstance(entry, tuple)] == [Tick(), seen(1)]


def seen(number: int) -> Event:
    return ReferenceSeen(f"link{number}")


def test_every_socket_is_empty_before_the_time_is_told(script: Script, loop: Loop) -> None:
    first, second = Pipe(script), Pipe(script)
    loop.watch(first.read_end, first.receive)
    loop.watch(second.read_end, second.receive)
    first.bring(seen(1), seen(2), seen(3))
    second.bring(seen(4))
    loop.turn()
    assert [entry[0] for entry in script.story if isinstance(entry, tuple)][-1] == Tick()
    assert len(script.story) == 5


def test_the_clock_is_read_after_the_message_was_taken(script: Script, loop: Loop) -> None:
    pipe = Pipe(script, reading_takes_ms=300)
    loop.watch(pipe.read_end, pipe.receive)
    pipe.bring(seen(1))
    loop.turn()
    assert script.story == [(seen(1), 1300), (Tick(), 1300)]
    assert loop.figures.worst_tick_late_ms == 300


def test_before_the_deadline_no_time_is_told(script: Script, loop: Loop) -> None:
    script.deadline_ms = 1005
    pipe = Pipe(script)
    loop.watch(pipe.read_end, pipe.receive)
    pipe.bring(seen(1))
    loop.turn()
    assert script.story == [(seen(1), 1000)]


def test_what_becomes_of_an_action_is_handled_after_all_actions_of_its_list(
    script: Script, loop: Loop
) -> None:
    script.answers = {
        Tick(): [CloseAddresses("blue", 7), AskReference()],
        Closed("blue", 7): [Exit()],
    }
    script.outcomes = {CloseAddresses("blue", 7): [Closed("blue", 7)]}
    loop.run()
    assert script.story == [
        (Tick(), 1000),
        CloseAddresses("blue", 7),
        AskReference(),
        (Closed("blue", 7), 1000),
        Exit(),
    ]


def test_a_flood_is_bounded_and_time_goes_on(script: Script, loop: Loop) -> None:
    pipe = Pipe(script)
    loop.watch(pipe.read_end, pipe.receive)
    pipe.bring(*(seen(number) for number in range(LARGEST_ROUNDS + 5)))
    loop.turn()
    assert len(script.story) == LARGEST_ROUNDS + 1
    assert script.story[-1] == (Tick(), 1000)
    assert loop.figures.floods == 1


def test_a_descriptor_forgotten_in_the_same_round_is_left_alone(script: Script, loop: Loop) -> None:
    first, second = Pipe(script), Pipe(script)

    def forget_the_other() -> list[Event]:
        loop.forget(second.read_end if first.waiting else first.read_end)
        (first if first.waiting else second).waiting.clear()
        os.read(first.read_end, 10)
        return []

    first.bring(seen(1))
    second.bring(seen(2))
    loop.watch(first.read_end, forget_the_other)
    loop.watch(second.read_end, second.receive)
    loop.turn()
    assert script.story == [(Tick(), 1000)]


def test_a_turn_that_begins_late_or_takes_long_is_told(script: Script) -> None:
    told: list[tuple[int, int]] = []

    def slow_clock() -> int:
        script.now_ms += 60
        return script.now_ms

    loop = Loop(script, script, (), script.clock, stalled=lambda late, busy: told.append((late, busy)))
    loop.turn()
    assert told == []
    loop.close()
    loop = Loop(script, script, (), slow_clock, stalled=lambda late, busy: told.append((late, busy)))
    loop.turn()
    assert len(told) == 1
    assert told[0][0] >= 60
    assert loop.figures.worst_oversleep_ms == told[0][0]
    loop.close()


class Chore:
    """Due once, at a time of its own."""

    def __init__(self, due_ms: int, events: Sequence[Event]) -> None:
        self.due_ms: int | None = due_ms
        self.events = events

    def deadline(self) -> int | None:
        return self.due_ms

    def run(self, now_ms: int) -> Sequence[Event]:
        self.due_ms = None
        return self.events


def test_chores_run_when_due_and_their_events_are_handled(script: Script) -> None:
    script.deadline_ms = 50_000
    early, late = Chore(1000, [seen(1)]), Chore(2000, [seen(2)])
    loop = Loop(script, script, (early, late), script.clock)
    loop.turn()
    assert script.story == [(seen(1), 1000)]
    script.now_ms = 2000
    loop.turn()
    assert script.story == [(seen(1), 1000), (seen(2), 2000)]
    loop.close()


class Pacing:
    """A pace that says what it is told to."""

    def __init__(self, blind_ms: int, gather_ms: int) -> None:
        self.times_ms = (blind_ms, gather_ms)

    def blind_ms(self) -> int:
        return self.times_ms[0]

    def gather_ms(self) -> int:
        return self.times_ms[1]


@pytest.mark.parametrize("pace", [Pacing(30_000, 0), Pacing(0, 30_000)])
def test_no_gathering_goes_beyond_what_is_due(script: Script, pace: Pacing) -> None:
    loop = Loop(script, script, (), script.clock, pace)
    pipe = Pipe(script)
    loop.watch(pipe.read_end, pipe.receive)
    pipe.bring(seen(1))
    loop.turn()
    assert script.story == [(seen(1), 1000), (Tick(), 1000)]
    loop.close()


@pytest.mark.parametrize("pace", [Pacing(20, 0), Pacing(0, 20)])
def test_one_turn_takes_what_comes_while_it_gathers(script: Script, pace: Pacing) -> None:
    script.deadline_ms = 10_000
    loop = Loop(script, script, (), script.clock, pace)
    first, second = Pipe(script), Pipe(script)
    for pipe in (first, second):
        loop.watch(pipe.read_end, pipe.receive)
    first.bring(seen(1))
    later = Timer(0.005, second.bring, [seen(2)])
    later.start()
    loop.turn()
    later.join()
    assert script.story == [(seen(1), 1000), (seen(2), 1000)]
    loop.close()


def test_a_blind_pause_in_which_nothing_comes_ends_by_itself(script: Script) -> None:
    script.deadline_ms = 10_000
    loop = Loop(script, script, (), script.clock, Pacing(5, 0))
    loop.turn()
    assert script.story == []
    loop.close()


def test_what_comes_during_a_turn_is_taken_before_a_tick_and_otherwise_in_the_next_turn(
    script: Script,
) -> None:
    for deadline_ms, expected in ((1000, [seen(1), seen(2), Tick()]), (10_000, [seen(1)])):
        script.story.clear()
        script.deadline_ms = deadline_ms
        loop = Loop(script, script, (), script.clock)
        pipe = Pipe(script)
        loop.watch(pipe.read_end, pipe.receive)
        pipe.bring(seen(1), seen(2))
        loop.turn()
        assert [entry[0] for entry in script.story if isinstance(entry, tuple)] == expected
        loop.close()
