"""Copies that fill: a reason for not taking over, and no fault."""

from __future__ import annotations

from tests.control.company import Company
from zcluster.control.actions import CloseAddresses, OpenAddresses
from zcluster.control.events import HealthChanged
from zcluster.control.units import NodeState

FILLING = HealthChanged("copies", "b 40 %")


def waiting_slave() -> Company:
    """`e` is the only slave that could take g1 from `a`, and its copies fill."""
    company = Company()
    company.holds("a")
    for peer in "bcd":
        company.reports[peer] = company.reports[peer]._replace(unready=("test",))
    company.start()
    company.wait(300)
    company.do(FILLING)
    return company


def test_a_slave_whose_copies_fill_is_a_slave_that_is_not_ready() -> None:
    slave = waiting_slave()
    slave.wait(100)
    assert slave.node.situation.state is NodeState.SLAVE
    assert slave.node.situation.unready == ("copies: b 40 %",)


def test_it_takes_over_nothing_until_they_are_full() -> None:
    slave = waiting_slave()
    slave.living.discard("a")
    slave.wait(2000)
    assert not slave.done(OpenAddresses)
    slave.do(HealthChanged("copies", ""))
    slave.wait(500)
    assert slave.done(OpenAddresses)


def test_a_holder_gives_nothing_away_for_its_copies_and_does_for_its_switch() -> None:
    master = Company(name="a")
    master.start()
    master.wait(200)
    master.do(FILLING)
    master.wait(2000)
    assert master.node.situation.state is NodeState.MASTER
    assert not master.done(CloseAddresses)
    master.do(HealthChanged("switch", "its event socket is closed"))
    master.wait(100)
    assert master.done(CloseAddresses)
