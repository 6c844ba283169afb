"""In a calm cluster a planned restart of the holder's daemon moves nothing; a killed daemon is replaced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zcluster.control.events import RestartAsked
from zcluster.simulator.cores import make_node
from zcluster.simulator.host import Host
from zcluster.simulator.mix import draw
from zcluster.simulator.world import World

SEEDS = range(8)


def settled(seed: int) -> tuple[World, Host, str]:
    mix = replace(draw(seed, 3), is_calm=True, kinds=(), loss=0.0, late=0.0, twice=0.0, is_founded=True)
    file = replace(mix.settings, groups=mix.settings.groups[:1], never_master=())
    world = World(replace(mix, settings=file), make_node)
    for host in world.hosts:
        host.boot()
    group = world.group_names[0]
    for _ in range(800):
        world.run_until(world.now + 10)
        holders = [host for host in world.hosts if host.answers(group)]
        if holders:
            world.run_until(world.now + 400)
            return world, holders[0], group
    pytest.fail("nobody ever held the group")


def missed_ms(world: World, group: str, for_ms: int) -> int:
    missed = 0
    for _ in range(for_ms):
        world.run_until(world.now + 1)
        missed += not any(host.answers(group) for host in world.hosts)
    return missed


@pytest.mark.parametrize("seed", SEEDS)
def test_a_planned_restart_misses_nothing(seed: int) -> None:
    world, holder, group = settled(seed)
    life = holder.life
    holder.restart_ms, holder.stalled_starts = (500.0,), 0.0
    holder.deliver(RestartAsked("upgrade"))
    assert missed_ms(world, group, 3500) == 0
    assert holder.life == life + 2, "it ended and started again"
    assert holder.answers(group), "it still holds the group"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_daemon_is_a_failover_within_its_bound(seed: int) -> None:
    world, holder, group = settled(seed)
    timing = world.settings.timing
    holder.kill()
    assert 0 < missed_ms(world, group, 2 * timing.silence_ms + 100) < timing.silence_ms
    assert not holder.answers(group)
    assert len([host for host in world.hosts if host.answers(group)]) == 1
