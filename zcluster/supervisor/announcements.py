"""When to tell the service network again who holds an address.

Switches and hosts learn from a gratuitous ARP or an unsolicited neighbour advertisement, and may miss one. So
each opening is announced at once, repeated soon, and refreshed while the addresses are held, also by a holder
that stayed (a switch that was rebooted meanwhile has forgotten).
What must hold: pure, time is an argument; a group that is closed is never due again.
"""

from __future__ import annotations

from zcluster.control.units import GroupName

REPEATS_MS = (100, 300, 1000, 2000, 5000)
REFRESH_MS = 30_000


class Announcements:
    """The schedule of every held group."""

    def __init__(self) -> None:
        self._opened_ms: dict[GroupName, int] = {}
        self._due_ms: dict[GroupName, int] = {}

    def start(self, group: GroupName, now_ms: int) -> None:
        """The group was opened and announced for the first time now."""
        self._opened_ms[group] = now_ms
        self._due_ms[group] = now_ms + REPEATS_MS[0]

    def stop(self, group: GroupName) -> None:
        """The group is held no longer."""
        self._opened_ms.pop(group, None)
        self._due_ms.pop(group, None)

    def deadline(self) -> int | None:
        """When the next announcement is due; None when nothing is held."""
        return min(self._due_ms.values(), default=None)

    def take_due(self, now_ms: int) -> list[GroupName]:
        """The groups to announce now; each is scheduled again. Late repeats are not made up for."""
        due = [group for group, due_ms in self._due_ms.items() if due_ms <= now_ms]
        for group in due:
            self._due_ms[group] = self._after(group, now_ms)
        return due

    def _after(self, group: GroupName, now_ms: int) -> int:
        age_ms = now_ms - self._opened_ms[group]
        for repeat_ms in REPEATS_MS:
            if repeat_ms > age_ms:
                return self._opened_ms[group] + repeat_ms
        return now_ms + REFRESH_MS
