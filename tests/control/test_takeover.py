"""Taking over: after silence, after a release, and when the network objects."""

from __future__ import annotations

import pytest

from tests.control.company import Company, first, settings
from zcluster.control.actions import OpenAddresses, PointGate, SendBeat, SendProbe
from zcluster.control.events import AddressSeen, LinkChanged, Tick
from zcluster.control.messages import Grant
from zcluster.control.timing import PRESETS

TIMING = PRESETS["standard"]


@pytest.fixture
def slave() -> Company:
    """`e` is the only ready slave; `a` holds g1 at epoch 7."""
    company = Company()
    company.holds("a")
    for peer in "bcd":
        company.reports[peer] = company.reports[peer]._replace(unready=("test",))
    company.start()
    company.wait(300)
    return company


def last_beat_of_a(company: Company) -> int:
    peer = company.node.situation.detector.peers["a"]
    return peer.heard_ms


def test_a_healthy_holder_is_left_alone(slave: Company) -> None:
    slave.wait(5000)
    assert not slave.done(OpenAddresses)
    assert not slave.done(SendProbe)


def test_silence_is_probed_then_claimed_at_once(slave: Company) -> None:
    slave.living.discard("a")
    heard_ms = last_beat_of_a(slave)
    slave.wait(400)
    probes = [at - heard_ms for at, _ in slave.done(SendProbe)]
    assert probes == [TIMING.first_probe_ms, TIMING.second_probe_ms]
    claimed = [at - heard_ms for at, s in slave.done(SendBeat) if s.beat.report.claims]
    assert claimed[0] == TIMING.silence_ms
    opened_ms, action = first(slave.done(OpenAddresses))
    assert action.counter > 7
    assert TIMING.silence_ms <= opened_ms - heard_ms <= TIMING.silence_ms + 21


def test_no_majority_no_address(slave: Company) -> None:
    slave.living = {"b"}
    slave.wait(3000)
    assert not slave.done(OpenAddresses)


def test_votes_that_do_not_come_open_nothing(slave: Company) -> None:
    slave.living.discard("a")
    slave.grants_to_us = {"b"}
    slave.wait(3000)
    assert not slave.done(OpenAddresses)
    assert slave.told("claim-withdrawn")


def test_a_better_slave_goes_first() -> None:
    company = Company()
    company.holds("a")
    company.start()
    company.living.discard("a")
    heard_ms = last_beat_of_a(company)
    company.wait(400)
    claimed = [at - heard_ms for at, s in company.done(SendBeat) if s.beat.report.claims]
    # b, c and d are up longer: three ranks before ours.
    assert claimed[0] == TIMING.silence_ms + 3 * TIMING.rank_step_ms


def test_a_named_successor_claims_at_once_without_probes(slave: Company) -> None:
    slave.releases("a", successor="e")
    slave.beat("a")
    beat = slave.newest
    assert beat is not None
    assert [c.group for c in beat.report.claims] == ["g1"]
    slave.beat("b")
    slave.beat("c")
    at, _ = first(slave.done(OpenAddresses))
    assert at == slave.now_ms
    assert not slave.done(SendProbe)


def test_a_release_to_somebody_else_is_respected(slave: Company) -> None:
    slave.releases("a", successor="b")
    slave.beat("a")
    assert slave.newest is not None
    assert not slave.newest.report.claims
    slave.wait(200)
    assert slave.done(OpenAddresses), "the named one never came, so the next ready slave goes"


def test_the_old_holder_still_answers_so_nothing_opens(slave: Company) -> None:
    slave.reports["a"] = slave.reports["a"]._replace(macs=("02:aa:00:00:00:01",))
    slave.wait(40)
    slave.living.discard("a")
    for _ in range(600):
        slave.wait(1)
        if slave.done(SendProbe):
            slave.do(AddressSeen("10.0.0.1", "02:aa:00:00:00:01"))
    assert not slave.done(OpenAddresses)
    assert slave.told("gate-failed")
    slave.wait(200)
    assert slave.done(OpenAddresses), "opens once the old holder is silent"


def test_a_stranger_is_refused_and_named(slave: Company) -> None:
    slave.living.discard("a")
    slave.wait(190)
    slave.do(AddressSeen("10.0.0.1", "02:99:00:00:00:99"))
    slave.wait(300)
    assert not slave.done(OpenAddresses)
    assert "02:99:00:00:00:99" in slave.told("stranger")[0].text


def test_a_proxy_is_warned_of_once_and_ignored(slave: Company) -> None:
    slave.living.discard("a")
    slave.wait(185)
    for _ in range(3):
        slave.do(AddressSeen("10.0.0.1", "02:99:00:00:00:99"))
        slave.do(AddressSeen("10.0.0.0", "02:99:00:00:00:99", is_canary=True))
    slave.wait(60)
    assert slave.done(OpenAddresses)
    assert len(slave.told("proxy")) == 1


def test_our_own_stall_is_nobodys_silence(slave: Company) -> None:
    """We stood still for a second; the beats that wait in the sockets are handed in before the tick."""
    slave.now_ms += 1000
    for peer in "bcd":
        slave.beat(peer)
    slave.do(Tick())
    before = len(slave.done(SendBeat))
    assert not any(s.beat.report.claims for _, s in slave.done(SendBeat))
    slave.beat("a")
    slave.wait(300)
    assert len(slave.done(SendBeat)) > before
    assert not slave.done(OpenAddresses)


def test_a_slave_without_carrier_does_not_claim(slave: Company) -> None:
    slave.do(LinkChanged("svc", False))
    slave.living.discard("a")
    slave.wait(1000)
    assert not slave.done(OpenAddresses)
    assert slave.node.situation.unready == ("svc: no carrier",)


def test_the_new_epoch_is_above_every_one_heard_of(slave: Company) -> None:
    slave.reports["b"] = slave.reports["b"]._replace(grants=(Grant("g1", 41, "c", False),))
    slave.living.discard("a")
    slave.wait(400)
    assert first(slave.done(OpenAddresses))[1].counter == 42


def test_the_gate_follows_the_newest_beat_of_a_majority(slave: Company) -> None:
    slave.living.discard("a")
    slave.wait(400)
    assert slave.newest is not None
    slave.wait(100)
    sequence = slave.newest.sequence
    slots = [p.slot for _, p in slave.done(PointGate)]
    assert slots == sorted(slots)
    assert sequence - slots[-1] <= 1


def test_several_groups_go_to_several_slaves() -> None:
    company = Company(conf=settings(groups=2))
    company.holds("a", "g1", 7)
    company.holds("b", "g2", 3)
    company.start()
    company.living -= {"a", "b"}
    heard_ms = company.node.situation.detector.peers["b"].heard_ms
    company.wait(400)
    # c and d are meant for one group each; for the second e stands next, one step later.
    claimed_ms, beat = next((at, s.beat) for at, s in company.done(SendBeat) if s.beat.report.claims)
    assert claimed_ms >= heard_ms + TIMING.silence_ms + TIMING.rank_step_ms
    assert len(beat.report.claims) == 1
    assert len(company.done(OpenAddresses)) == 1
