from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from zcluster.supervisor.restraint import (
    CODE_A_MINUTE,
    LARGEST_KINDS,
    MINUTE_MS,
    SAME_A_MINUTE,
    HeldBack,
    Restraint,
)


def test_the_same_line_some_times_a_minute_then_how_often() -> None:
    restraint = Restraint()
    written = [restraint.admits("stalled", f"busy for {number} ms", 1000 + number) for number in range(25)]
    assert written == [True] * SAME_A_MINUTE + [False] * 15
    assert restraint.settle(1000 + MINUTE_MS - 1) == []
    assert restraint.deadline() == 1000 + MINUTE_MS
    assert restraint.settle(1000 + MINUTE_MS) == [HeldBack("stalled", 15, "busy for 24 ms")]
    assert restraint.deadline() is None
    assert restraint.admits("stalled", "busy for 1 ms", 1000 + MINUTE_MS)


def test_other_lines_are_not_held_back_for_it() -> None:
    restraint = Restraint()
    for _ in range(30):
        restraint.admits("stalled", "busy", 0)
    assert restraint.admits("takeover", "busy", 0)
    assert restraint.admits("stalled", "not given a processor", 0)


def test_a_code_with_ever_new_words_has_a_bound_too() -> None:
    restraint = Restraint()
    words = [f"{'x' * number}" for number in range(2 * LARGEST_KINDS)]
    assert sum(restraint.admits("call-lost", word, 0) for word in words) == CODE_A_MINUTE
    assert restraint.settle(MINUTE_MS)[0].count == 2 * LARGEST_KINDS - CODE_A_MINUTE


told = some.tuples(some.sampled_from("abc"), some.sampled_from(["x", "y 1", "y 2"]), some.integers(0, 20_000))


@given(some.lists(told, max_size=200))
def test_nothing_is_forgotten(steps: list[tuple[str, str, int]]) -> None:
    """Each line is written or counted, in whatever minute it comes."""
    restraint, now_ms, written, counted = Restraint(), 0, 0, 0
    for code, text, later_ms in steps:
        now_ms += later_ms
        counted += sum(held.count for held in restraint.settle(now_ms))
        written += restraint.admits(code, text, now_ms)
    counted += sum(held.count for held in restraint.settle(now_ms + MINUTE_MS))
    assert written + counted == len(steps)
