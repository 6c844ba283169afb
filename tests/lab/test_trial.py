from __future__ import annotations

import json

import pytest

from zcluster.control.takeover import HEALTH_MOVES_LIMIT, HEALTH_MOVES_WINDOW_MS
from zcluster.lab.plan import make_plan
from zcluster.lab.result import Result, summary
from zcluster.lab.trial import Pace

PLAN = make_plan(5, 3, "standard")
MOVED = Result("kill-host", "standard", "g1", "n1", "n4", 191.5, False, 2)
CALM = Result("cut-links", "standard", "g1", "n1", "n1", None, False, 2)


def test_a_line_has_exactly_the_promised_keys_in_order() -> None:
    assert MOVED.line() == (
        '{"fault": "kill-host", "preset": "standard", "group": "g1", "from": "n1", "to": "n4", '
        '"outage_ms": 191.5, "answered_twice": false, "epoch": 2}'
    )
    assert json.loads(CALM.line())["outage_ms"] is None


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (MOVED, "kill-host g1: 192 ms, n1 -> n4, epoch 2"),
        (CALM, "cut-links g1: nothing missed, stayed on n1, epoch 2"),
        (
            Result("isolate", "fast", "g2", "n1", "n2", 99.0, True, 3),
            "isolate g2: 99 ms, n1 -> n2, epoch 3, ANSWERED TWICE",
        ),
    ],
)
def test_a_person_reads_words(result: Result, words: str) -> None:
    assert result.words() == words


def test_the_summary_has_median_and_worst() -> None:
    slow = Result("kill-host", "standard", "g2", "n2", "n4", 390.0, True, 2)
    assert summary("kill-host", PLAN, [MOVED, MOVED, slow]) == (
        "kill-host, standard, 5 nodes, 3 groups: 3 trials, outage median 192 ms, worst 390 ms, in 3, "
        "answered twice in 1"
    )
    assert "no outage" in summary("cut-links", PLAN, [CALM])


def test_a_group_is_not_moved_for_its_health_more_often_than_the_core_allows() -> None:
    pace = Pace()
    assert [pace.seconds_before("g1", float(at)) for at in range(HEALTH_MOVES_LIMIT)] == [
        0.0
    ] * HEALTH_MOVES_LIMIT
    assert pace.seconds_before("g2", 5.0) == 0.0
    wait_s = pace.seconds_before("g1", 10.0)
    assert 10.0 + wait_s > HEALTH_MOVES_WINDOW_MS / 1000
    assert pace.seconds_before("g1", 10.0 + wait_s) > 0.0
