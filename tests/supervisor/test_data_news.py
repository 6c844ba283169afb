from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.control.cluster import Cluster, settings
from zcluster.control.events import StopAsked
from zcluster.control.ownership import Phase
from zcluster.supervisor.data_news import PLACES_MS, News
from zcluster.wire.local_link import Groups, OwnGroup, PeerPlace, Peers

PLACES = {name: (("ring", f"10.77.1.{at}"),) for at, name in enumerate("abc", 1)}


@pytest.fixture
def cluster() -> Cluster:
    """Three nodes that hold one group among them."""
    cluster = Cluster(settings(3, 1), "abc")
    cluster.wait(5000)
    return cluster


def news(cluster: Cluster, name: str) -> News:
    return News(cluster.nodes[name], lambda peer: PLACES[peer])


def until(cluster: Cluster, is_so: Callable[[], bool]) -> None:
    for _ in range(20_000):
        if is_so():
            return
        cluster.wait(0.1)
    raise AssertionError("it never came")


def test_the_holder_has_its_group_and_everybody_knows(cluster: Cluster) -> None:
    holder = cluster.holders()["g1"]
    tenure = cluster.nodes[holder].holder.tenures["g1"]
    assert news(cluster, holder).groups() == Groups((OwnGroup("g1", tenure.counter, True),))
    assert not news(cluster, holder).holds_nothing()
    for name in sorted(set("abc") - {holder}):
        assert news(cluster, name).groups() == Groups()
        assert news(cluster, name).holds_nothing()
    for name, node in cluster.nodes.items():
        others = [cluster.nodes[other] for other in "abc" if other != name]
        assert news(cluster, name).peers() == Peers(
            tuple(
                PeerPlace(o.situation.name, o.situation.incarnation, PLACES[o.situation.name]) for o in others
            ),
            (("g1", holder),),
        )
        assert node.situation.name == name


def test_a_dead_node_is_told_when_the_core_holds_it_for_dead(cluster: Cluster) -> None:
    holder = cluster.holders()["g1"]
    slave = min(set("abc") - {holder})
    seen = news(cluster, slave)
    cluster.kill(holder)
    until(cluster, lambda: holder not in [peer.node for peer in seen.peers().peers])
    assert [tell.code for _, name, tell in cluster.told if name == slave][-1] == "silent"
    assert seen.peers().holders == ()


def test_a_win_is_told_before_the_addresses_are_open(cluster: Cluster) -> None:
    first = cluster.holders()["g1"]
    cluster.kill(first)
    seen = {name: news(cluster, name) for name in cluster.nodes}
    until(cluster, lambda: any(each.groups().own for each in seen.values()))
    (winner,) = [name for name, each in seen.items() if each.groups().own]
    tenure = cluster.nodes[winner].holder.tenures["g1"]
    assert tenure.phase in (Phase.PROBING, Phase.OPENING)
    assert seen[winner].groups() == Groups((OwnGroup("g1", tenure.counter, False),))
    until(cluster, lambda: tenure.phase is Phase.HOLDING)
    assert seen[winner].groups() == Groups((OwnGroup("g1", tenure.counter, True),))
    assert seen[winner].peers().holders == (("g1", winner),)


def test_a_lapse_closes_and_loses_nothing_and_a_reopening_keeps_the_counter(cluster: Cluster) -> None:
    holder = cluster.holders()["g1"]
    seen = news(cluster, holder)
    (before,) = seen.groups().own
    cut = {(a, b) for a in "abc" for b in "abc" if holder in (a, b)}
    cluster.cut |= cut
    until(cluster, lambda: seen.groups().own[0] == OwnGroup("g1", before.counter, False))
    cluster.cut -= cut
    until(cluster, lambda: seen.groups().own[0].is_open)
    assert seen.groups().own == (before,)


def test_what_is_given_up_is_gone_before_the_kernel_has_closed_it(cluster: Cluster) -> None:
    holder = cluster.holders()["g1"]
    seen = news(cluster, holder)
    assert seen.groups().own
    cluster.do(holder, StopAsked())
    assert cluster.nodes[holder].holder.tenures["g1"].phase is Phase.CLOSING
    assert seen.groups() == Groups()


def test_a_ballot_that_the_core_exchanges_is_no_new_win(cluster: Cluster) -> None:
    holder = cluster.holders()["g1"]
    seen = news(cluster, holder)
    before = seen.groups()
    tenure = cluster.nodes[holder].holder.tenures["g1"]
    tenure.exchange(tenure.counter + 5, 1)
    assert seen.groups() == before
    assert news(cluster, holder).groups().own[0].counter == tenure.counter


def test_a_new_address_of_a_peer_is_told_within_a_second(cluster: Cluster) -> None:
    places: dict[str, tuple[tuple[str, str], ...]] = dict(PLACES)
    seen = News(cluster.nodes["a"], lambda peer: places[peer])
    seen.peers()
    places["b"] = (("ring", "10.77.1.99"), ("svc", "10.77.9.2"))
    cluster.wait(PLACES_MS + 100)
    assert [peer.addresses for peer in seen.peers().peers if peer.node == "b"] == [places["b"]]
