"""What an operator is told of a node that takes over nothing: what is wrong with it, and what to do first.

The rule: what passes by itself (`zcluster.control.reasons`) is no complaint while another slave stands ready; with
none, everything that keeps the others from it is said. What stays is one whatever else stands ready: a failure that
the cluster could have borne is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from zcluster.control.reasons import Kind, fault, kind_of, passes, switch_fault

_DEAD_SWITCH = ("event socket closed", "takes no connection")


class Fault(NamedTuple):
    """A reason that stays. `code`: for `zcluster explain`; `words`: what is wrong; `mend`: what to do first."""

    code: str
    words: str
    mend: str


def faults(reasons: Sequence[str], node: str) -> list[Fault]:
    """Those of the reasons that somebody must mend on `node`; those of the switch are one."""
    lasting = [reason for reason in reasons if not passes(reason)]
    switch = [switch_fault(reason) for reason in lasting if kind_of(reason) is Kind.SWITCH]
    found = [_fault(reason) for reason in lasting if kind_of(reason) is not Kind.SWITCH]
    if switch:
        is_dead = any(word in text for text in switch for word in _DEAD_SWITCH)
        mend = f"start FreeSWITCH on {node}" if is_dead else f"`zcluster explain {Kind.SWITCH}`"
        found.insert(0, Fault(Kind.SWITCH, f"its switch is not well ({', '.join(switch)})", mend))
    return found


def complaint(node: Mapping[str, Any]) -> str:
    """What is to be done about a node that is heard, in half a sentence; "" where nothing is."""
    if not node["is_heard"] or not node["is_voter"] or node["is_witness"] or node.get("is_never_master"):
        return ""
    found = faults(node["unready"], node["name"])
    if not found:
        return ""
    role = f"holds {', '.join(node['holds'])} all the same" if node["holds"] else "takes over nothing"
    return f"{node['name']} {role}: {' and '.join(each.words for each in found)}: {found[0].mend}"


def codes(reasons: Sequence[str]) -> list[str]:
    """Where to read on about a node that is not ready: the recipes of what stays, each once."""
    return list(dict.fromkeys(each.code for each in faults(reasons, "")))


def _fault(reason: str) -> Fault:
    code = kind_of(reason)
    return Fault(code, fault(reason), f"`zcluster explain {code}`")
