from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from zcluster.console.since import since_ms
from zcluster.errors import ZclusterError

NOW_MS = round(datetime(2026, 11, 26, 15, 4, 5).timestamp() * 1000)


def ago_s(text: str) -> int:
    return (NOW_MS - since_ms(text, NOW_MS)) // 1000


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("90s", 90),
        ("90 min", 5400),
        ("2h", 7200),
        ("3d", 259_200),
        ("15:04", 5),
        ("15:03:05", 60),
        ("15:05", 86_400 - 55),  # not yet today: yesterday's
        ("2026-11-26T15:00:05", 240),
    ],
)
def test_times_as_operators_type_them(text: str, expected_s: int) -> None:
    assert ago_s(text) == expected_s


@pytest.mark.parametrize("text", ["", "soon", "25:00", "2h ago", "-2h", "2027-01-01", "9999-99-99", "2w"])
def test_what_is_no_time_or_to_come_is_refused_in_words(text: str) -> None:
    with pytest.raises(ZclusterError, match=r"no time|in the future"):
        since_ms(text, NOW_MS)


@given(some.text(max_size=30))
def test_nothing_else_ever_comes_out(text: str) -> None:
    try:
        found = since_ms(text, NOW_MS)
    except ZclusterError:
        return
    assert 0 <= found <= NOW_MS
