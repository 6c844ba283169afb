"""A node that fails says so, and why, and when it is over."""

from __future__ import annotations

import pytest

from tests.control.company import Company, settings
from zcluster.control.events import HealthChanged, LinkChanged
from zcluster.control.units import NodeState

UNFIT = ("switch-not-well", "service-not-well", "host-not-well")


@pytest.fixture
def slave() -> Company:
    company = Company()
    company.start()
    company.wait(300)
    return company


def told(company: Company) -> list[tuple[str, str]]:
    return [(tell.level, tell.text) for code in UNFIT for tell in company.told(code)]


def test_a_dead_switch_is_a_warning_and_its_end_a_notice(slave: Company) -> None:
    slave.do(HealthChanged("switch", "event socket closed"))
    slave.wait(100)
    assert slave.node.situation.state is NodeState.FAILED
    expected = "this node takes over nothing: its switch is not well (event socket closed)"
    assert told(slave) == [("warning", expected)]
    slave.wait(5000)
    assert len(told(slave)) == 1
    slave.do(HealthChanged("switch", ""))
    slave.wait(100)
    (over,) = slave.told("mended")
    assert over.text.startswith("what kept this node from taking over is mended after 5.1 s")


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (LinkChanged("svc", False), "service-not-well"),
        (HealthChanged("gate", "Operation not permitted"), "host-not-well"),
        (HealthChanged("switch profile sip1", "not running"), "switch-not-well"),
    ],
)
def test_each_kind_has_its_code(slave: Company, event: LinkChanged | HealthChanged, code: str) -> None:
    slave.do(event)
    slave.wait(100)
    assert [each for each in UNFIT if slave.told(each)] == [code]


def test_copies_that_fill_are_no_fault(slave: Company) -> None:
    slave.do(HealthChanged("copies", "b 40 %"))
    slave.wait(100)
    assert told(slave) == []


def test_nothing_is_told_of_a_node_that_never_holds() -> None:
    company = Company(conf=settings(never_master=("e",)))
    company.start()
    company.do(HealthChanged("switch", "event socket closed"))
    company.wait(100)
    assert told(company) == []


def test_silence_is_told_in_words(slave: Company) -> None:
    for _ in range(4):
        slave.beat("b", "svc")
    slave.wait(20_000)
    slave.living.discard("b")
    slave.wait(1000)
    (silent,) = [tell for tell in slave.told("silent") if tell.facts["node"] == "b"]
    assert ", svc 20." in silent.text
    assert silent.text.endswith(" s ago")
