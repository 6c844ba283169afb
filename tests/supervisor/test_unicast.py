"""Real daemons where no multicast passes: they find each other by the addresses and names of the file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.lab.world_check import passes_in_world
from zcluster.lab.configuration import cluster_file
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import Network, make_plan

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]

UNKNOWN = "x" * 64 + ".invalid"  # no label is so long, so no name server is asked
MULTICAST = re.compile(r'multicast = "239\.77\.(\d+)\.1"')


def test_a_cluster_without_any_multicast() -> None:
    plan = make_plan(3, 1, "standard")

    def unicast(found: re.Match[str]) -> str:
        names = [f"10.77.{found[1]}.{node.number}" for node in plan.nodes]
        if found[1] == "2":
            names = ["localhost"]  # ring2: a name that means nobody there
        quoted = ", ".join(f'"{name}"' for name in names)
        return f'discovery = "unicast"\npeers = [{quoted}]'

    def check(directory: Path) -> None:
        config = directory / "unicast.toml"
        text = cluster_file(plan, directory / "cluster.key")
        config.write_text(MULTICAST.sub(unicast, text))
        lab = Laboratory(directory, plan, [sys.executable, "-m", "zcluster", "run", "--config", str(config)])
        try:
            lab.build()
            lab.wait_for(
                lambda: lab.ownership("g1").holder != "" and not lab.silent_addresses(), 20, "g1 answers"
            )
            for node, status in lab.statuses().items():
                assert status["cluster_id"], node
                for peer in status["nodes"]:
                    heard = {link["name"]: link["is_heard"] for link in peer["links"]}
                    assert peer["is_self"] or heard == {"ring1": True, "ring2": False, "service": True}
            holder = lab.ownership("g1").holder
            lab.switchboard.unplug(holder, *Network)
            lab.wait_for(lambda: lab.ownership("g1").holder not in ("", holder), 3, "another holder")
            lab.switchboard.plug(holder, *Network)
            lab.wait_for(
                lambda: all(row["is_heard"] for status in lab.statuses().values() for row in status["nodes"]),
                5,
                "found again",
            )
        except BaseException:
            print(lab.log_tails())
            raise
        finally:
            lab.close()

    passes_in_world(check)
