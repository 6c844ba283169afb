"""The real daemon with its real tools process: what dies, and what moves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.lab.world_check import passes_in_world
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import make_plan
from zcluster.supervisor.daemon import EXIT_RESTART

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]

GROUP = "g1"
START_LIMIT_S = 30


@contextmanager
def cluster(directory: Path, nodes: int = 3) -> Iterator[Laboratory]:
    """Nodes with tools, one group, all ready."""
    lab = Laboratory(directory, replace(make_plan(nodes, 1, "standard"), has_tools=True))
    try:
        lab.build()
        lab.wait_until_well()
        yield lab
    except BaseException:
        print(lab.log_tails())
        raise
    finally:
        lab.close()


def tools_of(lab: Laboratory, node: str) -> dict[str, Any]:
    """What the node's status says of its tools process."""
    return dict(lab.statuses()[node]["tools"])


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


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
            assert second["restarts"] == 1
            assert "tools-ended" in lab.log_of(holder).read_text()

            os.kill(second["pid"], signal.SIGSTOP)  # one that hangs holds nobody up
            daemon = lab.daemon_of(holder)
            began_s = time.monotonic()
            daemon.signal(signal.SIGUSR2)
            assert daemon.wait(10.0) == EXIT_RESTART
            assert time.monotonic() - began_s < 10
            os.kill(second["pid"], signal.SIGCONT)
            lab.start_daemon(holder)
            lab.wait_until_well()
            lab.wait_for(lambda: is_gone(second["pid"]), START_LIMIT_S, "it ends with its daemon")
            lab.wait_for(lambda: tools_of(lab, holder)["pid"] is not None, START_LIMIT_S, "the next one")
            assert (lab.ownership(GROUP).holder, lab.ownership(GROUP).epoch) == (holder, epoch)
            for address in lab.plan.floating:
                assert address not in lab.silent_addresses()

    passes_in_world(check)
