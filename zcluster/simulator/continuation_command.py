"""`zcluster simulate --from FILE`: many futures of one recorded night."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click

from zcluster.errors import RecordingError
from zcluster.recording.segments import segments_of
from zcluster.simulator.continuation import Ending, ending, go_on
from zcluster.simulator.world import Outcome

STORIES_TOLD = 2


def run(file: Path, seeds: range, as_json: bool) -> int:
    """Go on from the end of `file` (of a directory: its last segment) once for each seed.

    1 when S1 or S2 broke or something raised, else 0. Raises RecordingError.
    """
    path = _last(file)
    click.echo(describe(ending(path)))
    outcomes = [go_on(seed, path) for seed in seeds]
    broken = [outcome for outcome in outcomes if is_broken(outcome)]
    restless = [outcome for outcome in outcomes if outcome.violation and not is_broken(outcome)]
    for outcome in broken[:STORIES_TOLD]:
        told = go_on(outcome.seed, path, is_told=True)
        click.echo(
            f"\nSeed {outcome.seed} broke a rule. The end of its story:\n{told.story}\n{told.violation}\n"
        )
    faults: Counter[str] = Counter()
    for outcome in outcomes:
        faults.update(outcome.faults)
    click.echo(
        f"{len(outcomes)} seeds, {faults.total()} faults, {sum(o.openings for o in outcomes)} openings:"
        f" S1 and S2 broken in {len(broken)}"
    )
    if restless:
        numbers = " ".join(str(outcome.seed) for outcome in restless[:20])
        click.echo(f"in {len(restless)} a group found no holder within the simulator's bound: {numbers}")
    if as_json:
        click.echo(json.dumps(as_record(len(outcomes), faults.total(), len(broken), len(restless))))
    return 1 if broken else 0


def as_record(seeds: int, faults: int, violations: int, restless: int) -> dict[str, int]:
    """The figures, for machines."""
    return {"seeds": seeds, "faults": faults, "violations": violations, "restless": restless}


def is_broken(outcome: Outcome) -> bool:
    """Whether a rule of safety broke; whether a group finds a holder also depends on rules of the file that the
    simulator's bounds do not know.
    """
    return bool(outcome.violation) and not outcome.violation.startswith(("L1", "L2"))


def describe(end: Ending) -> str:
    """What the seeds begin with, and what is not known."""
    situation = end.node.situation
    held = [f"{t.group} ({t.phase.name.lower()})" for t in end.node.holder.tenures.values()]
    others = [name for name in end.names if name != situation.name]
    unheard = [name for name in others if name not in situation.detector.peers]
    lines = [
        f"{end.path.name}: {end.steps} events replayed; {situation.name} is {situation.state},"
        f" holds {', '.join(held) or 'nothing'}",
        f"{situation.name} goes on as it is. {', '.join(others)} start anew at that instant, knowing what they last"
        " reported: their true state is in their own recordings.",
    ]
    if unheard:
        lines.append(f"{', '.join(unheard)} was never heard, and starts without memory.")
    return "\n".join(lines)


def _last(file: Path) -> Path:
    if not file.is_dir():
        return file
    paths = segments_of(file) or segments_of(file / "recording")
    if not paths:
        raise RecordingError(f'there is no recording in {file}; recording = "on" in [cluster] makes them')
    return paths[-1]
