"""What ends that which an alarm said: codes that are told later, by alarm.

What must hold: an alarm goes only when what it says is surely over, and whoever reads the table can see why. An alarm
without a row tells of something that is past when it is told, or whose end nobody tells: it stays its time.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Scope(StrEnum):
    """Whose record ends it."""

    CLUSTER = "any"
    GROUP = "of the same group"
    TELLER = "told by the node that told the alarm"
    BOTH = "of the same group, told by the same node"
    NAMED = "told by the node that the alarm names"


class Said(NamedTuple):
    """What of a record matters here. `group`, `named`: its facts "group" and "node", "" where it has none."""

    code: str
    teller: str
    group: str
    named: str


_HELD = {"takeover": Scope.GROUP, "lease-regained": Scope.GROUP}

ENDS: Mapping[str, Mapping[str, Scope]] = {
    # Whoever opens has asked the network first; what is still there is told again within seconds.
    "address-conflict": {
        "conflict-over": Scope.BOTH,
        "takeover": Scope.GROUP,
        "released": Scope.GROUP,
        "superseded": Scope.BOTH,
    },
    "close-failed": {"takeover": Scope.GROUP, "released": Scope.BOTH},
    "gate-failed": _HELD,
    "open-failed": _HELD,
    "stranger": _HELD,
    "takeover-frozen": {**_HELD, "thawed": Scope.CLUSTER},
    "health-frozen": {"thawed": Scope.CLUSTER, "takeover": Scope.GROUP, "stopped-frozen": Scope.GROUP},
    "moves-exhausted": {"takeover": Scope.GROUP, "released": Scope.GROUP},
    # The next takeover wakes the profiles anew, and says so if that fails.
    "profile-not-recovered": {"takeover": Scope.GROUP},
    "document-fork": {"generation": Scope.TELLER, "joined": Scope.TELLER},
    "founding-refused": {"founded": Scope.TELLER, "joined": Scope.TELLER},
    "too-many-nodes": {"founded": Scope.TELLER, "joined": Scope.TELLER},
    # Nobody takes its records before it is listened to.
    "older-life": {"started": Scope.NAMED, "state": Scope.NAMED},
    # The notice of the same code; an alarm takes the place of the one before it.
    "limits-remote": {"limits-remote": Scope.TELLER},
}

ENDING = frozenset(code for row in ENDS.values() for code in row)


def ends(later: Said, alarm: Said) -> bool:
    """Whether the later record ends what the alarm said."""
    match ENDS.get(alarm.code, {}).get(later.code):
        case Scope.CLUSTER:
            return True
        case Scope.GROUP:
            return bool(alarm.group) and later.group == alarm.group
        case Scope.TELLER:
            return later.teller == alarm.teller
        case Scope.BOTH:
            return bool(alarm.group) and (later.group, later.teller) == (alarm.group, alarm.teller)
        case Scope.NAMED:
            return bool(alarm.named) and later.teller == alarm.named
    return False
