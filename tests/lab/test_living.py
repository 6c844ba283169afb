"""The laboratory with the real daemon in it, through the command line as an operator uses it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]

LIMIT_S = 180
LAPSE_MS = 150  # how many probes a busy machine loses is for bench/; a lease that lapsed or a move costs more
KEYS = ["fault", "preset", "group", "from", "to", "outage_ms", "answered_twice", "epoch"]


KILL_THE_DAEMON = """
for process in /proc/[0-9]*; do
    [ "$(readlink $process/ns/net)" = "$(readlink /proc/self/ns/net)" ] || continue
    tr '\\0' ' ' < $process/cmdline | grep -q 'zcluster [r]un' && kill -9 ${process#/proc/}
done
"""


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """A directory of its own, with a short name: a Unix socket's path has room for 107 bytes."""
    directory = tempfile.mkdtemp(prefix="zlab-")
    yield {**os.environ, "TMPDIR": directory}
    left = list(Path(directory).iterdir())
    shutil.rmtree(directory)
    assert left == []


def lab(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zcluster", "lab", *words]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def trials(environment: dict[str, str], fault: str, *words: str) -> list[dict[str, object]]:
    size = ["--nodes", "3", "--groups", "1"]
    done = lab(environment, "trial", *size, "--fault", fault, "--json", *words)
    assert done.returncode == 0, done.stderr
    assert f"{fault}, standard, 3 nodes, 1 groups:" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        assert list(line) == KEYS
        assert (line["fault"], line["preset"], line["group"]) == (fault, "standard", "g1")
        assert line["answered_twice"] is False
    return lines


def stays(line: dict[str, object]) -> None:
    assert line["from"] == line["to"]
    missed_ms = line["outage_ms"] or 0.0
    assert isinstance(missed_ms, float)
    assert missed_ms < LAPSE_MS


@pytest.mark.parametrize("fault", ["kill-host", "isolate"])
def test_a_holder_that_is_gone_is_replaced(environment: dict[str, str], fault: str) -> None:
    first, second = trials(environment, fault, "--trials", "2")
    for line in (first, second):
        assert line["from"] != line["to"]
        assert isinstance(line["outage_ms"], float)
        assert line["outage_ms"] > 50
    assert second["from"] == first["to"]
    assert isinstance(first["epoch"], int)
    assert isinstance(second["epoch"], int)
    assert second["epoch"] > first["epoch"]


def test_cut_cluster_links_move_nothing(environment: dict[str, str]) -> None:
    (line,) = trials(environment, "cut-links", "--trials", "1")
    stays(line)


@pytest.mark.parametrize("fault", ["restart-daemon", "no-multicast"])
def test_what_is_no_failure_moves_nothing(environment: dict[str, str], fault: str) -> None:
    (line,) = trials(environment, fault, "--trials", "1")
    stays(line)


def test_a_flushed_ruleset_costs_a_beat_or_two(environment: dict[str, str]) -> None:
    (line,) = trials(environment, "flush-rules", "--trials", "1")
    stays(line)


def test_a_proxy_does_not_hinder_a_takeover(environment: dict[str, str]) -> None:
    (line,) = trials(environment, "proxy-arp", "--trials", "1")
    assert line["from"] != line["to"]
    assert isinstance(line["outage_ms"], float)
    assert line["outage_ms"] > 50


def test_the_roster_changes_without_a_move(environment: dict[str, str]) -> None:
    for fault in ("remove-node", "add-node"):
        (line,) = trials(environment, fault, "--trials", "1")
        stays(line)


def test_one_of_two_nodes_goes_on_without_the_other(environment: dict[str, str]) -> None:
    done = lab(environment, "trial", "--fault", "two-nodes", "--trials", "3", "--json")
    assert done.returncode == 0, done.stderr
    assert "two-nodes, standard, 2 nodes, 1 groups: 3 trials" in done.stderr
    for line in map(json.loads, done.stdout.splitlines()):
        assert {line["from"], line["to"]} == {"n1", "n2"}
        assert line["answered_twice"] is False


def test_two_nodes_are_two(environment: dict[str, str]) -> None:
    done = lab(environment, "trial", "--fault", "two-nodes", "--nodes", "3")
    assert done.returncode != 0
    assert "--nodes 2" in done.stderr


def test_a_switchover_is_short_and_measured(environment: dict[str, str]) -> None:
    (line,) = trials(environment, "switchover", "--trials", "1")
    assert line["from"] != line["to"]
    assert isinstance(line["outage_ms"], float)
    assert line["outage_ms"] > 0


def test_after_a_power_cut_every_group_is_held_again(environment: dict[str, str]) -> None:
    (line,) = trials(environment, "power-all", "--trials", "1")
    assert line["to"]
    assert isinstance(line["outage_ms"], float)


def test_the_demo_tells_what_happened(environment: dict[str, str]) -> None:
    done = lab(environment, "demo")
    assert done.returncode == 0, done.stderr
    assert "the outage was" in done.stdout
    assert "back, as slave" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_laboratory_that_stays_can_be_played_with(environment: dict[str, str]) -> None:
    size = ["--nodes", "3", "--groups", "1"]
    with started([sys.executable, "-m", "zcluster", "lab", "up", *size], environment) as up:
        assert up.stdout is not None
        head = ""
        while "Ctrl-C" not in head:
            line = up.stdout.readline()
            assert line, head
            head += line

        seen = lab(environment, "status")
        assert seen.returncode == 0, seen.stdout
        assert seen.stdout.startswith("Group g1 is held; 2 slaves stand ready.")
        holder = seen.stdout.split("10.77.9.101    answered by ")[1].split()[0]

        for words in (("--", "zcluster"), ("zcluster",)):
            inside = lab(environment, "shell", holder, *words, "status", "--json")
            assert json.loads(inside.stdout)["node"] == holder
        assert "Let nothing move" in lab(environment, "shell", holder, "zcluster", "--help").stdout
        assert "can be used" in lab(environment, "shell", holder, "zcluster", "check").stdout
        assert lab(environment, "shell", "client", "hostname").stdout.strip() == "client"
        assert "no host 'n9'" in lab(environment, "shell", "n9", "true").stderr

        before = status_inside(environment, holder)
        restarted = lab(environment, "shell", holder, "zcluster", "restart-daemon")
        assert restarted.returncode == 0, restarted.stderr
        after = next_life(environment, before)
        assert after["groups"][0]["holder"] == holder
        (log,) = Path(environment["TMPDIR"]).glob(f"zcluster-lab-*/lab-*/{holder}.log")
        assert "goes on with g1" in log.read_text(), "nothing moved"

        slave = next(node for node in ("n1", "n2", "n3") if node != holder)
        before = status_inside(environment, slave)
        lab(environment, "shell", slave, "sh", "-c", KILL_THE_DAEMON)
        next_life(environment, before)

        broken = lab(environment, "fault", "kill-daemon", holder)
        assert broken.returncode == 0, broken.stdout
        assert "kill-daemon g1: " in broken.stdout
        assert f"{holder} -> " in broken.stdout
        nothing = lab(environment, "fault", "kill-daemon", holder)
        assert nothing.returncode == 1
        assert f"{holder} holds no group" in nothing.stdout

        up.send_signal(signal.SIGINT)
        assert up.wait(10) == 0


def status_inside(environment: dict[str, str], node: str) -> dict[str, Any]:
    said = lab(environment, "shell", node, "--", "zcluster", "status", "--json").stdout
    return dict(json.loads(said)) if said.startswith("{") else {}


def next_life(environment: dict[str, str], before: dict[str, Any]) -> dict[str, Any]:
    """The status of the life after that one, which somebody else than this test starts."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        now = status_inside(environment, before["node"])
        if now and now["incarnation"] != before["incarnation"] and now["groups"][0]["holder"]:
            return now
    raise AssertionError(f"the daemon of {before['node']} has no next life")


@contextmanager
def started(command: Sequence[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended with the block, however that ends."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
