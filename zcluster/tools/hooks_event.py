"""What a hook is told: which events it wants, on which node it runs, and an event as JSON and as environment.

What must hold: pure. Nothing of an event is ever read by a shell: it is data on standard input, and the values of
variables that are one printable line each. An event has the same key at every try and on every node, so that who gets
it twice can tell.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from zcluster.adapters.journal import Record
from zcluster.config.configuration import Hook, HookNodes
from zcluster.tools.picture import Picture

SCHEMA = "zcluster.hook/1"
LONGEST_VALUE = 2000
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Event(NamedTuple):
    """A record under its key: the node where it happened, that node's life, and its number there."""

    key: str
    record: Record


class Told(NamedTuple):
    """One try to tell an event. `cluster`, `here`: this cluster and this node. `dropped`: events lost before it."""

    event: Event
    hook: str
    cluster: str
    here: str
    attempt: int
    dropped: int


def event_of(record: Record) -> Event:
    """The record with its key. What has no number (an older version told it) has its time instead."""
    number = record.number or record.at_ms
    return Event(f"{record.node}/{record.incarnation}/{number}", record)


def wants(hook: Hook, record: Record) -> bool:
    """Is the event one of those that the file names for this hook?"""
    group = record.facts.get("group")
    return (
        record.level in hook.levels
        and (not hook.codes or any(fnmatchcase(record.code, code) for code in hook.codes))
        and (
            not hook.groups
            or not isinstance(group, str)
            or any(fnmatchcase(group, pattern) for pattern in hook.groups)
        )
    )


def whose_affair(record: Record) -> str:
    """The node that has the group the event is about: who took it over, else who told of it."""
    to_node = record.facts.get("to_node")
    return to_node if isinstance(to_node, str) and to_node else record.node


def speaker(picture: Picture) -> str:
    """The one node that speaks for the cluster, as this one sees it: the first voter that is heard.

    A witness speaks only when no other voter is heard: its host may have nothing to speak with.
    """
    voters = [node for node in picture.nodes if node.is_voter and node.is_heard]
    return min(voters, key=lambda node: (node.is_witness, node.name)).name if voters else picture.node


def runs_without_asking(nodes: HookNodes, record: Record, here: str) -> bool | None:
    """Does this node run the hook for the event? None where only the cluster's state tells (`speaker`)."""
    match nodes:
        case HookNodes.EVERY:
            return True
        case HookNodes.HOLDER:
            return whose_affair(record) == here
        case HookNodes.ONE:
            return None


def body(told: Told) -> bytes:
    """The event as one line of JSON."""
    return (
        json.dumps(
            {
                "schema": SCHEMA,
                "hook": told.hook,
                "key": told.event.key,
                "cluster": told.cluster,
                "here": told.here,
                "attempt": told.attempt,
                "dropped": told.dropped,
                "record": told.event.record.plain(),
            },
            default=str,
        ).encode()
        + b"\n"
    )


def environment(told: Told) -> dict[str, str]:
    """All variables of the program: nothing of ours is inherited, for that holds credentials."""
    record = told.event.record
    group = record.facts.get("group")
    values: Mapping[str, object] = {
        "HOOK": told.hook,
        "KEY": told.event.key,
        "CLUSTER": told.cluster,
        "HERE": told.here,
        "ATTEMPT": told.attempt,
        "DROPPED": told.dropped,
        "NODE": record.node,
        "AT_MS": record.at_ms,
        "LEVEL": record.level,
        "CODE": record.code,
        "TEXT": record.text,
        "GROUP": group if isinstance(group, str) else "",
    }
    return {"PATH": PATH, "LANG": "C.UTF-8"} | {
        f"ZCLUSTER_{name}": _line(value) for name, value in values.items()
    }


def _line(value: object) -> str:
    text = str(value)[:LONGEST_VALUE]
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
