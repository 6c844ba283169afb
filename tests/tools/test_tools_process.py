"""The real daemon with its real tools process: what dies and what moves, and what a reader hears of a takeover."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.console.test_operators import Operator
from tests.lab.world_check import passes_in_world
from zcluster.adapters.control_socket import ask
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import Network, make_plan
from zcluster.supervisor.daemon import EXIT_RESTART

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]

GROUP = "g1"
START_LIMIT_S = 60
WELL_LIMIT_S = 120
SUBSCRIBER = Path(__file__).resolve().parents[2] / "examples" / "subscriber.py"


@contextmanager
def cluster(directory: Path, nodes: int = 3) -> Iterator[Laboratory]:
    """Nodes with tools, one group, all ready."""
    lab = Laboratory(directory, replace(make_plan(nodes, 1, "standard"), has_tools=True))
    try:
        lab.build()
        lab.wait_until_well(WELL_LIMIT_S)
        yield lab
    except BaseException:
        print(lab.log_tails())
        for log in [*directory.glob("typed-*.log"), *directory.glob("subscriber.log")]:
            print(f"-- {log.name}\n{log.read_text()[-2000:]}")
        raise
    finally:
        lab.close()


def tools_of(lab: Laboratory, node: str) -> dict[str, Any]:
    """What the node's status says of its tools process."""
    return dict(lab.statuses()[node]["tools"])


def is_gone(pid: int) -> bool:
    """Whether it has ended; nobody may have looked at that yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def ignores(pid: int, number: signal.Signals) -> bool:
    """Whether that process has come to ignore it."""
    words = Path(f"/proc/{pid}/status").read_text().split()
    return bool(int(words[words.index("SigIgn:") + 1], 16) >> (number - 1) & 1)


def test_its_death_and_a_planned_restart_and_an_orderly_stop_move_nothing_and_wait_for_nothing() -> None:
    def check(directory: Path) -> None:
        with cluster(directory) as lab:
            holder = lab.ownership(GROUP).holder
            epoch = lab.ownership(GROUP).epoch
            first = tools_of(lab, holder)
            assert first["restarts"] == 0

            os.kill(first["pid"], signal.SIGKILL)
            lab.wait_for(
                lambda: tools_of(lab, holder)["pid"] not in (None, first["pid"]), START_LIMIT_S, "another one"
            )
            second = tools_of(lab, holder)
            lab.wait_for(lambda: ignores(second["pid"], signal.SIGUSR2), START_LIMIT_S, "it runs")
            assert second["restarts"] == 1
            assert "tools-ended" in lab.log_of(holder).read_text()

            assert (lab.ownership(GROUP).holder, lab.ownership(GROUP).epoch) == (holder, epoch)
            os.kill(second["pid"], signal.SIGSTOP)  # one that hangs holds nobody up
            daemon = lab.daemon_of(holder)
            daemon.signal(signal.SIGUSR2)
            assert daemon.wait(30.0) == EXIT_RESTART
            assert "stays open for the next life" in lab.log_of(holder).read_text()
            os.kill(second["pid"], signal.SIGCONT)
            lab.start_daemon(holder)
            lab.wait_until_well(WELL_LIMIT_S)
            lab.wait_for(lambda: is_gone(second["pid"]), START_LIMIT_S, "it ends with its daemon")
            lab.wait_for(lambda: tools_of(lab, holder)["pid"] is not None, START_LIMIT_S, "the next one")

    passes_in_world(check)


Origin = tuple[str, int, int]


def origins(records: Iterable[Mapping[str, Any]]) -> list[Origin]:
    return [(record["node"], record["incarnation"], record["number"]) for record in records]


def heard(log: Path) -> list[dict[str, Any]]:
    """What the subscriber printed."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]


def story_of(lab: Laboratory, node: str) -> list[dict[str, Any]]:
    """What that node's daemon knows."""
    answer: Any = ask(lab.run_of(node) / "control.sock", {"ask": "why", "group": ""}, 30.0)
    return list(answer["records"])


def test_a_reader_on_another_host_hears_every_event_of_a_takeover_in_order() -> None:
    def check(directory: Path) -> None:
        with cluster(directory) as lab:
            operator = Operator(lab)
            holder = lab.ownership(GROUP).holder
            survivor = next(node for node in lab.powered if node != holder)
            address = next(plan for plan in lab.plan.nodes if plan.name == survivor).address(Network.SERVICE)
            key, log = directory / "reader", directory / "subscriber.log"
            made = ("reader-key", "--config", str(lab.config_file), "--out", str(key))
            assert operator.types(survivor, *made)[0] == 0
            where = ("--connect", address, "--key", str(key))
            client = lab.hosts[lab.plan.client.name]
            lab.wait_for(
                lambda: operator.types(lab.plan.client.name, "status", *where)[0] == 0, START_LIMIT_S, "a bus"
            )
            command = (sys.executable, str(SUBSCRIBER), address, str(key))
            client.start("subscriber", command, log, dict(os.environ))
            lab.wait_for(lambda: log.exists() and bool(heard(log)), START_LIMIT_S, "the subscriber hears")

            epoch = lab.ownership(GROUP).epoch
            lab.cut_off(holder)
            lab.wait_for(lambda: lab.ownership(GROUP).epoch > epoch, START_LIMIT_S, "somebody took over")
            lab.wait_for(
                lambda: origins(heard(log)) == origins(story_of(lab, survivor)),
                START_LIMIT_S,
                "the subscriber has what the node has, in its order",
            )
            codes = [record["code"] for record in heard(log)]
            assert {"silent", "takeover", "state"} <= {*codes[codes.index("silent") :]}
            assert codes[codes.index("silent") :].count("takeover") == 1

            status, answer = operator.asks(lab.plan.client.name, "status", *where)
            assert (status, answer["node"]) == (1, survivor), "two of three are up"
            status, text = operator.types(lab.plan.client.name, "why", GROUP, *where)
            assert (status, holder in text) == (0, True)
            status, text = operator.types(lab.plan.client.name, "top", "--once", *where)
            assert (status, GROUP in text) == (1, True), text
            status, text = operator.types(lab.plan.client.name, "calls", *where)
            assert (status, "no data process" in text) == (3, True), text

    passes_in_world(check)
