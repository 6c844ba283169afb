from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.wire.samples import WALL_MS
from zcluster.wire.clocks import KEPT_WINDOWS, WINDOW_READINGS, Clocks

READINGS = WINDOW_READINGS * KEPT_WINDOWS


@given(
    ahead_ms=st.integers(-10_000_000, 10_000_000),
    delays_ms=st.lists(st.integers(0, 3000), min_size=1, max_size=3 * READINGS),
)
def test_the_least_late_beat_tells(ahead_ms: int, delays_ms: list[int]) -> None:
    clocks = Clocks()
    for number, delay_ms in enumerate(delays_ms):
        sent_ms = WALL_MS + 320 * number
        clocks.note("a", sent_ms + ahead_ms, sent_ms + delay_ms)
    found = clocks.offsets()["a"]
    assert ahead_ms - min(delays_ms[-READINGS:]) <= found <= ahead_ms - min(delays_ms)
    assert found <= ahead_ms, "nobody seems to be further ahead than he is"


@given(st.integers(0, READINGS), st.integers(-100_000, 100_000), st.integers(-100_000, 100_000))
def test_a_clock_that_was_set_is_seen_within_two_windows(before: int, old_ms: int, new_ms: int) -> None:
    clocks = Clocks()
    for _ in range(before):
        clocks.note("a", WALL_MS + old_ms, WALL_MS)
    for _ in range(READINGS):
        clocks.note("a", WALL_MS + new_ms, WALL_MS)
    assert clocks.offsets() == {"a": new_ms}


def test_nodes_are_kept_apart() -> None:
    clocks = Clocks()
    clocks.note("a", WALL_MS + 700, WALL_MS)
    clocks.note("b", WALL_MS - 20, WALL_MS)
    assert clocks.offsets() == {"a": 700, "b": -20}
