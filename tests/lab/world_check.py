"""Runs a check inside a private world, as the laboratory runs its work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from zcluster.lab.world import run_in_world


def passes_in_world(check: Callable[[Path], None]) -> None:
    """Run `check(directory)` as a world's first process; what it printed and its trace are captured."""

    def work(directory: Path) -> int:
        check(directory)
        return 0

    assert run_in_world(work) == 0, "the check failed inside its world; its trace is in the captured output"
