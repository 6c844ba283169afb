"""What the status document says of a freeze."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.control.cluster import Cluster, settings
from zcluster.control.document import Freeze, Pin
from zcluster.control.view import view
from zcluster.supervisor.status import Surroundings, status_of
from zcluster.supervisor.story import Story

SINCE_MS = 1_790_000_000_000
FREEZE = Freeze("new cables", "alice", "b", SINCE_MS, SINCE_MS + 90_000, (Pin("g1", "a"),), True)


def freeze_of(freeze: Freeze | None, wall_ms: int) -> Any:
    node = Cluster(settings(1, 1), ("a",)).nodes["a"]
    around = Surroundings("0.1", 1, 0, wall_ms, 200, False, (), (), (), {})
    return status_of(replace(view(node, 0), freeze=freeze), around, Story())["freeze"]


def test_what_is_not_frozen_is_null() -> None:
    assert freeze_of(None, SINCE_MS) is None


def test_a_freeze_says_who_why_since_when_and_how_long_yet() -> None:
    assert freeze_of(FREEZE, SINCE_MS + 30_000) == {
        "reason": "new cables",
        "who": "alice",
        "node": "b",
        "by": "alice@b",
        "since_ms": SINCE_MS,
        "until_ms": SINCE_MS + 90_000,
        "age_ms": 30_000,
        "left_ms": 60_000,
        "is_firm": True,
        "holders": [{"group": "g1", "node": "a"}],
    }


def test_clocks_that_differ_make_no_negative_lengths() -> None:
    assert freeze_of(FREEZE, SINCE_MS - 5)["age_ms"] == 0
    assert freeze_of(FREEZE, SINCE_MS + 95_000)["left_ms"] == 0


def test_a_freeze_without_an_end_has_no_length() -> None:
    found = freeze_of(FREEZE._replace(until_ms=0), SINCE_MS)
    assert (found["until_ms"], found["left_ms"]) == (None, None)
