"""Why a node takes over nothing: which of its reasons pass by themselves, and what to do about the others.

A node that is just starting, fills its copies, may not vote yet, is stopping or is not admitted gets ready, or is
asked for, without anybody: that is no complaint while another slave stands ready (with none, everything that keeps
the others from it is said). Every other reason stays until somebody mends it, and one failure that the cluster could
have borne is gone: it is one, whatever else stands ready. What must hold: pure; a reason that is not known stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

PASSING = ("starting", "stopping", "not admitted", "may not vote yet")
PASSING_SUBJECTS = ("copies",)
SWITCH_CODE, SERVICE_CODE, HOST_CODE = "switch-not-well", "service-not-well", "host-not-well"
_DEAD_SWITCH = ("event socket closed", "takes no connection")
_SERVICE = (": no carrier", ": no reference answers", ": hears nobody, other links do")


class Fault(NamedTuple):
    """A reason that stays. `code`: for `zcluster explain`; `words`: what is wrong; `mend`: what to do first."""

    code: str
    words: str
    mend: str


def faults(reasons: Sequence[str], node: str) -> list[Fault]:
    """Those of the reasons that somebody must mend on `node`; those of the switch are one."""
    lasting = [reason for reason in reasons if not passes(reason)]
    switch = [_of_switch(reason) for reason in lasting if is_of_switch(reason)]
    found = [_fault(reason) for reason in lasting if not is_of_switch(reason)]
    if switch:
        is_dead = any(word in text for text in switch for word in _DEAD_SWITCH)
        mend = f"start FreeSWITCH on {node}" if is_dead else f"`zcluster explain {SWITCH_CODE}`"
        found.insert(0, Fault(SWITCH_CODE, f"its switch is not well ({', '.join(switch)})", mend))
    return found


def passes(reason: str) -> bool:
    """Whether that ends by itself, or is complained of as something else."""
    return reason in PASSING or reason.partition(":")[0] in PASSING_SUBJECTS


def is_of_switch(reason: str) -> bool:
    """ "switch: ..." and "switch profile sip1: ..."."""
    return reason.partition(":")[0].split(" ")[0] == "switch"


def complaint(node: Mapping[str, Any]) -> str:
    """What is to be done about a node that is heard, in half a sentence; "" where nothing is."""
    if not node["is_heard"] or not node["is_voter"] or node["is_witness"] or node.get("is_never_master"):
        return ""
    found = faults(node["unready"], node["name"])
    if not found:
        return ""
    role = f"holds {', '.join(node['holds'])} all the same" if node["holds"] else "takes over nothing"
    return f"{node['name']} {role}: {' and '.join(fault.words for fault in found)}: {found[0].mend}"


def codes(reasons: Sequence[str]) -> list[str]:
    """Where to read on about a node that is not ready: the recipes of what stays, each once."""
    return list(dict.fromkeys(fault.code for fault in faults(reasons, "")))


def _of_switch(reason: str) -> str:
    return reason.removeprefix("switch").removeprefix(":").strip()


def _fault(reason: str) -> Fault:
    code = SERVICE_CODE if reason.endswith(_SERVICE) else HOST_CODE
    return Fault(code, reason, f"`zcluster explain {code}`")
