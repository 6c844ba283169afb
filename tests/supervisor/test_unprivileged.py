"""The daemon without root, as its service unit runs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.lab.world_check import passes_in_world
from tests.supervisor import unprivileged
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import make_plan

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]

REFUSED = "could not be set"


def standing(process: int) -> dict[str, str]:
    """The lines of /proc/PROCESS/status."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user than our own")
def test_three_capabilities_are_enough_to_hold_an_address() -> None:
    def check(directory: Path) -> None:
        command = [sys.executable, unprivileged.__file__, str(directory / "zcluster.toml")]
        lab = Laboratory(directory, make_plan(3, 1, "standard"), [*command, str(directory / "cluster.key")])
        try:
            lab.build()
            lab.wait_until_well()
            for node in lab.powered:
                seen = standing(lab.daemon_of(node).process)
                assert set(seen["Uid"].split()) == {str(unprivileged.USER)}
                for kind in ("CapEff", "CapPrm", "CapBnd"):
                    assert int(seen[kind], 16) == unprivileged.MASK, (node, kind)
            before = lab.ownership("g1")
            lab.move("g1", before.holder)
            lab.wait_for(lambda: lab.ownership("g1").holder not in ("", before.holder), 3, "another holder")
            lab.wait_for(lambda: not lab.silent_addresses(), 3, "it answers there")

            refusals = [
                line
                for line in lab.log_of(unprivileged.WITHOUT_SETTINGS).read_text().splitlines()
                if REFUSED in line
            ]
            assert any("net.ipv4.ip_nonlocal_bind" in line for line in refusals)
            assert len(refusals) == len(set(refusals)) <= 5, "each is said once"
            status = lab.statuses()[unprivileged.WITHOUT_SETTINGS]
            assert any(REFUSED in warning["text"] for warning in status["warnings"])
        except BaseException:
            print(lab.log_tails())
            raise
        finally:
            lab.close()

    passes_in_world(check)
