"""The other nodes' part of a report: what can be had of each from this host.

What must hold: for every node that this one knows it is said whether it answered, and if not, why; what this
host itself heard of it is taken in any case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from zcluster.adapters.journal import Record, encode_line
from zcluster.config.configuration import Configuration
from zcluster.console.report_parts.evidence import Piece, piece
from zcluster.console.report_parts.peers import Answers, ask_all, credential_of, places_of
from zcluster.errors import ZclusterError

Answer = Mapping[str, Any]


class Elsewhere(NamedTuple):
    """A node, and why it did not answer ("" where it did)."""

    node: str
    reason: str


def ask_others(
    nodes: Sequence[str], configuration: Configuration | None, places: Sequence[str]
) -> tuple[list[Elsewhere], dict[str, Answers]]:
    """Every node but this one, as far as it can be reached; `places` are asked beside those that can be found."""
    try:
        if configuration is None:
            raise ZclusterError(
                "without a file that can be used nobody knows where they are: make a report there too"
            )
        credential = credential_of(configuration)
        found = list(places) if places else places_of(configuration)
        heard = ask_all(found, credential)
    except ZclusterError as problem:
        return [Elsewhere(node, str(problem)) for node in nodes], {}
    return told_of(nodes, heard)


def told_of(nodes: Sequence[str], heard: Sequence[Answers]) -> tuple[list[Elsewhere], dict[str, Answers]]:
    """For each node whether one of the places was it, and if not, what came of asking them."""
    answers = {each.node: each for each in heard if each.node in nodes}
    silent = [f"{each.place}: {each.problem}" for each in heard if each.problem]
    why = f"no place that was asked is this node ({'; '.join(silent) or 'none was found'}): make a report there too"
    return [Elsewhere(node, "" if node in answers else why) for node in nodes], answers


def others(status: Answer, records: Iterable[Record]) -> list[str]:
    """The names of the other nodes that are known here, by the status or by what they told."""
    names = {node["name"] for node in status.get("nodes", ()) if not node["is_self"]}
    own = status.get("node") or ""
    names |= {record.node for record in records} - {own}
    return sorted(names)


def pieces(
    nodes: Sequence[str], status: Answer, records: Sequence[Record], answers: Mapping[str, Answers]
) -> Iterator[Piece]:
    """For each node: its own status where it answered, what is known of it here, and what it told."""
    known = {node["name"]: node for node in status.get("nodes", ())}
    for node in nodes:
        folder = f"other-nodes/{_safe(node)}"
        told = b"".join(encode_line(record) for record in records if record.node == node)
        if node in answers:
            about = "its own status, as it answered"
            yield piece(f"{folder}/status.json", about, _as_json(answers[node].status))
            yield piece(f"{folder}/why.json", "its own story", _as_json(answers[node].why))
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
