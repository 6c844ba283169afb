from __future__ import annotations

from random import Random

from tests.sim.agenda import Agenda
from zcluster.control.actions import StoreDurable
from zcluster.control.document import Durable
from zcluster.control.events import Event, Stored, StoreFailed
from zcluster.simulator.disk import QUICK_MS, SLOW_MS, Disk


def disk(agenda: Agenda, seed: int = 1) -> tuple[Disk, list[tuple[int, Event]]]:
    told: list[tuple[int, Event]] = []
    return Disk(Durable(), Random(seed), agenda.at, lambda life, event: told.append((life, event))), told


def test_a_write_counts_when_it_is_on_disk_and_not_before() -> None:
    agenda = Agenda()
    made, told = disk(agenda)
    made.store(StoreDurable(1, Durable(ceiling=64)), 7, 0.0)
    assert made.content.ceiling == 0
    assert not told
    agenda.run()
    assert made.content.ceiling == 64
    assert told == [(7, Stored(1))]
    assert QUICK_MS[0] <= agenda.now <= QUICK_MS[1]


def test_writes_land_in_their_order() -> None:
    agenda = Agenda()
    made, told = disk(agenda)
    for number in (1, 2, 3):
        made.store(StoreDurable(number, Durable(ceiling=number)), 1, 0.0)
    agenda.run()
    assert [event for _, event in told] == [Stored(1), Stored(2), Stored(3)]
    assert made.content.ceiling == 3


def test_a_crash_loses_what_waits_and_perhaps_what_is_under_way() -> None:
    found = set()
    for seed in range(20):
        agenda = Agenda()
        made, told = disk(agenda, seed)
        made.store(StoreDurable(1, Durable(ceiling=1)), 1, 0.0)
        made.store(StoreDurable(2, Durable(ceiling=2)), 1, 0.0)
        made.crash()
        agenda.run()
        assert not told
        found.add(made.content.ceiling)
    assert found == {0, 1}


def test_a_full_disk_says_so_and_keeps_what_it_had() -> None:
    agenda = Agenda()
    made, told = disk(agenda)
    made.failing_until = 1000.0
    made.store(StoreDurable(1, Durable(ceiling=1)), 1, 0.0)
    agenda.run()
    assert isinstance(told[0][1], StoreFailed)
    assert made.content.ceiling == 0


def test_a_slow_disk_takes_its_time() -> None:
    agenda = Agenda()
    made, _ = disk(agenda)
    made.slow_until = 1.0
    made.store(StoreDurable(1, Durable(ceiling=1)), 1, 0.0)
    agenda.run()
    assert SLOW_MS[0] <= agenda.now <= SLOW_MS[1]
