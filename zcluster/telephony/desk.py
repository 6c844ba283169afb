"""What the lanes of all groups share: the switch as it is now, and what is counted and numbered once.

What must hold: no two purposes and no two jobs are alike, also beside those of an earlier life of this process,
whose jobs may still end now.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from zcluster.control.units import GroupName, NodeName
from zcluster.telephony.channels import Channels
from zcluster.telephony.errands import Errands
from zcluster.telephony.events import Moment
from zcluster.telephony.lost_calls import LostCalls
from zcluster.telephony.part import Copies
from zcluster.telephony.settings import GroupSettings, TelephonySettings
from zcluster.telephony.takeover import Takeover

PART = "calls"
# Refused so often in a row, the table is this node's fault.
LARGEST_REFUSALS = 10


@dataclass(slots=True)
class Desk:
    """`is_open`: the switch can be asked; `is_clean`: no rows of an earlier life are left in its table.

    `table_problem`: why its table cannot be written, "" when it can.
    """

    settings: TelephonySettings
    copies: Copies
    channels: Channels
    lost: LostCalls = field(default_factory=LostCalls)
    is_open: bool = False
    is_clean: bool = False
    table_problem: str = ""
    takeovers: dict[GroupName, Takeover] = field(default_factory=dict)
    open_groups: set[GroupName] = field(default_factory=set)
    errands: Errands = field(init=False)
    _refusals: int = 0
    _number: int = 0

    def __post_init__(self) -> None:
        self.errands = Errands(self.purpose)

    @property
    def is_ready(self) -> bool:
        """Whether a takeover may go on."""
        return self.is_open and self.is_clean

    def purpose(self, *words: str) -> str:
        """A purpose like no other."""
        self._number += 1
        return ":".join((PART, *words, str(self._number)))

    def job(self, now: Moment) -> str:
        """A Job-UUID like no other."""
        self._number += 1
        return f"{PART}-{now.wall_ms}-{self._number}"

    def takeover(self, group: GroupSettings, source: NodeName) -> Takeover:
        """A new one, by what is in the records now."""
        name = group.name

        def comes_with(uuid: str) -> bool:
            # Both open: the first half would wait two seconds for the other one, and then be mute.
            others = (each for each in self.takeovers if each != name and {each, name} <= self.open_groups)
            return any(self.takeovers[each].brings(uuid) for each in others)

        taken = Takeover(group, self.settings.node, source, self.copies, self.channels, comes_with)
        self.takeovers[name] = taken
        return taken

    def read(self, takeover: Takeover) -> None:
        """Look at the next of its records; after the last, who waited for the other half of a call waits no longer."""
        if takeover.read():
            self._wake(takeover)

    def open_group(self, group: GroupName) -> None:
        """Its addresses are here."""
        self.open_groups.add(group)
        self._wake(None)

    def _wake(self, reader: Takeover | None) -> None:
        for other in self.takeovers.values():
            if other is not reader and other.has_halves:
                other.is_stale = True

    def refuse_table(self, reason: str) -> None:
        """The switch's table could not be written."""
        self._refusals += 1
        if self._refusals >= LARGEST_REFUSALS:
            self.table_problem = f"the switch's core database cannot be written: {reason}"

    def accept_table(self) -> None:
        """It could."""
        self._refusals, self.table_problem = 0, ""
