from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zcluster.control.document import Freeze
from zcluster.control.events import FreezeOver
from zcluster.supervisor.freeze_end import LOOK_MS, FreezeEnd, common_wall_ms

NOW_MS = 1_790_000_000_000
OPEN = Freeze("r", "alice", "n1", NOW_MS)
TIMED = OPEN._replace(until_ms=NOW_MS + 60_000)


class Host:
    """One daemon's view: what is frozen, its own clock, and how far the others' are ahead."""

    def __init__(self, freeze: Freeze | None, wall_ms: int, **ahead_ms: int) -> None:
        self.freeze = freeze
        self.wall_ms = wall_ms
        self.end = FreezeEnd(lambda: self.freeze, lambda: ahead_ms, lambda: self.wall_ms, 0)

    def run(self) -> tuple[object, ...]:
        return tuple(self.end.run(LOOK_MS))


def test_the_core_is_told_when_the_time_is_over_and_again() -> None:
    host = Host(TIMED, TIMED.until_ms - 1, n2=0, n3=0)
    assert host.run() == ()
    host.wall_ms += 1
    assert host.run() == (FreezeOver(NOW_MS),)
    assert host.run() == (FreezeOver(NOW_MS),)
    assert host.end.deadline() == 2 * LOOK_MS
    host.freeze = None
    assert host.run() == ()


def test_a_freeze_without_an_end_has_none() -> None:
    assert Host(OPEN, 2 * NOW_MS).run() == ()


def test_one_wrong_clock_of_three_neither_ends_a_freeze_nor_prolongs_it() -> None:
    assert Host(TIMED, 2 * NOW_MS, n2=-NOW_MS - 1000, n3=-NOW_MS - 999).run() == ()
    assert Host(TIMED, 0, n2=TIMED.until_ms, n3=TIMED.until_ms + 3).run() == (FreezeOver(NOW_MS),)
    assert Host(TIMED, NOW_MS, n2=NOW_MS, n3=2).run() == ()
    assert Host(TIMED, TIMED.until_ms, n2=-NOW_MS, n3=2).run() == (FreezeOver(NOW_MS),)


@given(st.integers(0, 2**50), st.dictionaries(st.text(max_size=3), st.integers(-(2**40), 2**40), max_size=9))
def test_half_of_the_clocks_have_come_so_far(wall_ms: int, offsets: dict[str, int]) -> None:
    clocks = [wall_ms, *(wall_ms + ahead for ahead in offsets.values())]
    common = common_wall_ms(wall_ms, offsets)
    assert common in clocks
    assert 2 * sum(clock >= common for clock in clocks) > len(clocks)
    assert 2 * sum(clock <= common for clock in clocks) >= len(clocks)
