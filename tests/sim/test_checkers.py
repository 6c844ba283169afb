from __future__ import annotations

import pytest

from zcluster.simulator.checkers import Ownership, Violation


def ownership() -> Ownership:
    return Ownership(("a", "b"), ("node1", "node2", "node3"))


def test_two_that_answer_at_once_break_s1() -> None:
    owned = ownership()
    owned.answers("a", 0, 1, 100, until=50.0, now=10.0)
    with pytest.raises(Violation, match="S1: node2 answers for a"):
        owned.answers("a", 1, 2, 100, until=90.0, now=49.9)


def test_one_after_the_other_and_other_groups_are_well() -> None:
    owned = ownership()
    assert owned.answers("a", 0, 1, 100, until=50.0, now=10.0)
    assert not owned.answers("a", 0, 1, 100, until=60.0, now=30.0)
    assert owned.answers("b", 1, 1, 100, until=90.0, now=49.0)
    assert owned.answers("a", 1, 2, 100, until=90.0, now=60.0)
    assert owned.answering("a", 60.0) == [1]


def test_who_closed_answers_no_more() -> None:
    owned = ownership()
    owned.answers("a", 0, 1, 100, until=50.0, now=10.0)
    owned.closed("a", 0)
    assert owned.answering("a", 11.0) == []
    assert owned.answers("a", 1, 2, 100, until=90.0, now=12.0)


def test_epochs_of_a_group_only_grow() -> None:
    owned = ownership()
    owned.answers("a", 0, 5, 100, until=50.0, now=10.0)
    with pytest.raises(Violation, match="S2"):
        owned.answers("a", 1, 4, 100, until=90.0, now=60.0)


def test_an_epoch_may_open_again_but_only_by_the_same_process() -> None:
    owned = ownership()
    owned.answers("a", 0, 5, 100, until=50.0, now=10.0)
    assert owned.answers("a", 0, 5, 100, until=90.0, now=60.0)
    with pytest.raises(Violation, match="S2"):
        owned.answers("a", 0, 5, 101, until=190.0, now=160.0)


def test_an_epoch_exchanged_while_it_is_open_is_looked_at_too() -> None:
    owned = ownership()
    owned.answers("a", 0, 5, 100, until=50.0, now=10.0)
    assert owned.answers("a", 0, 7, 100, until=60.0, now=20.0)
    with pytest.raises(Violation, match="S2"):
        owned.answers("a", 0, 6, 100, until=70.0, now=30.0)


def test_only_one_cluster_is_founded() -> None:
    owned = ownership()
    owned.founded("x")
    owned.founded("x")
    with pytest.raises(Violation, match="founded beside"):
        owned.founded("y")
