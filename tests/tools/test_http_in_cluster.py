"""What a load balancer is told by a real cluster, while its holder's daemon is stopped and let go again."""

from __future__ import annotations

import http.client
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.world_check import passes_in_world
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import Network, make_plan

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]

GROUP = "g1"
PORT = 7712
LIMIT_S = 60


def asked(lab: Laboratory, node: str, path: str) -> int:
    """The status that the node's endpoint answers; 0 while nobody listens."""
    found = Path(lab.directory) / f"asked-{node}"
    address = str(lab.hosts[node].plan.address(Network.SERVICE))

    def ask() -> None:
        connection = http.client.HTTPConnection(address, PORT, timeout=LIMIT_S)
        try:
            connection.request("HEAD", path)
            answer = str(connection.getresponse().status)
        except ConnectionError:
            answer = "0"
        found.write_text(answer)

    assert lab.hosts[node].fork("ask", ask).wait(2 * LIMIT_S) == 0
    return int(found.read_text())


def masters(lab: Laboratory) -> list[str]:
    """Who says that it holds the group."""
    return [node for node in lab.powered if asked(lab, node, f"/master/{GROUP}") == 200]


def test_one_node_says_that_it_is_master_and_it_is() -> None:
    def check(directory: Path) -> None:
        lab = Laboratory(directory, replace(make_plan(3, 1, "standard"), has_tools=True))
        try:
            lab.build()
            lab.wait_until_well()
            holder = lab.ownership(GROUP).holder
            lab.wait_for(lambda: masters(lab) == [holder], LIMIT_S, "the holder says so")
            lab.wait_for(
                lambda: all(asked(lab, node, "/readyz") == 200 for node in lab.powered), LIMIT_S, "ready"
            )
            assert {asked(lab, node, "/master/other") for node in lab.powered} == {404}

            daemon = lab.daemon_of(holder).process
            os.kill(
                daemon, signal.SIGSTOP
            )  # it alone: the endpoint goes on, and must not believe it for long
            try:
                lab.wait_for(lambda: masters(lab) not in ([], [holder]), LIMIT_S, "another one is master")
                lab.wait_for(lambda: len(masters(lab)) == 1, LIMIT_S, "the old one is not any more")
                assert masters(lab) != [holder]
                assert asked(lab, holder, "/healthz") == 503
            finally:
                os.kill(daemon, signal.SIGCONT)
            lab.wait_until_well()
            lab.wait_for(lambda: asked(lab, holder, "/readyz") == 200, LIMIT_S, "it is a slave again")
            assert masters(lab) == [lab.ownership(GROUP).holder]
        except BaseException:
            print(lab.log_tails())
            raise
        finally:
            lab.close()

    passes_in_world(check)
