"""One group on the node that claims or holds it: the tenure, its phases and their one table.

Must hold: addresses are open only in OPENING, HOLDING and LAPSED (and there only as long as the kernel's
armed element lives); a pair leaves the beats only when nothing was ever opened, or when the kernel
confirmed the closing.
"""

from __future__ import annotations

from enum import Enum, auto

from zcluster.control.lease import Lease
from zcluster.control.messages import Claim
from zcluster.control.units import GroupName, NodeName


class Phase(Enum):
    """Where one tenure stands. GONE ends it."""

    CLAIMING = auto()
    PROBING = auto()
    OPENING = auto()
    HOLDING = auto()
    LAPSED = auto()
    CLOSING = auto()
    GONE = auto()


class Cause(Enum):
    """Why a tenure changes its phase."""

    MAJORITY = auto()
    WITHDRAWN = auto()
    QUIET = auto()
    OPENED = auto()
    OPEN_FAILED = auto()
    LAPSE = auto()
    RENEWED = auto()
    GIVEN_UP = auto()
    CLOSED = auto()
    CLOSE_FAILED = auto()


TRANSITIONS: dict[tuple[Phase, Cause], Phase] = {
    (Phase.CLAIMING, Cause.MAJORITY): Phase.PROBING,
    (Phase.CLAIMING, Cause.WITHDRAWN): Phase.GONE,
    (Phase.PROBING, Cause.QUIET): Phase.OPENING,
    (Phase.PROBING, Cause.LAPSE): Phase.GONE,
    (Phase.PROBING, Cause.WITHDRAWN): Phase.GONE,
    (Phase.OPENING, Cause.OPENED): Phase.HOLDING,
    (Phase.OPENING, Cause.OPEN_FAILED): Phase.CLOSING,
    (Phase.OPENING, Cause.GIVEN_UP): Phase.CLOSING,
    (Phase.HOLDING, Cause.LAPSE): Phase.LAPSED,
    (Phase.HOLDING, Cause.GIVEN_UP): Phase.CLOSING,
    (Phase.LAPSED, Cause.RENEWED): Phase.HOLDING,
    (Phase.LAPSED, Cause.GIVEN_UP): Phase.CLOSING,
    (Phase.CLOSING, Cause.CLOSED): Phase.GONE,
    (Phase.CLOSING, Cause.CLOSE_FAILED): Phase.CLOSING,
}

ARMED_PHASES = frozenset({Phase.CLAIMING, Phase.PROBING, Phase.OPENING, Phase.HOLDING, Phase.LAPSED})
OPEN_PHASES = frozenset({Phase.HOLDING, Phase.LAPSED})
UNOPENED_PHASES = frozenset({Phase.CLAIMING, Phase.PROBING})


class Tenure:
    """One attempt to hold one group: mutable, owned by the node.

    `from_node`, `why`: whom it follows and why, for the story. `successor`, `release_cause`: set when it
    is given up on purpose. Times are milliseconds of the own clock; 0 means "not yet".
    """

    __slots__ = (
        "claimed_ms",
        "close_retry_ms",
        "counter",
        "facts",
        "from_node",
        "group",
        "lapsed_ms",
        "lease",
        "lease_end_ms",
        "long_lease",
        "long_slot",
        "needs_probe",
        "opened_ms",
        "owner",
        "phase",
        "release_cause",
        "renewed_ms",
        "slot",
        "successor",
        "votes",
        "why",
        "won_ms",
    )

    def __init__(
        self,
        group: GroupName,
        owner: NodeName,
        counter: int,
        first_sequence: int,
        now_ms: int,
        from_node: NodeName,
        why: str,
        needs_probe: bool,
    ) -> None:
        self.group = group
        self.owner = owner
        self.counter = counter
        self.lease = Lease(first_sequence)
        self.phase = Phase.CLAIMING
        self.claimed_ms = now_ms
        self.from_node = from_node
        self.why = why
        self.needs_probe = needs_probe
        self.won_ms = self.opened_ms = self.lapsed_ms = 0
        self.lease_end_ms = self.renewed_ms = self.close_retry_ms = 0
        self.slot = 0
        self.long_lease: Lease | None = None
        self.long_slot = 0
        self.successor: NodeName = ""
        self.release_cause = ""
        self.votes: dict[NodeName, int] = {}
        self.facts: dict[str, object] = {}

    def change(self, cause: Cause) -> Phase:
        """Follow the table; a missing row is our own mistake."""
        phase = TRANSITIONS.get((self.phase, cause))
        assert phase is not None, f"no transition from {self.phase.name} by {cause.name} ({self.group})"
        self.phase = phase
        return phase

    def exchange(self, counter: int, first_sequence: int) -> None:
        """Continue under a higher ballot of the same node and life; the old lease runs on."""
        self.counter = counter
        self.lease = Lease(first_sequence)

    def claim(self) -> Claim:
        """How a beat lists this tenure."""
        return Claim(self.group, self.counter, self.phase in OPEN_PHASES)
