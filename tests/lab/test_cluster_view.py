from __future__ import annotations

from pathlib import Path
from typing import Any

from zcluster.lab.cluster_view import NOBODY, Ownership, ask_status, complaints, ownership_of, slaves

NODES = ["n1", "n2", "n3"]
GROUPS = ["g1", "g2"]


def status(node: str, **changes: Any) -> dict[str, Any]:
    """What `node` says of a cluster where n1 holds g1, n2 holds g2, and n3 stands ready."""
    healthy: dict[str, Any] = {
        "cluster_id": "1f",
        "groups": [
            {"name": "g1", "holder": "n1", "counter": 4},
            {"name": "g2", "holder": "n2", "counter": 7},
        ],
        "nodes": [
            {
                "name": name,
                "is_self": name == node,
                "is_heard": True,
                "position": 1 if name == "n3" else None,
                "unready": [],
            }
            for name in NODES
        ],
    }
    return {**healthy, **changes}


def well() -> dict[str, Any]:
    return {node: status(node) for node in NODES}


def test_a_healthy_cluster_has_no_complaints() -> None:
    assert complaints(well(), NODES, GROUPS) == []
    assert slaves(well()) == ["n3"]


def test_a_daemon_that_does_not_answer() -> None:
    said = well()
    del said["n2"]
    assert complaints(said, NODES, GROUPS) == ["n2 does not answer"]


def test_a_node_outside_any_cluster() -> None:
    said = {**well(), "n3": status("n3", cluster_id="")}
    assert complaints(said, NODES, GROUPS) == ["n3 is of no cluster yet"]


def test_a_group_without_holder_and_nodes_that_disagree() -> None:
    groups = [{"name": "g1", "holder": "", "counter": None}, {"name": "g2", "holder": "n2", "counter": 7}]
    found = complaints({**well(), "n3": status("n3", groups=groups)}, NODES, GROUPS)
    assert found[0] == "n3 sees no holder of g1"
    assert "different holders of g1" in found[1]


def test_a_node_that_is_not_heard() -> None:
    said = well()
    said["n1"]["nodes"][1]["is_heard"] = False
    assert complaints(said, NODES, GROUPS) == ["n1 does not hear n2"]


def test_an_idle_node_must_stand_ready() -> None:
    said = well()
    said["n2"]["nodes"][2]["unready"] = ["starting"]
    assert complaints(said, NODES, GROUPS) == ["n2 does not see n3 standing ready"]


def test_who_knows_the_higher_epoch_is_right() -> None:
    newer = [{"name": "g1", "holder": "n3", "counter": 9}, {"name": "g2", "holder": "n2", "counter": 7}]
    said = {**well(), "n2": status("n2", groups=newer)}
    assert ownership_of("g1", said) == Ownership("n3", 9)
    assert ownership_of("g2", said) == Ownership("n2", 7)


def test_nobody_says_anything() -> None:
    assert ownership_of("g1", {}) == NOBODY
    assert slaves({}) == []


def test_a_daemon_that_is_not_there_has_no_status(tmp_path: Path) -> None:
    assert ask_status(tmp_path, 0.1) is None
