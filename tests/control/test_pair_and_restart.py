"""Two nodes without a witness (DESIGN 4.8) and the planned restart (4.9) among real cores."""

from __future__ import annotations

import pytest

from tests.control.cluster import Cluster, settings
from zcluster.control.events import AddressSeen, RestartAsked


@pytest.fixture
def pair() -> Cluster:
    cluster = Cluster(settings(2, 1, survivor_claims=True, referenced_links=("svc",)), ("a", "b"))
    cluster.referenced = {"a", "b"}
    cluster.wait(3000)
    assert cluster.holders()
    return cluster


def test_the_survivor_takes_over_when_its_references_answer(pair: Cluster) -> None:
    holder = pair.holders()["g1"]
    other = "ab".replace(holder, "")
    pair.kill(holder)
    pair.wait(600)
    assert pair.holders() == {"g1": other}


def test_a_survivor_without_references_claims_nothing(pair: Cluster) -> None:
    holder = pair.holders()["g1"]
    pair.referenced.clear()
    pair.kill(holder)
    pair.wait(3000)
    assert pair.holders() == {}


def test_the_death_of_the_slave_costs_nothing(pair: Cluster) -> None:
    holder = pair.holders()["g1"]
    pair.kill("ab".replace(holder, ""))
    pair.wait(3000)
    assert pair.holders() == {"g1": holder}
    assert not pair.codes("lease-lapsed")


def test_a_holder_that_hears_neither_peer_nor_references_closes(pair: Cluster) -> None:
    holder = pair.holders()["g1"]
    pair.cut = {("a", "b"), ("b", "a")}
    pair.referenced.discard(holder)
    pair.wait(1500)
    assert pair.nodes[holder].holder.tenures == {} or not pair.nodes[holder].holder.is_master()


def test_a_cut_between_them_is_not_a_death_while_the_holder_answers(pair: Cluster) -> None:
    holder = pair.holders()["g1"]
    other = "ab".replace(holder, "")
    mac = pair.nodes[holder]._macs[0]
    pair.cut = {("a", "b"), ("b", "a")}
    for _ in range(300):
        pair.wait(10)
        pair.do(other, AddressSeen("10.0.0.1", mac))
    assert pair.holders() == {"g1": holder}
    assert pair.codes("gate-failed")
    pair.cut = set()
    pair.wait(2000)
    assert pair.holders() == {"g1": holder}
    assert not pair.codes("lease-lapsed"), "the healing costs nothing either"


def test_three_nodes_restart_their_daemons_one_after_another_and_nothing_moves() -> None:
    cluster = Cluster(settings(3, 2), ("a", "b", "c"))
    cluster.wait(3000)
    before = cluster.holders()
    for number, name in enumerate(("a", "b", "c") * 2):
        cluster.do(name, RestartAsked(f"r{number}"))
        cluster.wait(200)
        assert cluster.answers[f"r{number}"].is_accepted, cluster.answers[f"r{number}"].text
        assert name in cluster.exited
        cluster.wait(1200)
        cluster.boot(name)
        cluster.wait(2500)
        assert cluster.holders() == before
    assert not cluster.codes("lease-lapsed")
    assert len(cluster.codes("takeover")) == 2, "those of the start"


def test_a_daemon_that_does_not_come_back_is_replaced_after_its_long_lease() -> None:
    cluster = Cluster(settings(3, 1), ("a", "b", "c"))
    cluster.wait(3000)
    holder = cluster.holders()["g1"]
    cluster.do(holder, RestartAsked("r"))
    cluster.wait(2500)
    assert not [entry for entry in cluster.codes("takeover") if entry[1] != holder]
    cluster.open[holder] = set()  # the kernel ended the long lease
    cluster.wait(1500)
    assert cluster.holders()["g1"] != holder


def test_a_restart_without_a_majority_is_refused_and_the_lease_goes_on() -> None:
    cluster = Cluster(settings(3, 1), ("a", "b", "c"))
    cluster.wait(3000)
    holder = cluster.holders()["g1"]
    cluster.stuck = {"a", "b", "c"} - {holder}
    cluster.do(holder, RestartAsked("r"))
    cluster.wait(3000)
    assert not cluster.answers["r"].is_accepted
    assert cluster.holders() == {"g1": holder}
    assert not cluster.codes("lease-lapsed")
