"""Changes of the cluster document: who proposes, who binds itself, when the next change may begin.

Must hold: a voter's word is on disk before it is shown; the next change is proposed only when the last
one is settled (a majority of its roster has had it on disk for one whole grant), so that no holder under
an older roster can still have a majority; the roster changes by one node at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from zcluster.control.actions import AnswerWish
from zcluster.control.detector import Peer
from zcluster.control.document import Acceptance, Document, Pin, Proposal
from zcluster.control.frozen import frozen_words
from zcluster.control.reasons import NO_VOTE_YET
from zcluster.control.register import Proposer, accept, fresh_acceptance, outbid
from zcluster.control.situation import Situation
from zcluster.control.units import GroupName, NodeName, majority

LEAST_ROSTER = 3
WISHES_KEPT = 8
WISH_LIMIT_MS = 10_000
ATTEMPT_MS = 500
RETURN_MS = 2000
HOUSEKEEPING_MS = 200


@dataclass(frozen=True, slots=True)
class Wish:
    """A change somebody wants: from the document in force to the next, or None when it is moot."""

    identity: str
    text: str
    until_ms: int
    change: Callable[[Document], Document | None]


class Housekeeper(Protocol):
    """What else the first living member sees to."""

    def keep_house(self, document: Document) -> bool:
        """True where it wanted a change."""


class Council:
    """One node's part in changing the document."""

    def __init__(self, situation: Situation) -> None:
        self._s = situation
        self._answers: dict[NodeName, Acceptance] = {}
        self._wishes: deque[Wish] = deque()
        self._proposer: Proposer | None = None
        self._attempt_ms = 0
        self._settled_since: dict[NodeName, tuple[int, int]] = {}
        self._heard_ms: dict[NodeName, int] = {}
        self._returned_ms: dict[NodeName, int] = {}
        self._started_ms = situation.now_ms
        self._housekeeping_ms = situation.now_ms
        self._told_fork = False
        self.housekeeper: Housekeeper | None = None

    # ---- what the beat shows

    def proposal(self) -> Proposal | None:
        """The change that this node proposes now."""
        return self._proposer.proposal() if self._proposer is not None else None

    def acceptance(self) -> Acceptance | None:
        """What is on this voter's disk for the next document; None while it bound itself to nothing."""
        acceptance = self._s.stored.acceptance
        document = self._s.document
        if acceptance is None or document is None or acceptance.generation != document.generation + 1:
            return None
        return acceptance

    def stored_generation(self) -> int:
        """The generation that is on this disk."""
        document = self._s.stored.document
        return document.generation if document is not None else 0

    def is_amnesiac(self) -> bool:
        """Whether this member must wait for the next document before it may bind itself to one."""
        s = self._s
        return s.document is not None and s.stored.acceptor_from > s.document.generation + 1

    # ---- what peers show

    def learn(self, peer: Peer) -> None:
        """A peer's report changed."""
        s = self._s
        if s.document is None:
            return
        report = peer.report
        if report.document is not None:
            self._consider(report.document, peer.name)
        if report.proposal is not None and peer.name in s.roster:
            self._bind(report.proposal)
        if report.acceptance is not None:
            self._answers[peer.name] = report.acceptance
        self._note_settled(peer)
        self._advance()

    def _consider(self, document: Document, giver: NodeName) -> None:
        s = self._s
        mine = s.document
        assert mine is not None
        if document.cluster_id != mine.cluster_id:
            return
        if document.generation > mine.generation:
            self._enact(document, f"generation {document.generation} from {giver}")
        elif document.generation == mine.generation and document != mine and not self._told_fork:
            self._told_fork = True
            s.tell(
                "alarm",
                "document-fork",
                f"{giver} has another document of generation {mine.generation}: two operators forced "
                "different rosters; stop one side and remove its state directory",
                node=giver,
                generation=mine.generation,
            )

    def _enact(self, document: Document, how: str) -> None:
        """Into force at once, on disk as soon as can be; what must wait for the disk looks at `stored`."""
        s = self._s
        s.enact(document)
        self._proposer = None
        self._answers.clear()
        self._settled_since.clear()
        s.store(replace(s.durable, document=document, acceptance=None))
        s.wants_beat = True
        text = f"{how}: voters {', '.join(document.roster)}"
        if document.is_forced:
            text += " (forced by an operator)"
        s.tell(
            "notice",
            "generation",
            text,
            generation=document.generation,
            roster=list(document.roster),
            forgotten=list(document.forgotten),
            forced=document.is_forced,
        )

    def _bind(self, proposal: Proposal) -> None:
        """Write down what the proposal binds us to; the beat shows it once it is on disk."""
        s = self._s
        document = s.document
        assert document is not None
        if proposal.generation != document.generation + 1 or not s.is_member or self.is_amnesiac():
            return
        before = s.durable.acceptance
        if before is None or before.generation != proposal.generation:
            before = fresh_acceptance(proposal.generation)
        after = accept(before, proposal)
        if after != before:
            s.store(replace(s.durable, acceptance=after))

    def stored(self) -> None:
        """Something is on disk: our own voice may count now."""
        acceptance = self.acceptance()
        if acceptance is not None:
            self._answers[self._s.name] = acceptance
            self._s.is_report_stale = True
            self._s.wants_beat = True
        if self._s.document is not None:
            self._advance()

    # ---- proposing

    def _advance(self) -> None:
        s = self._s
        if self._proposer is None or s.document is None:
            return
        before = self._proposer
        self._proposer, outcome = before.advance(self._answers, s.roster)
        if self._proposer != before:
            s.is_report_stale = s.wants_beat = True
            self._bind(self._proposer.proposal())
        if outcome.chosen is not None:
            self._enact(outcome.chosen, f"generation {outcome.chosen.generation} chosen")

    def tick(self) -> None:
        """Begin the next wish, try again, forget the dead, take back those who returned."""
        s = self._s
        document = s.document
        if document is None or s.now_ms < self._housekeeping_ms:
            return
        self._housekeeping_ms = s.now_ms + HOUSEKEEPING_MS
        for peer in s.detector.alive(s.now_ms):
            self._heard_ms[peer.name] = s.now_ms
            self._note_settled(peer)
            if peer.report.proposal is not None and peer.name in s.roster:
                self._bind(peer.report.proposal)
        if s.durable.document != document and not s.is_storing():
            s.store(replace(s.durable, document=document, acceptance=None))
        if self._proposer is not None:
            self._keep_trying()
        elif self._wishes:
            self._begin(document)
        elif s.is_member and self._is_first_alive():
            self._keep_house(document)

    def _keep_trying(self) -> None:
        s = self._s
        proposer = self._proposer
        assert proposer is not None
        self._bind(proposer.proposal())  # again, where the disk refused it
        if s.now_ms < self._attempt_ms + ATTEMPT_MS + self._place() * HOUSEKEEPING_MS:
            return
        self._attempt_ms = s.now_ms
        if proposer.is_outbid(self._answers):
            self._proposer = proposer.again(self._answers, s.name)
            s.is_report_stale = s.wants_beat = True
            self._bind(self._proposer.proposal())
        if not self._wishes or s.now_ms >= self._wishes[0].until_ms:
            self._proposer = None
            s.is_report_stale = True

    def _place(self) -> int:
        s = self._s
        return sorted(s.roster).index(s.name) if s.is_member else 0

    def _begin(self, document: Document) -> None:
        s = self._s
        wish = self._wishes[0]
        changed = wish.change(document)
        if changed is None:
            self._wishes.popleft()
            self._answer(wish.identity, True, f"{wish.text}: done")
        elif s.now_ms >= wish.until_ms:
            self._wishes.popleft()
            self._answer(wish.identity, False, f"{wish.text}: no majority agreed within ten seconds")
        elif self.is_settled() and not self.is_amnesiac():
            wished = changed._replace(generation=document.generation + 1)
            known = {**self._answers}
            if s.durable.acceptance is not None:
                known[s.name] = s.durable.acceptance
            self._proposer = Proposer(wished, outbid(known, wished.generation, s.name))
            self._attempt_ms = s.now_ms
            s.is_report_stale = s.wants_beat = True
            self._bind(self._proposer.proposal())

    def _answer(self, identity: str, is_accepted: bool, text: str) -> None:
        if identity:
            self._s.out.append(AnswerWish(identity, is_accepted, text))

    def agree(self, identity: str, text: str) -> None:
        """Yes to an operator's wish that is moot, in words."""
        self._answer(identity, True, text)

    def refuse(self, identity: str, text: str) -> None:
        """No to an operator's wish, in words."""
        self._answer(identity, False, text)

    def want(self, identity: str, text: str, change: Callable[[Document], Document | None]) -> None:
        """Put a wish at the end of the line."""
        if len(self._wishes) >= WISHES_KEPT:
            self._answer(identity, False, f"{text}: too many changes wait already")
            return
        self._wishes.append(Wish(identity, text, self._s.now_ms + WISH_LIMIT_MS, change))

    # ---- settled

    def _note_settled(self, peer: Peer) -> None:
        document = self._s.document
        if document is None:
            return
        generation = peer.report.stored_generation
        known = self._settled_since.get(peer.name)
        if generation < document.generation:
            self._settled_since.pop(peer.name, None)
        elif known is None or known[0] != peer.incarnation:
            self._settled_since[peer.name] = (peer.incarnation, self._s.now_ms)

    def is_settled(self) -> bool:
        """Whether a majority of the roster has had the document on disk for one whole grant."""
        s = self._s
        if s.document is None or self.stored_generation() != s.document.generation:
            return False
        limit_ms = s.now_ms - s.timing.grant_ms - 1
        settled = 1 if s.is_member else 0
        for name, (_, since_ms) in self._settled_since.items():
            settled += name in s.roster and since_ms <= limit_ms and s.detector.is_alive(name, s.now_ms)
        return settled >= majority(len(s.roster))

    # ---- housekeeping

    def _is_first_alive(self) -> bool:
        """Whether this is the first of the members that hear each other and may propose: an amnesiac one may not."""
        s = self._s
        if self.is_amnesiac():
            return False
        alive = [p for p in s.detector.alive(s.now_ms) if p.name in s.roster and p.hears_us]
        return all(s.name < p.name for p in alive if not p.report.is_amnesiac) and s.hears_majority()

    def _keep_house(self, document: Document) -> None:
        s = self._s
        if self.housekeeper is not None and self.housekeeper.keep_house(document):
            return
        for name in document.forgotten:
            if self._has_returned(name) and self._can_afford(document, name):
                self.want("", f"{name} returned", partial(with_member, name=name))
                return
        amnesiac = [p.name for p in s.detector.alive(s.now_ms) if p.report.is_amnesiac and p.name in s.roster]
        if amnesiac:
            generation = document.generation
            self.want(
                "",
                f"{amnesiac[0]} came without memory",
                lambda d: d if d.generation == generation else None,
            )
            return
        if len(document.roster) <= LEAST_ROSTER or document.freeze is not None:
            return
        for name in document.roster:
            if name != s.name and self._is_long_dead(name):
                self.want(
                    "", f"{name} is dead for long", partial(without_member, name=name, is_forgotten=True)
                )
                return

    def _has_returned(self, name: NodeName) -> bool:
        s = self._s
        peer = s.detector.peers.get(name)
        if peer is None or not peer.hears_us or not s.detector.is_alive(name, s.now_ms):
            self._returned_ms.pop(name, None)
            return False
        return s.now_ms >= self._returned_ms.setdefault(name, s.now_ms) + RETURN_MS

    def _is_long_dead(self, name: NodeName) -> bool:
        s = self._s
        heard_ms = max(self._heard_ms.get(name, 0), self._started_ms, s.thawed_ms)
        return s.now_ms >= heard_ms + s.settings.forget_after_ms

    # ---- operators

    def ask_roster(
        self, identity: str, verb: str, names: tuple[NodeName, ...], holders: frozenset[NodeName]
    ) -> None:
        """`roster add|remove|force`, from an operator."""
        s = self._s
        document = s.document
        if document is None:
            self._answer(identity, False, "this cluster is not founded yet; see zcluster status")
        elif verb == "force":
            self._force(identity, document, names)
        elif len(names) != 1:
            self._answer(identity, False, "the roster changes by one node at a time")
        elif not s.hears_majority():
            self._answer(
                identity,
                False,
                "no majority of the roster is heard, so nothing can be agreed; if the lost nodes are "
                "truly dead: zcluster roster force --lost NODE...",
            )
        elif verb == "add":
            self._ask_add(identity, document, names[0])
        else:
            self._ask_remove(identity, document, names[0], holders)

    def _ask_add(self, identity: str, document: Document, name: NodeName) -> None:
        s = self._s
        if name in document.roster:
            self._answer(identity, True, f"{name} is a member already")
        elif name not in s.detector.peers or not s.detector.is_alive(name, s.now_ms):
            self._answer(identity, False, f"{name} is not heard: start zcluster on it first")
        elif not self._can_afford(document, name):
            text = "too many members may not vote yet after their start; ask again in three seconds"
            self._answer(identity, False, text)
        else:
            self.want(identity, f"add {name}", partial(with_member, name=name))

    def _can_afford(self, document: Document, newcomer: NodeName) -> bool:
        """Whether those who can vote now are a majority of one member more, without the newcomer's help; with
        it where waiting is in vain, since those who lack are silent and not just starting.
        """
        s = self._s
        able, starting = 1, 0
        for peer in s.detector.alive(s.now_ms):
            if peer.name in s.roster and peer.hears_us:
                may_vote = NO_VOTE_YET not in peer.report.unready
                able += may_vote
                starting += not may_vote
        needed = majority(len(document.roster) + 1)
        if able + starting >= needed:
            return able >= needed
        comer = s.detector.peers.get(newcomer)
        helps = comer is not None and comer.hears_us and NO_VOTE_YET not in comer.report.unready
        return able + helps >= needed

    def _living(self, without: NodeName) -> int:
        """How many members talk with this node both ways, itself included, not counting one."""
        s = self._s
        living = [p.name for p in s.detector.alive(s.now_ms) if p.name in s.roster and p.hears_us]
        return sum(name != without for name in (s.name, *living))

    def _ask_remove(
        self, identity: str, document: Document, name: NodeName, holders: frozenset[NodeName]
    ) -> None:
        if name not in document.roster and name not in document.forgotten:
            self._answer(identity, False, f"{name} is not a member; members: {', '.join(document.roster)}")
        elif name in holders:
            self._answer(identity, False, f"{name} holds a group: move it away first (zcluster move)")
        elif document.freeze is not None and any(pin.node == name for pin in document.freeze.holders):
            self._answer(identity, False, f"a group stays on {name}: {frozen_words(document.freeze)}")
        elif name in document.roster and len(document.roster) == 1:
            self._answer(identity, False, f"{name} is the last member")
        elif name in document.roster and self._living(name) < majority(len(document.roster) - 1):
            text = f"without {name} too few of the remaining voters are alive: remove the dead ones first"
            self._answer(identity, False, text)
        else:
            self.want(identity, f"remove {name}", partial(without_member, name=name, is_forgotten=False))

    def _force(self, identity: str, document: Document, names: tuple[NodeName, ...]) -> None:
        """Without a majority, on the operator's word that these nodes are dead."""
        s = self._s
        alive = [n for n in names if s.detector.is_alive(n, s.now_ms)]
        unknown = [n for n in names if n not in document.roster]
        roster = tuple(n for n in document.roster if n not in names)
        if s.hears_majority():
            text = "a majority is heard: use zcluster roster remove, which is safe"
            self._answer(identity, False, text)
        elif alive or s.name in names:
            self._answer(identity, False, f"{', '.join(alive) or s.name} is alive: it cannot be lost")
        elif unknown or not names:
            self._answer(identity, False, f"not members: {', '.join(unknown) or 'none named'}")
        else:
            forgotten = tuple(sorted({*document.forgotten, *names}))
            forced = document._replace(
                generation=document.generation + 1, roster=roster, forgotten=forgotten, is_forced=True
            )
            self._enact(forced, f"generation {forced.generation} forced without {', '.join(names)}")
            text = f"the roster is now {', '.join(roster)}"
            if document.freeze is not None:
                text += f"; still nothing moves: {frozen_words(document.freeze)}"
            self._answer(identity, True, text)

    def ask_pin(self, identity: str, group: GroupName, target: NodeName) -> None:
        """`pin` and `unpin`, from an operator."""
        s = self._s
        if s.document is None or not s.hears_majority():
            self._answer(identity, False, "no majority of the roster is heard, so nothing can be agreed")
        elif group not in s.groups:
            self._answer(identity, False, f"there is no group {group}; the file has {', '.join(s.groups)}")
        elif target and target not in s.roster:
            self._answer(identity, False, f"{target} is not a member; members: {', '.join(sorted(s.roster))}")
        elif not target and all(pin.group != group for pin in s.pins):
            self._answer(identity, True, f"{group} was not pinned")
        elif target and s.freeze is not None:
            self._answer(identity, False, f"nothing moves: {frozen_words(s.freeze)}")
        else:
            text = f"pin {group} to {target}" if target else f"unpin {group}"
            self.want(identity, text, partial(with_pin, group=group, target=target))


def with_member(document: Document, name: NodeName) -> Document | None:
    """The document with one voter more; None if it is one already."""
    if name in document.roster:
        return None
    return document._replace(
        roster=tuple(sorted((*document.roster, name))),
        forgotten=tuple(n for n in document.forgotten if n != name),
        is_forced=False,
    )


def without_member(document: Document, name: NodeName, is_forgotten: bool) -> Document | None:
    """The document with one voter less; None if it is none and need not be forgotten either."""
    if name not in document.roster and (is_forgotten or name not in document.forgotten):
        return None
    forgotten = {n for n in document.forgotten if n != name}
    if is_forgotten:
        forgotten.add(name)
    return document._replace(
        roster=tuple(n for n in document.roster if n != name),
        forgotten=tuple(sorted(forgotten)),
        is_forced=False,
    )


def with_pin(document: Document, group: GroupName, target: NodeName) -> Document | None:
    """The document with the group pinned to the target, or unpinned; None if it is so already."""
    pins = tuple(pin for pin in document.pins if pin.group != group)
    if target:
        pins = tuple(sorted((*pins, Pin(group, target))))
    return None if pins == document.pins else document._replace(pins=pins, is_forced=False)
