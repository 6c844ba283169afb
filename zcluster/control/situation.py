"""What the rooms of the core share while one event is handled: who we are, whom we hear, what to do.

The node owns it. `now_ms` is the time of the event in hand; `out` collects the actions in their order.
"""

from __future__ import annotations

from zcluster.control.actions import Action, StoreDurable, Tell
from zcluster.control.designation import Candidate
from zcluster.control.detector import Detector, Peer
from zcluster.control.document import Document, Durable, Freeze, GroupSettings, Pin, Settings
from zcluster.control.lease import SentBeats
from zcluster.control.units import GroupName, NodeName, NodeState, majority
from zcluster.control.voter import Voter

CEILING_RESERVE = 64
REFERENCE_FRESH_BEATS = 5
TOLD_AGAIN_MS = 60_000
TEXTS_REMEMBERED = 256


class Situation:
    """Mutable, one a node. Everything here is a plain fact; the rooms decide."""

    def __init__(
        self,
        name: NodeName,
        incarnation: int,
        settings: Settings,
        durable: Durable,
        voter: Voter,
        now_ms: int,
    ) -> None:
        self.name = name
        self.incarnation = incarnation
        self.settings = settings
        self.timing = settings.timing
        self.groups: dict[GroupName, GroupSettings] = {group.name: group for group in settings.groups}
        self.voter = voter
        self.detector = Detector(settings.timing.silence_ms)
        self.sent = SentBeats()
        self.sequence = 0
        self.state = NodeState.STARTING
        self.unready: tuple[str, ...] = ("starting",)
        self.build = ""
        self.switchname = ""
        self.document: Document | None = durable.document
        self.roster: frozenset[NodeName] = frozenset()
        self.quorum = 1
        self.reference_ms = now_ms - REFERENCE_FRESH_BEATS * settings.timing.beat_ms
        self.durable = durable
        self.stored = durable
        self._store_number = 0
        self._storing: dict[int, Durable] = {}
        self._told_ms: dict[str, int] = {}
        self.now_ms = now_ms
        self.freeze_over_ms = -1
        self.thawed_ms = now_ms
        self.out: list[Action] = []
        self.wants_beat = False
        self.is_report_stale = True
        voter.is_amnesiac = durable.is_amnesiac
        self.enact(durable.document)

    def enact(self, document: Document | None) -> None:
        """Take the document into force."""
        if self.document is not None and self.document.freeze and (document is None or not document.freeze):
            self.thawed_ms = self.now_ms
        self.document = document
        self.roster = frozenset(document.roster) if document else frozenset()
        self.quorum = majority(len(self.roster)) if document else 1
        self.is_report_stale = True

    @property
    def cluster_id(self) -> str:
        """The founded cluster's id, "" before the founding."""
        return self.document.cluster_id if self.document else ""

    @property
    def pins(self) -> tuple[Pin, ...]:
        """What operators pinned."""
        return self.document.pins if self.document else ()

    @property
    def freeze(self) -> Freeze | None:
        """What an operator froze, as far as it binds this node. One of a pair that is left alone can agree on
        nothing with anybody, so for it a freeze is over when its time is.
        """
        freeze = self.document.freeze if self.document else None
        if freeze is None or freeze.since_ms != self.freeze_over_ms:
            return freeze
        return None if self.may_act_alone() and not self._hears_other() else freeze

    def may_take(self, group: GroupName) -> bool:
        """Whether no freeze keeps this node from claiming the group."""
        freeze = self.freeze
        return freeze is None or (freeze.is_firm and freeze.holder_of(group) == self.name)

    def is_kept_elsewhere(self, group: GroupName) -> bool:
        """Whether a freeze has the group on another node, or on none."""
        freeze = self.freeze
        return freeze is not None and freeze.is_firm and freeze.holder_of(group) != self.name

    @property
    def is_member(self) -> bool:
        """Whether this node may vote."""
        return self.name in self.roster

    @property
    def is_pair(self) -> bool:
        """Two voters, and the file lets a survivor claim alone (DESIGN 4.8)."""
        return self.settings.survivor_claims and len(self.roster) == 2

    def may_act_alone(self) -> bool:
        """One of a pair: whether a reference address answered within the last beats."""
        limit_ms = REFERENCE_FRESH_BEATS * self.timing.beat_ms
        return self.is_pair and self.now_ms - self.reference_ms <= limit_ms

    def lease_quorum(self) -> int:
        """How many voters must acknowledge what this node holds. One of a pair goes on alone as long as
        it reaches its references; whether the other one does too, only the probes tell.
        """
        return 1 if self.may_act_alone() else self.quorum

    def claim_quorum(self) -> int:
        """How many voters must grant what this node does not hold yet. While the other one of a pair is heard,
        both must agree, or each would grant its own claim.
        """
        return 1 if self.may_act_alone() and not self._hears_other() else self.quorum

    def _hears_other(self) -> bool:
        return any(self.detector.is_alive(name, self.now_ms) for name in self.roster if name != self.name)

    def hears_majority(self) -> bool:
        """Whether a majority of the roster, this node included, talks with it both ways; one of a pair
        also when the other is silent and the references answer.
        """
        if not self.is_member:
            return False
        if self.may_act_alone() and not self._hears_other():
            return True
        both_ways = sum(1 for p in self.detector.alive(self.now_ms) if p.hears_us and p.name in self.roster)
        return both_ways + 1 >= self.quorum

    def candidates(self, own_holds: tuple[GroupName, ...], without: NodeName = "") -> list[Candidate]:
        """Every member that may carry traffic now, this node included, except `without`."""
        found = []
        if self.is_member and self.name != without:
            is_ready = not self.unready and self.state in (NodeState.SLAVE, NodeState.MASTER)
            found.append(Candidate(self.name, self.incarnation, is_ready, own_holds, self.build))
        for peer in self.detector.alive(self.now_ms):
            if peer.name in self.roster and peer.name != without:
                found.append(candidate(peer))
        return found

    def tell(self, level: str, code: str, text: str, **facts: object) -> None:
        """Something for the story."""
        self.out.append(Tell(level, code, text, facts))

    def tell_once(self, level: str, code: str, text: str, **facts: object) -> None:
        """The same thing at most once a minute."""
        last_ms = self._told_ms.get(text)
        if last_ms is None or self.now_ms - last_ms >= TOLD_AGAIN_MS:
            if len(self._told_ms) > TEXTS_REMEMBERED:
                self._told_ms.clear()
            self._told_ms[text] = self.now_ms
            self.tell(level, code, text, **facts)

    def store(self, durable: Durable) -> int:
        """Have this written; it counts when the shell says that it is on disk. Returns the number that
        `Stored` will name.
        """
        self.durable = durable
        self._store_number += 1
        self._storing[self._store_number] = durable
        self.out.append(StoreDurable(self._store_number, durable))
        return self._store_number

    def on_disk_and_on_its_way(self) -> tuple[Durable, ...]:
        """What a crash could leave on disk: what is there, and every writing under way."""
        return (self.stored, *self._storing.values())

    def is_storing(self) -> bool:
        """Whether something is on its way to the disk."""
        return bool(self._storing)

    def was_stored(self, number: int) -> None:
        """That writing, and every one before it, is on disk."""
        if number in self._storing:
            self.stored = self._storing[number]
            self.voter.ceiling = self.stored.ceiling
            self.is_report_stale = True
        for older in [n for n in self._storing if n <= number]:
            del self._storing[older]

    def was_not_stored(self, number: int) -> None:
        """That writing failed: nothing that depends on it happens; it is tried again when next needed."""
        self._storing.pop(number, None)
        if not self._storing:
            self.durable = self.stored


def candidate(peer: Peer) -> Candidate:
    """A peer as the designation sees it."""
    report = peer.report
    is_ready = not report.unready and report.state in (NodeState.SLAVE, NodeState.MASTER)
    holds = tuple(claim.group for claim in report.claims)
    return Candidate(peer.name, peer.incarnation, is_ready, holds, report.build)
