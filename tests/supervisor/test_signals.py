"""Signals of this very process, as the loop reads them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from zcluster.control.events import RestartAsked, StopAsked
from zcluster.supervisor.signals import STOP_LIMIT_MS, StopSignals


@pytest.fixture
def given_up() -> list[int]:
    return []


@pytest.fixture
def signals(given_up: list[int]) -> Iterator[StopSignals]:
    made = StopSignals(lambda: 1000, lambda: given_up.append(1))
    yield made
    made.close()


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_user_signal_2_asks_for_a_planned_restart_and_stops_nothing(signals: StopSignals) -> None:
    send(signal.SIGUSR2)
    assert signals.receive() == [RestartAsked("signal")]
    assert not signals.is_stopping
    assert signals.deadline() is None


def test_a_stop_is_asked_once_and_bounded(signals: StopSignals, given_up: list[int]) -> None:
    send(signal.SIGTERM)
    assert signals.receive() == [StopAsked()]
    assert signals.is_stopping
    assert signals.deadline() == 1000 + STOP_LIMIT_MS
    send(signal.SIGINT)
    assert signals.receive() == []
    assert signals.deadline() == 1000, "a second one does not wait"
    signals.run(1000)
    assert given_up == [1]


def test_the_former_ways_are_put_back() -> None:
    before = signal.getsignal(signal.SIGUSR2)
    StopSignals(lambda: 0, lambda: None).close()
    assert signal.getsignal(signal.SIGUSR2) == before
