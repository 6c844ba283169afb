from __future__ import annotations

from pathlib import Path

import pytest

from zcluster.simulator.campaign import tell
from zcluster.simulator.cores import make_node

# Noted before a seed could freeze the cluster.
UNFROZEN = ("once_broken", "one_death")
SEEDS = Path(__file__).parent / "seeds"


def listed(file: Path) -> list[int]:
    lines = (line.partition("#")[0].split() for line in file.read_text().splitlines())
    return [int(words[0]) for words in lines if words]


PERMANENT = [(file.stem, seed) for file in sorted(SEEDS.glob("*.txt")) for seed in listed(file)]


def test_there_are_permanent_seeds() -> None:
    assert len(PERMANENT) > 15


@pytest.mark.parametrize(("why", "seed"), PERMANENT)
def test_permanent_seed(why: str, seed: int) -> None:
    outcome = tell(seed, make_node, freezes=why not in UNFROZEN)
    assert not outcome.violation, f"{why}: {outcome.violation}\n{outcome.story}"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100_000, 100_500, 50))
def test_fresh_seeds(first: int) -> None:
    for seed in range(first, first + 50):
        outcome = tell(seed, make_node)
        assert not outcome.violation, f"seed {seed}: {outcome.violation}\n{outcome.story}"
