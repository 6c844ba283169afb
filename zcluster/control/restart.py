"""A planned restart of the daemon: nothing moves (DESIGN 4.9).

The holder asks for long grants; voters write them down before they say so; a long element is armed beside
the usual one with every such beat, and the gate is pointed at it only when a majority gave the *long* grant
for that beat. Then the process ends and leaves everything open. The next life first shortens its own gate
to one lease, then its first beat replaces the long grants.

The element of slot 0, to which the next life shortens its gate, has no acknowledged beat behind it, only the old
long grants. So the shell arms it *before* it reads the clock that the core is made with, and the core points at
it only if one lease after that reading is still within the long lease: however late the pointing comes, the
element has run out by then.

Must hold: while a handover may be on disk, nothing that it lists is released, exchanged or shortened, for the
next life would open it again. Who gives up first writes that there is no handover.
"""

from __future__ import annotations

from dataclasses import replace

from zcluster.control.actions import AnswerWish, ArmGate, Exit, PointGate, RenewAddresses
from zcluster.control.detector import Peer
from zcluster.control.document import Handover, Held, LongGrant
from zcluster.control.holding import Holder
from zcluster.control.lease import Lease, long_slot_of
from zcluster.control.messages import Ack
from zcluster.control.ownership import Phase, Tenure
from zcluster.control.situation import Situation
from zcluster.control.timing import LONG_GRANT_MS, LONG_LEASE_MS, Timing
from zcluster.control.units import NodeName

RESTART_LIMIT_MS = 1000


def is_usable(handover: Handover, now_ms: int, timing: Timing) -> bool:
    """Whether a handover of this boot leaves time enough to go on: one usual lease, armed before `now_ms` was
    read. Where not, the shell closes what the last life left, as after a crash.
    """
    return handover.until_ms >= now_ms + timing.lease_ms


class Restart:
    """This node's planned restart, and its part as a voter in those of others."""

    def __init__(self, situation: Situation, holder: Holder) -> None:
        self._s = situation
        self._holder = holder
        self._identity = ""
        self._asked_ms = 0
        self._is_written = 0
        self._is_revoked = 0
        self._is_over = False
        self.is_asking = False
        self.continues = 0

    @property
    def is_committed(self) -> bool:
        """Whether a handover may be on disk: what this node holds must stay as it is."""
        return self._is_written > 0

    # ---- the next life

    def resume(self) -> None:
        """Take over what the last life left open; the first thing a new life does."""
        s = self._s
        for grant in s.durable.long_grants:
            until_ms = s.now_ms + LONG_GRANT_MS + s.timing.margin_ms
            s.voter.restore(
                grant.group, grant.counter, grant.holder, grant.incarnation, until_ms, only_binds=True
            )
        handover = s.durable.handover
        s.durable = s.stored = replace(s.durable, handover=None)
        if handover is None or not s.is_member or not is_usable(handover, s.now_ms, s.timing):
            return
        end_ms = s.now_ms + s.timing.lease_ms
        self.continues = handover.incarnation
        for held in handover.held:
            if held.group in s.groups:
                self._resume_group(held, end_ms)
        groups = list(self._holder.holds())
        s.tell("notice", "continued", f"goes on with {', '.join(groups)}: a planned restart", groups=groups)

    def _resume_group(self, held: Held, end_ms: int) -> None:
        s = self._s
        self._holder.resume(held.group, held.counter, end_ms)
        until_ms = s.now_ms + s.timing.grant_ms
        s.voter.restore(held.group, held.counter, s.name, s.incarnation, until_ms, only_binds=False)
        s.out.append(PointGate(held.group, 0))
        s.out.append(RenewAddresses(held.group))

    # ---- the life that ends

    def ask(self, identity: str) -> None:
        """An operator (or a package upgrade) wants the daemon restarted."""
        s = self._s
        if self.is_asking:
            s.out.append(AnswerWish(identity, False, "a restart is under way already"))
            return
        if any(tenure.phase is not Phase.HOLDING for tenure in self._holder.tenures.values()):
            text = "a group is just being claimed or closed; ask again in a second"
            s.out.append(AnswerWish(identity, False, text))
            return
        self.is_asking = True
        self._identity = identity
        self._asked_ms = s.now_ms
        for tenure in self._holder.tenures.values():
            tenure.long_lease = Lease(s.sequence + 1)
        s.is_report_stale = s.wants_beat = True
        self._advance()

    def arm(self, sequence: int) -> None:
        """Beside the usual element of this beat: one for the long lease."""
        if not self.is_asking:
            return
        groups = tuple(t.group for t in self._holder.tenures.values() if t.long_lease is not None)
        if groups:
            self._s.out.append(ArmGate(long_slot_of(sequence), groups, LONG_LEASE_MS))

    def vote_for_own(self, sequence: int) -> None:
        """The own voice, for the beat just sent: its promise ends with this process, so it needs no disk."""
        if not self.is_asking:
            return
        for tenure in self._holder.tenures.values():
            if tenure.long_lease is not None and tenure.long_lease.acknowledge(self._s.name, sequence):
                self._point(tenure)
        self._advance()

    def acknowledged(self, voter: NodeName, ack: Ack) -> None:
        """A voter has our pairs on disk as long grants, for this beat."""
        if not self.is_asking or not ack.is_long:
            return
        for pair in ack.pairs:
            tenure = self._holder.tenures.get(pair.group)
            if tenure is None or tenure.counter != pair.counter or tenure.long_lease is None:
                continue
            if tenure.long_lease.acknowledge(voter, ack.sequence):
                self._point(tenure)
        self._advance()

    def _point(self, tenure: Tenure) -> None:
        s = self._s
        assert tenure.long_lease is not None
        newest = tenure.long_lease.newest_majority(s.roster, s.quorum)
        sent_ms = s.sent.sent_ms(newest)
        if newest <= tenure.long_slot or sent_ms is None or tenure.phase is not Phase.HOLDING:
            return
        if sent_ms + s.timing.lease_ms <= s.now_ms:
            return
        tenure.long_slot = newest
        tenure.lease_end_ms = sent_ms + LONG_LEASE_MS
        s.out.append(PointGate(tenure.group, long_slot_of(newest)))
        s.out.append(RenewAddresses(tenure.group, LONG_LEASE_MS))

    def _advance(self) -> None:
        s = self._s
        tenures = list(self._holder.tenures.values())
        if self._is_written or self._is_over or not self.is_asking:
            return
        if any(tenure.long_slot == 0 or tenure.phase is not Phase.HOLDING for tenure in tenures):
            return
        until_ms = min((tenure.lease_end_ms for tenure in tenures), default=0)
        held = tuple(Held(tenure.group, tenure.counter) for tenure in tenures)
        handover = Handover(s.incarnation, until_ms, held) if held else None
        self._is_written = s.store(replace(s.durable, handover=handover))

    def stored(self, number: int) -> None:
        """The handover is on disk: end; or it is off the disk again: go on as usual."""
        if self._is_revoked:
            if number >= self._is_revoked:
                self._give_up()
        elif self._is_written and number >= self._is_written:
            groups = ", ".join(self._holder.holds()) or "nothing"
            text = f"{groups} stays open for the next life of this daemon"
            self._s.tell("notice", "planned-restart", text, groups=list(self._holder.holds()))
            self._s.out.append(AnswerWish(self._identity, True, text))
            self._s.out.append(Exit(keeps_open=True))
            self._is_over = True

    def tick(self) -> None:
        """Give up when the voters do not write in time: the usual leases go on."""
        s = self._s
        self._forget_over()
        if not self.is_asking or self._is_over:
            return
        if self._is_revoked:
            if not s.is_storing():
                self._revoke()
        elif s.now_ms >= self._asked_ms + RESTART_LIMIT_MS:
            self.cancel()

    def cancel(self) -> None:
        """Give up the restart. Where a handover may be on disk, that takes until it is off again."""
        if not self.is_asking or self._is_over or self._is_revoked:
            return
        if self._is_written:
            self._revoke()
        else:
            self._give_up()

    def _revoke(self) -> None:
        self._is_revoked = self._s.store(replace(self._s.durable, handover=None))

    def _give_up(self) -> None:
        s = self._s
        self.is_asking = False
        self._is_written = self._is_revoked = 0
        for tenure in self._holder.tenures.values():
            self._holder.shorten(tenure)
        s.is_report_stale = s.wants_beat = True
        text = "given up before all was written down: nothing was restarted, nothing has moved"
        s.out.append(AnswerWish(self._identity, False, text))
        s.tell("warning", "restart-refused", text)

    # ---- the voter

    def vote_long(self, peer: Peer) -> bool:
        """A holder asks for long grants for all its pairs, just renewed. True once they are on disk."""
        s = self._s
        wanted = tuple(LongGrant(p.group, p.counter, peer.name, peer.incarnation) for p in peer.pairs)
        if all(grant in durable.long_grants for grant in wanted for durable in s.on_disk_and_on_its_way()):
            for pair in peer.pairs:
                s.voter.promise_long(pair.group, s.now_ms)
            return True
        if not all(grant in s.durable.long_grants for grant in wanted):
            groups = {grant.group for grant in wanted}
            others = tuple(g for g in s.durable.long_grants if g.group not in groups)
            s.store(replace(s.durable, long_grants=(*others, *wanted)))
        return False

    def _forget_over(self) -> None:
        """A long grant whose time is over by this clock need not bind the next life for its whole length."""
        s = self._s
        grants = s.durable.long_grants
        if not grants or s.is_storing():
            return
        kept = tuple(grant for grant in grants if not s.voter.is_free(grant.group, s.now_ms))
        if kept != grants:
            s.store(replace(s.durable, long_grants=kept))

    def forget_long(self, peer: Peer) -> None:
        """A usual beat of the holder replaced its long grants; the disk may forget them.

        Not those that our last life gave and that still bind us: this beat may be older than they are.
        """
        s = self._s
        kept = tuple(
            grant
            for grant in s.durable.long_grants
            if grant.holder != peer.name or s.voter.is_firm(grant.group, s.now_ms)
        )
        if kept != s.durable.long_grants and not s.is_storing():
            s.store(replace(s.durable, long_grants=kept))
