"""`zcluster roster`: who may vote, and changing that.

What must hold: showing is pure, from the status document alone. A forced roster is the one command that can make
two nodes answer for one address, so it is sent only after the risk was shown and agreed to twice.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from zcluster.adapters.control_socket import ask
from zcluster.console.status import SCHEMA as STATUS_SCHEMA
from zcluster.console.verdict import Forgotten, how_forgotten
from zcluster.console.wish import (
    AGREEMENT_WAIT_S,
    EXIT_DONE,
    EXIT_NOT_REACHABLE,
    EXIT_REFUSED,
    answer_json,
    make_wish,
)
from zcluster.console.words import counted, duration, listed, paragraph, table
from zcluster.errors import ControlSocketError

SCHEMA = "zcluster.roster/1"
CONFIRMATIONS = 2
FORCE_FLAG = "--yes-they-are-dead"
SHOWN = (
    "cluster",
    "cluster_id",
    "generation",
    "is_settled",
    "is_forced",
    "quorum",
    "hears_majority",
    "roster",
    "forgotten",
    "forget_after_ms",
    "unadmitted",
    "pins",
)

Status = Mapping[str, Any]


def show(socket_path: Path, as_json: bool) -> int:
    """Print the roster; 0, or 1 while there is none. Raises ControlSocketError, but not with `as_json`."""
    try:
        status = ask(socket_path, {"ask": "status"})
        if status.get("schema") != STATUS_SCHEMA:
            raise ControlSocketError(f"{socket_path}: not a daemon of this version")
    except ControlSocketError as error:
        if not as_json:
            raise
        print(json.dumps({"schema": SCHEMA, "ok": False, "error": str(error)}))
        return EXIT_NOT_REACHABLE
    if as_json:
        print(json.dumps(as_data(status)))
    else:
        print("\n".join(render(status)))
    return EXIT_DONE if status["cluster_id"] else EXIT_REFUSED


def change(socket_path: Path, verb: str, name: str, as_json: bool) -> int:
    """`add` or `remove` one node; 0 agreed by a majority, 1 refused. Raises ControlSocketError."""
    question = {"ask": "roster", "verb": verb, "names": [name]}
    return make_wish(socket_path, question, as_json, AGREEMENT_WAIT_S)


def force(socket_path: Path, lost: Sequence[str], confirmations: int, as_json: bool) -> int:
    """Go on without the lost nodes, without a majority; 0 done, 1 refused or not agreed to. Raises
    ControlSocketError.

    `confirmations`: how often the flag was given; twice stands for the questions that a terminal is asked.
    """
    click.echo("\n".join(risk(lost)), err=True)
    if confirmations < CONFIRMATIONS and not _agrees(lost, _ask_terminal):
        refusal = f"not forced: nothing has changed; a script says {FORCE_FLAG} twice"
        click.echo(
            answer_json({"ok": False, "error": refusal}) if as_json else f"zcluster: {refusal}",
            err=not as_json,
        )
        return EXIT_REFUSED
    question = {"ask": "roster", "verb": "force", "names": list(lost)}
    return make_wish(socket_path, question, as_json, AGREEMENT_WAIT_S)


def risk(lost: Sequence[str]) -> list[str]:
    """What forcing means, in plain words."""
    names, them = listed(lost), "it" if len(lost) == 1 else "them"
    is_are = "is" if len(lost) == 1 else "are"
    return [
        *paragraph(
            f"You are about to go on without {names} and without a majority. The others cannot know that {names} "
            f"{is_are} dead; they take your word for it."
        ),
        "",
        *paragraph(
            f"If {names} still {'runs' if len(lost) == 1 else 'run'} somewhere, behind a broken switch or in a "
            "paused machine, then two hosts may answer for the same address: calls break, and nobody but you can "
            "tell which side is right."
        ),
        "",
        *paragraph(
            f"So look first: power {them} off, or pull {'its' if len(lost) == 1 else 'their'} network cables. "
            f"Afterwards start {them} only when {'it hears' if len(lost) == 1 else 'they hear'} this node. "
            "Run this on one node alone: two operators who force different rosters make two clusters. "
            "It is written to the journal of every node."
        ),
        "",
    ]


def _ask_terminal(question: str) -> str:
    """What the operator types; nothing where nobody sits."""
    if not sys.stdin.isatty():
        return ""
    answer = click.prompt(question, default="", show_default=False, err=True)
    return str(answer).strip()


def _agrees(lost: Sequence[str], answer_to: Callable[[str], str]) -> bool:
    """Two questions that nobody answers by habit."""
    names = " ".join(lost)
    if answer_to(f"Which nodes are dead? Type: {names}\n ").split() != list(lost):
        return False
    return (
        answer_to("And you have seen with your own eyes that they are off? Type: they are dead\n ")
        == "they are dead"
    )


def as_data(status: Status) -> dict[str, object]:
    """The roster for a tool: a part of the status document."""
    nodes = [
        {
            "name": node["name"],
            "is_voter": node["is_voter"],
            "is_witness": node["is_witness"],
            "is_heard": node["is_heard"],
            "heard_ms": node["heard_ms"],
            "generation": node["generation"],
        }
        for node in status["nodes"]
    ]
    return {
        "schema": SCHEMA,
        "ok": bool(status["cluster_id"]),
        **{key: status.get(key) for key in SHOWN},
        "nodes": nodes,
    }


def render(status: Status) -> list[str]:
    """The roster for an operator."""
    if not status["cluster_id"]:
        return ["The cluster is not founded yet, so nobody votes: see `zcluster status`."]
    return [
        *paragraph(_sentence(status)),
        "",
        *table(("NODE", "VOTE", "HEARD", "GENERATION"), _rows(status)),
        *_notes(status),
    ]


def _sentence(status: Status) -> str:
    settled = "settled" if status["is_settled"] else "not settled yet: the next change waits"
    forced = " It was FORCED by an operator, without a majority." if status["is_forced"] else ""
    return (
        f"Generation {status['generation']} of {status['cluster_id']}, {settled}: "
        f"{counted(len(status['roster']), 'voter')}, {status['quorum']} of them decide.{forced}"
    )


def _rows(status: Status) -> list[tuple[str, str, str, str]]:
    known = {node["name"]: node for node in status["nodes"]}
    names = sorted({*status["roster"], *status["forgotten"], *status["unadmitted"]})
    return [
        (name, _vote(name, status, known.get(name)), _heard(known.get(name)), _generation(known.get(name)))
        for name in names
    ]


def _vote(name: str, status: Status, node: Status | None) -> str:
    if name in status["roster"]:
        return "yes, witness" if node is not None and node["is_witness"] else "yes"
    if name not in status["forgotten"]:
        return "no: not admitted"
    return "no: forced out" if how_forgotten(name, status) is Forgotten.FORCED else "no: forgotten"


def _heard(node: Status | None) -> str:
    if node is None or (not node["is_heard"] and node["heard_ms"] is None):
        return "never"
    if node["is_self"]:
        return "itself"
    return "yes" if node["is_heard"] else f"{duration(node['heard_ms'])} ago"


def _generation(node: Status | None) -> str:
    return str(node["generation"]) if node is not None and node["generation"] else "-"


def _notes(status: Status) -> list[str]:
    lines = [f"{pin['group']} is pinned to {pin['node']}" for pin in status["pins"]]
    lines += [f"{name} is heard and no member: zcluster roster add {name}" for name in status["unadmitted"]]
    lines += [_note(name, how_forgotten(name, status)) for name in status["forgotten"]]
    return ["", *lines] if lines else []


def _note(name: str, how: Forgotten) -> str:
    if how is Forgotten.BACK:
        return f"{name} {how}, and votes again soon"
    return f"{name} {how}: it votes again when it is back, or zcluster roster remove {name}"
