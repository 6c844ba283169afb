"""Planned restarts of a holder whose next life stands still before its first action, again and again."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from zcluster.control.events import RestartAsked
from zcluster.control.timing import PRESETS
from zcluster.control.units import GroupName
from zcluster.simulator.checkers import Violation
from zcluster.simulator.cores import make_node
from zcluster.simulator.host import Host
from zcluster.simulator.kernel import Kernel
from zcluster.simulator.mix import draw
from zcluster.simulator.world import World

pytestmark = pytest.mark.slow  # `make test` runs it, `make check` does not

SEEDS = range(40)


class LateKernel(Kernel):
    """Slot 0 runs from its pointing, as if the core itself had it armed, and not from before its clock was read."""

    __slots__ = ("_lease_ms",)

    def __init__(self, groups: tuple[GroupName, ...], random: Random, rate: float) -> None:
        super().__init__(groups, random, rate)
        self._lease_ms = 0

    def arm(self, slot: int, groups: tuple[GroupName, ...], lease_ms: int, now: float) -> None:
        super().arm(slot, groups, lease_ms, now)
        self._lease_ms = lease_ms

    def point(self, group: GroupName, slot: int, decided: float, now: float) -> None:
        if slot == 0:
            self._armed[group][0] = now + self._lease_ms / self.rate
        super().point(group, slot, decided, now)


def founded(seed: int, make_kernel: type[Kernel] = Kernel) -> tuple[World, Host]:
    """A calm world of three whose first group is held, and its holder."""
    mix = draw(seed, 3)
    settings = replace(
        mix.settings, timing=PRESETS["standard"], groups=mix.settings.groups[:1], never_master=()
    )
    mix = replace(mix, settings=settings, is_founded=True, kinds=(), loss=0.0, late=0.0, twice=0.0)
    world = World(mix, make_node, make_kernel)
    for host in world.hosts:
        host.boot()
    world.run_until(3_000)
    (holder,) = [host for host in world.hosts if host.answers(world.group_names[0])]
    return world, holder


def restart(world: World, holder: Host, run_ms: float) -> float:
    """The longest time, in steps of a millisecond, for which nobody answered for the group."""
    holder.deliver(RestartAsked("restart"))
    longest = silent = 0.0
    ends = world.now + run_ms
    while world.now < ends:
        world.run_until(world.now + 1)
        answering = world.ownership.answering(world.group_names[0], world.now)
        silent = 0.0 if answering else silent + 1
        longest = max(longest, silent)
    return longest


def test_a_restart_in_time_misses_nothing_and_goes_on_with_the_epoch() -> None:
    for seed in SEEDS:
        world, holder = founded(seed)
        holder.restart_ms, holder.stalled_starts = (2_400.0,), 0.0
        before = holder.incarnation
        assert restart(world, holder, 4_000) == 0.0, seed
        assert holder.answers(world.group_names[0])
        assert holder.incarnation > before
        assert world.ownership.openings == 1


def test_however_late_the_first_action_comes_nobody_answers_twice() -> None:
    moved = 0
    for seed in SEEDS:
        world, holder = founded(seed)
        holder.restart_ms, holder.stalled_starts = (2_600.0,), 1.0
        restart(world, holder, 7_000)
        moved += not holder.answers(world.group_names[0])
    assert moved, "none came too late: nothing was tested"


def test_an_element_that_is_armed_late_would_answer_beside_the_next_holder() -> None:
    broken = 0
    for seed in SEEDS:
        world, holder = founded(seed, LateKernel)
        holder.restart_ms, holder.stalled_starts = (2_600.0,), 1.0
        try:
            restart(world, holder, 7_000)
        except Violation as violation:
            broken += violation.rule == "S1"
    assert broken, "the rule that slot 0 is armed before the clock is read protects nothing"
