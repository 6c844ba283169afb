"""Holding: renewal, lapse, release, closing that fails, health, exchange of ballots, moves."""

from __future__ import annotations

import itertools

import pytest

from tests.control.company import ROSTER, Company, first, settings
from zcluster.control.actions import (
    AnswerWish,
    ArmGate,
    CloseAddresses,
    Exit,
    OpenAddresses,
    PointGate,
    SendBeat,
)
from zcluster.control.document import Document, Durable
from zcluster.control.events import HealthChanged, LinkChanged, MoveAsked, StopAsked
from zcluster.control.timing import PRESETS
from zcluster.control.units import NodeState

TIMING = PRESETS["standard"]


@pytest.fixture
def master() -> Company:
    """`a` is up longest and takes g1 at the start."""
    company = Company(name="a")
    company.start()
    company.wait(200)
    assert company.node.situation.state is NodeState.MASTER
    return company


def test_every_beat_is_armed_before_it_is_sent(master: Company) -> None:
    kinds = [(type(a), a) for _, a in master.log if isinstance(a, (ArmGate, SendBeat))]
    claimed = False
    for (_, action), (_, after) in itertools.pairwise(kinds):
        if isinstance(action, ArmGate):
            assert isinstance(after, SendBeat)
            assert after.beat.sequence == action.slot
            claimed = True
    assert claimed


def test_a_lapse_reopens_with_the_same_epoch(master: Company) -> None:
    living, master.living = master.living, set()
    master.wait(TIMING.lease_ms + 60)
    assert master.told("lease-lapsed")
    epoch = master.node.holder.tenures["g1"].counter
    master.living = living
    points = len(master.done(PointGate))
    master.wait(60)
    assert master.told("lease-regained")
    assert len(master.done(PointGate)) > points
    assert master.node.holder.tenures["g1"].counter == epoch
    assert not master.done(CloseAddresses)


def test_a_long_lapse_closes_and_releases(master: Company) -> None:
    master.living = set()
    master.wait(TIMING.lease_ms + TIMING.silence_ms + 60)
    assert master.done(CloseAddresses)
    assert master.newest is not None
    assert not master.newest.report.claims


def test_a_lapsed_holder_yields_to_a_newer_epoch(master: Company) -> None:
    master.living = set()
    master.wait(TIMING.lease_ms + 30)
    master.holds("b", "g1", 99)
    master.beat("b")
    assert master.told("superseded")
    assert master.done(CloseAddresses)


def test_what_could_not_be_closed_is_not_released(master: Company) -> None:
    master.close_problem = "the kernel said no"
    master.do(LinkChanged("svc", False))
    master.wait(500)
    assert len(master.done(CloseAddresses)) > 3
    assert master.newest is not None
    assert [c.group for c in master.newest.report.claims] == ["g1"]
    assert not master.newest.report.releases
    assert master.told("close-failed")
    master.close_problem = ""
    master.wait(150)
    assert not master.newest.report.claims
    assert [r.group for r in master.newest.report.releases] == ["g1"]


def test_a_lost_carrier_hands_over_at_once(master: Company) -> None:
    master.do(LinkChanged("svc", False))
    assert master.done(CloseAddresses)
    assert master.newest is not None
    release = master.newest.report.releases[0]
    assert (release.successor, release.cause) == ("b", "health")


def test_without_a_ready_slave_an_ill_master_stays(master: Company) -> None:
    for peer in "bcde":
        master.reports[peer] = master.reports[peer]._replace(unready=("test",))
    master.wait(40)
    master.do(HealthChanged("switch", "does not answer"))
    master.wait(1000)
    assert not master.done(CloseAddresses)


def test_three_health_moves_in_a_minute_are_enough(master: Company) -> None:
    watch = master.node.seeker.watches["g1"]
    watch.health_moves.extend([master.now_ms - 30, master.now_ms - 20, master.now_ms - 10])
    master.do(HealthChanged("switch", "does not answer"))
    master.wait(1000)
    assert not master.done(CloseAddresses)
    assert master.told("moves-exhausted")


def test_a_move_names_its_target(master: Company) -> None:
    master.do(MoveAsked("m1", "g1", "d"))
    assert first(master.done(AnswerWish))[1].is_accepted
    assert master.newest is not None
    assert master.newest.report.releases[0].successor == "d"


@pytest.mark.parametrize(
    ("group", "target", "words"),
    [
        ("g9", "", "there is no group g9"),
        ("g1", "a", "a holds g1 already"),
        ("g1", "z", "z is not heard"),
    ],
)
def test_a_move_that_cannot_be_is_refused_in_words(
    master: Company, group: str, target: str, words: str
) -> None:
    master.do(MoveAsked("m1", group, target))
    answer = first(master.done(AnswerWish))[1]
    assert not answer.is_accepted
    assert words in answer.text
    assert not master.done(CloseAddresses)


def test_a_wish_that_came_through_a_peer_is_granted_once(master: Company) -> None:
    master.asks("c", "g1", "c")
    master.beat("c")
    master.wait(500)
    assert len(master.done(CloseAddresses)) == 1
    assert master.newest is not None


def test_stop_releases_first_and_then_ends(master: Company) -> None:
    master.do(StopAsked())
    assert master.newest is not None
    assert master.newest.report.releases[0].cause == "stop"
    master.wait(200)
    assert master.done(Exit)


def test_a_restarted_voter_makes_the_holder_exchange_its_ballot(master: Company) -> None:
    epoch = master.node.holder.tenures["g1"].counter
    master.reports["b"] = master.reports["b"]._replace(floor=50)
    master.wait(200)
    assert master.node.holder.tenures["g1"].counter > 50 > epoch
    assert not master.done(CloseAddresses)
    assert not master.told("lease-lapsed")


def test_a_ballot_is_not_exchanged_for_one_that_the_others_may_not_grant(master: Company) -> None:
    epoch = master.node.holder.tenures["g1"].counter
    for peer in "bcde":
        master.reports[peer] = master.reports[peer]._replace(ceiling=30)
    master.reports["b"] = master.reports["b"]._replace(floor=50)
    master.wait(300)
    assert master.node.holder.tenures["g1"].counter == epoch
    assert not master.told("lease-lapsed")


def test_addresses_that_could_not_be_opened_are_given_back() -> None:
    company = Company(name="a", opens="no such interface")
    company.start()
    company.wait(100)
    assert company.told("open-failed")
    assert company.done(OpenAddresses)
    assert company.done(CloseAddresses)


def test_a_new_life_claims_above_the_ceiling_of_the_old_one() -> None:
    document = Document("a-1", 1, ROSTER)
    company = Company(name="a", durable=Durable(incarnation=3, ceiling=320, document=document))
    for peer in "bcde":
        company.reports[peer] = company.reports[peer]._replace(ceiling=500)
    company.start()
    company.wait(200)
    assert first(company.done(OpenAddresses))[1].counter > 320


def test_one_of_several_groups_goes_to_a_slave_that_came_back() -> None:
    company = Company(name="a", conf=settings(groups=2, several_groups=True))
    for peer in "bcde":
        company.reports[peer] = company.reports[peer]._replace(unready=("test",))
    company.start()
    company.wait(2500)
    assert len(company.node.holder.tenures) == 2
    company.reports["b"] = company.reports["b"]._replace(unready=())
    company.wait(61_000)
    released = [a.group for _, a in company.done(CloseAddresses)]
    assert released == ["g2"], "the one of lower priority, and only one within the minute"
