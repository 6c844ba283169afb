"""Status documents for the golden tests: a well cluster, and what may be changed in it."""

from __future__ import annotations

from typing import Any

LINKS = ("hb1", "hb2", "lan")


def node(name: str, state: str = "MASTER", **changed: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": name,
        "is_self": False,
        "is_heard": True,
        "is_voter": True,
        "is_witness": False,
        "generation": 1,
        "state": state,
        "position": None,
        "holds": [],
        "unready": [],
        "heard_ms": 8,
        "links": [{"name": link, "is_heard": True, "heard_ms": 8} for link in LINKS],
        "version": "0.1.0",
    }
    return {**plain, **changed}


def group(name: str, number: int, holder: str, **changed: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": name,
        "addresses": [f"10.20.0.{number}/24", f"fd20::{number}/64"],
        "holder": holder,
        "counter": 7 if holder else None,
        "since_ms": 7_980_000 if holder else None,
        "priority": 100,
    }
    return {**plain, **changed}


def silent(name: str, heard_ms: int | None = 14_200, **changed: Any) -> dict[str, Any]:
    links = [{"name": link, "is_heard": False, "heard_ms": heard_ms} for link in LINKS]
    return node(name, "FAILED", is_heard=False, heard_ms=heard_ms, links=links, **changed)


def page(**changed: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "schema": "zcluster.status/1",
        "ok": True,
        "node": "n1",
        "cluster": "office",
        "cluster_id": "n1-18c",
        "mode": "active",
        "generation": 1,
        "is_settled": True,
        "is_forced": False,
        "quorum": 3,
        "hears_majority": True,
        "roster": ["n1", "n2", "n3", "n4", "n5"],
        "forgotten": [],
        "forget_after_ms": 10_000,
        "unadmitted": [],
        "pins": [],
        "state": "MASTER",
        "version": "0.1.0",
        "up_ms": 371_000_000,
        "expected_nodes": 5,
        "groups": [group("blue", 10, "n1"), group("green", 11, "n2"), group("red", 12, "n3")],
        "links": [{"name": link, "is_up": True, "interface": f"eth{at}"} for at, link in enumerate(LINKS)],
        "nodes": [
            node("n1", is_self=True, holds=["blue"], links=[], heard_ms=0),
            node("n2", holds=["green"]),
            node("n3", holds=["red"]),
            node("n4", "SLAVE", position=1),
            node("n5", "SLAVE", position=2),
        ],
        "warnings": [],
    }
    return {**plain, **changed}


def with_nodes(*changed: dict[str, Any]) -> list[dict[str, Any]]:
    """The well cluster's nodes, some of them replaced by name."""
    by_name = {entry["name"]: entry for entry in changed}
    return [by_name.get(entry["name"], entry) for entry in page()["nodes"]]
