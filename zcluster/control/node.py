"""The control core of one node: events in, actions out, time as an argument.

    node.handle(event, now_ms) -> list[Action]      node.deadline() -> int

The shell hands in everything that happened before it hands in a `Tick`, performs the actions in their
order, and brings the results of those that can fail back as events. This file only dispatches: what a
group's holder does is in holding.py, when to take over in takeover.py, who may vote in membership.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from zcluster.control.actions import Action, Exit, SendBeat
from zcluster.control.council import Council
from zcluster.control.designation import may_carry, successor
from zcluster.control.detector import Peer
from zcluster.control.document import Durable, Settings
from zcluster.control.durations import duration
from zcluster.control.events import (
    AddressSeen,
    BeatReceived,
    BeatRepeated,
    Closed,
    Event,
    FreezeAsked,
    FreezeOver,
    GateLost,
    HealthChanged,
    LinkChanged,
    MoveAsked,
    Opened,
    PinAsked,
    ReferenceSeen,
    RestartAsked,
    RosterAsked,
    StopAsked,
    Stored,
    StoreFailed,
    SwitchIdentified,
    ThawAsked,
    Tick,
)
from zcluster.control.freezing import Freezing
from zcluster.control.frozen import frozen_words
from zcluster.control.health import Health
from zcluster.control.holding import Holder
from zcluster.control.membership import Registrar
from zcluster.control.messages import PROTOCOL_MINOR, Ack, Beat, Claim, Report
from zcluster.control.moves import Moves
from zcluster.control.ownership import OPEN_PHASES, Phase
from zcluster.control.reasons import NO_VOTE_YET
from zcluster.control.restart import Restart
from zcluster.control.situation import CEILING_RESERVE, Situation
from zcluster.control.takeover import FAR_MS, Seeker, Watch
from zcluster.control.unfit import Unfit
from zcluster.control.units import GroupName, LinkName, NodeName, NodeState, Pair
from zcluster.control.voter import Vote, Voter

STOP_LIMIT_MS = 1500
FAREWELL_BEATS = 3
REASONS_SHOWN = 8
REASON_CHARACTERS = 80


class Node:
    """One node. `durable` is what the last start left on disk; `incarnation` is above every earlier one.

    `durable.handover`, if any, is of this boot and usable (`restart.is_usable`) at `now_ms`; the shell has
    taken it off the disk, and has armed slot 0 for its groups for one lease before it read `now_ms`.
    `links`: carrier of each link of the file. `make_voter` and `make_peer` are the tests' doors to
    parts with a rule removed.
    """

    def __init__(
        self,
        name: NodeName,
        settings: Settings,
        durable: Durable,
        incarnation: int,
        macs: tuple[str, ...],
        links: Mapping[LinkName, bool],
        now_ms: int,
        version: str = "",
        make_voter: Callable[[int, int, int], Voter] = Voter,
        make_peer: Callable[[Beat], Peer] = Peer,
    ) -> None:
        timing = settings.timing
        voter = make_voter(timing.grant_ms, now_ms + timing.abstain_ms, durable.ceiling)
        self.situation = s = Situation(name, incarnation, settings, durable, voter, now_ms)
        self.seeker = Seeker(s)
        self.holder = Holder(s, self.seeker)
        self.registrar = Registrar(s)
        self.council = Council(s)
        self.freezing = Freezing(s, self.seeker, self.holder, self.council)
        self.restart = Restart(s, self.holder)
        self.health = Health(s, links)
        self.unfit = Unfit(s)
        self.moves = Moves(s, self.seeker, self.holder, self.health, self.restart)
        self._macs = macs
        self._make_peer = make_peer
        self.version = version
        self._acks: dict[NodeName, Ack] = {}
        self._report: Report | None = None
        self._started_ms = now_ms
        self._next_beat_ms = now_ms
        self._deadline_ms = now_ms
        self._stopping_ms = 0
        self._is_stop_asked = False
        self._farewells = 0
        self._claim_wake_ms = FAR_MS
        self._is_plan_stale = True
        self.restart.resume()
        self._reserve_counters()
        self._first_actions = s.out

    # ---- the two doors

    def deadline(self) -> int:
        """When a `Tick` is due, in milliseconds of the own clock."""
        return self._deadline_ms

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        """Take one event, return what to do, in order."""
        s = self.situation
        s.now_ms = now_ms
        s.out = out = self._first_actions
        self._first_actions = []
        if type(event) is BeatRepeated:
            # Two of three events are copies: nothing below depends on them, and a pattern costs more than this.
            peer = s.detector.peers.get(event.node)
            if peer is not None and peer.incarnation == event.incarnation:
                peer.note_link(min(event.sequence, peer.sequence), event.link, now_ms)
            return out
        match event:
            case BeatReceived(beat, link):
                self._on_beat(beat, link)
            case Tick():
                self._on_tick()
            case Opened(group, counter, problem):
                self.holder.opened(group, counter, problem)
                self._advance_state()
            case Closed(group, counter, problem):
                self.holder.closed(group, counter, problem)
                self._advance_state()
            case AddressSeen(address, mac, is_canary):
                self._on_address_seen(address, mac, is_canary)
            case LinkChanged(link, is_up):
                self.health.link_changed(link, is_up)
                self._review_health()
            case ReferenceSeen(link):
                self.health.reference_seen(link)
            case HealthChanged(subject, problem):
                self.health.changed(subject, problem)
                self._review_health()
            case Stored(number):
                s.was_stored(number)
                s.wants_beat = s.wants_beat or s.sequence == 0
                self.registrar.review()
                self.council.stored()
                self.restart.stored(number)
            case StoreFailed(number, problem):
                s.was_not_stored(number)
                self.situation.tell_once(
                    "alarm", "store-failed", f"could not write what must survive: {problem}"
                )
            case GateLost():
                self.holder.gate_lost()
            case MoveAsked(identity, group, target):
                self.moves.ask(identity, group, target)
            case RosterAsked(identity, verb, names):
                self.council.ask_roster(identity, verb, names, self._holders())
            case PinAsked(identity, group, target):
                self.council.ask_pin(identity, group, target)
            case FreezeAsked():
                self.freezing.ask_freeze(event)
            case ThawAsked():
                self.freezing.ask_thaw(event)
            case FreezeOver(since_ms):
                self.freezing.over(since_ms)
            case RestartAsked(identity):
                self.restart.ask(identity)
            case StopAsked():
                self._on_stop()
            case SwitchIdentified(build, switchname):
                s.build, s.switchname = build, switchname
                s.is_report_stale = True
        if s.document is not self.freezing.enforced:
            self.freezing.enforce()
            self._claim_wake_ms = (
                s.now_ms
            )  # what may be claimed may have changed: all look at once, by their ranks
            self._is_plan_stale = True
        if s.wants_beat:
            self._send_beat()
        if s.is_report_stale or type(event) is not BeatReceived:
            self._is_plan_stale = True
        self._set_deadline()
        return out

    # ---- beats of others

    def _on_beat(self, beat: Beat, link: LinkName) -> None:
        s = self.situation
        if beat.node == s.name:
            self._on_own_name(beat)
            return
        report = beat.report
        if report.cluster_id != s.cluster_id and report.cluster_id and s.cluster_id:
            text = f"{beat.node} belongs to another cluster ({report.cluster_id}) with the same key"
            self.situation.tell_once("alarm", "foreign-cluster", text)
            return
        peer = s.detector.peers.get(beat.node)
        if peer is None:
            peer = s.detector.peers[beat.node] = self._make_peer(beat)
        elif not peer.is_newer(beat):
            if peer.incarnation == beat.incarnation:
                peer.note_link(beat.sequence, link, s.now_ms)
            return
        was_same_life = peer.incarnation == beat.incarnation
        is_new_report = peer.report is not report or not was_same_life
        before = peer.report.claims
        released: tuple[GroupName, ...] = ()
        peer.take(beat, link, s.now_ms)
        if is_new_report:
            peer.report = report
            peer.pairs = tuple([Pair(claim.group, claim.counter) for claim in report.claims])
            if report.continues and not was_same_life:
                s.voter.continue_holder(peer.name, report.continues, peer.incarnation)
            released = s.voter.omit(peer.name, peer.incarnation, report.claims, s.now_ms)
        ack = beat.acks.get(s.name)
        hears_us = ack is not None and ack.incarnation == s.incarnation
        if hears_us != peer.hears_us:
            peer.hears_us = hears_us
            is_new_report = True
        if report.claims:
            self._vote(peer, report.claims)
        else:
            self._acks[peer.name] = Ack(beat.incarnation, beat.sequence, ())
        if released:
            self._vote_again(released, peer)
        if hears_us and ack is not None and ack.pairs and peer.name in s.roster:
            self.holder.acknowledged(peer.name, ack)
            self.restart.acknowledged(peer.name, ack)
        if is_new_report:
            self._is_plan_stale = True
            self._on_report(peer, before, was_same_life)

    def _vote_again(self, groups: tuple[GroupName, ...], leaver: Peer) -> None:
        """A successor's claim may have overtaken the release, and was refused: its newest beat is judged again."""
        s = self.situation
        for peer in s.detector.alive(s.now_ms):
            if peer is not leaver and any(pair.group in groups for pair in peer.pairs):
                self._vote(peer, peer.report.claims)

    def _vote(self, peer: Peer, claims: tuple[Claim, ...]) -> None:
        s = self.situation
        tenures = self.holder.tenures
        if tenures:
            self.holder.yield_to(peer.name, claims)
        granted: list[Pair] = []
        asks_long = peer.report.asks_long
        if s.is_member and peer.name in s.roster and not self._is_behind(peer):
            for pair in peer.pairs:
                group, counter = pair
                if group in tenures:
                    continue
                vote = s.voter.hear(
                    peer.name, peer.incarnation, group, counter, s.now_ms, peer.hears_us, asks_long
                )
                if vote is Vote.REFUSED:
                    continue
                granted.append(pair)
                if vote is Vote.GRANTED:
                    s.wants_beat = True
        is_whole = len(granted) == len(peer.pairs)
        pairs = peer.pairs if is_whole else tuple(granted)
        is_long = asks_long and is_whole and self.restart.vote_long(peer)
        if s.durable.long_grants and not asks_long:
            self.restart.forget_long(peer)
        self._acks[peer.name] = Ack(peer.incarnation, peer.sequence, pairs, is_long)

    def _is_behind(self, peer: Peer) -> bool:
        """A voter that has a newer document on disk lets no older roster count on it."""
        return peer.report.generation < self.council.stored_generation()

    def _holders(self) -> frozenset[NodeName]:
        s = self.situation
        held = {p.name for p in s.detector.alive(s.now_ms) if p.report.claims}
        if self.holder.tenures:
            held.add(s.name)
        return frozenset(held)

    def _on_report(self, peer: Peer, before: tuple[Claim, ...], was_same_life: bool) -> None:
        s = self.situation
        self.seeker.learn(peer, before, was_same_life)
        for grant in peer.report.grants:
            if grant.is_live and peer.name in s.roster:
                self.holder.outvoted_by(grant.group, grant.counter, grant.holder)
        self.registrar.review()
        self.council.learn(peer)
        self._offer_document(peer)
        for ask in peer.report.asks:
            self.moves.grant(ask)
        if self.seeker.eager_group:
            self._claim_eagerly()

    def _offer_document(self, peer: Peer) -> None:
        if (peer.report.document is None) != (self.situation.document is None):
            self.situation.is_report_stale = True

    def _on_own_name(self, beat: Beat) -> None:
        if beat.incarnation != self.situation.incarnation:
            text = f"another node calls itself {beat.node}: give one of the two hosts another name"
            self.situation.tell_once("alarm", "duplicate-name", text)

    # ---- time

    def _on_tick(self) -> None:
        s = self.situation
        stall_ms = s.now_ms - self._deadline_ms
        if stall_ms > s.timing.beat_ms // 2:
            s.detector.excuse(stall_ms, s.now_ms)
        self._forget_silent()
        self._advance_state()
        self._reserve_counters()
        self.registrar.review()
        self.council.tick()
        if s.document is not self.freezing.enforced:
            self.freezing.enforce()
        self._recall_floor()
        self.holder.tick()
        self.restart.tick()
        self._review_health()
        self._pursue()
        if self._stopping_ms:
            self._advance_stop()
        elif self._is_stop_asked and not self.restart.is_committed:
            self._on_stop()
        elif self.holder.tenures and not self.restart.is_asking:
            self.moves.tidy()
            self.moves.step_aside()
        if s.now_ms >= self._next_beat_ms:
            s.wants_beat = True

    def _set_deadline(self) -> None:
        """The next beat, or something that cannot wait for it. An ordinary beat of a peer only moves
        instants further away, so then the old plan will do.
        """
        if not self._is_plan_stale:
            return
        self._is_plan_stale = False
        wake_ms = min(self._next_beat_ms, self._claim_wake_ms)
        wake_ms = min(wake_ms, self.seeker.next_wake_ms(self.holder.tenures))
        if self.holder.tenures:
            wake_ms = min(wake_ms, self.holder.next_wake_ms())
        self._deadline_ms = max(wake_ms, self.situation.now_ms)

    def _recall_floor(self) -> None:
        """A member whose disk came empty learns from so many others that each majority it may have been
        part of is among them, which counters it must not grant again.
        """
        s = self.situation
        if not s.voter.is_amnesiac or not s.is_member:
            return
        others = [p for p in s.detector.alive(s.now_ms) if p.name in s.roster and p.hears_us]
        if len(others) < len(s.roster) - s.quorum + 1:
            return
        counters = [s.voter.floor]
        for peer in others:
            counters.append(peer.report.floor)
            counters += [grant.counter for grant in peer.report.grants]
            counters += [claim.counter for claim in peer.report.claims]
        s.voter.floor = max(counters)
        s.voter.is_amnesiac = False
        s.store(replace(s.durable, is_amnesiac=False))
        s.is_report_stale = True

    def _forget_silent(self) -> None:
        """Do not acknowledge for ever what nobody sends any more."""
        s = self.situation
        for name in list(self._acks):
            if not s.detector.is_alive(name, s.now_ms):
                del self._acks[name]
                peer = s.detector.peers[name]
                peer.hears_us = False
                s.is_report_stale = True
                self._tell_silent(peer)

    def _tell_silent(self, peer: Peer) -> None:
        s = self.situation
        links = {link: s.now_ms - record.heard_ms for link, record in sorted(peer.links.items())}
        ages = ", ".join(f"{link} {duration(age_ms)}" for link, age_ms in links.items())
        did_leave = peer.report.state is NodeState.STOPPING
        s.tell(
            "info" if did_leave else "warning",
            "left" if did_leave else "silent",
            f"{peer.name} {'has left' if did_leave else 'fell silent'}: last heard on {ages} ago",
            node=peer.name,
            links=links,
            state=str(peer.report.state),
        )

    def _advance_state(self) -> None:
        """Node states follow from the facts: STARTING listens for timer-A, and until it is founded."""
        s = self.situation
        state = s.state
        if self._stopping_ms:
            state = NodeState.STOPPING
        elif state is NodeState.STARTING:
            if (
                s.is_member
                and s.now_ms >= self._started_ms + s.timing.timer_a_ms
                and self._may_leave_starting()
            ):
                state = NodeState.SLAVE
                for watch in self.seeker.watches.values():
                    if not watch.holder and not watch.is_known:
                        watch.vacant_ms = s.now_ms + 2 * s.timing.beat_ms
        elif self.holder.is_master():
            state = NodeState.MASTER
        elif self.health.problems:
            state = NodeState.FAILED
        else:
            state = NodeState.SLAVE
        if state is not s.state:
            s.tell("info", "state", f"{s.name}: {s.state} -> {state}", before=str(s.state), after=str(state))
            s.state = state
            s.is_report_stale = True
        self.unfit.review(self.health.problems)

    def _may_leave_starting(self) -> bool:
        s = self.situation
        if s.hears_majority():
            return True
        return 0 <= s.timing.timer_b_ms <= s.now_ms - self._started_ms

    def _reserve_counters(self) -> None:
        """Keep the ceiling on disk well above every counter that may be used next."""
        s = self.situation
        base = max((watch.seen_counter for watch in self.seeker.watches.values()), default=0)
        base = max(base, s.voter.floor, self._highest_floor())
        if s.durable.ceiling < base + CEILING_RESERVE // 2 and not s.is_storing():
            s.store(replace(s.durable, incarnation=s.incarnation, ceiling=base + CEILING_RESERVE))

    def _highest_floor(self) -> int:
        """No voter grants a counter at or below its floor."""
        s = self.situation
        return max((p.report.floor for p in s.detector.peers.values() if p.name in s.roster), default=0)

    # ---- claiming

    def _may_claim(self) -> bool:
        s = self.situation
        return (
            not s.unready
            and may_carry(s.settings, s.name)
            and not self.restart.is_asking
            and s.state in (NodeState.SLAVE, NodeState.MASTER)
            and (not self.holder.tenures or s.settings.several_groups)
            and not s.voter.is_abstaining(s.now_ms)
            and s.hears_majority()
        )

    def _pursue(self) -> None:
        """Groups without holder: ask the network late in the silence, claim when it is over."""
        s = self.situation
        self._claim_wake_ms = FAR_MS
        suspects = self.seeker.suspects(self.holder.tenures)
        if not suspects or not self._may_claim():
            return
        lasts = {watch.group: watch.last_holder for watch in suspects}
        builds = {watch.group: watch.last_build for watch in suspects}
        designation = self.seeker.designation(lasts, self.holder.holds(), builds)
        for watch in suspects:
            rank = designation.rank(watch.group, s.name)
            if rank is None:
                continue
            if not s.may_take(watch.group):
                if rank == 0:
                    self._tell_frozen(watch)
                continue
            if watch.holder and rank <= 1:
                self.seeker.probe_if_due(watch)
            due_ms = self._claim_due_ms(watch, rank)
            if due_ms > s.now_ms:
                self._claim_wake_ms = min(self._claim_wake_ms, due_ms)
            elif s.voter.is_free(watch.group, s.now_ms) and self._may_claim():
                self._claim(watch)
            else:
                free_ms = s.voter.free_at_ms(watch.group, s.now_ms)
                if free_ms > s.now_ms:
                    self._claim_wake_ms = min(self._claim_wake_ms, free_ms)

    def _tell_frozen(self, watch: Watch) -> None:
        s = self.situation
        if s.freeze is None or s.now_ms < self.seeker.vacant_at_ms(watch) + s.timing.silence_ms:
            return
        if not s.voter.is_free(watch.group, s.now_ms):
            return  # it is only restarted, on purpose
        stays = s.freeze.holder_of(watch.group)
        whose = f"{stays} alone may take it again" if stays else "nobody may take it"
        text = f"{watch.group}: has no holder, and {whose}: {frozen_words(s.freeze)}"
        s.tell_once("alarm", "takeover-frozen", text, group=watch.group)

    def _claim_due_ms(self, watch: Watch, rank: int) -> int:
        s = self.situation
        due_ms = max(self.seeker.vacant_at_ms(watch), s.thawed_ms) + rank * s.timing.rank_step_ms
        release = watch.release
        if release is not None and release.successor not in ("", s.name) and not watch.holder:
            due_ms += 2 * s.timing.rank_step_ms
        if self.holder.tenures and not watch.is_known:
            due_ms += s.timing.timer_a_ms
        return max(due_ms, watch.backoff_ms)

    def _claim(self, watch: Watch) -> None:
        s = self.situation
        facts: dict[str, object] = {}
        if watch.holder:
            holder = s.detector.peers[watch.holder]
            why = "silence" if watch.holder_is_open else "unfinished claim"
            facts["silent_ms"] = s.now_ms - self.seeker.last_sign_ms(watch)
            facts["links"] = {k: s.now_ms - r.heard_ms for k, r in sorted(holder.links.items())}
            facts["old_lease_over_ms"] = self.seeker.last_sign_ms(watch) + s.timing.first_probe_ms
            from_node = watch.holder
        elif watch.release is not None and watch.is_clean:
            why = f"released: {watch.release.cause}"
            facts["released_ms"] = s.now_ms - watch.vacant_ms
            from_node = watch.last_holder
        else:
            why = "no holder known" if not watch.is_known else "no holder left"
            from_node = watch.last_holder
        self.holder.claim(watch, from_node, why, facts)

    def _claim_eagerly(self) -> None:
        """A holder named us as its successor: its kernel has closed, so claim at once."""
        s = self.situation
        watch = self.seeker.watches[self.seeker.eager_group]
        self.seeker.eager_group = ""
        if watch.holder or watch.group in self.holder.tenures or not self._may_claim():
            return
        if not s.may_take(watch.group):
            return
        if s.voter.is_free(watch.group, s.now_ms):
            self._claim(watch)

    # ---- giving away

    def _review_health(self) -> None:
        """A holder that cannot serve gives its groups to ready nodes; a slave says why it is not ready."""
        s = self.situation
        reasons = self.health.review()
        if s.voter.is_abstaining(s.now_ms) or s.voter.is_amnesiac:
            reasons = (NO_VOTE_YET, *reasons)
        if s.state is NodeState.STARTING:
            reasons = ("starting", *reasons)
        if self._stopping_ms:
            reasons = ("stopping", *reasons)
        if not s.is_member:
            reasons = ("not admitted", *reasons)
        reasons = tuple(reason[:REASON_CHARACTERS] for reason in reasons[:REASONS_SHOWN])
        if reasons != s.unready:
            s.unready = reasons
            s.is_report_stale = True
        if not self.health.problems:
            return
        for tenure in list(self.holder.tenures.values()):
            if tenure.phase in OPEN_PHASES:
                self.restart.cancel()
                if not self.restart.is_committed:
                    self.moves.release_for_health(tenure.group)
            elif tenure.phase in (Phase.CLAIMING, Phase.PROBING):
                self.holder.withdraw(tenure, s.timing.silence_ms)

    def _on_stop(self) -> None:
        s = self.situation
        if self._stopping_ms:
            return
        self.restart.cancel()
        if self.restart.is_committed:
            self._is_stop_asked = True
            return
        self._stopping_ms = s.now_ms
        self._advance_state()
        taken: set[NodeName] = set()
        for tenure in list(self.holder.tenures.values()):
            if s.freeze is not None:
                text = f"{tenure.group}: closed, and given to nobody: {frozen_words(s.freeze)}"
                s.tell("warning", "stopped-frozen", text, group=tenure.group)
                self.holder.release(tenure, "", "stop")
                continue
            candidates = [c for c in s.candidates((), without=s.name) if c.name not in taken]
            target = successor(s.settings, tenure.group, candidates, s.name, s.pins, s.build)
            taken.add(target)
            self.holder.release(tenure, target, "stop")
        s.wants_beat = s.wants_beat or not self.holder.tenures

    def _advance_stop(self) -> None:
        """A few beats more, so that a lost one does not cost a silence."""
        s = self.situation
        if not self.holder.tenures:
            self._farewells += 1
        if self._farewells > FAREWELL_BEATS or s.now_ms >= self._stopping_ms + STOP_LIMIT_MS:
            s.out.append(Exit())

    # ---- the own beat

    def _send_beat(self) -> None:
        s = self.situation
        s.wants_beat = False
        self._is_plan_stale = True
        if s.stored.incarnation != s.incarnation:
            # Unheard until the disk knows this life: a clock set back could otherwise number two lives alike.
            self._next_beat_ms = s.now_ms + s.timing.beat_ms
            return
        s.sequence += 1
        sequence = s.sequence
        self._next_beat_ms = s.now_ms + s.timing.beat_ms
        self.holder.arm(sequence)
        self.restart.arm(sequence)
        s.sent.record(sequence, s.now_ms)
        s.out.append(SendBeat(Beat(s.name, s.incarnation, sequence, self._acks.copy(), self._make_report())))
        if self.holder.tenures and s.is_member:
            self.holder.vote_for_own(sequence)
            self.restart.vote_for_own(sequence)

    def _make_report(self) -> Report:
        """The slowly changing part; the same object as long as it says the same."""
        s = self.situation
        grants = s.voter.grants(s.now_ms)
        old = self._report
        asks = self.moves.asks()
        if old is not None and not s.is_report_stale and old.grants is grants:
            return old
        s.is_report_stale = False
        report = Report(
            cluster_id=s.cluster_id,
            generation=s.document.generation if s.document else 0,
            state=s.state,
            claims=self.holder.claims(),
            grants=grants,
            releases=self.holder.releases(),
            asks=asks,
            unready=s.unready,
            macs=self._macs,
            founding=self.registrar.view,
            document=s.document if self._is_somebody_behind() else None,
            version=self.version,
            settings_digest=s.settings.digest,
            floor=s.voter.floor,
            ceiling=s.voter.ceiling,
            stored_generation=self.council.stored_generation(),
            proposal=self.council.proposal(),
            acceptance=self.council.acceptance(),
            is_amnesiac=self.council.is_amnesiac(),
            asks_long=self.restart.is_asking,
            continues=self.restart.continues,
            build=s.build,
            switchname=s.switchname,
            minor=PROTOCOL_MINOR,
        )
        if report != old:
            self._report = report
            return report
        assert old is not None
        self._report = old._replace(grants=grants) if old.grants is not grants else old
        return self._report

    def _is_somebody_behind(self) -> bool:
        s = self.situation
        if s.document is None:
            return False
        return any(p.report.generation < s.document.generation for p in s.detector.alive(s.now_ms))

    def _on_address_seen(self, address: str, mac: str, is_canary: bool) -> None:
        is_tick_due = self.situation.now_ms >= self._deadline_ms
        for group in self.situation.settings.groups:
            if is_canary or address in group.addresses:
                self.holder.address_seen(group.name, mac, is_canary, is_tick_due)
                if is_canary:
                    return
