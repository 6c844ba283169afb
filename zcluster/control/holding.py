"""The groups that this node claims, holds or closes.

Must hold: every armed element is armed before its beat is sent; the gate is pointed only at the beat that
a majority acknowledged; a group leaves the beats only when the kernel confirmed its closing, or when
nothing was ever opened.
"""

from __future__ import annotations

from collections.abc import Sequence

from zcluster.control.actions import (
    Announce,
    ArmGate,
    CloseAddresses,
    OpenAddresses,
    PointGate,
    RenewAddresses,
)
from zcluster.control.detector import Peer
from zcluster.control.durations import duration
from zcluster.control.lease import slot_of
from zcluster.control.messages import Ack, Claim, Release
from zcluster.control.ownership import ARMED_PHASES, OPEN_PHASES, UNOPENED_PHASES, Cause, Phase, Tenure
from zcluster.control.rivals import RivalWatch
from zcluster.control.situation import Situation
from zcluster.control.takeover import FAR_MS, Seeker, Watch
from zcluster.control.units import Ballot, GroupName, NodeName, Pair
from zcluster.control.voter import Vote

CLOSE_RETRY_MS = 100
RELEASE_SHOWN_MS = 1000
ADDRESS_RENEWAL_MS = 500
RIVAL_PROBE_MS = 50
STRANGER_PROBE_MS = 1000
CONFLICT_PAUSE_MS = 10_000
SETTLING_MS = 50
LARGEST_UNJUDGED = 64
LARGEST_CONFLICTS = 64


class Holder:
    """All tenures of one node, and the releases it still shows."""

    def __init__(self, situation: Situation, seeker: Seeker) -> None:
        self._s = situation
        self._seeker = seeker
        self.tenures: dict[GroupName, Tenure] = {}
        self._releases: dict[GroupName, tuple[int, Release]] = {}
        self.proxies: set[str] = set()
        self._conflict_told_ms: dict[tuple[GroupName, str], int] = {}
        self._own_votes: dict[GroupName, tuple[int, int]] = {}
        self._unjudged: dict[tuple[GroupName, str], None] = {}
        self._rivals = RivalWatch()

    # ---- what the beat lists

    def claims(self) -> tuple[Claim, ...]:
        """Every tenure, in the order they began."""
        return tuple(tenure.claim() for tenure in self.tenures.values())

    def holds(self) -> tuple[GroupName, ...]:
        """The groups that this node claims or holds."""
        return tuple(self.tenures)

    def is_master(self) -> bool:
        """Whether any group's addresses are ours."""
        return any(tenure.phase in OPEN_PHASES for tenure in self.tenures.values())

    def releases(self) -> tuple[Release, ...]:
        """What was released within the last second."""
        return tuple(release for _, release in self._releases.values())

    def arm(self, sequence: int) -> None:
        """Before the beat of this sequence leaves."""
        armed = tuple(group for group, tenure in self.tenures.items() if tenure.phase in ARMED_PHASES)
        if armed:
            self._s.out.append(ArmGate(slot_of(sequence), armed, self._s.timing.lease_ms))

    def vote_for_own(self, sequence: int) -> None:
        """The own beat was sent: this node is one of its voters.

        Where that vote alone is enough, it counts only with the next tick, when everything that came meanwhile
        was heard: this process may have stood still before the gate was armed, and the other one have taken over.
        """
        s = self._s
        for tenure in list(self.tenures.values()):
            vote = s.voter.hear(
                s.name,
                s.incarnation,
                tenure.group,
                tenure.counter,
                s.now_ms,
                True,
                tenure.long_lease is not None,
            )
            if vote is Vote.REFUSED:
                continue
            if s.is_pair and self._quorum(tenure) == 1:
                self._own_votes[tenure.group] = (tenure.counter, sequence)
            else:
                self._acknowledged_by(tenure, s.name, sequence)

    def _count_own_votes(self) -> None:
        votes, self._own_votes = self._own_votes, {}
        for group, (counter, sequence) in votes.items():
            tenure = self.tenures.get(group)
            if tenure is not None and tenure.counter == counter:
                self._acknowledged_by(tenure, self._s.name, sequence)

    def _quorum(self, tenure: Tenure) -> int:
        return self._s.claim_quorum() if tenure.phase is Phase.CLAIMING else self._s.lease_quorum()

    # ---- votes of others

    def acknowledged(self, voter: NodeName, ack: Ack) -> None:
        """A voter granted pairs for the own beat `ack.sequence`."""
        for group, counter in ack.pairs:
            tenure = self.tenures.get(group)
            if tenure is not None and tenure.counter == counter:
                self._acknowledged_by(tenure, voter, ack.sequence)

    def _acknowledged_by(self, tenure: Tenure, voter: NodeName, sequence: int) -> None:
        if not tenure.lease.acknowledge(voter, sequence):
            return
        s = self._s
        if voter not in tenure.votes:
            tenure.votes[voter] = s.now_ms - tenure.claimed_ms
        if sequence <= tenure.slot:
            return  # nothing newer than what the gate stands on
        newest = tenure.lease.newest_majority(s.roster, self._quorum(tenure))
        if newest <= tenure.slot:
            return
        sent_ms = s.sent.sent_ms(newest)
        if sent_ms is None or sent_ms + s.timing.lease_ms <= s.now_ms:
            return
        tenure.slot = newest
        before_ms = tenure.lease_end_ms
        tenure.lease_end_ms = sent_ms + s.timing.lease_ms
        self._renewed(tenure, before_ms)

    def _renewed(self, tenure: Tenure, before_ms: int) -> None:
        match tenure.phase:
            case Phase.CLAIMING:
                tenure.change(Cause.MAJORITY)
                tenure.won_ms = self._s.now_ms
                self.advance_probing(tenure)
            case Phase.HOLDING if tenure.long_slot:
                tenure.lease_end_ms = before_ms
            case Phase.HOLDING:
                self._s.out.append(PointGate(tenure.group, slot_of(tenure.slot)))
            case Phase.LAPSED if self._s.is_pair or self._s.is_kept_elsewhere(tenure.group):
                # The other one of a pair may have opened it meanwhile: ask the network first, as for a new claim.
                # And what is frozen elsewhere does not come back here.
                self.close(tenure, "", "lapsed")
            case Phase.LAPSED:
                self._reopen(tenure)
            case _:
                pass

    def _reopen(self, tenure: Tenure) -> None:
        s = self._s
        tenure.change(Cause.RENEWED)
        s.out.append(PointGate(tenure.group, slot_of(tenure.slot)))
        s.out.append(RenewAddresses(tenure.group))
        s.out.append(Announce(tenure.group))
        s.is_report_stale = True
        s.tell(
            "warning",
            "lease-regained",
            f"{tenure.group}: open again at epoch {tenure.counter} after "
            f"{duration(s.now_ms - tenure.lapsed_ms)} without a majority; nobody held it meanwhile",
            group=tenure.group,
            epoch=tenure.counter,
            closed_ms=s.now_ms - tenure.lapsed_ms,
        )

    def resume(self, group: GroupName, counter: int, lease_end_ms: int) -> None:
        """Go on holding what the last life left open on purpose."""
        s = self._s
        watch = self._seeker.watches[group]
        tenure = Tenure(group, s.name, counter, 1, s.now_ms, s.name, "planned restart", needs_probe=False)
        tenure.phase = Phase.HOLDING
        tenure.lease_end_ms = lease_end_ms
        tenure.won_ms = tenure.opened_ms = tenure.renewed_ms = s.now_ms
        self.tenures[group] = tenure
        watch.seen_counter = watch.opened_counter = counter
        watch.last_holder = s.name
        watch.is_known = True
        s.is_report_stale = True

    # ---- claiming

    def shorten(self, tenure: Tenure) -> None:
        """Back from a long lease to the usual one, before any usual beat replaces the long grants."""
        s = self._s
        tenure.long_lease = None
        if not tenure.long_slot:
            return
        tenure.long_slot = 0
        sent_ms = s.sent.sent_ms(tenure.slot)
        tenure.lease_end_ms = s.now_ms if sent_ms is None else sent_ms + s.timing.lease_ms
        s.out.append(PointGate(tenure.group, slot_of(tenure.slot)))

    def claim(self, watch: Watch, from_node: NodeName, why: str, facts: dict[str, object]) -> bool:
        """Claim a vacant group in the next beat; false while the disk holds no counter for it."""
        s = self._s
        highest = s.voter.highest(watch.group) or Ballot(0, "")
        counter = max(watch.seen_counter, highest.counter, self._highest_floor()) + 1
        if counter > s.stored.ceiling:
            return False
        watch.seen_counter = counter
        tenure = Tenure(
            watch.group,
            s.name,
            counter,
            s.sequence + 1,
            s.now_ms,
            from_node,
            why,
            needs_probe=not watch.is_clean or (s.is_pair and not why.startswith("released")),
        )
        tenure.facts = facts
        self.tenures[watch.group] = tenure
        self._releases.pop(watch.group, None)
        s.is_report_stale = True
        s.wants_beat = True
        return True

    def _highest_floor(self) -> int:
        s = self._s
        floors = [p.report.floor for p in s.detector.alive(s.now_ms) if p.name in s.roster]
        return max([s.voter.floor, *floors])

    def _exchange_ballot(self, tenure: Tenure, floor: int) -> None:
        """A voter that started anew cannot grant our counter: take a higher one while all is well, so
        that a series of restarts never costs the majority. The holder stays, so nothing closes.
        """
        s = self._s
        watch = self._seeker.watches[tenure.group]
        counter = max(watch.seen_counter, floor) + 1
        if counter > s.stored.ceiling or not self._would_be_granted(tenure, counter):
            return
        watch.seen_counter = counter
        s.tell(
            "info",
            "epoch-exchanged",
            f"{tenure.group}: epoch {tenure.counter} continues as {counter}, for voters that started anew",
            group=tenure.group,
            epoch=counter,
            before=tenure.counter,
        )
        tenure.exchange(counter, s.sequence + 1)
        s.is_report_stale = True
        s.wants_beat = True

    def _would_be_granted(self, tenure: Tenure, counter: int) -> bool:
        """Whether a majority of those who grant our pair now have this counter on disk already."""
        s = self._s
        pair = Pair(tenure.group, tenure.counter)
        able = 1
        for peer in s.detector.alive(s.now_ms):
            ack = peer.acks.get(s.name)
            if peer.name not in s.roster or ack is None or peer.report.ceiling < counter:
                continue
            able += pair in ack.pairs or _outgrown(peer, tenure) is not None
        return able >= s.lease_quorum()

    def _outgrown_to(self, tenure: Tenure) -> int:
        """The highest counter that a living voter will not go below for this group: its floor, or what it
        granted to somebody who has given up.
        """
        s = self._s
        highest = self._highest_floor()
        for peer in s.detector.alive(s.now_ms):
            if peer.name in s.roster:
                highest = max(highest, _outgrown(peer, tenure) or 0)
        return highest

    def withdraw(self, tenure: Tenure, pause_ms: int) -> None:
        """End a claim that was never opened; the next beat omits it."""
        s = self._s
        tenure.change(Cause.WITHDRAWN)
        self._gone(tenure)
        self._seeker.watches[tenure.group].backoff_ms = s.now_ms + pause_ms
        s.wants_beat = True
        s.tell(
            "info",
            "claim-withdrawn",
            f"{tenure.group}: claim {tenure.counter} withdrawn, votes {sorted(tenure.votes)}",
            group=tenure.group,
            epoch=tenure.counter,
            votes=dict(tenure.votes),
        )

    def yield_to(self, rival: NodeName, claims: Sequence[Claim]) -> None:
        """A peer lists groups with higher ballots than ours: a loser withdraws at once."""
        for claim in claims:
            tenure = self.tenures.get(claim.group)
            if tenure is None:
                continue
            if (claim.counter, rival) <= (tenure.counter, self._s.name):
                if self._s.is_pair and claim.is_open and tenure.phase in UNOPENED_PHASES:
                    self.withdraw(tenure, self._s.timing.silence_ms)
                continue
            if tenure.phase is Phase.CLAIMING or (claim.is_open and tenure.phase in UNOPENED_PHASES):
                self.withdraw(tenure, self._s.timing.claim_limit_ms)
            elif claim.is_open and self._may_be_superseded(tenure):
                self._superseded(tenure, rival, claim.counter)

    def _may_be_superseded(self, tenure: Tenure) -> bool:
        """An epoch that ran out; of a pair, also one that both opened while they could not talk."""
        return tenure.phase is Phase.LAPSED or (self._s.is_pair and tenure.phase is Phase.HOLDING)

    def outvoted_by(self, group: GroupName, counter: int, holder: NodeName) -> None:
        """Some voter is bound to a higher ballot than our claim."""
        tenure = self.tenures.get(group)
        if tenure is None or tenure.phase is not Phase.CLAIMING:
            return
        if (counter, holder) > (tenure.counter, self._s.name):
            self.withdraw(tenure, self._s.timing.claim_limit_ms)

    def _superseded(self, tenure: Tenure, rival: NodeName, counter: int) -> None:
        s = self._s
        s.tell(
            "warning",
            "superseded",
            f"{tenure.group}: {rival} holds epoch {counter}; our epoch {tenure.counter} had run out",
            group=tenure.group,
            epoch=tenure.counter,
            rival=rival,
        )
        self.close(tenure, "", "superseded")

    # ---- opening

    def advance_probing(self, tenure: Tenure) -> None:
        """Open when the network stayed quiet after a probe that counts."""
        s = self._s
        watch = self._seeker.watches[tenure.group]
        if not tenure.needs_probe:
            self._open(tenure)
            return
        quiet_from_ms = self._quiet_from_ms(tenure, watch)
        counted = [sent_ms for sent_ms in watch.probes if sent_ms >= quiet_from_ms]
        answers = [
            (seen_ms, mac)
            for seen_ms, mac in watch.sightings
            if counted and seen_ms >= counted[-1] and mac not in self.proxies
        ]
        if answers:
            self._answered(tenure, watch, answers[-1][1], counted[-1])
        elif not counted:
            self._seeker.probe(watch)
        elif s.now_ms >= self._wait_base_ms(counted, watch) + s.timing.probe_wait_ms:
            tenure.facts["probes_ms"] = [sent_ms - tenure.claimed_ms for sent_ms in counted]
            self._open(tenure)

    @staticmethod
    def _wait_base_ms(counted: Sequence[int], watch: Watch) -> int:
        """The first counted probe after the last answer (proxies aside, there was none)."""
        last_answer_ms = max((seen_ms for seen_ms, _ in watch.sightings), default=0)
        later = [sent_ms for sent_ms in counted if sent_ms > last_answer_ms]
        return later[0] if later else counted[-1]

    def _quiet_from_ms(self, tenure: Tenure, watch: Watch) -> int:
        """Probes count from here: the old lease must have ended. Every voter of our majority was free
        when it voted, so it had ended at the latest when we won; silence usually says so earlier.
        """
        known_ms = tenure.facts.get("old_lease_over_ms")
        return known_ms if isinstance(known_ms, int) else tenure.won_ms

    def _answered(self, tenure: Tenure, watch: Watch, mac: str, probed_ms: int) -> None:
        s = self._s
        owner = self._owner_of(mac)
        pause_ms = RIVAL_PROBE_MS if owner else STRANGER_PROBE_MS
        if owner:
            text = f"{tenure.group}: {owner} still answers ({mac}) after its lease ended; not opening"
            self._conflict(tenure.group, mac, "gate-failed", text)
        else:
            text = (
                f"{tenure.group}: a machine outside the cluster ({mac}) answers for its address, so {s.name} does not "
                "open it"
            )
            self._conflict(tenure.group, mac, "stranger", text)
        if s.now_ms >= probed_ms + pause_ms:
            self._seeker.probe(watch)

    def _open(self, tenure: Tenure) -> None:
        tenure.change(Cause.QUIET)
        tenure.facts["quiet_ms"] = self._s.now_ms - tenure.claimed_ms
        self._s.out.append(OpenAddresses(tenure.group, tenure.counter, slot_of(tenure.slot)))

    def opened(self, group: GroupName, counter: int, problem: str) -> None:
        """The kernel's answer to `OpenAddresses`."""
        s = self._s
        tenure = self.tenures.get(group)
        if tenure is None or tenure.counter != counter or tenure.phase is not Phase.OPENING:
            return
        if problem:
            tenure.change(Cause.OPEN_FAILED)
            s.tell("alarm", "open-failed", f"{group}: {problem}", group=group, epoch=counter)
            self._ask_closing(tenure)
            return
        tenure.change(Cause.OPENED)
        tenure.opened_ms = tenure.renewed_ms = s.now_ms
        s.is_report_stale = True
        s.wants_beat = True
        watch = self._seeker.watches[group]
        watch.last_holder = s.name
        watch.is_known = True
        s.out.append(PointGate(group, slot_of(tenure.slot)))
        self._tell_takeover(tenure)

    def _tell_takeover(self, tenure: Tenure) -> None:
        s = self._s
        facts = dict(tenure.facts)
        facts.pop("old_lease_over_ms", None)
        s.tell(
            "notice",
            "takeover",
            f"{tenure.group}: {s.name} holds epoch {tenure.counter}"
            + (f" after {tenure.from_node} ({tenure.why})" if tenure.from_node else f" ({tenure.why})"),
            **facts,
            group=tenure.group,
            epoch=tenure.counter,
            from_node=tenure.from_node,
            to_node=s.name,
            why=tenure.why,
            votes=dict(tenure.votes),
            won_ms=tenure.won_ms - tenure.claimed_ms,
            open_ms=tenure.opened_ms - tenure.claimed_ms,
            quorum=s.quorum,
            roster=len(s.roster),
        )

    # ---- closing

    def release(self, tenure: Tenure, successor: NodeName, cause: str) -> None:
        """Give an open group to a named successor ("" for nobody): close first, then say so."""
        if tenure.phase in UNOPENED_PHASES:
            self.withdraw(tenure, self._s.timing.silence_ms)
        elif tenure.phase is not Phase.CLOSING:
            self.close(tenure, successor, cause)

    def close(self, tenure: Tenure, successor: NodeName, cause: str) -> None:
        """Close the addresses; the tenure stays in the beats until the kernel confirms."""
        tenure.successor = successor
        tenure.release_cause = cause
        tenure.change(Cause.GIVEN_UP)
        self._rivals.forget(tenure.group)
        self._s.is_report_stale = True
        self._ask_closing(tenure)

    def _ask_closing(self, tenure: Tenure) -> None:
        tenure.close_retry_ms = self._s.now_ms + CLOSE_RETRY_MS
        self._s.out.append(CloseAddresses(tenure.group, tenure.counter))

    def closed(self, group: GroupName, counter: int, problem: str) -> None:
        """The kernel's answer to `CloseAddresses`."""
        s = self._s
        tenure = self.tenures.get(group)
        if tenure is None or tenure.counter != counter or tenure.phase is not Phase.CLOSING:
            return
        if problem:
            tenure.change(Cause.CLOSE_FAILED)
            text = f"{group}: could not close, so nobody else may open: {problem}"
            self._conflict(group, "", "close-failed", text)
            return
        tenure.change(Cause.CLOSED)
        release = Release(group, counter, tenure.successor, tenure.release_cause)
        self._releases[group] = (s.now_ms + RELEASE_SHOWN_MS, release)
        self._gone(tenure)
        watch = self._seeker.watches[group]
        if tenure.release_cause == "health":
            watch.health_moves.append(s.now_ms)
        watch.release = release
        watch.backoff_ms = s.now_ms + s.timing.silence_ms
        s.wants_beat = True
        s.tell(
            "notice",
            "released",
            f"{group}: epoch {counter} closed and released ({tenure.release_cause})"
            + (f", {tenure.successor} follows" if tenure.successor else ""),
            group=group,
            epoch=counter,
            cause=tenure.release_cause,
            successor=tenure.successor,
        )

    def _gone(self, tenure: Tenure) -> None:
        s = self._s
        del self.tenures[tenure.group]
        s.is_report_stale = True
        s.voter.omit(s.name, s.incarnation, self.claims(), s.now_ms)
        self._seeker.forget_own(tenure.group, tenure.counter, tenure.opened_ms > 0)

    # ---- time

    def tick(self) -> None:
        """Leases that ran out, claims that got no majority, probes, closings to repeat, renewals."""
        s = self._s
        for tenure in list(self.tenures.values()):
            match tenure.phase:
                case Phase.CLAIMING:
                    if s.now_ms >= tenure.claimed_ms + s.timing.claim_limit_ms:
                        self.withdraw(tenure, self._retry_pause_ms())
                case Phase.PROBING:
                    self._tick_probing(tenure)
                case Phase.HOLDING:
                    self._tick_holding(tenure)
                case Phase.LAPSED:
                    if s.now_ms >= tenure.lapsed_ms + s.timing.silence_ms:
                        self.close(tenure, "", "lapsed")
                case Phase.CLOSING:
                    if s.now_ms >= tenure.close_retry_ms:
                        self._ask_closing(tenure)
                case Phase.OPENING | Phase.GONE:
                    pass
        if self._own_votes:
            self._count_own_votes()
        unjudged, self._unjudged = self._unjudged, {}
        for group, mac in unjudged:
            self._judge_rival(group, mac)
        for group, (until_ms, _) in list(self._releases.items()):
            if s.now_ms >= until_ms:
                del self._releases[group]
                s.is_report_stale = True

    def _retry_pause_ms(self) -> int:
        """Losers come back one after another: by their place in the roster, so that no two meet again."""
        s = self._s
        place = sorted(s.roster).index(s.name) if s.is_member else len(s.roster)
        return s.timing.beat_ms + (place + 1) * s.timing.rank_step_ms

    def _tick_probing(self, tenure: Tenure) -> None:
        if self._s.now_ms >= tenure.lease_end_ms:
            self.withdraw(tenure, self._retry_pause_ms())
        else:
            self.advance_probing(tenure)

    def _tick_holding(self, tenure: Tenure) -> None:
        s = self._s
        if s.now_ms >= tenure.lease_end_ms:
            tenure.change(Cause.LAPSE)
            tenure.lapsed_ms = s.now_ms
            s.tell(
                "warning",
                "lease-lapsed",
                f"{tenure.group}: no majority acknowledged us for {s.timing.lease_ms} ms; the kernel closed"
                f" epoch {tenure.counter}",
                group=tenure.group,
                epoch=tenure.counter,
                alive=[peer.name for peer in s.detector.alive(s.now_ms)],
            )
            return
        if s.now_ms >= tenure.renewed_ms + ADDRESS_RENEWAL_MS:
            tenure.renewed_ms = s.now_ms
            s.out.append(RenewAddresses(tenure.group))
        floor = self._outgrown_to(tenure)
        is_calm = tenure.long_lease is None and tenure.lease.is_granted(s.roster, s.lease_quorum())
        if floor >= tenure.counter and is_calm:
            self._exchange_ballot(tenure, floor)
        self._ask_rivals(tenure.group)

    def _ask_rivals(self, group: GroupName) -> None:
        s = self._s
        if macs := self._rivals.over(group):
            text = f"{group}: {', '.join(macs)} answers for its address no more; {s.name} alone does"
            s.tell("notice", "conflict-over", text, group=group, macs=list(macs))
        elif self._rivals.is_due(group, s.now_ms):
            self._seeker.probe(self._seeker.watches[group])

    def next_wake_ms(self) -> int:
        """The next instant at which a tenure needs a tick between two beats."""
        if self._own_votes:
            return self._s.now_ms
        wake_ms = FAR_MS
        for tenure in self.tenures.values():
            if tenure.phase is Phase.PROBING:
                watch = self._seeker.watches[tenure.group]
                if watch.probes:
                    wake_ms = min(wake_ms, watch.probes[-1] + self._s.timing.probe_wait_ms)
                    base_ms = self._wait_base_ms(list(watch.probes), watch)
                    wake_ms = min(wake_ms, base_ms + self._s.timing.probe_wait_ms)
        return wake_ms if wake_ms > self._s.now_ms else FAR_MS

    # ---- the network speaks

    def address_seen(self, group: GroupName, mac: str, is_canary: bool, is_tick_due: bool = False) -> None:
        """Somebody else uses one of the group's addresses, or answers for the one nobody holds.

        Where a tick is due, this process may have stood still: whether the group is still ours is judged in that
        tick, when everything that came meanwhile was heard.
        """
        if is_canary:
            if mac not in self.proxies and not self._owner_of(mac):
                self.proxies.add(mac)
                text = f"{mac} answers for an address that nobody holds: a proxy, ignored"
                self._s.tell("warning", "proxy", text, mac=mac)
            return
        if mac in self.proxies:
            return
        self._seeker.watches[group].sightings.append((self._s.now_ms, mac))
        if is_tick_due:
            if len(self._unjudged) < LARGEST_UNJUDGED:
                self._unjudged[group, mac] = None
        else:
            self._judge_rival(group, mac)

    def _judge_rival(self, group: GroupName, mac: str) -> None:
        """Somebody answers for a group: an alarm while it is ours beyond doubt."""
        s = self._s
        tenure = self.tenures.get(group)
        if tenure is None or tenure.phase is not Phase.HOLDING:
            return
        if s.now_ms >= tenure.lease_end_ms or s.now_ms <= tenure.opened_ms + SETTLING_MS:
            return
        owner = self._owner_of(mac)
        text = (
            f"{group} is held by {s.name}, but {owner or 'a machine outside the cluster'} ({mac}) answers for its "
            "address too: callers may reach it"
        )
        self._rivals.seen(group, mac)
        is_news = self._conflict(group, mac, "address-conflict", text)
        if s.is_pair and owner:
            self.close(tenure, "", "conflict")
        elif is_news:
            s.out.append(Announce(group))

    def _owner_of(self, mac: str) -> NodeName:
        for peer in self._s.detector.peers.values():
            if mac in peer.report.macs:
                return peer.name
        return ""

    def _conflict(self, group: GroupName, mac: str, code: str, text: str) -> bool:
        """Raise an alarm, at most once in ten seconds for each cause."""
        s = self._s
        key = (group, code + mac)
        told = self._conflict_told_ms
        if len(told) >= LARGEST_CONFLICTS:  # whoever makes hardware addresses up fills neither memory nor log
            told = self._conflict_told_ms = {
                known: at_ms for known, at_ms in told.items() if s.now_ms - at_ms < CONFLICT_PAUSE_MS
            }
            if len(told) >= LARGEST_CONFLICTS and mac and not self._owner_of(mac):
                return False
        if s.now_ms - told.get(key, -CONFLICT_PAUSE_MS) < CONFLICT_PAUSE_MS:
            return False
        told[key] = s.now_ms
        s.tell("alarm", code, text, group=group, mac=mac)
        return True

    def gate_lost(self) -> None:
        """Our rules were removed and installed anew, closed: nothing armed before counts any more.

        The tenures stay; the next acknowledged beat points the gate again.
        """
        self._s.tell("alarm", "gate-lost", "another tool removed our rules; they stand again")
        self._s.wants_beat = True


def _outgrown(peer: Peer, tenure: Tenure) -> int | None:
    """The counter above ours that this voter granted to another ballot, which no longer binds it."""
    for grant in peer.report.grants:
        if grant.group == tenure.group and grant.counter >= tenure.counter and not grant.is_live:
            is_ours = grant.holder == tenure.owner and grant.counter == tenure.counter
            return None if is_ours else grant.counter
    return None
