"""Whole trials with a switch beside each real daemon, and telephones: what an operator sees of a takeover."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]

LIMIT_S = 180
CALLS = 5
KEYS = ["calls", "recovered", "first_reinvite_ms", "last_reinvite_ms"]


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """A directory of its own, with a short name: a Unix socket's path has room for 107 bytes."""
    directory = tempfile.mkdtemp(prefix="zlab-")
    yield {**os.environ, "TMPDIR": directory}
    left = list(Path(directory).iterdir())
    shutil.rmtree(directory)
    assert left == []


@pytest.mark.parametrize("fault", ["kill-switch", "stall-switch", "kill-host"])
def test_calls_live_on_elsewhere(environment: dict[str, str], fault: str) -> None:
    size = ["--nodes", "3", "--groups", "1", "--trials", "1", "--calls", str(CALLS)]
    command = [sys.executable, "-m", "zcluster", "lab", "trial", *size, "--fault", fault, "--json"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert list(line)[-4:] == KEYS
    assert (line["calls"], line["recovered"]) == (CALLS, CALLS), done.stderr
    assert line["from"] != line["to"]
    assert 0 < line["first_reinvite_ms"] <= line["last_reinvite_ms"]
