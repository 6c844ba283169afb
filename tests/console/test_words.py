from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from zcluster.console.words import WIDTH, counted, duration, listed, ordinal, table


@pytest.mark.parametrize(
    ("length_ms", "said"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (4210, "4.2 s"),
        (185_000, "3 min 5 s"),
        (7_980_000, "2 h 13 min"),
        (371_000_000, "4 d 7 h"),
    ],
)
def test_durations(length_ms: int, said: str) -> None:
    assert duration(length_ms) == said


def test_lists_counts_and_ordinals() -> None:
    assert [listed(["a", "b", "c"][:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert (counted(1, "slave"), counted(2, "slave")) == ("1 slave", "2 slaves")
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 21, 111)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "111th",
    ]  # fmt: skip


words = some.text("abc", min_size=1, max_size=12)


@given(some.lists(some.tuples(words, words, some.lists(words, max_size=30).map(" ".join)), max_size=5))
def test_tables_fit_the_page(rows: list[tuple[str, str, str]]) -> None:
    lines = table(("ONE", "TWO", "THREE"), rows)
    assert all(len(line) <= WIDTH for line in lines)
    text = " ".join(" ".join(lines).split())
    assert all(row[0] in text for row in rows)
