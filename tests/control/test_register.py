"""The register under loss, delay, repetition, duels and crashes: one document a generation."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from zcluster.control.document import Acceptance, Document, Proposal
from zcluster.control.register import NO_BALLOT, Proposer, accept, fresh_acceptance, outbid
from zcluster.control.units import Ballot

ROSTER = ("a", "b", "c", "d", "e")
GENERATION = 2


def wish(name: str) -> Document:
    return Document("x", GENERATION, (*ROSTER, f"new-{name}"))


def test_an_undisturbed_proposal_is_chosen_in_two_rounds() -> None:
    answers = {name: fresh_acceptance(GENERATION) for name in ROSTER}
    proposer = Proposer(wish("a"), outbid(answers, GENERATION, "a"))
    for name in ROSTER[:3]:
        answers[name] = accept(answers[name], proposer.proposal())
    proposer, outcome = proposer.advance(answers, ROSTER)
    assert outcome.chosen is None
    for name in ROSTER[:3]:
        answers[name] = accept(answers[name], proposer.proposal())
    proposer, outcome = proposer.advance(answers, ROSTER)
    assert outcome.chosen == wish("a")


def test_a_later_proposer_completes_what_may_have_been_chosen() -> None:
    value = wish("a")
    accepted = Acceptance(GENERATION, Ballot(1, "a"), Ballot(1, "a"), value)
    answers = {"a": accepted, "b": accepted, "c": accepted, "d": fresh_acceptance(GENERATION)}
    proposer = Proposer(wish("d"), outbid(answers, GENERATION, "d"))
    answers = {name: accept(answer, proposer.proposal()) for name, answer in answers.items()}
    proposer, _ = proposer.advance({n: answers[n] for n in ("b", "c", "d")}, ROSTER)
    assert proposer.value == value


def test_votes_from_outside_the_roster_do_not_count() -> None:
    ballot = Ballot(1, "a")
    promised = Acceptance(GENERATION, ballot, NO_BALLOT, None)
    proposer = Proposer(wish("a"), ballot)
    proposer, _ = proposer.advance({"x": promised, "y": promised, "a": promised, "b": promised}, ROSTER)
    assert proposer.value is None


def test_another_generation_changes_nothing() -> None:
    state = fresh_acceptance(GENERATION)
    assert accept(state, Proposal(GENERATION + 1, Ballot(9, "z"), wish("z"))) is state


Step = tuple[str, str, str]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "answer", "again", "crash"]),
        st.sampled_from(["a", "c", "e"]),
        st.sampled_from(ROSTER),
    ),
    max_size=120,
)


@settings(max_examples=examples(400), deadline=None)
@given(STEPS)
def test_at_most_one_document_is_ever_chosen(steps: list[Step]) -> None:
    """Three proposers duel; every message may be late, repeated or lost; a proposer forgets in a crash."""
    disks = {name: fresh_acceptance(GENERATION) for name in ROSTER}
    heard: dict[str, dict[str, Acceptance]] = {name: {} for name in ("a", "c", "e")}
    proposers = {name: Proposer(wish(name), Ballot(1, name)) for name in heard}
    rounds = dict.fromkeys(heard, 1)
    chosen: set[Document] = set()
    for action, name, acceptor in steps:
        match action:
            case "ask":
                disks[acceptor] = accept(disks[acceptor], proposers[name].proposal())
            case "answer":
                heard[name][acceptor] = disks[acceptor]
                proposers[name], outcome = proposers[name].advance(heard[name], ROSTER)
                if outcome.chosen is not None:
                    chosen.add(outcome.chosen)
            case "again" if proposers[name].is_outbid(heard[name]):
                proposers[name] = proposers[name].again(heard[name], name)
                rounds[name] = proposers[name].ballot.counter
            case "crash":
                # A new life takes a higher round than any it could have used: its own promise is on disk.
                heard[name] = {}
                rounds[name] = max(rounds[name], disks[name].promised.counter) + 1
                proposers[name] = Proposer(wish(name), Ballot(rounds[name], name))
            case _:
                pass
        assert len(chosen) <= 1
