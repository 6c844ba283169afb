"""The reasons why a node takes over nothing, sorted: whose they are, and which of them pass by themselves.

A node that is just starting, fills its copies, may not vote yet, is stopping or is not admitted gets ready, or is
asked for, without anybody. Every other reason stays until somebody mends it. What must hold: pure; a reason that is
not known stays, and is the host's.
"""

from __future__ import annotations

from enum import StrEnum

NO_VOTE_YET = "may not vote yet"
PASSING = ("starting", "stopping", "not admitted", NO_VOTE_YET)
# What is told under these keeps a node from taking over, and is no fault: it takes nothing from a holder.
WAITING_SUBJECTS = frozenset({"copies"})
NETWORK_ENDINGS = (": no carrier", ": no reference answers", ": hears nobody, other links do")


class Kind(StrEnum):
    """The code of a reason that stays (`zcluster.codes`)."""

    SWITCH = "switch-not-well"
    SERVICE = "service-not-well"
    HOST = "host-not-well"


def passes(reason: str) -> bool:
    """Whether that ends by itself, or is asked for as something else."""
    return reason in PASSING or reason.partition(":")[0] in WAITING_SUBJECTS


def kind_of(reason: str) -> Kind:
    """What of the node is not well: its FreeSWITCH ("switch: ...", "switch profile sip1: ..."), its way to the service
    network, or something else of the host.
    """
    if reason.partition(":")[0].split(" ")[0] == "switch":
        return Kind.SWITCH
    return Kind.SERVICE if reason.endswith(NETWORK_ENDINGS) else Kind.HOST


def fault(reason: str) -> str:
    """It as half a sentence."""
    if kind_of(reason) is Kind.SWITCH:
        return f"its switch is not well ({switch_fault(reason)})"
    return reason


def switch_fault(reason: str) -> str:
    """The words behind "switch"."""
    return reason.removeprefix("switch").removeprefix(":").strip()
