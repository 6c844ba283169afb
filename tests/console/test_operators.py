"""The operators' commands against real daemons, as they are typed on a host."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.world_check import passes_in_world
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import make_plan
from zcluster.supervisor.daemon import EXIT_RESTART

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]

SURE = ("--yes-they-are-dead", "--yes-they-are-dead")


class Operator:
    """Types commands on hosts of the laboratory."""

    def __init__(self, lab: Laboratory) -> None:
        self._lab = lab
        self._typed = 0

    def types(self, node: str, *words: str) -> tuple[int, str]:
        """The exit status and everything printed."""
        self._typed += 1
        log = self._lab.directory / f"typed-{self._typed}.log"
        command = [sys.executable, "-m", "zcluster", *words]
        status = self._lab.hosts[node].start("typed", command, log, dict(os.environ)).wait(30)
        return status, log.read_text()

    def asks(self, node: str, *words: str) -> tuple[int, dict[str, Any]]:
        """The same with --json: the answer stands in the last line."""
        status, text = self.types(node, *words, "--json")
        return status, json.loads(text.splitlines()[-1])


def check(directory: Path) -> None:
    lab = Laboratory(directory, make_plan(3, 1, "standard"))
    try:
        lab.build()
        lab.wait_until_well()
        operator = Operator(lab)
        holder = lab.ownership("g1").holder
        first, second = (node for node in lab.powered if node != holder)

        status, roster = operator.asks(first, "roster", "show")
        assert (status, roster["roster"], roster["generation"]) == (0, ["n1", "n2", "n3"], 1)
        status, text = operator.types(first, "roster", "add", "n9")
        assert (status, "n9 is not heard" in text) == (1, True)
        status, text = operator.types(first, "roster", "force", "--lost", second, *SURE)
        assert (status, "roster remove, which is safe" in text) == (1, True)

        assert operator.types(first, "pin", "g1", second)[0] == 0
        assert operator.types(first, "pin", "g7", second)[0] == 1
        lab.wait_for(lambda: lab.statuses()[holder]["generation"] == 2, 3, "everybody has the pin")
        assert lab.statuses()[holder]["pins"] == [{"group": "g1", "node": second}]
        assert "Pinned: g1 to" in operator.types(holder, "status")[1]
        assert operator.types(holder, "unpin", "g1")[0] == 0
        lab.wait_for(lambda: lab.statuses()[first]["pins"] == [], 3, "the pin is gone")

        status, text = operator.types(holder, "restart-daemon")
        assert (status, "g1 stays open" in text) == (0, True), text
        assert lab.daemon_of(holder).wait(5) == EXIT_RESTART
        lab.start_daemon(holder)
        lab.wait_until_well()
        assert lab.ownership("g1").holder == holder
        assert "goes on with g1: a planned restart" in lab.log_of(holder).read_text()

        assert operator.types(second, "roster", "remove", holder)[0] == 1, "it holds a group"
        for node in (holder, second):
            lab.cut_off(node)
        lab.wait_for(lambda: lab.ownership("g1").holder == "", 3, "no majority, no holder")
        status, text = operator.types(first, "status")
        assert (status, "zcluster roster force --help" in " ".join(text.split())) == (2, True)
        assert operator.types(first, "pin", "g1", first)[0] == 1, "nobody could agree"
        assert operator.types(first, "roster", "force", "--lost", holder, second)[0] == 1, (
            "asked, not answered"
        )
        status, answer = operator.asks(first, "roster", "force", "--lost", holder, second, *SURE)
        assert (status, answer["text"]) == (0, f"the roster is now {first}")
        lab.wait_for(lambda: not lab.silent_addresses(), 5, "the last one left answers")
        status, text = operator.types(first, "status")
        assert (status, "THE ROSTER WAS FORCED" in " ".join(text.split())) == (1, True)
        assert '"forced":true' in (directory / "state" / first / "journal.jsonl").read_text().replace(" ", "")

        status, text = operator.types(first, "restart-daemon")
        assert status == 0, f"the only voter restarts too: {text}"
        assert lab.daemon_of(first).wait(5) == EXIT_RESTART
        assert operator.types(first, "restart-daemon")[0] == 3
    except BaseException:
        print(lab.log_tails())
        raise
    finally:
        lab.close()


def test_what_operators_type_does_what_it_says() -> None:
    passes_in_world(check)
