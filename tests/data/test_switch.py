from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from zcluster.data.switch import Switch
from zcluster.switch.commands import api, bgapi, sendevent
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.switch.server import EslServer
from zcluster.switch.session import ApiAsked, Asking, EventSent
from zcluster.switch.wishes import Login
from zcluster.telephony.actions import Run
from zcluster.telephony.events import (
    Answered,
    Event,
    Happened,
    PulseReturned,
    SwitchClosed,
    SwitchOpened,
    Unanswered,
)

LOOPBACK = "127.0.0.1"
PATIENCE_S = 5.0
FACTS = {"global_getvar core_uuid": "core-1", "version": "1.11.3 git abc\n", "switchname": "fsA"}


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Fake:
    """A server that knows who it is, and keeps questions of `slow` for later."""

    def __init__(self, port: int = 0) -> None:
        self.server = EslServer(LOOPBACK, port, "ClueCon")
        self.port = self.server.port
        self.slow: list[ApiAsked] = []
        self.is_echoing = True

    def turn(self) -> None:
        self.serve(self.server.receive(now_ms()))

    def serve(self, asked: list[Asking]) -> None:
        while asked:
            match asked.pop(0):
                case ApiAsked(command=command) as question if command.startswith("slow"):
                    self.slow.append(question)
                case ApiAsked(client=client, command=command, job=""):
                    asked += self.server.answer(client, FACTS.get(command, f"did {command}"))
                case ApiAsked(command=command, job=job):
                    self.server.finish_job(job, command, f"ran {command}")
                case EventSent(event=event):
                    if self.is_echoing:
                        self.server.publish(event)


class Pair:
    def __init__(self) -> None:
        self.fake: Fake | None = Fake()
        self.port = self.fake.port
        self.switch = Switch(
            LOOPBACK, self.port, Login("ClueCon"), "me", ("HEARTBEAT",), ("sofia::register",)
        )
        self.events: list[Event] = []

    def turn(self) -> None:
        if self.fake is not None:
            self.fake.turn()
        self.events += self.switch.receive(now_ms())

    def until(self, check: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not check():
            assert time.monotonic() < end, self.events
            self.turn()
            time.sleep(0.001)

    def seen(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def opened(self) -> None:
        self.until(lambda: bool(self.seen(SwitchOpened)) and self.switch.pulse.is_open)
        self.events.clear()

    def run(self, purpose: str, *words: str, limit_ms: int = 10_000) -> None:
        self.events += self.switch.run(Run(purpose, api(*words), limit_ms), now_ms())

    def kill(self) -> None:
        assert self.fake is not None
        self.fake.server.close()
        self.fake = None

    def close(self) -> None:
        self.switch.close()
        if self.fake is not None:
            self.fake.server.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    with closing(Pair()) as made:
        yield made


def test_it_says_who_it_is_before_anything_else(pair: Pair) -> None:
    fake = pair.fake
    assert fake is not None

    def turn() -> bool:
        fake.server.publish(SwitchEvent({"Event-Name": "HEARTBEAT"}))
        return len(pair.events) > 2

    pair.until(turn)
    assert pair.events[0] == SwitchOpened("core-1", "1.11.3 git abc", "fsA", False)
    assert pair.events[1] == Happened(SwitchEvent({"Event-Name": "HEARTBEAT"}))


def test_a_switch_that_is_not_there_is_told_once(pair: Pair) -> None:
    pair.kill()
    pair.until(lambda: bool(pair.events))
    end = time.monotonic() + 0.3
    pair.until(lambda: time.monotonic() > end)
    assert pair.events == [SwitchClosed("Connection refused", True)]


def test_a_killed_switch_is_told_as_gone_and_comes_back(pair: Pair) -> None:
    pair.opened()
    pair.kill()
    pair.until(lambda: bool(pair.events))
    assert isinstance(pair.events[-1], SwitchClosed)
    assert pair.events[-1].is_gone
    pair.events.clear()
    pair.fake = Fake(pair.port)
    pair.until(lambda: bool(pair.seen(SwitchOpened)))
    assert pair.events == [SwitchOpened("core-1", "1.11.3 git abc", "fsA", True)]


def test_a_conversation_that_ends_alone_is_no_dead_switch(pair: Pair) -> None:
    pair.opened()
    assert pair.fake is not None
    first = min(pair.fake.server.clients)
    pair.fake.server._forget(pair.fake.server._clients[first])
    pair.until(lambda: bool(pair.seen(SwitchOpened)))
    assert [type(each) for each in pair.events] == [SwitchClosed, SwitchOpened]
    assert pair.events[0] == SwitchClosed("the switch closed the connection", is_gone=False)


def test_the_rest_going_later_is_told(pair: Pair) -> None:
    pair.opened()
    assert pair.fake is not None
    first = min(pair.fake.server.clients)
    pair.fake.server._forget(pair.fake.server._clients[first])
    pair.events += pair.switch.receive(now_ms())
    pair.kill()
    pair.until(lambda: len(pair.events) > 1)
    assert [each.is_gone for each in pair.events if isinstance(each, SwitchClosed)] == [False, True]


def test_commands_are_answered_under_their_purpose(pair: Pair) -> None:
    pair.opened()
    pair.run("a:1", "status")
    pair.events += pair.switch.run(Run("a:2", bgapi("job-1", "sofia", "status")), now_ms())
    pair.events += pair.switch.run(Run("a:3", sendevent("CUSTOM", "zcluster::x")), now_ms())
    pair.until(lambda: len(pair.events) == 3)
    answers = {each.purpose: each.text for each in pair.events if isinstance(each, Answered)}
    assert answers["a:1"] == "did status"
    assert answers["a:2"] == "ran sofia status"
    assert answers["a:3"].startswith("+OK")


def test_a_command_without_a_switch_is_unanswered_at_once(pair: Pair) -> None:
    pair.run("a:1", "status")
    assert pair.events == [Unanswered("a:1", "the switch is not connected")]


def test_a_slow_command_ends_its_purpose_and_delays_no_pulse(pair: Pair) -> None:
    pair.opened()
    assert pair.fake is not None
    pair.run("a:1", "slow", limit_ms=60)
    pair.events += pair.switch.run(Run("a:2", bgapi("job-2", "slow"), 80), now_ms())
    pair.run("a:3", "status")
    pair.switch.send_pulse(now_ms())
    pair.until(lambda: bool(pair.seen(PulseReturned)))
    assert pair.seen(Answered) == []
    pair.until(lambda: len(pair.seen(Unanswered)) == 2)
    assert {each.purpose for each in pair.events if isinstance(each, Unanswered)} == {"a:1", "a:2"}
    pair.fake.serve(pair.fake.server.answer(pair.fake.slow[0].client, "at last"))
    pair.until(lambda: bool(pair.seen(Answered)))
    assert pair.seen(Answered) == [Answered("a:3", "did status")]
    assert pair.seen(SwitchClosed) == []


def test_what_was_asked_ends_with_the_switch(pair: Pair) -> None:
    pair.opened()
    pair.run("a:1", "slow")
    pair.events += pair.switch.run(Run("a:2", bgapi("job-3", "slow")), now_ms())
    assert pair.fake is not None
    pair.until(lambda: bool(pair.fake and pair.fake.slow))
    pair.kill()
    pair.until(lambda: bool(pair.seen(SwitchClosed)))
    ended = [each.purpose for each in pair.events if isinstance(each, Unanswered)]
    assert sorted(ended) == ["a:1", "a:2"]


def test_a_stuck_event_system_returns_no_pulse(pair: Pair) -> None:
    pair.opened()
    assert pair.fake is not None
    pair.fake.is_echoing = False
    pair.switch.send_pulse(now_ms())
    pair.run("a:1", "status")
    pair.until(lambda: bool(pair.seen(Answered)))
    assert pair.seen(PulseReturned) == []
    assert pair.switch.pulse.oldest_pulse_ms is not None
