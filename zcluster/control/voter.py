"""The voter: what this node promised, to whom, and until when.

Must hold: a voter binds itself to one ballot of a group at a time, for `grant_ms` after it processed a
beat that lists the pair; a released ballot is never granted again; ballots granted for a group only grow,
also across restarts: every counter granted is at or below the ceiling on disk, and a new life grants
nothing at or below the ceiling it found (DESIGN 4.2; PaxosLease, Trencseni et al., is the nearest
published relative). The same holder in the same life may exchange its ballot for a higher one.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from zcluster.control.messages import Claim, Grant
from zcluster.control.timing import LONG_GRANT_MS
from zcluster.control.units import Ballot, GroupName, NodeName

NEVER_MS = -(1 << 60)


class Vote(Enum):
    """What became of one pair of one beat."""

    REFUSED = auto()
    RENEWED = auto()
    GRANTED = auto()


class Promise:
    """The grant of one group: mutable, owned by the voter."""

    __slots__ = ("counter", "holder", "incarnation", "is_firm", "is_released", "only_binds", "until_ms")

    def __init__(self, counter: int, holder: NodeName, incarnation: int, until_ms: int) -> None:
        self.counter = counter
        self.holder = holder
        self.incarnation = incarnation
        self.until_ms = until_ms
        self.is_released = False
        self.is_firm = False
        self.only_binds = False

    def binds(self, now_ms: int) -> bool:
        """Whether the voter may not give the group to somebody else yet."""
        return not self.is_released and now_ms < self.until_ms


class Voter:
    """Grants per group. `abstain_until_ms`: a process that just started grants nothing new before.

    `floor`: the ceiling that this life found on disk. `ceiling`: the one on disk now. `is_amnesiac`: the
    disk came empty to a member, so it does not know its floor yet and grants nothing.
    """

    def __init__(self, grant_ms: int, abstain_until_ms: int, floor: int) -> None:
        self.floor = floor
        self.ceiling = floor
        self.is_amnesiac = False
        # Times are rounded down to milliseconds: one more makes the promise never shorter than said.
        self._grant_ms = grant_ms + 1
        self._abstain_until_ms = abstain_until_ms
        self._promises: dict[GroupName, Promise] = {}
        self._grants: tuple[Grant, ...] = ()
        self._grants_stale_ms = NEVER_MS

    def hear(
        self,
        holder: NodeName,
        incarnation: int,
        group: GroupName,
        counter: int,
        now_ms: int,
        may_grant_new: bool = True,
        keeps_longer: bool = False,
    ) -> Vote:
        """Vote on one pair of a beat just processed. `may_grant_new` is false for a peer that does not
        hear us: a vote that cannot arrive would only bind us. `keeps_longer`: the beat asks for long
        grants, so a long promise given already does not shrink.
        """
        promise = self._promises.get(group)
        if promise is not None:
            if promise.counter == counter and promise.holder == holder and promise.incarnation == incarnation:
                return self._renew(promise, now_ms, keeps_longer)
            if (counter, holder) <= (promise.counter, promise.holder):
                return Vote.REFUSED
            is_same_life = promise.holder == holder and promise.incarnation == incarnation
            if promise.binds(now_ms) and not is_same_life:
                return Vote.REFUSED
        if not may_grant_new or self.is_amnesiac or now_ms < self._abstain_until_ms:
            return Vote.REFUSED
        if not self.floor < counter <= self.ceiling:
            return Vote.REFUSED
        self._promises[group] = Promise(counter, holder, incarnation, now_ms + self._grant_ms)
        self._grants_stale_ms = now_ms
        return Vote.GRANTED

    def _renew(self, promise: Promise, now_ms: int, keeps_longer: bool) -> Vote:
        if promise.is_released or promise.only_binds:
            return Vote.REFUSED
        if promise.until_ms <= now_ms:
            self._grants_stale_ms = now_ms
        until_ms = now_ms + self._grant_ms
        promise.is_firm = promise.is_firm and promise.binds(now_ms)
        keeps_longer = keeps_longer or promise.is_firm
        promise.until_ms = max(promise.until_ms, until_ms) if keeps_longer else until_ms
        return Vote.RENEWED

    def promise_long(self, group: GroupName, now_ms: int) -> None:
        """The promise just renewed is on disk as a long one."""
        self._promises[group].until_ms = now_ms + LONG_GRANT_MS + 1

    def restore(
        self,
        group: GroupName,
        counter: int,
        holder: NodeName,
        incarnation: int,
        until_ms: int,
        only_binds: bool,
    ) -> None:
        """A promise of a former life that still binds, known from disk.

        It is firm: this life does not remember which beats of the holder the former one had processed, so an old
        one could come again, and must neither shorten nor release it. With `only_binds` it keeps others away and
        is never renewed: the former life may have granted a higher ballot after it, so that the old one must not
        come back. The holder takes a higher ballot, as for every voter that started anew.
        """
        self._promises[group] = promise = Promise(counter, holder, incarnation, until_ms)
        promise.is_firm = True
        promise.only_binds = only_binds
        self._grants_stale_ms = NEVER_MS

    def is_firm(self, group: GroupName, now_ms: int) -> bool:
        """Whether a promise of a former life binds this voter, whatever the holder's last life still says."""
        promise = self._promises.get(group)
        return promise is not None and promise.is_firm and promise.binds(now_ms)

    def continue_holder(self, holder: NodeName, before: int, incarnation: int) -> None:
        """The holder's daemon restarted on purpose: its next life holds what the last one held."""
        for promise in self._promises.values():
            if promise.holder == holder and promise.incarnation == before:
                promise.incarnation = incarnation
                promise.is_firm = False

    def abstain_longer(self, until_ms: int) -> None:
        """A member without memory may have given a long grant."""
        self._abstain_until_ms = max(self._abstain_until_ms, until_ms)

    def omit(
        self, holder: NodeName, incarnation: int, claims: Iterable[Claim], now_ms: int
    ) -> tuple[GroupName, ...]:
        """The newest beat of (holder, incarnation) lists only `claims`: what it omits is released, and returned.

        A group listed under another ballot is not released: its holder exchanges ballots, and the lease of
        the old one runs on, whether or not this voter can grant the new one.
        """
        listed = {claim.group for claim in claims}
        released = []
        for group, promise in self._promises.items():
            if (
                promise.holder == holder
                and promise.incarnation == incarnation
                and not promise.is_released
                and group not in listed
                and not (promise.is_firm and promise.binds(now_ms))
            ):
                promise.is_released = True
                self._grants_stale_ms = now_ms
                released.append(group)
        return tuple(released)

    def is_abstaining(self, now_ms: int) -> bool:
        """Whether the start is too near for new grants."""
        return now_ms < self._abstain_until_ms

    def is_free(self, group: GroupName, now_ms: int) -> bool:
        """Whether no promise for the group binds this voter."""
        promise = self._promises.get(group)
        return promise is None or not promise.binds(now_ms)

    def free_at_ms(self, group: GroupName, now_ms: int) -> int:
        """When the voter becomes free for the group, if nothing renews its promise."""
        promise = self._promises.get(group)
        return promise.until_ms if promise is not None and promise.binds(now_ms) else now_ms

    def highest(self, group: GroupName) -> Ballot | None:
        """The highest ballot that this voter ever granted for the group."""
        promise = self._promises.get(group)
        return None if promise is None else Ballot(promise.counter, promise.holder)

    def grants(self, now_ms: int) -> tuple[Grant, ...]:
        """One `Grant` a group, by name; the same object as before while nothing changed."""
        if now_ms >= self._grants_stale_ms:
            grants = tuple(
                Grant(group, promise.counter, promise.holder, promise.binds(now_ms))
                for group, promise in sorted(self._promises.items())
            )
            if grants != self._grants:
                self._grants = grants
            binding = [p.until_ms for p in self._promises.values() if p.binds(now_ms)]
            self._grants_stale_ms = min(binding, default=1 << 60)
        return self._grants
