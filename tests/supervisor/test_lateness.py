from __future__ import annotations

from collections.abc import Callable
from typing import cast

from zcluster.supervisor.lateness import SAMPLE_BEATS, Lateness
from zcluster.supervisor.round_trips import EVERY_MS, LARGEST_AGE_MS, RoundTrips
from zcluster.supervisor.side_thread import SideThread

BEAT_MS = 20


def heard(lateness: Lateness, beats: int, late_ms: int, begin: int = 0) -> None:
    """Beats that come on `quick` at once and on `slow` later."""
    for sequence in range(begin, begin + beats, SAMPLE_BEATS):
        now_ms = sequence * BEAT_MS
        lateness.note("n2", "quick", sequence, True, now_ms)
        lateness.note("n2", "slow", sequence, False, now_ms + late_ms)


def test_a_link_that_is_later_is_told_by_how_much() -> None:
    lateness = Lateness()
    heard(lateness, 200, 15)
    assert lateness.known() == {("n2", "quick"): 0, ("n2", "slow"): 15}


def test_a_change_is_followed_within_three_seconds() -> None:
    lateness = Lateness()
    heard(lateness, 200, 0)
    heard(lateness, 3000 // BEAT_MS, 18, 200)
    assert 15 <= lateness.known()["n2", "slow"] <= 18


def test_a_copy_whose_first_was_not_seen_tells_nothing() -> None:
    lateness = Lateness()
    lateness.note("n2", "slow", SAMPLE_BEATS, False, 100)
    lateness.note("n2", "quick", 2 * SAMPLE_BEATS, True, 200)
    lateness.note("n2", "slow", SAMPLE_BEATS, False, 900)
    assert lateness.known() == {("n2", "quick"): 0}


class LaterThread:
    """A side thread whose errands wait until they are wanted."""

    def __init__(self) -> None:
        self.errands: list[Callable[[], object]] = []

    def submit(self, errand: Callable[[], object]) -> bool:
        self.errands.append(errand)
        return True

    def work(self) -> None:
        while self.errands:
            self.errands.pop()()


def test_asking_waits_for_nothing_and_the_kernel_is_asked_now_and_then() -> None:
    thread, measured = LaterThread(), [180]
    places = {"n2": [("ring1", "10.0.0.2"), ("ring2", "10.1.0.2")]}
    trips = RoundTrips(
        [7701],
        lambda node: places.get(node, []),
        cast(SideThread, thread),
        lambda _: {"10.0.0.2": measured[0]},
    )
    assert trips.of(["n2", "n3"], 0) == {}
    thread.work()
    assert trips.of(["n2", "n3"], EVERY_MS - 1) == {("n2", "ring1"): 180}
    assert not thread.errands
    measured[0] = 250
    assert trips.of(["n2"], EVERY_MS) == {("n2", "ring1"): 180}
    thread.work()
    assert trips.of(["n2"], EVERY_MS + 1) == {("n2", "ring1"): 250}
    assert trips.of(["n2"], 2 * EVERY_MS + LARGEST_AGE_MS) == {}
