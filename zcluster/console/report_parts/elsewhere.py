"""The other nodes' part of a report: what can be had of each from this host.

What must hold: for every node that this one knows it is said whether it answered, and if not, why; what this
host itself heard of it is taken in any case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from zcluster.adapters.journal import Record, encode_line
from zcluster.console.report_parts.evidence import Piece, piece
from zcluster.errors import ZclusterError

Answer = Mapping[str, Any]
# Status of another node by its name; raises ZclusterError with the reason where it does not answer.
AskNode = Callable[[str], Answer]


class Elsewhere(NamedTuple):
    """A node, and why it did not answer ("" where it did)."""

    node: str
    reason: str


def ask_others(nodes: Sequence[str], ask: AskNode) -> tuple[list[Elsewhere], dict[str, Answer]]:
    """Each of these nodes asked once, and what came."""
    answers: dict[str, Answer] = {}
    found = []
    for node in nodes:
        try:
            answers[node] = ask(node)
            found.append(Elsewhere(node, ""))
        except ZclusterError as problem:
            found.append(Elsewhere(node, str(problem)))
    return found, answers


def others(status: Answer, records: Iterable[Record]) -> list[str]:
    """The names of the other nodes that are known here, by the status or by what they told."""
    names = {node["name"] for node in status.get("nodes", ()) if not node["is_self"]}
    own = status.get("node") or ""
    names |= {record.node for record in records} - {own}
    return sorted(names)


def pieces(
    nodes: Sequence[str], status: Answer, records: Sequence[Record], answers: Mapping[str, Answer]
) -> Iterator[Piece]:
    """For each node: its own status where it answered, what is known of it here, and what it told."""
    known = {node["name"]: node for node in status.get("nodes", ())}
    for node in nodes:
        folder = f"other-nodes/{_safe(node)}"
        told = b"".join(encode_line(record) for record in records if record.node == node)
        if node in answers:
            about = "its own status, as it answered"
            yield piece(f"{folder}/status.json", about, _as_json(answers[node]))
        if node in known:
            about = "what this host knows of it"
            yield piece(f"{folder}/known-here.json", about, _as_json(known[node]))
        if told:
            yield piece(f"{folder}/told.jsonl", "what it told, as it reached this host", _constant(told))


def _as_json(value: Answer) -> Callable[[], str]:
    return lambda: json.dumps(value, indent=1)


def _constant(content: bytes) -> Callable[[], bytes]:
    return lambda: content


def _safe(name: str) -> str:
    """Names come from the network, and become folders of whoever unpacks this."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)[:63] or "_"
