"""A status document as the laboratory's n2 gave it after it took g1 over from n1, and records as it told them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from zcluster.adapters.journal import Record

_STATUS = json.loads((Path(__file__).parent / "status.json").read_text("utf-8"))
INCARNATION = 1795720873147


def status(**changes: Any) -> dict[str, Any]:
    """The document; `changes` replace keys of it."""
    return {**copy.deepcopy(_STATUS), **changes}


def with_group(name: str, **changes: Any) -> dict[str, Any]:
    """The document with keys of that group replaced."""
    document = status()
    for group in document["groups"]:
        if group["name"] == name:
            group.update(changes)
    return document


def with_node(name: str, **changes: Any) -> dict[str, Any]:
    """The document with keys of that node replaced."""
    document = status()
    for node in document["nodes"]:
        if node["name"] == name:
            node.update(changes)
    return document


def record(
    code: str, level: str = "notice", node: str = "n2", number: int = 1, text: str = "", **facts: object
) -> Record:
    """A record of that node."""
    return Record(1795720902805, node, level, code, text or f"{node}: {code}", facts, INCARNATION, number)


def takeover(group: str = "g1", why: str = "silence", number: int = 1, **facts: object) -> Record:
    """As n2 told it when it followed n1."""
    known: dict[str, object] = {
        **(
            {"silent_ms": 200}
            if why == "silence"
            else {"released_ms": 0}
            if why.startswith("released")
            else {}
        ),
        "open_ms": 8,
        "epoch": 2,
        "from_node": "n1",
        "to_node": "n2",
        "why": why,
    }
    facts = {**known, "group": group, **facts}
    return record("takeover", number=number)._replace(facts=facts)
