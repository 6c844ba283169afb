"""What must hold at every step of a safety phase: S1 and S2 of DESIGN.md section 4.

S1: at no instant do two hosts answer for one group. A host that answers changes that only by a kernel call or by
the passing of time, which closes; so looking at each call that opens or prolongs is looking always.
S2: an epoch is opened by one process of one node, and the epochs of a group only grow.

Two nodes of which a survivor may claim alone promise less (docs/decisions/0202): two hosts may answer for one group
while the service network does not carry between them both ways, and until they have found each other again after
that; epochs are unique, and not ordered.
"""

from __future__ import annotations

from collections.abc import Callable

from zcluster.control.units import Ballot, GroupName


class Violation(Exception):
    """An invariant is broken; `rule` is its name in the design."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule


Excuse = Callable[[int, int, float], bool]


class Ownership:
    """Who answers for what and until when, and which epochs were ever opened. Times are true time in ms.

    `excuse(host, other, now)`, for a pair alone: whether both may answer now.
    """

    def __init__(
        self, groups: tuple[GroupName, ...], names: tuple[str, ...], excuse: Excuse | None = None
    ) -> None:
        self._names = names
        self._excuse = excuse
        self.overlaps = 0
        self._until = {group: [0.0] * len(names) for group in groups}
        self._newest = {group: Ballot(0, "") for group in groups}
        self._counter = {group: [0] * len(names) for group in groups}
        self._opened_by: dict[tuple[GroupName, Ballot], int] = {}
        self.cluster_id = ""
        self.openings = 0

    def answering(self, group: GroupName, now: float) -> list[int]:
        """The hosts that answer for the group now."""
        return [host for host, until in enumerate(self._until[group]) if until > now]

    def continues(self, group: GroupName, host: int, counter: int, incarnation: int) -> None:
        """A planned restart: the next life of that host goes on with the epoch that the last one left open."""
        self._opened_by[group, Ballot(counter, self._names[host])] = incarnation

    def closed(self, group: GroupName, host: int) -> None:
        """That host answers no more."""
        self._until[group][host] = 0.0

    def answers(
        self, group: GroupName, host: int, counter: int, incarnation: int, until: float, now: float
    ) -> bool:
        """The host answers until `until`. True when that is a new epoch or it did not answer before."""
        row = self._until[group]
        was = row[host]
        row[host] = until
        if until <= now:
            return False
        for other, other_until in enumerate(row):
            if other_until > now and other != host:
                if self._excuse is not None and self._excuse(host, other, now):
                    self.overlaps += 1
                    continue
                raise Violation(
                    "S1",
                    f"{self._names[host]} answers for {group} (epoch {counter}) until {until:.1f}"
                    f" while {self._names[other]} answers until {other_until:.1f}",
                )
        counters = self._counter[group]
        if was > now and counters[host] == counter:
            return False
        counters[host] = counter
        self.openings += was <= now
        self._check_epoch(group, Ballot(counter, self._names[host]), incarnation)
        return True

    def founded(self, cluster_id: str) -> None:
        """Some node writes that it is a member of this cluster: there is only one."""
        if self.cluster_id not in ("", cluster_id):
            raise Violation("S2", f"cluster {cluster_id} is founded beside {self.cluster_id}")
        self.cluster_id = cluster_id

    def _check_epoch(self, group: GroupName, ballot: Ballot, incarnation: int) -> None:
        newest = self._newest[group]
        if ballot < newest and self._excuse is None:
            raise Violation("S2", f"{group}: epoch {ballot} opens after {newest}")
        self._newest[group] = max(ballot, newest)
        opened_by = self._opened_by.setdefault((group, ballot), incarnation)
        if opened_by != incarnation:
            raise Violation(
                "S2", f"{group}: epoch {ballot} is opened by incarnation {incarnation}, before by {opened_by}"
            )
