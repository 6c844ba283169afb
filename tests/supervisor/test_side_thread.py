from __future__ import annotations

import select
import threading

import pytest

from zcluster.control.events import Event, Stored
from zcluster.supervisor.side_thread import LARGEST_WAITING_ERRANDS, Errand, SideThread, say


def received(side: SideThread, count: int) -> list[Event]:
    events: list[Event] = []
    while len(events) < count:
        assert select.select([side], [], [], 2)[0], "nothing came"
        events.extend(side.receive())
    return events


def test_results_come_back_in_order_through_the_descriptor() -> None:
    side = SideThread("side")
    assert side.receive() == []

    def errand(number: int) -> Errand:
        return lambda: say(Stored(number)) if number % 2 else None

    for number in range(50):
        assert side.submit(errand(number))
    assert received(side, 25) == [Stored(number) for number in range(1, 50, 2)]
    assert side.stop()


def test_a_disk_that_stands_still_refuses_work_instead_of_blocking() -> None:
    side, gate = SideThread("side"), threading.Event()

    def wait() -> None:
        gate.wait(5)

    side.submit(wait)
    accepted = sum(side.submit(lambda: None) for _ in range(LARGEST_WAITING_ERRANDS + 9))
    # one less where the thread has not yet taken the first from the queue
    assert LARGEST_WAITING_ERRANDS - 1 <= accepted <= LARGEST_WAITING_ERRANDS
    gate.set()
    assert side.stop()


def test_a_defect_in_an_errand_is_raised_in_the_loop() -> None:
    side = SideThread("side")

    def broken() -> None:
        raise RuntimeError("a defect")

    side.submit(broken)
    with pytest.raises(RuntimeError, match="a defect"):
        received(side, 1)
    assert side.stop()


def test_a_sequel_runs_in_the_loops_thread() -> None:
    side, ran_in = SideThread("side"), []

    def sequel() -> list[Event]:
        ran_in.append(threading.current_thread())
        return [Stored(1)]

    side.submit(lambda: sequel)
    assert received(side, 1) == [Stored(1)]
    assert ran_in == [threading.current_thread()]
    assert side.stop()
