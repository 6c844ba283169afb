"""Names of groups and nodes that an operator typed: refused where the cluster has none such.

What must hold: an empty answer to a wrong name would be read as "nothing happened", so it is a refusal, with the names
that there are, the nearest first. Asked only where nothing was found: what is in the story or a list is no mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from zcluster.adapters.control_socket import ask
from zcluster.console.words import printable
from zcluster.errors import ControlSocketError, ZclusterError

SHOWN_NAMES = 10
NEAR = 0.5


def assure_names(control: Path, group: str = "", node: str = "") -> None:
    """Ask the daemon which there are; "" is any. Raises ZclusterError for a name that it does not know, and
    ControlSocketError where it cannot be asked.
    """
    if not group and not node:
        return
    status = ask(control, {"ask": "status"})
    if status.get("ok") is not True:
        raise ControlSocketError(f"{control}: {status.get('error', 'not a daemon of this version')}")
    for what, name, known in (("group", group, groups_of(status)), ("node", node, nodes_of(status))):
        if name and name not in known:
            raise ZclusterError(refusal(what, name, known))


def groups_of(status: Mapping[str, Any]) -> list[str]:
    """The groups of the file of the node that answered, in its order."""
    return [each["name"] for each in status["groups"]]


def nodes_of(status: Mapping[str, Any]) -> list[str]:
    """Every node that was heard or has, or had, a vote."""
    heard = [each["name"] for each in status["nodes"]]
    return list(dict.fromkeys([*heard, *status["roster"], *status["forgotten"], *status["unadmitted"]]))


def refusal(what: str, name: str, known: Iterable[str]) -> str:
    """One sentence: what there is instead, the nearest first."""
    ordered = nearest_first(name, list(known))
    shown = ", ".join(ordered[:SHOWN_NAMES]) or "none"
    more = f" and {len(ordered) - SHOWN_NAMES} more" if len(ordered) > SHOWN_NAMES else ""
    return printable(f"there is no {what} {name}; this cluster has {shown}{more}")


def nearest_first(name: str, known: Sequence[str]) -> list[str]:
    """All of them: those that look like the name, then the others in their order."""
    by_folded = {each.lower(): each for each in known}
    near = get_close_matches(name.lower()[:64], list(by_folded), SHOWN_NAMES, NEAR)
    return list(dict.fromkeys([*(by_folded[each] for each in near), *known]))
