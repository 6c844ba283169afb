"""Who else answers for an address that this node holds, and when that is over.

What must hold: whoever was seen is asked for again until nothing answers, so that an alarm is told as long as it is
true, and its end is told too; without a rival nothing is asked. The asking is that of RFC 5227, section 2.1.1.
"""

from __future__ import annotations

from zcluster.control.units import GroupName

ASK_EVERY_MS = 1000
UNANSWERED_ASKS = 5
LARGEST_RIVALS = 8


class _Rivals:
    __slots__ = ("asked_ms", "macs", "unanswered")

    def __init__(self) -> None:
        self.macs: dict[str, None] = {}
        self.asked_ms = 0
        self.unanswered = 0


class RivalWatch:
    """The rivals of each group that this node holds."""

    def __init__(self) -> None:
        self._rivals: dict[GroupName, _Rivals] = {}

    def seen(self, group: GroupName, mac: str) -> None:
        """That machine answers for the group, which this node holds."""
        rivals = self._rivals.setdefault(group, _Rivals())
        if len(rivals.macs) < LARGEST_RIVALS:
            rivals.macs[mac] = None
        rivals.unanswered = 0

    def is_due(self, group: GroupName, now_ms: int) -> bool:
        """Whether to ask the network again, now; it counts as asked."""
        rivals = self._rivals.get(group)
        if rivals is None or now_ms < rivals.asked_ms + ASK_EVERY_MS:
            return False
        rivals.asked_ms = now_ms
        rivals.unanswered += 1
        return True

    def over(self, group: GroupName) -> tuple[str, ...]:
        """The machines that have answered no more for so many asks, once; empty while one does or none did."""
        rivals = self._rivals.get(group)
        if rivals is None or rivals.unanswered <= UNANSWERED_ASKS:
            return ()
        del self._rivals[group]
        return tuple(rivals.macs)

    def forget(self, group: GroupName) -> None:
        """The group is not ours any more."""
        self._rivals.pop(group, None)
