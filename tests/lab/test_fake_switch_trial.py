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


def trial(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """One trial with calls."""
    command = [sys.executable, "-m", "zcluster", "lab", "trial", "--trials", "1", "--json"]
    return subprocess.run(
        [*command, "--calls", str(CALLS), *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@pytest.mark.parametrize("fault", ["kill-switch", "stall-switch", "kill-host"])
def test_calls_live_on_elsewhere(environment: dict[str, str], fault: str) -> None:
    done = trial(environment, "--nodes", "3", "--groups", "1", "--fault", fault)
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert list(line)[-4:] == KEYS
    assert (line["calls"], line["recovered"]) == (CALLS, CALLS), done.stderr
    assert line["from"] != line["to"]
    assert 0 < line["first_reinvite_ms"] <= line["last_reinvite_ms"]


def test_the_same_calls_live_on_a_second_time_and_those_of_another_master_notice_nothing(
    environment: dict[str, str],
) -> None:
    size = ["--nodes", "4", "--groups", "2"]
    done = trial(environment, *size, "--fault", "kill-switch", "--others", str(CALLS), "--again")
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert second["from"] == first["to"]
    assert second["to"] != first["to"]
    for line in (first, second):
        assert list(line)[-6:] == [*KEYS, "others", "others_disturbed"]
        assert (line["calls"], line["recovered"]) == (CALLS, CALLS), done.stderr
        assert (line["others"], line["others_disturbed"]) == (CALLS, 0), done.stderr


def test_calls_that_cannot_be_placed_are_a_bad_trial_and_not_the_end(environment: dict[str, str]) -> None:
    """A telephone that is not sipp: it says nothing and ends."""
    directory = Path(environment["TMPDIR"])
    (directory / "sipp").write_text("#!/bin/sh\nexit 1\n")
    (directory / "sipp").chmod(0o700)
    path = f"{directory}{os.pathsep}{environment['PATH']}"
    size = ["--nodes", "3", "--groups", "1", "--trials", "2", "--fault", "kill-switch"]
    done = trial({**environment, "PATH": path}, *size)
    (directory / "sipp").unlink()
    assert done.returncode == 1
    assert [json.loads(line)["recovered"] for line in done.stdout.splitlines()] == [0, 0]
    for number in (1, 2):
        assert f"trial {number}: calls that did not stand within" in done.stderr
