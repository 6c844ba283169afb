from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from click.testing import CliRunner

from tests.sim.weakened import CarelessVoter, CredulousPeer, weakened
from zcluster.cli import commands
from zcluster.simulator.cores import make_node
from zcluster.simulator.exhaustive import Scope, beginning, search
from zcluster.simulator.host import CoreFactory
from zcluster.simulator.kernel import FromReceiptKernel, Kernel, RelativeKernel
from zcluster.simulator.likeness import likeness
from zcluster.simulator.small_world import TIMING, Modes, Order, freeze, thaw

pytestmark = pytest.mark.slow  # `make test` runs it, `make check` does not


@dataclass(frozen=True)
class Removed:
    """A rule removed, and the smallest scope in which it is missed."""

    rule: str
    scope: Scope
    make_core: CoreFactory = make_node
    make_kernel: type[Kernel] = Kernel


FROM_FIRST = ((0, 1), (0, 2))
REMOVED = (
    Removed("an acknowledgement names the pair", Scope(12, 1), weakened(make_voter=CarelessVoter)),
    Removed(
        "an older sequence changes nothing",
        Scope(11, 3, ("lose", "aside"), ("vacant",), ways=FROM_FIRST),
        weakened(make_peer=CredulousPeer),
    ),
    Removed(
        "slots are armed before the beat is sent",
        Scope(14, 2, ("stall-point",), ("held",), nodes=(0,)),
        make_kernel=RelativeKernel,
    ),
    Removed(
        "the lease is counted from sending",
        Scope(14, 2, ("stall-point",), ("held",), nodes=(0,)),
        make_kernel=FromReceiptKernel,
    ),
)


def test_the_tiny_timing_is_a_safe_one() -> None:
    assert TIMING.faults() == ()


@pytest.mark.parametrize("removed", REMOVED, ids=lambda removed: removed.rule)
def test_a_removed_rule_is_noticed_and_the_whole_one_is_not(removed: Removed) -> None:
    broken = search(removed.scope, removed.make_core, removed.make_kernel)
    assert "S1" in broken.violation
    assert len(broken.course) >= 2
    assert not broken.is_complete
    whole = search(replace(removed.scope, faults=min(removed.scope.faults, 2)), make_node)
    assert whole.violation == "", whole.course
    assert whole.is_complete


@pytest.mark.slow
def test_every_single_deviation_at_every_beat_is_harmless() -> None:
    findings = search(Scope(16, 1), make_node)
    assert findings.violation == "", findings.course
    assert findings.is_complete
    assert findings.deepest == 16
    assert findings.worlds > 3000
    assert findings.alike > 300


def test_two_deviations_of_processes_are_harmless() -> None:
    scope = Scope(14, 2, ("kill", "pause"), ("held",))
    findings = search(scope, make_node)
    assert findings.violation == "", findings.course
    assert findings.is_complete


def test_a_calm_world_comes_back_to_itself() -> None:
    world = beginning("held", make_node)
    before = likeness(world, Modes())
    world.round(Modes())
    assert likeness(world, Modes()) == before
    assert world.holders() == ["node1"]


def test_a_copy_goes_on_like_its_original() -> None:
    orders = ((Order("lose", ways=((0, 1),)),), (), (Order("kill", 0),), (), (Order("boot", 0),), (), (), ())
    world = beginning("held", make_node)
    modes, copied_modes = Modes(), Modes()
    for ordered in orders:
        copy = thaw(freeze(world), make_node)
        copied_modes = copy.round(modes, ordered)
        modes = world.round(modes, ordered)
        assert likeness(copy, copied_modes) == likeness(world, modes)


def test_a_takeover_is_within_reach() -> None:
    world = beginning("held", make_node)
    modes = world.round(Modes(), (Order("kill", 0),))
    for _ in range(11):
        modes = world.round(modes)
    assert world.holders() == ["node2"]


def test_a_difference_that_matters_is_seen() -> None:
    world = beginning("held", make_node)
    calm = thaw(freeze(world), make_node)
    modes = world.round(Modes(), (Order("aside", ways=((0, 1),)),))
    calm.round(Modes())
    assert modes == Modes()
    assert likeness(world, modes) != likeness(calm, modes)


def test_a_limit_of_time_is_kept_and_said() -> None:
    findings = search(Scope(20, 2), make_node, limit_s=0.5)
    assert not findings.is_complete
    assert findings.violation == ""


def test_the_command_says_what_was_searched() -> None:
    result = CliRunner().invoke(
        commands,
        ["simulate", "--exhaustive", "--depth", "3", "--faults", "1", "--json"],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    assert "Nothing was left out, and no rule broke." in result.output
    record = json.loads(result.output.splitlines()[-1])
    assert record["is_complete"] is True
    assert record["depth"] == 3
