"""The simulator must catch cores that are wrong, and tell the same story every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.sim.puppets import make_greedy, make_hasty, make_idle, make_single_master
from zcluster.simulator import command
from zcluster.simulator.campaign import Tally, play, tell
from zcluster.simulator.cores import make_node
from zcluster.simulator.faults import KINDS
from zcluster.simulator.mix import WEIGHTS, draw


def test_every_kind_of_fault_has_a_weight_and_a_function() -> None:
    assert set(KINDS) == set(WEIGHTS)


def test_two_greedy_nodes_break_s1() -> None:
    outcome = tell(3, make_greedy)
    assert outcome.violation.startswith("S1")
    assert "answers for group1" in outcome.story


def test_an_idle_cluster_breaks_l1() -> None:
    assert play(3, make_idle).violation.startswith("L1")


def test_a_single_master_breaks_l1_in_a_calm_seed_when_it_dies() -> None:
    calm = next(seed for seed in range(1000) if _is_calm_with_one_group(seed))
    assert play(calm, make_single_master).violation.startswith("L1: ")
    assert not play(calm, make_node).violation


def _is_calm_with_one_group(seed: int) -> bool:
    mix = draw(seed)
    return mix.is_calm and len(mix.settings.groups) == 1


def test_a_core_that_wants_a_tick_for_ever_is_stopped() -> None:
    assert play(3, make_hasty).violation.startswith("DEADLINE")


@pytest.mark.slow
def test_the_faults_of_a_run_are_counted_by_kind() -> None:
    tally = Tally()
    for seed in range(40):
        tally.add(play(seed, make_node))
    assert not tally.broken
    assert len(tally.faults) > len(KINDS) - 4
    assert tally.openings > 40
    assert "times real time" in command.summary(tally)


def test_a_seed_is_the_same_story_in_every_process() -> None:
    script = (
        "from zcluster.simulator.campaign import play\n"
        "from zcluster.simulator.cores import make_node\n"
        "print([(o.virtual_ms, o.openings, sorted(o.faults.items()), o.story)"
        " for o in (play(s, make_node, told=True) for s in (2, 4, 7))])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": salt},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for salt in ("1", "2")
    }
    assert len(said) == 1


def test_the_last_line_is_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(2, 4, as_json=True) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(record) == {"seeds", "faults", "violations", "virtual_s", "wall_s"}
    assert record["seeds"] == 2
    assert record["violations"] == 0


def test_a_broken_seed_is_told_with_the_command_to_see_it_again() -> None:
    outcome = tell(3, make_greedy)
    text = command.story(outcome, nodes=None)
    assert "zcluster simulate --seed 3" in text
    assert outcome.violation in text
    assert 0 < len(outcome.story.splitlines()) <= 80
