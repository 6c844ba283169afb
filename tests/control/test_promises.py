"""What a voter's promise survives: an exchange of ballots, and beats that may be older than the promise."""

from __future__ import annotations

from zcluster.control.messages import Claim
from zcluster.control.voter import Vote, Voter

GRANT_MS = 170
LONG_MS = 3000


def voter(ceiling: int = 10) -> Voter:
    made = Voter(GRANT_MS, 0, 0)
    made.ceiling = ceiling
    return made


def test_an_omitted_group_is_released_and_named() -> None:
    made = voter()
    made.hear("a", 1, "g", 1, 0)
    assert made.omit("a", 1, (), 10) == ("g",)
    assert made.hear("b", 1, "g", 2, 11) is Vote.GRANTED


def test_an_exchanged_ballot_releases_nothing_even_where_the_new_one_is_refused() -> None:
    made = voter(ceiling=3)
    made.hear("a", 1, "g", 1, 0)
    assert made.omit("a", 1, (Claim("g", 7, True),), 10) == ()
    assert made.hear("a", 1, "g", 7, 10) is Vote.REFUSED
    assert made.hear("b", 1, "g", 2, 11) is Vote.REFUSED
    assert made.hear("b", 1, "g", 2, GRANT_MS + 1) is Vote.GRANTED


def test_an_exchanged_ballot_replaces_the_old_one_at_once() -> None:
    made = voter()
    made.hear("a", 1, "g", 1, 0)
    assert made.hear("a", 1, "g", 7, 10) is Vote.GRANTED
    assert made.hear("a", 1, "g", 1, 11) is Vote.REFUSED


def test_an_old_beat_does_not_shorten_a_promise_of_a_former_life() -> None:
    made = voter()
    made.restore("g", 1, "a", 1, LONG_MS, only_binds=False)
    assert made.hear("a", 1, "g", 1, 50) is Vote.RENEWED
    assert made.is_firm("g", 500)
    assert made.hear("b", 1, "g", 2, LONG_MS - 1) is Vote.REFUSED
    assert made.hear("b", 1, "g", 2, LONG_MS) is Vote.GRANTED


def test_an_old_beat_does_not_release_a_promise_of_a_former_life() -> None:
    made = voter()
    made.restore("g", 1, "a", 1, LONG_MS, only_binds=True)
    assert made.omit("a", 1, (), 50) == ()
    assert not made.is_free("g", LONG_MS - 1)


def test_the_holders_next_life_shortens_and_releases_it() -> None:
    made = voter()
    made.restore("g", 1, "a", 1, LONG_MS, only_binds=False)
    made.continue_holder("a", 1, 2)
    assert made.hear("a", 2, "g", 1, 50) is Vote.RENEWED
    assert made.is_free("g", 50 + GRANT_MS + 1)
    assert made.omit("a", 2, (), 60) == ("g",)


def test_a_firm_promise_that_ran_out_is_a_usual_one_again() -> None:
    made = voter()
    made.restore("g", 1, "a", 1, LONG_MS, only_binds=False)
    made.hear("a", 1, "g", 1, LONG_MS + 5)
    assert not made.is_firm("g", LONG_MS + 6)
    assert made.omit("a", 1, (), LONG_MS + 7) == ("g",)


def test_a_promise_that_only_binds_never_brings_an_old_ballot_back() -> None:
    """The former life may have granted a higher ballot after it, which this one has forgotten."""
    made = voter()
    made.restore("g", 1, "a", 1, LONG_MS, only_binds=True)
    assert made.hear("a", 1, "g", 1, 50) is Vote.REFUSED
    assert made.hear("b", 1, "g", 2, 51) is Vote.REFUSED, "it binds all the same"
    assert made.hear("a", 1, "g", 1, LONG_MS + 5) is Vote.REFUSED, "also when it has run out"
    made.continue_holder("a", 1, 2)
    assert made.hear("a", 2, "g", 3, 60) is Vote.GRANTED, "the holder takes a higher ballot"
