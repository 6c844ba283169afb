"""Who else answers for an address that this node holds, and when that is an alarm."""

from __future__ import annotations

import pytest

from tests.control.company import Company
from zcluster.control.events import AddressSeen, Tick
from zcluster.control.timing import PRESETS

TIMING = PRESETS["standard"]
STRANGER, OF_B = "02:99:00:00:00:99", "02:bb:00:00:00:01"


@pytest.fixture
def master() -> Company:
    company = Company(name="a")
    company.start()
    company.wait(300)
    company.reports["b"] = company.reports["b"]._replace(macs=(OF_B,))
    company.wait(60)
    return company


def test_a_machine_outside_the_cluster_is_told_so_that_it_reads_alone(master: Company) -> None:
    master.do(AddressSeen("10.0.0.1", STRANGER))
    master.wait(20)
    (alarm,) = master.told("address-conflict")
    assert alarm.text == (
        f"g1 is held by a, but a machine outside the cluster ({STRANGER}) answers for its address too: "
        "callers may reach it"
    )


def test_a_node_is_named(master: Company) -> None:
    master.do(AddressSeen("10.0.0.1", OF_B))
    master.wait(20)
    (alarm,) = master.told("address-conflict")
    assert alarm.text.startswith(f"g1 is held by a, but b ({OF_B}) answers for its address too")


@pytest.mark.parametrize("late_ms", [TIMING.lease_ms, TIMING.lease_ms + 400, 20_000])
def test_after_a_stall_that_outlived_the_lease_the_successor_is_no_alarm(
    master: Company, late_ms: int
) -> None:
    master.now_ms += late_ms
    master.do(AddressSeen("10.0.0.1", OF_B))
    master.do(Tick())
    assert master.told("lease-lapsed")
    assert not master.told("address-conflict")


def test_after_a_short_stall_the_tick_judges(master: Company) -> None:
    master.now_ms = master.node.deadline() + 5
    assert master.now_ms < master.node.holder.tenures["g1"].lease_end_ms
    master.do(AddressSeen("10.0.0.1", OF_B))
    assert not master.told("address-conflict"), "what waits in the sockets is heard first"
    master.do(Tick())
    assert len(master.told("address-conflict")) == 1
