"""Which groups this node may speak for now: those that are open here and whose records are ours to write."""

from __future__ import annotations

from zcluster.control.units import GroupName
from zcluster.streams.actions import GroupAdopted
from zcluster.streams.units import LIMITS
from zcluster.telephony.events import Event, GroupLapsed, GroupLost, GroupOpened


class Mastership:
    """`opened`: groups whose traffic is here; `written`: those of them whose records we took over."""

    def __init__(self) -> None:
        self.opened: set[GroupName] = set()
        self._adopted: set[GroupName] = set()

    @property
    def written(self) -> list[GroupName]:
        """In order."""
        return sorted(self.opened & self._adopted)

    def handle(self, event: Event) -> bool:
        """Whether anything changed."""
        match event:
            case GroupOpened(group):
                self.opened.add(group)
            case GroupLapsed(group):
                self.opened.discard(group)
            case GroupLost(group):
                self.opened.discard(group)
                self._adopted.discard(group)
            case GroupAdopted(name, group) if name == LIMITS:
                self._adopted.add(group)
            case _:
                return False
        return True
