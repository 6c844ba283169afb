"""Changes of holder that happened, and that this host's memory has not: between two that it has, and after the last.

A hole shows where a group was taken from another node than the one that held it by the record before, or is held by
another one now. Numbers of epochs that are missing prove none: a claim that is withdrawn uses up one too.
What must hold: pure; odd facts are no hole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Held(NamedTuple):
    """Who holds a group, or held it, in which epoch."""

    node: str
    epoch: int


class Holes:
    """Is shown the changes in order, and says what is missing before each."""

    def __init__(self) -> None:
        self._last: dict[str, Held] = {}

    def before(self, facts: Mapping[str, Any]) -> str:
        """One sentence of what is missing before this change; "" where nothing is known to be."""
        group, taker, giver, epoch = (facts.get(key) for key in ("group", "to_node", "from_node", "epoch"))
        if not isinstance(group, str) or not isinstance(taker, str) or type(epoch) is not int:
            return ""
        last = self._last.get(group)
        self._last[group] = Held(taker, epoch)
        if last is None or not isinstance(giver, str) or giver in ("", last.node) or epoch <= last.epoch:
            return ""
        return _missing(group, last.epoch + 1, epoch - 1, giver)

    def after(self, now: Mapping[str, Held], groups: Iterable[str]) -> list[str]:
        """The same of what stands now, by the status; only groups that changed holder in this memory, and these."""
        found = []
        for group in dict.fromkeys([*self._last, *groups]):
            held, last = now.get(group), self._last.get(group)
            if held is None or (last is not None and (held.node == last.node or held.epoch <= last.epoch)):
                continue
            found.append(_missing(group, held.epoch, held.epoch, held.node))
        return found


def held_now(status: Mapping[str, Any]) -> dict[str, Held]:
    """What the status document says of holders."""
    return {
        group["name"]: Held(group["holder"], group["counter"])
        for group in status.get("groups", ())
        if group["holder"] and group["counter"] is not None
    }


def _missing(group: str, first: int, last: int, node: str) -> str:
    epoch = f"epoch {first}" if first >= last else f"one of the epochs {first} to {last}"
    return (
        f"{group}: {epoch} ({node}) is not in this host's memory; ask {node} (`zcluster why {group}` there)"
    )
