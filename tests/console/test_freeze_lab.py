"""A frozen cluster of real daemons: a host dies and nobody takes over, loudly; thawed, somebody does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.console.test_operators import Operator
from tests.lab.world_check import passes_in_world
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import make_plan

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]

LIMIT_S = 20
REASON = "core switches are replaced"


def check(directory: Path) -> None:
    lab = Laboratory(directory, make_plan(3, 1, "standard"))
    try:
        lab.build()
        lab.wait_until_well()
        operator = Operator(lab)
        holder = lab.ownership("g1").holder
        first, second = (node for node in lab.powered if node != holder)

        status, answer = operator.asks(first, "freeze", "--for", "2h", REASON)
        assert (status, answer["ok"]) == (0, True), answer
        lab.wait_for(
            lambda: all((seen["freeze"] or {}).get("is_firm") for seen in lab.statuses().values()),
            LIMIT_S,
            "everybody knows where the group stays",
        )
        frozen = lab.statuses()[second]["freeze"]
        assert (frozen["reason"], frozen["node"]) == (REASON, first)
        assert frozen["holders"] == [{"group": "g1", "node": holder}]
        status, text = operator.types(second, "move", "g1", "--to", second)
        assert (status, REASON in text, "zcluster thaw" in text) == (1, True, True)

        lab.cut_off(holder)
        lab.wait_for(
            lambda: (
                any("has no holder" in warning["text"] for warning in lab.statuses()[first]["warnings"])
                or any("has no holder" in warning["text"] for warning in lab.statuses()[second]["warnings"])
            ),
            LIMIT_S,
            "somebody says that nobody may take it",
        )
        assert lab.ownership("g1").holder == ""
        status, text = operator.types(second, "status")
        words = " ".join(text.split())
        assert status == 2
        assert words.startswith("FROZEN by "), words
        assert f"frozen on {holder}, so start that, or `zcluster thaw`" in words
        assert "the cluster on" in operator.types(second, "why", "g1")[1]

        assert operator.types(second, "thaw")[0] == 0
        lab.wait_for(lambda: lab.ownership("g1").holder in (first, second), LIMIT_S, "somebody takes over")
        assert lab.statuses()[first]["freeze"] is None
    except BaseException:
        print(lab.log_tails())
        raise
    finally:
        lab.close()


def test_nobody_takes_over_while_the_cluster_is_frozen() -> None:
    passes_in_world(check)
