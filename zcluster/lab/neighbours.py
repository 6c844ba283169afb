"""Whether the kernel's neighbour table has room for a laboratory: one table serves all namespaces of a machine.

What must hold: pure, but for the reading of the limits. In a table that is full, beats are lost and nodes fall
silent without a fault: who measures must know (docs/decisions/0302).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zcluster.lab.plan import Network

FAMILIES = ("ipv4", "ipv6")
KERNEL_DEFAULT = 1024
_RESERVE = 2
_PLACE = Path("/proc/sys")


def limits(place: Path = _PLACE) -> dict[str, int]:
    """By family, how many entries the kernel keeps. A container does not see it: then the kernel's default."""
    found = {}
    for family in FAMILIES:
        try:
            found[family] = int((place / "net" / family / "neigh/default/gc_thresh3").read_text())
        except (OSError, ValueError):
            found[family] = KERNEL_DEFAULT
    return found


def neighbours_needed(nodes: int) -> int:
    """About how many entries a laboratory needs: on each network every host knows every other one, the client too."""
    return (nodes + 1) * nodes * len(Network)


def room_warning(nodes: int, allowed: Mapping[str, int]) -> str:
    """What to say before so many nodes are started, with the mend; empty where there is room for them."""
    needed = neighbours_needed(nodes)
    short = [family for family, limit in allowed.items() if limit < needed]
    if not short:
        return ""
    mend = " ".join(f"net.{family}.neigh.default.gc_thresh3={_RESERVE * needed}" for family in short)
    least = min(allowed[family] for family in short)
    return (
        f"{nodes} nodes need about {needed} entries of the kernel's neighbour table, which holds {least} for all "
        f"namespaces together: beats will be lost and nodes fall silent; first: sysctl -w {mend}"
    )
