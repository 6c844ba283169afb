from __future__ import annotations

import select
import threading
from collections.abc import Callable

import pytest

from zcluster.control.events import Event, Stored
from zcluster.supervisor.side_thread import LARGEST_WAITING_ERRANDS, SideThread


def received(side: SideThread, count: int) -> list[Event]:
    events: list[Event] = []
    while len(events) < count:
        assert select.select([side], [], [], 2)[0], "nothing came"
        events.extend(side.receive())
    return events


def test_results_come_back_in_order_through_the_descriptor() -> None:
    side = SideThread()
    assert side.receive() == []

    def errand(number: int) -> Callable[[], Event | None]:
        return lambda: Stored(number) if number % 2 else None

    for number in range(50):
        assert side.submit(errand(number))
    assert received(side, 25) == [Stored(number) for number in range(1, 50, 2)]
    assert side.stop()


def test_a_disk_that_stands_still_refuses_work_instead_of_blocking() -> None:
    side, gate = SideThread(), threading.Event()

    def wait() -> Event | None:
        gate.wait(5)
        return None

    side.submit(wait)
    accepted = sum(side.submit(lambda: None) for _ in range(LARGEST_WAITING_ERRANDS + 9))
    # one less where the thread has not yet taken the first from the queue
    assert LARGEST_WAITING_ERRANDS - 1 <= accepted <= LARGEST_WAITING_ERRANDS
    gate.set()
    assert side.stop()


def test_a_defect_in_an_errand_is_raised_in_the_loop() -> None:
    side = SideThread()

    def broken() -> Event | None:
        raise RuntimeError("a defect")

    side.submit(broken)
    with pytest.raises(RuntimeError, match="a defect"):
        received(side, 1)
    assert side.stop()
