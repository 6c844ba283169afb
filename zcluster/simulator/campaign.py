"""Many seeds on all cores, and what they add up to.

A worker plays a seed without keeping its story; only a seed that breaks an invariant is played again to tell it.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from zcluster.simulator.host import CoreFactory
from zcluster.simulator.kernel import Kernel
from zcluster.simulator.mix import draw
from zcluster.simulator.story import Story
from zcluster.simulator.world import Outcome, World

SEEDS_IN_A_BATCH = 4


@dataclass(slots=True)
class Tally:
    """The sum of many outcomes."""

    seeds: int = 0
    virtual_s: float = 0.0
    wall_s: float = 0.0
    openings: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    takeovers: dict[str, list[float]] = field(default_factory=dict)
    broken: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one seed."""
        self.seeds += 1
        self.virtual_s += outcome.virtual_ms / 1000
        self.openings += outcome.openings
        self.faults.update(outcome.faults)
        for preset, took_ms in outcome.takeovers:
            self.takeovers.setdefault(preset, []).append(took_ms)
        if outcome.violation:
            self.broken.append(outcome)


def play(
    seed: int,
    make_core: CoreFactory,
    nodes: int | None = None,
    make_kernel: type[Kernel] = Kernel,
    told: bool = False,
    freezes: bool = True,
) -> Outcome:
    """Play one seed; `told` keeps its story."""
    return World(draw(seed, nodes, freezes), make_core, make_kernel, Story() if told else None).run()


def tell(
    seed: int,
    make_core: CoreFactory,
    nodes: int | None = None,
    make_kernel: type[Kernel] = Kernel,
    freezes: bool = True,
) -> Outcome:
    """Play a seed, and again with its story if it broke an invariant."""
    outcome = play(seed, make_core, nodes, make_kernel, freezes=freezes)
    return play(seed, make_core, nodes, make_kernel, True, freezes) if outcome.violation else outcome


def run(
    seeds: range,
    nodes: int | None = None,
    processes: int | None = None,
    seen: Callable[[Tally, Outcome], None] = lambda tally, outcome: None,
) -> Tally:
    """Play all the seeds with the production core on `processes` cores; `seen` is called after each."""
    began = time.monotonic()
    tally = Tally()
    for outcome in _outcomes(seeds, nodes, processes or os.cpu_count() or 1):
        tally.add(outcome)
        tally.wall_s = time.monotonic() - began
        seen(tally, outcome)
    tally.wall_s = time.monotonic() - began
    return tally


def _outcomes(seeds: range, nodes: int | None, processes: int) -> Iterator[Outcome]:
    batches = [(seeds[at : at + SEEDS_IN_A_BATCH], nodes) for at in range(0, len(seeds), SEEDS_IN_A_BATCH)]
    if processes == 1 or len(batches) == 1:
        yield from _flat(map(_play_batch, batches))
        return
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_prepare) as pool:
        yield from _flat(pool.imap_unordered(_play_batch, batches))


def _flat(batches: Iterable[list[Outcome]]) -> Iterator[Outcome]:
    for batch in batches:
        yield from batch


def _prepare() -> None:
    """A world is garbage only as a whole, when its seed is over: no need to look for more meanwhile."""
    gc.disable()


def _play_batch(batch: tuple[range, int | None]) -> list[Outcome]:
    from zcluster.simulator.cores import make_node

    seeds, nodes = batch
    outcomes = [tell(seed, make_node, nodes) for seed in seeds]
    gc.collect()
    return outcomes
