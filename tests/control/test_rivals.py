"""Who else answers for an address that this node holds, and when that is an alarm."""

from __future__ import annotations

import pytest

from tests.control.company import Company
from zcluster.control.actions import SendProbe
from zcluster.control.events import AddressSeen, MoveAsked, Tick
from zcluster.control.holding import LARGEST_CONFLICTS
from zcluster.control.rivals import LARGEST_RIVALS
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


def probes(master: Company, since_ms: int) -> list[int]:
    """When the network was asked."""
    return [at_ms for at_ms, _ in master.done(SendProbe, since_ms)]


def test_a_rival_is_asked_for_until_it_is_silent_and_its_end_is_told_once(master: Company) -> None:
    calm_ms = master.now_ms
    master.wait(3000)
    assert not probes(master, calm_ms), "nobody is asked for who was never seen"
    for _ in range(15):
        master.do(AddressSeen("10.0.0.1", STRANGER))
        master.wait(1000)
    assert len(probes(master, calm_ms)) == 15
    assert len(master.told("address-conflict")) == 2, "while it stands, every ten seconds"
    assert not master.told("conflict-over")
    master.wait(6000)
    (over,) = master.told("conflict-over")
    assert over.text == f"g1: {STRANGER} answers for its address no more; a alone does"
    calm_ms = master.now_ms
    master.wait(6000)
    assert not probes(master, calm_ms)
    assert len(master.told("conflict-over")) == 1


def test_two_rivals_are_over_together(master: Company) -> None:
    master.do(AddressSeen("10.0.0.1", STRANGER))
    master.wait(3000)
    master.do(AddressSeen("10.0.0.1", OF_B))
    master.wait(7000)
    (over,) = master.told("conflict-over")
    assert over.facts["macs"] == [STRANGER, OF_B]


def test_who_gave_the_group_away_forgets_its_rivals(master: Company) -> None:
    master.do(AddressSeen("10.0.0.1", STRANGER))
    master.wait(1500)
    master.do(MoveAsked("m", "g1", "b"))
    assert "g1" not in master.node.holder.tenures
    master.wait(10_000)
    assert not master.told("conflict-over"), "the next holder asks for itself"


def test_who_makes_hardware_addresses_up_fills_nothing(master: Company) -> None:
    for number in range(1000):
        master.do(AddressSeen("10.0.0.1", f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"))
    master.wait(50)
    assert len(master.told("address-conflict")) == LARGEST_CONFLICTS
    master.do(AddressSeen("10.0.0.1", OF_B))
    assert len(master.told("address-conflict")) == LARGEST_CONFLICTS + 1, "a node is told all the same"
    master.wait(8000)
    (over,) = master.told("conflict-over")
    assert over.text.count("02:00:00:00:") == LARGEST_RIVALS
    master.wait(10_000)
    master.do(AddressSeen("10.0.0.1", STRANGER))
    assert len(master.told("address-conflict")) == LARGEST_CONFLICTS + 2, "later there is room again"
