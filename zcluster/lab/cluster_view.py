"""What the daemons themselves say, put together from the status of each.

What must hold: pure, but for `ask_status`. The epoch decides: of two nodes that name different holders of a
group, the one that knows the higher epoch is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zcluster.adapters.control_socket import FILE_NAME, ask
from zcluster.errors import ControlSocketError

Status = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who holds a group, at which epoch (the ballot's counter). Nobody: an empty holder."""

    holder: str
    epoch: int


NOBODY = Ownership("", 0)
_WHOLE = 100


def ask_status(run_directory: Path, timeout_s: float) -> Status | None:
    """The status document of the daemon whose control socket lies there; None if it does not answer."""
    try:
        status = ask(run_directory / FILE_NAME, {"ask": "status"}, timeout_s)
    except ControlSocketError:
        return None
    return status if "groups" in status else None


def ownership_of(group: str, statuses: Mapping[str, Status]) -> Ownership:
    """What the node with the newest knowledge says about a group."""
    newest = NOBODY
    for _, status in sorted(statuses.items()):
        for row in status["groups"]:
            counter = int(row["counter"] or 0)
            if row["name"] == group and (counter, bool(row["holder"])) > (newest.epoch, bool(newest.holder)):
                newest = Ownership(str(row["holder"] or ""), counter)
    return newest


def holders_by_group(statuses: Mapping[str, Status], groups: Sequence[str]) -> dict[str, Ownership]:
    """Every group's ownership, as the statuses say."""
    return {group: ownership_of(group, statuses) for group in groups}


def complaints(statuses: Mapping[str, Status], powered: list[str], groups: list[str]) -> list[str]:
    """What is not yet as it should be among the daemons on hosts with power; empty when all is well."""
    found = [f"{node} does not answer" for node in powered if node not in statuses]
    for node, status in sorted(statuses.items()):
        if not status["cluster_id"]:
            found.append(f"{node} is of no cluster yet")
            continue
        deaf = [name for name in powered if name not in _heard(status)]
        if deaf:
            found.append(f"{node} does not hear {', '.join(deaf)}")
        unheld = [row["name"] for row in status["groups"] if not row["holder"]]
        if unheld:
            found.append(f"{node} sees no holder of {', '.join(unheld)}")
    found.extend(_disagreements(statuses, groups))
    found.extend(_without_switch(statuses))
    found.extend(_without_copies(statuses, powered))
    if not found:
        found.extend(_unready(statuses, groups))
    return found


def slaves(statuses: Mapping[str, Status]) -> list[str]:
    """The names of the slaves that stand ready, the primary slave first, as the first node sees them."""
    for _, status in sorted(statuses.items()):
        ready = [row for row in status["nodes"] if row["position"] and not row["unready"]]
        return [str(row["name"]) for row in sorted(ready, key=lambda row: int(row["position"]))]
    return []


def _heard(status: Status) -> set[str]:
    return {str(row["name"]) for row in status["nodes"] if row["is_heard"] or row["is_self"]}


def _disagreements(statuses: Mapping[str, Status], groups: list[str]) -> list[str]:
    found = []
    for group in groups:
        said = {
            row["holder"] for status in statuses.values() for row in status["groups"] if row["name"] == group
        }
        if len(said) > 1:
            found.append(f"nodes name different holders of {group}: {', '.join(sorted(map(str, said)))}")
    return found


def _without_switch(statuses: Mapping[str, Status]) -> list[str]:
    """Where a switch belongs, it must have been seen and be well."""
    found = []
    for node, status in sorted(statuses.items()):
        switch = status.get("switch")
        if switch is None:
            continue
        if not switch["is_known"]:
            found.append(f"{node} has not seen its switch yet")
        found += [f"{node}: {problem}" for problem in switch["problems"]]
    return found


def _without_copies(statuses: Mapping[str, Status], powered: list[str]) -> list[str]:
    """Where a switch belongs, each node must have all records of every other one."""
    found = []
    for node, status in sorted(statuses.items()):
        copies = status.get("copies")
        if copies is None:
            continue
        whole = {row["name"] for row in copies["nodes"] if row["percent"] == _WHOLE}
        lacking = [name for name in powered if name not in whole and name != node]
        if lacking:
            found.append(f"{node} has no whole copy of {', '.join(lacking)}")
    return found


def _unready(statuses: Mapping[str, Status], groups: list[str]) -> list[str]:
    """Each node that holds nothing must stand ready in the eyes of all."""
    holders = {ownership_of(group, statuses).holder for group in groups}
    idle = [node for node in statuses if node not in holders]
    found = []
    for node, status in sorted(statuses.items()):
        ready = {str(row["name"]) for row in status["nodes"] if row["position"] and not row["unready"]}
        waiting = [name for name in idle if name not in ready]
        if waiting:
            found.append(f"{node} does not see {', '.join(waiting)} standing ready")
    return found
