"""`zcluster simulate`: play seeds, say what was done to the cluster, tell the story of a seed that broke a rule."""

from __future__ import annotations

import json
import sys
from statistics import median

import click

from zcluster.simulator import campaign
from zcluster.simulator.campaign import Tally
from zcluster.simulator.world import Outcome

STORIES_TOLD = 3
PROGRESS_EVERY_S = 10.0


def run(seeds: int, seed: int | None, as_json: bool, nodes: int | None = None) -> int:
    """Play `seeds` seeds from `seed` (0) on; `nodes` fixes the number of nodes. Returns 1 after a violation, else 0.

    With `as_json` the last line is {"seeds", "faults", "violations", "virtual_s", "wall_s"}.
    """
    first = seed or 0
    progress = _Progress(nodes)
    tally = campaign.run(range(first, first + seeds), nodes, seen=progress.seen)
    click.echo(summary(tally))
    if as_json:
        click.echo(json.dumps(as_record(tally)))
    return 1 if tally.broken else 0


def as_record(tally: Tally) -> dict[str, float]:
    """The figures of a run, for machines."""
    return {
        "seeds": tally.seeds,
        "faults": tally.faults.total(),
        "violations": len(tally.broken),
        "virtual_s": round(tally.virtual_s, 1),
        "wall_s": round(tally.wall_s, 1),
    }


def summary(tally: Tally) -> str:
    """The figures of a run, for people."""
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(tally.faults.items()))
    speed = tally.virtual_s / tally.wall_s if tally.wall_s else 0.0
    lines = [
        f"{tally.seeds} seeds, {tally.faults.total()} faults, {tally.openings} openings,"
        f" {len(tally.broken)} violations",
        f"{tally.virtual_s:.0f} s of cluster time in {tally.wall_s:.0f} s: {speed:.0f} times real time",
        f"faults: {kinds or 'none'}",
    ]
    for preset, took_ms in sorted(tally.takeovers.items()):
        lines.append(
            f"takeover after one death, {preset}: median {median(took_ms):.0f} ms,"
            f" worst {max(took_ms):.0f} ms of {len(took_ms)}"
        )
    if tally.broken:
        lines.append("broken: " + " ".join(str(outcome.seed) for outcome in tally.broken))
    return "\n".join(lines)


def story(outcome: Outcome, nodes: int | None) -> str:
    """What happened in a seed that broke a rule, and how to see it again."""
    option = f" --nodes {nodes}" if nodes else ""
    return (
        f"\nSeed {outcome.seed} broke a rule. The end of its story (ms of true time, who, what):\n{outcome.story}\n"
        f"Seed {outcome.seed}: {outcome.violation}\n"
        f"See it again: zcluster simulate --seed {outcome.seed}{option}\n"
    )


class _Progress:
    """Tells the first stories in full, and now and then how far the run is."""

    def __init__(self, nodes: int | None) -> None:
        self._nodes = nodes
        self._said_s = 0.0

    def seen(self, tally: Tally, outcome: Outcome) -> None:
        if outcome.violation and len(tally.broken) <= STORIES_TOLD:
            click.echo(story(outcome, self._nodes))
        if tally.wall_s - self._said_s >= PROGRESS_EVERY_S:
            self._said_s = tally.wall_s
            click.echo(f"{tally.seeds} seeds, {len(tally.broken)} violations", err=True)
            sys.stderr.flush()
