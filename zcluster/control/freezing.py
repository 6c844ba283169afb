"""Nothing moves by itself: how one node keeps a freeze, and how a freeze comes, becomes firm and goes.

A freeze comes in two documents. Under the first, which has only a guess at the holders, no new claim begins at all;
a claim that has its majority goes on to its end. When that document is settled and no change of holder is under way
any more, the first living member writes down where each group is: the freeze is firm, and that node alone may claim
the group again (docs/decisions/0520).

Must hold: once a firm freeze is settled, whoever begins to answer for a group is the node that the document has it
on, until a document without the freeze is chosen. The lease's rules stand above all of it: a freeze prolongs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from zcluster.control.council import Council
from zcluster.control.document import Document, Freeze
from zcluster.control.events import FreezeAsked, ThawAsked
from zcluster.control.frozen import (
    LONGEST_MS,
    bounded_who,
    frozen_words,
    reason_fault,
    with_freeze,
    with_holders,
    without_freeze,
)
from zcluster.control.holding import Holder
from zcluster.control.ownership import OPEN_PHASES, UNOPENED_PHASES, Phase
from zcluster.control.situation import Situation
from zcluster.control.takeover import Seeker, Watch
from zcluster.control.units import GroupName, NodeName, majority

# A change of holder that is still under way so long after the freeze is not waited for.
CALM_LIMIT_MS = 3000
KNOWS_FREEZING_MINOR = 1


class Freezing:
    """One node's part in a frozen cluster. `enforced` is the document that it last saw to."""

    def __init__(self, situation: Situation, seeker: Seeker, holder: Holder, council: Council) -> None:
        self._s = situation
        self._seeker = seeker
        self._holder = holder
        self._council = council
        self._since_ms = situation.now_ms
        self._told: Freeze | None = None
        self.enforced: Document | None = None
        council.housekeeper = self

    # ---- operators

    def ask_freeze(self, asked: FreezeAsked) -> None:
        """`freeze`, from an operator."""
        s = self._s
        freeze = Freeze(asked.reason, bounded_who(asked.who), s.name, asked.wall_ms, asked.until_ms)
        problem = self._problem(freeze) or self._without_majority()
        if problem:
            self._council.refuse(asked.identity, problem)
        else:
            self._council.want(asked.identity, "freeze the cluster", Frost(self, freeze))

    def _problem(self, freeze: Freeze) -> str:
        fault = reason_fault(freeze.reason)
        if fault:
            return fault
        if freeze.until_ms and not freeze.since_ms < freeze.until_ms <= freeze.since_ms + LONGEST_MS:
            return "a freeze ends after some time, and within thirty days"
        s = self._s
        older = [
            peer.name
            for peer in s.detector.alive(s.now_ms)
            if peer.name in s.roster and peer.report.minor < KNOWS_FREEZING_MINOR
        ]
        if older:
            return f"{', '.join(older)} runs an older version that would not keep to it: upgrade it first"
        return ""

    def _without_majority(self) -> str:
        """Why nothing can be agreed, "" where it can. One of a pair that goes on alone cannot agree either."""
        s = self._s
        if s.document is None:
            return "this cluster is not founded yet; see zcluster status"
        both_ways = sum(p.hears_us and p.name in s.roster for p in s.detector.alive(s.now_ms))
        if s.is_member and both_ways + 1 >= majority(len(s.roster)):
            return ""
        return "no majority of the roster is heard, so nothing can be agreed; see zcluster status"

    def ask_thaw(self, asked: ThawAsked) -> None:
        """`thaw`, from an operator."""
        s = self._s
        problem = self._without_majority()
        if problem and s.document is not None:
            problem += " (nodes that are truly dead: zcluster roster force --lost NODE..., then thaw)"
        if problem:
            self._council.refuse(asked.identity, problem)
            return
        if s.document is not None and s.document.freeze is None:
            self._council.agree(asked.identity, "the cluster is not frozen")
            return
        s.tell("notice", "thaw-asked", f"{bounded_who(asked.who)} ends the freeze, on {s.name}")
        self._council.want(asked.identity, "thaw the cluster", without_freeze)

    def over(self, since_ms: int) -> None:
        """The time of that freeze is over."""
        self._s.freeze_over_ms = since_ms

    # ---- a new document

    def enforce(self) -> None:
        """A document came into force: what it forbids ends before anything else happens."""
        s = self._s
        self.enforced = s.document
        freeze = s.document.freeze if s.document is not None else None
        self._tell(freeze)
        if freeze is None:
            return
        for tenure in list(self._holder.tenures.values()):
            if tenure.phase is Phase.CLAIMING and not s.may_take(tenure.group):
                self._holder.withdraw(tenure, s.timing.silence_ms)
            elif s.is_kept_elsewhere(tenure.group):
                if tenure.phase in UNOPENED_PHASES:
                    self._holder.withdraw(tenure, s.timing.silence_ms)
                elif tenure.phase in (Phase.OPENING, Phase.LAPSED):
                    self._holder.close(tenure, "", "frozen")

    def _tell(self, freeze: Freeze | None) -> None:
        s, before = self._s, self._told
        self._told = freeze
        if freeze is None:
            if before is not None:
                s.tell("notice", "thawed", f"the cluster is thawed: groups move again ({before.reason})")
            return
        if before is None or before.since_ms != freeze.since_ms:
            self._since_ms = s.now_ms
            s.tell(
                "warning",
                "frozen",
                f"nothing moves any more: {frozen_words(freeze)}",
                **_facts(freeze),
            )
        elif freeze.is_firm and freeze.holders != before.holders:
            stays = (
                ", ".join(f"{group} on {node}" for group, node in freeze.holders) or "nothing has a holder"
            )
            s.tell("info", "frozen-holders", f"frozen: {stays}", **_facts(freeze))

    # ---- the first living member

    def keep_house(self, document: Document) -> bool:
        """The first living member: end what is over, write down where each group is."""
        s, freeze = self._s, document.freeze
        if freeze is None:
            return False
        if s.freeze_over_ms == freeze.since_ms:
            change = partial(without_freeze, since_ms=freeze.since_ms)
            self._council.want("", "the time of the freeze is over", change)
            return True
        if not self._council.is_settled() or with_holders(document, self._known(freeze)) is None:
            return False
        if not freeze.is_firm and not self._is_calm() and s.now_ms < self._since_ms + CALM_LIMIT_MS:
            return False
        self._council.want("", "where each group is frozen", Firmness(self))
        return True

    def frosted(self, document: Document, freeze: Freeze) -> Document | None:
        """The document frozen, as things stand now."""
        return with_freeze(document, freeze, self._guess())

    def firm(self, document: Document) -> Document | None:
        """The frozen document made firm, or corrected, as things stand now."""
        return with_holders(document, self._known(document.freeze)) if document.freeze is not None else None

    def _known(self, freeze: Freeze) -> dict[GroupName, NodeName]:
        """Who is seen to hold each group; else who held it last. A firm freeze is corrected by what is seen alone."""
        found = {}
        for group, watch in self._seeker.watches.items():
            seen = self._seen_open(watch)
            last = "" if freeze.is_firm else watch.last_holder
            found[group] = seen or last or freeze.holder_of(group)
        return found

    def _guess(self) -> dict[GroupName, NodeName]:
        return {
            group: self._seen_open(watch) or watch.last_holder
            for group, watch in self._seeker.watches.items()
        }

    def _seen_open(self, watch: Watch) -> NodeName:
        s = self._s
        tenure = self._holder.tenures.get(watch.group)
        if tenure is not None and tenure.phase in OPEN_PHASES:
            return s.name if tenure.lease_end_ms > s.now_ms else ""
        is_open = watch.holder_is_open and s.detector.is_alive(watch.holder, s.now_ms)
        return watch.holder if is_open else ""

    def _is_calm(self) -> bool:
        """Whether no change of holder is under way: nobody claims or closes, and no voter that is heard is bound
        to a node that is not seen to hold the group.
        """
        s = self._s
        if any(tenure.phase not in OPEN_PHASES for tenure in self._holder.tenures.values()):
            return False
        alive = [peer for peer in s.detector.alive(s.now_ms) if peer.name in s.roster]
        if any(not claim.is_open for peer in alive for claim in peer.report.claims):
            return False
        grants = [*s.voter.grants(s.now_ms), *(grant for peer in alive for grant in peer.report.grants)]
        for grant in grants:
            watch = self._seeker.watches.get(grant.group)
            if watch is None or not grant.is_live:
                continue
            if grant.holder not in (self._seen_open(watch), watch.last_holder):
                return False
        return True


@dataclass(frozen=True, slots=True)
class Frost:
    """The change that an operator's freeze is; a class, so that a recording can begin while it waits."""

    freezing: Freezing
    freeze: Freeze

    def __call__(self, document: Document) -> Document | None:
        return self.freezing.frosted(document, self.freeze)


@dataclass(frozen=True, slots=True)
class Firmness:
    """The change that writes down where each group is."""

    freezing: Freezing

    def __call__(self, document: Document) -> Document | None:
        return self.freezing.firm(document)


def _facts(freeze: Freeze) -> dict[str, object]:
    return {
        "reason": freeze.reason,
        "who": freeze.who,
        "frozen_on": freeze.node,
        "since_ms": freeze.since_ms,
        "until_ms": freeze.until_ms,
        "is_firm": freeze.is_firm,
        "holders": {pin.group: pin.node for pin in freeze.holders},
    }
