from __future__ import annotations

from dataclasses import replace
from random import Random

from tests.sim.agenda import Agenda
from tests.sim.beats import beat
from zcluster.control.events import BeatReceived, BeatRepeated, Event
from zcluster.simulator.mix import LINKS, draw
from zcluster.simulator.network import ALL_LINKS, SERVICE_BIT, Cut, Network


class Ear:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.life = 1
        self.heard: list[Event] = []

    def deliver(self, event: Event) -> None:
        self.heard.append(event)


def network(
    loss: float = 0.0, late: float = 0.0, twice: float = 0.0
) -> tuple[Network, tuple[Ear, ...], Agenda]:
    mix = replace(draw(1), loss=loss, late=late, twice=twice, late_ms=300.0)
    agenda, ears = Agenda(), (Ear(), Ear(), Ear())
    return Network(mix, ears, agenda.at, Random(1)), ears, agenda


def test_a_beat_reaches_everybody_else_once() -> None:
    made, ears, agenda = network()
    made.send(0, beat("node1", 1), 0.0)
    agenda.run()
    assert [len(ear.heard) for ear in ears] == [0, 1, 1]
    assert isinstance(ears[1].heard[0], BeatReceived)


def test_a_cut_goes_one_way_and_ends() -> None:
    made, ears, agenda = network()
    cut = Cut(frozenset({(0, 1)}), ALL_LINKS)
    made.cut(cut)
    made.send(0, beat("node1", 1), 0.0)
    made.send(1, beat("node2", 1), 0.0)
    agenda.run()
    assert [len(ear.heard) for ear in ears] == [1, 0, 2]
    made.mend(cut)
    made.send(0, beat("node1", 2), 0.0)
    agenda.run()
    assert len(ears[1].heard) == 1


def test_one_link_left_is_enough_and_carries() -> None:
    made, ears, agenda = network()
    made.cut(Cut(frozenset({(0, 1)}), ALL_LINKS & ~SERVICE_BIT))
    made.send(0, beat("node1", 1), 0.0)
    agenda.run()
    (event,) = ears[1].heard
    assert isinstance(event, BeatReceived)
    assert event.link == LINKS[2]


def test_a_carrier_counts_at_both_ends() -> None:
    made, _, _ = network()
    made.set_carrier(2, 2, False)
    assert not made.serves(0, 2)
    assert not made.serves(2, 0)
    assert made.links_between(0, 2) == ALL_LINKS & ~SERVICE_BIT
    made.set_carrier(2, 2, True)
    assert made.serves(0, 2)


def test_a_beat_is_lost_only_when_every_link_loses_it() -> None:
    made, ears, agenda = network(loss=0.5)
    for number in range(4000):
        made.send(0, beat("node1", number), 0.0)
    agenda.run()
    assert 0.10 < 1 - len(ears[1].heard) / 4000 < 0.15


def test_a_second_copy_is_a_repetition_unless_the_process_is_another() -> None:
    for restarts, kinds in ((False, [BeatReceived, BeatRepeated]), (True, [BeatReceived, BeatReceived])):
        made, ears, agenda = network(twice=1.0)
        made.send(0, beat("node1", 1), 0.0)
        while not ears[1].heard:
            agenda.run(until=agenda.now + 0.1)
            agenda.now += 0.1
        ears[1].life += restarts
        agenda.run()
        assert [type(event) for event in ears[1].heard] == kinds


def test_late_beats_come_out_of_order() -> None:
    made, ears, agenda = network(late=0.3)
    for number in range(200):
        made.send(0, beat("node1", number), number * 20.0)
    agenda.run()
    numbers = [event.beat.sequence for event in ears[1].heard if isinstance(event, BeatReceived)]
    assert sorted(numbers) == list(range(200))
    assert numbers != sorted(numbers)


def test_healing_ends_everything() -> None:
    made, ears, agenda = network(loss=1.0, late=0.0)
    made.cut(Cut(frozenset({(0, 1)}), ALL_LINKS))
    made.set_carrier(2, 0, False)
    made.heal()
    made.send(0, beat("node1", 1), 0.0)
    agenda.run()
    assert [len(ear.heard) for ear in ears] == [0, 1, 1]
