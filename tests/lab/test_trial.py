from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from zcluster.adapters.journal import Journal, Record
from zcluster.control.takeover import HEALTH_MOVES_LIMIT, HEALTH_MOVES_WINDOW_MS
from zcluster.lab.cluster_view import Ownership
from zcluster.lab.faults import Switchover
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import make_plan
from zcluster.lab.result import Result, summary
from zcluster.lab.telephones import CallCount
from zcluster.lab.trial import Pace, Trial

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


def test_the_summary_counts_calls_where_there_were_any() -> None:
    first = replace(MOVED, calls=CallCount(10, 10, 1.0, 2.0, 6, 0))
    second = replace(MOVED, calls=CallCount(10, 9, 1.0, 2.0, 6, 1))
    assert summary("kill-host", PLAN, [first, second]).endswith(
        "answered twice in 0, 19 of 20 calls recovered, 1 of 12 others disturbed"
    )


def test_a_group_is_not_moved_for_its_health_more_often_than_the_core_allows() -> None:
    pace = Pace()
    for at in range(HEALTH_MOVES_LIMIT):
        assert pace.seconds_before("g1", float(at)) == 0.0
        pace.count("g1", float(at))
    assert pace.seconds_before("g2", 5.0) == 0.0
    wait_s = pace.seconds_before("g1", 10.0)
    assert 10.0 + wait_s > HEALTH_MOVES_WINDOW_MS / 1000
    pace.count("g1", 10.0 + wait_s)
    assert pace.seconds_before("g1", 10.0 + wait_s) > 0.0


def test_a_group_that_came_back_between_two_looks_is_known_to_have_been_away(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path, PLAN)
    try:
        for node, epoch, to_node in (("n1", 4, "n4"), ("n2", 5, "n1"), ("n4", 3, "n9"), ("n1", 5, "n1")):
            facts = {"group": "g1", "epoch": epoch, "to_node": to_node}
            with closing(Journal(tmp_path / "state" / node)) as journal:
                journal.append([Record(1, node, "notice", "takeover", "", facts)])
        before = {group.name: Ownership("n1", 3) for group in PLAN.groups}
        trial = Trial(lab, Switchover(lab, "g1", "n1", Random(1)), PLAN.groups[0], before)
        trial.told["g1"] = [Ownership("n1", 3), Ownership("n1", 5)]
        assert trial.holders("g1") == ["n1", "n4", "n1"]
        assert trial.holders("g2") == []
    finally:
        lab.close()


def test_two_moves_in_a_row_wait_for_room_for_both() -> None:
    pace = Pace()
    for at in range(HEALTH_MOVES_LIMIT - 1):
        pace.count("g1", float(at))
    assert pace.seconds_before("g1", 10.0) == 0.0
    first_s = 10.0 + pace.seconds_before("g1", 10.0, 2)
    assert first_s > HEALTH_MOVES_WINDOW_MS / 1000
    for at_s in (first_s, first_s + 1.0):
        assert pace.seconds_before("g1", at_s) == 0.0
        pace.count("g1", at_s)
