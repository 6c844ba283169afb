"""One leg of a call: what the switch knows of it while it lives.

What must hold: `variables` are the channel's variables under FreeSWITCH's names, decoded; whatever another switch
needs to go on with the leg stands in them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from zcluster.lab.fake_switch.dialog import Dialog
from zcluster.lab.fake_switch.message import Request
from zcluster.lab.fake_switch.settings import Place, ProfilePlan


class Direction(StrEnum):
    """Who began the leg, as seen from the switch."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Stage(StrEnum):
    """How far a leg is."""

    CALLING = "calling"
    """Invited, in either direction, and not answered."""
    ANSWERED = "answered"
    RECOVERING = "recovering"
    """Taken over from another switch; its re-INVITE is out."""
    ENDED = "ended"


# Where each stage leads.
NEXT = {
    Stage.CALLING: {Stage.ANSWERED, Stage.ENDED},
    Stage.ANSWERED: {Stage.ENDED},
    Stage.RECOVERING: {Stage.ANSWERED, Stage.ENDED},
    Stage.ENDED: set[Stage](),
}


@dataclass(slots=True)
class Leg:
    """Times are microseconds since 1970, 0 for what has not happened."""

    uuid: str
    direction: Direction
    profile: ProfilePlan
    dialog: Dialog
    destination: str
    caller: str
    session: int
    created_us: int
    stage: Stage = Stage.CALLING
    partner: str = ""
    is_ringing: bool = False
    is_tracked: bool = False
    is_recovered: bool = False
    answered_us: int = 0
    bridged_us: int = 0
    resurrected_us: int = 0
    hangup_us: int = 0
    hangup_cause: str = ""
    # The INVITE that waits for our final answer, and whom to answer.
    invite: Request | None = None
    invite_peer: Place = ("", 0)
    # The branch of our INVITE that waits for a final answer.
    invite_branch: str = ""
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def is_inbound(self) -> bool:
        """Whether the other side began it."""
        return self.direction is Direction.INBOUND

    @property
    def name(self) -> str:
        """The channel's name: sofia/PROFILE/whom."""
        return self.variables.get("channel_name", "")

    @property
    def sdp(self) -> str:
        """The description of our media."""
        return self.variables.get("rtp_local_sdp_str", "")

    @property
    def state(self) -> str:
        """The channel's state, as events name it."""
        if self.stage is Stage.ENDED:
            return "CS_HANGUP"
        if self.is_inbound:
            return "CS_EXECUTE"
        return "CS_EXCHANGE_MEDIA" if self.bridged_us else "CS_CONSUME_MEDIA"

    def go(self, stage: Stage) -> None:
        """On to the next stage."""
        assert stage in NEXT[self.stage], f"{self.uuid}: {self.stage} -> {stage}"
        self.stage = stage
