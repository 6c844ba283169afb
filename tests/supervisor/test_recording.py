"""Real daemons that record themselves: what they decided is what their recordings reproduce."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.world_check import passes_in_world
from zcluster.console.replay import recorded
from zcluster.console.replay import run as replay
from zcluster.control.actions import Tell
from zcluster.lab.host import STATE_DIRECTORY
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import make_plan
from zcluster.recording.replay import Replay
from zcluster.simulator.continuation import go_on
from zcluster.simulator.continuation_command import is_broken

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]


def reproduce() -> None:
    """On a host: play its recording again."""
    assert replay(STATE_DIRECTORY, None, False) == 0


def reproduce_takeover() -> None:
    """On the host that took the group over: the takeover is among what comes out again."""
    reproduce()
    steps = [step for path in recorded(STATE_DIRECTORY) for step in Replay(path).play()]
    told = [action.code for step in steps for action in step.actions if isinstance(action, Tell)]
    assert "takeover" in told
    futures = [go_on(seed, recorded(STATE_DIRECTORY)[-1]) for seed in range(3)]
    assert [future.violation for future in futures if is_broken(future)] == []


def test_a_takeover_is_reproduced_from_the_recordings_of_all_nodes() -> None:
    def check(directory: Path) -> None:
        lab = Laboratory(directory, replace(make_plan(3, 1, "standard"), is_recording=True))
        try:
            lab.build()
            lab.wait_until_well()
            holder = lab.ownership("g1").holder
            lab.daemon_of(holder).signal(signal.SIGKILL)
            lab.wait_for(lambda: lab.ownership("g1").holder not in ("", holder), 3, "the takeover")
            lab.wait(1.0)
            winner = lab.ownership("g1").holder
            for name in lab.powered:
                work = reproduce_takeover if name == winner else reproduce
                assert lab.hosts[name].fork("replay", work).wait(20.0) == 0, name
        finally:
            lab.close()

    passes_in_world(check)
