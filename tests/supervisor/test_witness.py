"""Two nodes and a tiny witness that is on one cluster link alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.lab.world_check import passes_in_world
from zcluster.lab.configuration import cluster_file
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import make_plan

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]

WITNESS = "n3"
ON_ONE_LINK = f"""
import socket, sys
from pyroute2 import IPRoute
from zcluster.cli import main

if socket.gethostname() == "{WITNESS}":
    with IPRoute() as netlink:
        for name in ("ring2", "svc"):
            netlink.link("set", index=netlink.link_lookup(ifname=name)[0], state="down")
            netlink.flush_addr(index=netlink.link_lookup(ifname=name)[0])
main()
"""


def test_a_witness_on_one_link_makes_two_nodes_three() -> None:
    plan = make_plan(3, 1, "standard")

    def check(directory: Path) -> None:
        config = directory / "witness.toml"
        text = cluster_file(plan, directory / "cluster.key")
        config.write_text(text.replace("[cluster]\n", f'[cluster]\nwitnesses = ["{WITNESS}"]\n'))
        lab = Laboratory(directory, plan, [sys.executable, "-c", ON_ONE_LINK, "run", "--config", str(config)])
        try:
            lab.build()
            lab.wait_for(
                lambda: lab.ownership("g1").holder != "" and not lab.silent_addresses(), 20, "g1 is held"
            )
            holder = lab.ownership("g1").holder
            other = next(node for node in ("n1", "n2") if node != holder)
            status = lab.statuses()[other]
            (witness,) = (row for row in status["nodes"] if row["is_witness"])
            assert (witness["name"], witness["is_voter"], witness["position"]) == (WITNESS, True, None)
            assert [link["name"] for link in lab.statuses()[WITNESS]["links"]] == ["ring1"]
            lab.cut_off(holder)
            lab.wait_for(
                lambda: lab.ownership("g1").holder == other, 3, "the other one, by the witness's vote"
            )
            lab.wait_for(lambda: not lab.silent_addresses(), 3, "it answers")
        except BaseException:
            print(lab.log_tails())
            raise
        finally:
            lab.close()

    passes_in_world(check)
