"""The words that every room shares: names, ballots and node states.

All times inside the core are integer milliseconds of one host's monotonic clock, rounded down, and
their names end in `_ms`. A time of one host means nothing on another.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

NodeName = str
GroupName = str
LinkName = str


class Ballot(NamedTuple):
    """One ownership of a group, also called its epoch. Ballots are ordered: counter, then node."""

    counter: int
    node: NodeName


class Pair(NamedTuple):
    """What a beat claims: a group and the counter of the sender's ballot for it."""

    group: GroupName
    counter: int


class NodeState(StrEnum):
    """What a node says of itself (the names are those of mod_ha_cluster).

    UNKNOWN is how a peer looks before it was heard; no node says it of itself.
    """

    UNKNOWN = "UNKNOWN"
    STARTING = "STARTING"
    SLAVE = "SLAVE"
    MASTER = "MASTER"
    MAINTENANCE = "MAINTENANCE"
    STOPPING = "STOPPING"
    FAILED = "FAILED"


def majority(voters: int) -> int:
    """How many of `voters` are more than half of them."""
    return voters // 2 + 1
