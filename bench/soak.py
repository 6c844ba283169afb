"""Wrong takeovers: a calm cluster beside four busy loops on this machine, for as long as you like.

    python -m bench.soak [--minutes 15] [--preset standard] [--nodes 5] [--groups 3] [--loops 4]

Nothing is broken on purpose, so every change of a holder, every lapse and every address that misses a probe is
wrong. One JSON line at the end; exit 1 if anything was wrong. Needs root (for real-time scheduling).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import make_plan
from zcluster.lab.verdict import judge
from zcluster.lab.world import run_in_world

LOOK_EVERY_S = 20.0


@dataclass(slots=True)
class Result:
    """`missed`: the longest gap of each address that missed a probe, in ms. `node_hours`: nodes times hours."""

    preset: str
    nodes: int
    groups: int
    loops: int
    minutes: float
    node_hours: float
    load: float
    takeovers: int
    missed: dict[str, float]
    answered_twice: int
    worst_tick_late_ms: int
    worst_oversleep_ms: int


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--minutes", type=float, default=15.0)
    asked.add_argument("--preset", default="standard")
    asked.add_argument("--nodes", type=int, default=5)
    asked.add_argument("--groups", type=int, default=3)
    asked.add_argument("--loops", type=int, default=4)
    options = asked.parse_args()
    return run_in_world(lambda directory: _work(directory, options))


def _work(directory: Path, options: argparse.Namespace) -> int:
    lab = Laboratory(directory, make_plan(options.nodes, options.groups, options.preset))
    until = time.monotonic() + 60.0 * options.minutes + 60.0
    loops = [multiprocessing.Process(target=_burn, args=(until,), daemon=True) for _ in range(options.loops)]
    try:
        lab.build()
        lab.wait_until_well(60.0)
        for loop in loops:
            loop.start()
        lab.wait(5.0)
        result = _watch(lab, options)
    finally:
        for loop in loops:
            if loop.pid is not None:
                loop.kill()
        lab.close()
    print(json.dumps(asdict(result)), flush=True)
    return 1 if result.takeovers or result.missed or result.answered_twice else 0


def _burn(until: float) -> None:
    while time.monotonic() < until:
        pass


def _watch(lab: Laboratory, options: argparse.Namespace) -> Result:
    before = {group.name: lab.ownership(group.name) for group in lab.plan.groups}
    began = time.monotonic()
    missed: dict[str, float] = {}
    twice = 0
    while time.monotonic() - began < 60.0 * options.minutes:
        since_ns = time.time_ns()
        lab.observer.start_over()
        lab.wait(LOOK_EVERY_S)
        twice += len(judge(lab.observer.sightings(), {}))
        for address in lab.plan.floating:
            gap = lab.probes.outage(address, since_ns)
            if gap is not None:
                missed[address] = max(missed.get(address, 0.0), round(gap.length_ms, 1))
    after = {group.name: lab.ownership(group.name) for group in lab.plan.groups}
    counters = [status["counters"] for status in lab.statuses().values()]
    minutes = (time.monotonic() - began) / 60.0
    return Result(
        preset=options.preset,
        nodes=options.nodes,
        groups=options.groups,
        loops=options.loops,
        minutes=round(minutes, 1),
        node_hours=round(minutes * options.nodes / 60.0, 2),
        load=os.getloadavg()[0],
        takeovers=sum(after[name] != before[name] for name in before),
        missed=missed,
        answered_twice=twice,
        worst_tick_late_ms=max(counter["worst_tick_late_ms"] for counter in counters),
        worst_oversleep_ms=max(counter["worst_oversleep_ms"] for counter in counters),
    )


if __name__ == "__main__":
    sys.exit(main())
