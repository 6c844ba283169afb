"""When to suspect, when to ask the network, when to claim: one watch for each group held elsewhere.

Must hold: silence is judged only in a tick, after every socket was drained; a claim goes out only when
the holder was silent for the whole silence (or released) and our own voter is free; the primary slave
goes first, each next rank one step later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from zcluster.control.actions import SendProbe
from zcluster.control.designation import Designation, designate
from zcluster.control.detector import Peer
from zcluster.control.messages import Claim, Release
from zcluster.control.situation import Situation
from zcluster.control.units import GroupName, NodeName

FAR_MS = 1 << 60
PROBES_KEPT = 8
SIGHTINGS_KEPT = 16
HEALTH_MOVES_LIMIT = 3
HEALTH_MOVES_WINDOW_MS = 60_000


class Watch:
    """What this node knows of one group: mutable, owned by the seeker.

    `holder` lists the group in its beats (claimed or open) with `counter`; "" when nobody does.
    `evidence_ms` is the last sign of life of its lease that came through other voters. `is_clean` says
    that the last opened ballot was closed by its own kernel, confirmed. `last_holder` opened it last, beside a switch
    of `last_build` (empty: unknown).
    """

    __slots__ = (
        "backoff_ms",
        "counter",
        "evidence_ms",
        "evidence_sequence",
        "group",
        "health_moves",
        "holder",
        "holder_is_open",
        "is_clean",
        "is_known",
        "last_build",
        "last_holder",
        "opened_counter",
        "probes",
        "release",
        "seen_counter",
        "sightings",
        "vacant_ms",
    )

    def __init__(self, group: GroupName, now_ms: int) -> None:
        self.group = group
        self.holder: NodeName = ""
        self.counter = 0
        self.holder_is_open = False
        self.evidence_ms = 0
        self.evidence_sequence = 0
        self.is_clean = False
        self.is_known = False
        self.last_holder: NodeName = ""
        self.last_build = ""
        self.opened_counter = 0
        self.release: Release | None = None
        self.vacant_ms = now_ms
        self.backoff_ms = 0
        self.seen_counter = 0
        self.probes: deque[int] = deque(maxlen=PROBES_KEPT)
        self.sightings: deque[tuple[int, str]] = deque(maxlen=SIGHTINGS_KEPT)
        self.health_moves: deque[int] = deque(maxlen=HEALTH_MOVES_LIMIT)

    def hold_by(self, peer: Peer, claim: Claim) -> None:
        """A peer's newest beat lists the group."""
        if self.holder != peer.name or self.counter != claim.counter:
            self.holder = peer.name
            self.counter = claim.counter
            self.evidence_ms = 0
            self.evidence_sequence = 0
            self.release = None
        self.holder_is_open = claim.is_open
        if claim.is_open and claim.counter >= self.opened_counter:
            self.opened_counter = claim.counter
            self._opened_by(peer.name, peer.report.build)
            self.is_clean = False
            self.is_known = True

    def _opened_by(self, name: NodeName, build: str) -> None:
        # A daemon that began anew has not seen its switch yet, which is the same as before.
        self.last_build = build or (self.last_build if name == self.last_holder else "")
        self.last_holder = name

    def opened_here(self, name: NodeName, counter: int, build: str) -> None:
        """This node itself had it open; its kernel confirmed the closing."""
        self.opened_counter = counter
        self.is_clean = self.is_known = True
        self._opened_by(name, build)

    def vacate(self, now_ms: int) -> None:
        """Nobody lists the group any more."""
        self.holder = ""
        self.holder_is_open = False
        self.vacant_ms = now_ms
        self.probes.clear()

    def too_many_health_moves(self, now_ms: int) -> bool:
        """Whether this group moved for health three times within the last minute (DESIGN 4.10)."""
        moves = self.health_moves
        return len(moves) == HEALTH_MOVES_LIMIT and now_ms - moves[0] < HEALTH_MOVES_WINDOW_MS


class Seeker:
    """All watches of one node."""

    def __init__(self, situation: Situation) -> None:
        self._s = situation
        self.watches: dict[GroupName, Watch] = {
            group: Watch(group, situation.now_ms) for group in situation.groups
        }
        self.eager_group: GroupName = ""

    # ---- what peers say

    def learn(self, peer: Peer, before: tuple[Claim, ...], was_same_life: bool) -> None:
        """A peer's report changed: claims, grants and releases in it."""
        s = self._s
        report = peer.report
        for grant in report.grants:
            watch = self.watches.get(grant.group)
            if watch is not None and grant.counter > watch.seen_counter:
                watch.seen_counter = grant.counter
        for claim in report.claims:
            watch = self.watches.get(claim.group)
            if watch is None:
                continue
            watch.seen_counter = max(watch.seen_counter, claim.counter)
            holder = s.detector.peers.get(watch.holder)
            if (
                watch.holder in ("", peer.name)
                or claim.counter >= watch.counter
                or holder is None
                or not s.detector.is_alive(watch.holder, s.now_ms)
            ):
                watch.hold_by(peer, claim)
        for release in report.releases:
            self._learn_release(release)
        for claim in before:
            if peer.claim_of(claim.group) is None:
                self._omitted(peer, claim, was_same_life)

    def _omitted(self, peer: Peer, claim: Claim, was_same_life: bool) -> None:
        watch = self.watches.get(claim.group)
        if watch is None:
            return
        if claim.is_open and was_same_life and claim.counter >= watch.opened_counter:
            watch.is_clean = True
        if watch.holder == peer.name:
            watch.vacate(self._s.now_ms)
            self._find_holder(watch)

    def _find_holder(self, watch: Watch) -> None:
        for peer in self._s.detector.alive(self._s.now_ms):
            claim = peer.claim_of(watch.group)
            if claim is not None and claim.counter >= watch.counter:
                watch.hold_by(peer, claim)

    def _learn_release(self, release: Release) -> None:
        watch = self.watches.get(release.group)
        if watch is None or release.counter < watch.opened_counter or watch.release == release:
            return
        if watch.counter > release.counter:
            return
        watch.release = release
        watch.opened_counter = release.counter
        watch.is_clean = True
        watch.is_known = True
        if release.cause == "health":
            watch.health_moves.append(self._s.now_ms)
        if release.successor == self._s.name:
            self.eager_group = release.group

    def forget_own(self, group: GroupName, counter: int, was_opened: bool) -> None:
        """This node's own tenure ended; where it was open, its kernel confirmed the closing."""
        watch = self.watches[group]
        watch.seen_counter = max(watch.seen_counter, counter)
        if was_opened and counter >= watch.opened_counter:
            watch.opened_here(self._s.name, counter, self._s.build)
        watch.vacate(self._s.now_ms)
        self._find_holder(watch)

    # ---- time

    def vacant_at_ms(self, watch: Watch) -> int:
        """When the group counts as without holder, if nothing more is heard; may lie in the past."""
        if not watch.holder:
            return watch.vacant_ms
        return self.last_sign_ms(watch) + self._s.timing.silence_ms

    def last_sign_ms(self, watch: Watch) -> int:
        """The last sign of life of the holder's lease, heard directly or through a voter."""
        peer = self._s.detector.peers.get(watch.holder)
        return max(peer.heard_ms if peer is not None else 0, watch.evidence_ms)

    def gather_evidence(self, watch: Watch) -> None:
        """Other voters may have heard the holder later than we did."""
        holder = self._s.detector.peers.get(watch.holder)
        if holder is None:
            return
        known = max(holder.sequence, watch.evidence_sequence)
        for peer in self._s.detector.peers.values():
            ack = peer.acks.get(watch.holder)
            if ack is not None and ack.incarnation == holder.incarnation and ack.sequence > known:
                known = watch.evidence_sequence = ack.sequence
                watch.evidence_ms = max(watch.evidence_ms, peer.heard_ms)

    def designation(
        self,
        groups: Mapping[GroupName, NodeName],
        own_holds: tuple[GroupName, ...],
        builds: Mapping[GroupName, str],
    ) -> Designation:
        """Who should claim these vacant groups, of switches of these builds."""
        return designate(self._s.settings, self._s.candidates(own_holds), groups, self._s.pins, builds)

    def suspects(self, held: Mapping[GroupName, object]) -> list[Watch]:
        """Groups not ours that are vacant, or whose holder has been silent long enough to ask about."""
        s = self._s
        near_ms = s.timing.silence_ms - s.timing.first_probe_ms
        found = []
        for group, watch in self.watches.items():
            if group in held:
                continue
            if watch.holder and s.now_ms >= self.vacant_at_ms(watch) - near_ms - 2 * s.timing.beat_ms:
                self.gather_evidence(watch)
            if s.now_ms >= self.vacant_at_ms(watch) - near_ms:
                found.append(watch)
        return found

    def next_wake_ms(self, held: Mapping[GroupName, object]) -> int:
        """The next instant at which a watch may need a tick between two beats."""
        s = self._s
        near_ms = s.timing.silence_ms - s.timing.first_probe_ms
        wake_ms = FAR_MS
        for group, watch in self.watches.items():
            if group not in held and watch.holder:
                at_ms = self.vacant_at_ms(watch)
                for point_ms in (
                    at_ms - near_ms,
                    at_ms - s.timing.silence_ms + s.timing.second_probe_ms,
                    at_ms,
                ):
                    if s.now_ms < point_ms < wake_ms:
                        wake_ms = point_ms
        return wake_ms

    def probe_if_due(self, watch: Watch) -> None:
        """Two probes late in the silence; only those sent after the old lease must have ended count."""
        s = self._s
        base_ms = self.last_sign_ms(watch)
        for after_ms in (s.timing.first_probe_ms, s.timing.second_probe_ms):
            due_ms = base_ms + after_ms
            if s.now_ms >= due_ms and not any(sent_ms >= due_ms for sent_ms in watch.probes):
                self.probe(watch)
                return

    def probe(self, watch: Watch) -> None:
        """Ask the network now."""
        watch.probes.append(self._s.now_ms)
        self._s.out.append(SendProbe(watch.group))
