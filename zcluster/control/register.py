"""The cluster document's register: compare-and-swap by a majority of the roster that is in force.

Each next generation is decided once, by the voters of the generation before it: an acceptor binds itself
on disk before it answers, a proposer first asks what may have been chosen already. (Single-decree Paxos a
generation; CASPaxos, Rystsov 2018, keeps one register and changes its acceptors beside it, which would
need the same care: docs/decisions/.) Must hold: for each generation at most one document is chosen,
whatever is lost, delayed, repeated or restarted. Nothing here is urgent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from zcluster.control.document import Acceptance, Document, Proposal
from zcluster.control.units import Ballot, NodeName, majority

NO_BALLOT = Ballot(0, "")


def accept(state: Acceptance, proposal: Proposal) -> Acceptance:
    """What the acceptor must write down before it answers; the same state where it refuses."""
    if proposal.generation != state.generation:
        return state
    if proposal.value is None:
        if proposal.ballot > state.promised:
            return state._replace(promised=proposal.ballot)
    elif proposal.ballot >= state.promised:
        return Acceptance(state.generation, proposal.ballot, proposal.ballot, proposal.value)
    return state


def fresh_acceptance(generation: int) -> Acceptance:
    """An acceptor that promised nothing for the document of `generation`."""
    return Acceptance(generation, NO_BALLOT, NO_BALLOT, None)


class Outcome(NamedTuple):
    """What a proposer should do next: send this proposal, or take the chosen document into force."""

    proposal: Proposal | None
    chosen: Document | None


@dataclass(frozen=True, slots=True)
class Proposer:
    """One attempt to change the document. `wish` is what should be chosen if nothing was before."""

    wish: Document
    ballot: Ballot
    value: Document | None = None

    def proposal(self) -> Proposal:
        """What to send: a question while `value` is open, then the value itself."""
        return Proposal(self.wish.generation, self.ballot, self.value)

    def advance(
        self, answers: Mapping[NodeName, Acceptance], roster: Collection[NodeName]
    ) -> tuple[Proposer, Outcome]:
        """Count the answers of the roster in force. A higher promise anywhere ends this attempt: the
        caller begins again with `outbid` later.
        """
        quorum = majority(len(roster))
        given = [
            answer
            for name, answer in sorted(answers.items())
            if name in roster and answer.generation == self.wish.generation
        ]
        if self.value is None:
            promised = [answer for answer in given if answer.promised == self.ballot]
            if len(promised) < quorum:
                return self, Outcome(self.proposal(), None)
            latest = max(promised, key=lambda answer: answer.accepted)
            value = latest.value if latest.value is not None else self.wish
            decided = Proposer(self.wish, self.ballot, value)
            return decided, Outcome(decided.proposal(), None)
        accepted = sum(1 for answer in given if answer.accepted == self.ballot)
        return self, Outcome(self.proposal(), self.value if accepted >= quorum else None)

    def is_outbid(self, answers: Mapping[NodeName, Acceptance]) -> bool:
        """Whether somebody promised a higher ballot for this generation."""
        return any(
            answer.generation == self.wish.generation and answer.promised > self.ballot
            for answer in answers.values()
        )

    def again(self, answers: Mapping[NodeName, Acceptance], name: NodeName) -> Proposer:
        """A new attempt above everything promised."""
        return Proposer(self.wish, outbid(answers, self.wish.generation, name))


def outbid(answers: Mapping[NodeName, Acceptance], generation: int, name: NodeName) -> Ballot:
    """A ballot of `name` above every one promised for the generation."""
    highest = max((a.promised.counter for a in answers.values() if a.generation == generation), default=0)
    return Ballot(highest + 1, name)
