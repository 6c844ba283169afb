"""mode = "observe": the whole cluster decides, and nothing of any host is touched."""

from __future__ import annotations

import signal
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from tests.lab.world_check import passes_in_world
from zcluster.adapters import nftables
from zcluster.adapters.addresses import HOST_SETTINGS, Addresses
from zcluster.config.identity import LocalAddress
from zcluster.control.actions import Tell
from zcluster.control.document import GroupSettings, Settings
from zcluster.control.timing import PRESETS
from zcluster.lab.configuration import cluster_file
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import make_plan
from zcluster.supervisor.observing import (
    NOTICE,
    ObservedGate,
    observed_place,
    observed_settings,
    observed_teller,
)
from zcluster.wire.keys import derive, observing

ONE, OTHER = ip_address("10.77.9.101"), ip_address("10.77.9.102")


def test_the_gate_says_what_would_have_opened_and_closed_once() -> None:
    gate, told = ObservedGate(), list[Tell]()
    gate.tell = told.append
    gate.install([ONE, OTHER], ["svc"])
    gate.point([ONE], 1)
    gate.point([ONE], 2)
    gate.point([ONE, OTHER], 3)
    gate.close([ONE])
    gate.close([ONE])
    assert [tell.text for tell in told] == [
        "would have begun to answer for 10.77.9.101",
        "would have begun to answer for 10.77.9.102",
        "would have ceased to answer for 10.77.9.101",
    ]
    assert gate.adopt([ONE, OTHER], ["svc"], {ONE})
    gate.point([ONE], 4)
    assert len(told) == 3, "what the last life held goes on"
    gate.install([ONE, OTHER], ["svc"])
    assert told[-1].facts == {"addresses": ["10.77.9.101"]}


def test_what_it_says_keeps_and_reads_is_apart_from_those_that_act() -> None:
    told: list[Tell] = []
    observed_teller(told.append)(Tell("notice", "takeover", "g1: n1 holds epoch 3", {"epoch": 3}))
    assert told == [Tell("notice", "takeover", "observing: g1: n1 holds epoch 3", {"epoch": 3})]
    assert observed_place(Path("/var/lib/zcluster")) == Path("/var/lib/zcluster/observe")
    group = GroupSettings("g1", ("10.77.9.101",), "lan")
    settings = Settings("pbx", 3, PRESETS["standard"], (group,), (), ("lan",), referenced_links=("lan",))
    assert observed_settings(settings).referenced_links == ()
    assert observed_settings(settings).groups == settings.groups


def test_those_that_act_cannot_hear_those_that_observe() -> None:
    secret = bytes(range(32))
    acting, watching = derive(secret), derive(observing(secret))
    assert {acting.beacon, acting.server, acting.client, acting.reader}.isdisjoint(
        {watching.beacon, watching.server, watching.client, watching.reader}
    )


def floating_on(present: list[LocalAddress]) -> list[str]:
    floating = ip_network("10.77.9.101/32"), ip_network("fd77:9::101/128")
    return [str(one.address) for one in present if any(one.address in network for network in floating)]


def untouched() -> None:
    """On a host: no floating address, no rule, no setting of ours. Ends with an error otherwise."""
    addresses = Addresses()
    assert floating_on([LocalAddress(one.interface, one.address) for one in addresses.present()]) == []
    filter_rules = nftables.Nftables()
    for family in (nftables.INET, nftables.ARP, nftables.NETDEV):
        assert filter_rules.listing(nftables.GET_TABLE, family, "zcluster") == []
    for name, wanted in HOST_SETTINGS:
        if name != "net/ipv4/conf/all/promote_secondaries":  # some systems set it for all hosts
            assert Path("/proc/sys", name).read_text().strip() != wanted


@pytest.mark.kernel
@pytest.mark.lab
@pytest.mark.slow
def test_a_cluster_that_observes_touches_nothing_and_tells_what_it_would_have_done() -> None:
    def check(directory: Path) -> None:
        plan = make_plan(3, 1, "standard")
        config = directory / "observe.toml"
        text = cluster_file(plan, directory / "cluster.key")
        config.write_text(text.replace("[cluster]\n", '[cluster]\nmode = "observe"\n'))
        lab = Laboratory(directory, plan, [sys.executable, "-m", "zcluster", "run", "--config", str(config)])
        try:
            lab.build()
            lab.wait_for(lambda: lab.ownership("g1").holder != "", 20, "somebody who would hold g1")
            before = lab.ownership("g1")
            for node in lab.powered:
                assert lab.hosts[node].fork("look", untouched).wait(5) == 0
            status = lab.statuses()[before.holder]
            assert status["mode"] == "observe"
            assert ("notice", "host", NOTICE) in [
                (w["level"], w["code"], w["text"]) for w in status["warnings"]
            ]
            assert lab.silent_addresses() == list(plan.floating)

            lab.daemon_of(before.holder).signal(signal.SIGKILL)
            lab.powered.remove(before.holder)

            def is_moved() -> bool:
                now = lab.ownership("g1")
                return now.holder not in ("", before.holder) and now.epoch > before.epoch

            lab.wait_for(is_moved, 5, "who would have taken over")
            after = lab.ownership("g1").holder
            assert lab.hosts[after].fork("look", untouched).wait(5) == 0
            lab.wait_for(
                lambda: "would have begun to answer for 10.77.9.101" in lab.log_of(after).read_text(),
                2,
                "the line in its log",
            )
            assert (directory / "state" / after / "observe" / "durable.json").exists()
            assert not (directory / "state" / after / "durable.json").exists()
        except BaseException:
            print(lab.log_tails())
            raise
        finally:
            lab.close()

    passes_in_world(check)
