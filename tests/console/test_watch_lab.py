"""`zcluster watch` on a host of three real daemons: a takeover, and a restart of the very daemon that it follows."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.world_check import passes_in_world
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import make_plan

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]

PATIENCE_S = 60.0


class Watching:
    """The command on a host, and the lines that it has printed."""

    def __init__(self, lab: Laboratory, node: str) -> None:
        self._log = lab.directory / "watch.log"
        command = [sys.executable, "-m", "zcluster", "watch", "story", "status", "--from-start", "--json"]
        self.process = lab.hosts[node].start("watch", command, self._log, {**os.environ})

    def lines(self) -> list[dict[str, Any]]:
        text = self._log.read_text() if self._log.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def records(self, code: str) -> list[dict[str, Any]]:
        return [
            line["record"]
            for line in self.lines()
            if line["event"] == "record" and line["record"]["code"] == code
        ]

    def until(self, is_so: Callable[[], object]) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < end_s, self.lines()[-10:]
            time.sleep(0.1)


def check(directory: Path) -> None:
    lab = Laboratory(directory, make_plan(3, 1, "patient"))
    try:
        lab.build()
        lab.wait_until_well()
        holder = lab.ownership("g1").holder
        here = next(node for node in lab.powered if node != holder)
        watching = Watching(lab, here)
        watching.until(lambda: watching.records("takeover"))
        assert watching.lines()[0]["event"] in ("snapshot", "connected")

        lab.daemon_of(holder).signal(signal.SIGKILL)
        watching.until(lambda: len(watching.records("takeover")) == 2)
        watching.until(lambda: any(line["event"] == "verdict" for line in watching.lines()))

        lab.start_daemon(holder)
        lab.wait_until_well()
        lab.daemon_of(here).signal(signal.SIGKILL)
        assert lab.daemon_of(here).wait(10) != 0
        watching.until(lambda: any(line["event"] == "disconnected" for line in watching.lines()))
        lab.start_daemon(here)
        watching.until(lambda: len([line for line in watching.lines() if line["event"] == "connected"]) == 2)
        watching.until(lambda: [one for one in watching.records("started") if one["node"] == here][1:])

        watching.process.signal(signal.SIGINT)
        assert watching.process.wait(30) == 0
        told = [line["record"] for line in watching.lines() if line["event"] == "record"]
        identities = [(one["node"], one["incarnation"], one["number"]) for one in told]
        assert len(identities) == len({*identities}), "a record was shown twice"
        own = [number for node, _, number in identities if node == holder]
        assert own, "the holder told nothing"
        for node, incarnation in {(node, incarnation) for node, incarnation, _ in identities}:
            numbers = [number for *life, number in identities if life == [node, incarnation]]
            assert numbers == sorted(numbers)
    finally:
        lab.close()


def test_watch_sees_a_takeover_and_survives_its_own_daemon() -> None:
    passes_in_world(check)
