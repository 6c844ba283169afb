"""Priority, sites, witnesses, failback among real cores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.control.cluster import Cluster, settings
from zcluster.control.document import Settings, Site
from zcluster.control.events import HealthChanged, MoveAsked, PinAsked, SwitchIdentified


def test_the_holder_of_the_least_group_steps_aside_for_the_most_important() -> None:
    conf = settings(6, 3, witnesses=("w*",))
    cluster = Cluster(conf, ("a", "b", "c", "w1", "w2", "w3"))
    cluster.wait(3000)
    holders = cluster.holders()
    assert set(holders.values()) == {"a", "b", "c"}, "a witness never holds"
    cluster.kill(holders["g1"])
    cluster.wait(3000)
    after = cluster.holders()
    assert after["g1"] == holders["g3"]
    assert after["g2"] == holders["g2"]
    assert "g3" not in after
    assert cluster.codes("stepped-aside")


def test_groups_that_should_be_apart_prefer_another_site() -> None:
    conf = settings(4, 2, sites=(Site("east", ("e*",)), Site("west", ("w*",))))
    conf = replace(conf, groups=(conf.groups[0], replace(conf.groups[1], apart_from=("g1",))))
    cluster = Cluster(conf, ("e1", "e2", "w1", "w2"))
    cluster.wait(3000)
    holders = cluster.holders()
    assert holders["g1"][0] != holders["g2"][0]


@pytest.mark.slow
def test_failback_only_where_the_file_says_so() -> None:
    for failback in (False, True):
        conf = settings(4, 1, failback=failback)
        conf = replace(conf, groups=(replace(conf.groups[0], preferred=("d",)),))
        cluster = Cluster(conf, ("a", "b", "c", "d"))
        cluster.wait(3000)
        assert cluster.holders()["g1"] == "d"
        cluster.kill("d")
        cluster.wait(1000)
        assert cluster.holders()["g1"] != "d"
        cluster.boot("d")
        cluster.wait(65_000)
        assert (cluster.holders()["g1"] == "d") is failback


def with_builds(conf: Settings, builds: dict[str, str]) -> Cluster:
    """A settled cluster whose nodes have seen switches of these builds; the first of them holds g1."""
    cluster = Cluster(conf, builds)
    cluster.wait(3000)
    for name, build in builds.items():
        cluster.do(name, SwitchIdentified(build, f"fs-{name}"))
    cluster.wait(100)
    return cluster


@pytest.mark.parametrize("death", ["kill", "move", "health"])
def test_a_group_goes_to_a_slave_whose_switch_can_take_its_calls(death: str) -> None:
    """By their start and name b and c stand before d, but only d runs what the holder runs."""
    cluster = with_builds(settings(4, 1), {"a": "x", "b": "", "c": "y", "d": "x"})
    holder = cluster.holders()["g1"]
    assert holder == "a"
    match death:
        case "kill":
            cluster.kill("a")
        case "move":
            cluster.do("b", MoveAsked("m", "g1", ""))
        case "health":
            cluster.do("a", HealthChanged("switch", "gone"))
    cluster.wait(1500)
    assert cluster.holders()["g1"] == "d"


def test_where_the_holders_build_is_not_known_or_nobody_has_it_the_order_is_the_old_one() -> None:
    for builds in ({"a": "", "b": "y", "c": "x"}, {"a": "x", "b": "y", "c": "z"}):
        cluster = with_builds(settings(3, 1), builds)
        assert cluster.holders()["g1"] == "a"
        cluster.kill("a")
        cluster.wait(1500)
        assert cluster.holders()["g1"] == "b"


def test_a_slave_that_the_file_prefers_stands_before_one_of_the_same_build() -> None:
    conf = settings(3, 1)
    conf = replace(conf, groups=(replace(conf.groups[0], preferred=("a", "b")),))
    cluster = with_builds(conf, {"a": "x", "b": "y", "c": "x"})
    cluster.kill("a")
    cluster.wait(1500)
    assert cluster.holders()["g1"] == "b"


def test_a_daemon_that_began_anew_and_has_not_seen_its_switch_is_still_known_by_it() -> None:
    cluster = with_builds(settings(4, 1), {"a": "x", "b": "y", "c": "y", "d": "x"})
    cluster.do("a", SwitchIdentified("", ""))
    cluster.wait(100)
    cluster.kill("a")
    cluster.wait(1500)
    assert cluster.holders()["g1"] == "d"


def test_nobody_steps_aside_for_a_group_that_cannot_be_won_and_at_most_once_a_minute() -> None:
    """A voter whose long grant still binds it would refuse the claim: what is served stays served."""
    conf = settings(6, 3, witnesses=("w*",))
    cluster = Cluster(conf, ("a", "b", "c", "w1", "w2", "w3"))
    cluster.wait(3000)
    holders = cluster.holders()
    for name in ("w1", "w2"):
        cluster.kill(name)
    cluster.wait(500)
    voter = cluster.nodes["w3"].situation.voter
    cluster.kill(holders["g1"])
    # Three of six are no majority at all, so give the roster back one voter that is bound by a long grant.
    cluster.boot("w1")
    cluster.wait(1300)
    tenure_of_g1 = voter.highest("g1")
    assert tenure_of_g1 is not None
    for witness in ("w1", "w3"):
        cluster.nodes[witness].situation.voter.restore(
            "g1", tenure_of_g1.counter, tenure_of_g1.node, 1, int(cluster.now_ms) + 3000, True
        )
    asides = len(cluster.codes("stepped-aside"))
    cluster.wait(2500)
    assert len(cluster.codes("stepped-aside")) == asides
    assert "g3" in cluster.holders()
    cluster.wait(4000)
    assert cluster.holders()["g1"] == holders["g3"]
    assert len(cluster.codes("stepped-aside")) <= asides + 1


@pytest.fixture
def pinned() -> Cluster:
    """Four nodes; g1 is held by the node that it is pinned to, "d"."""
    cluster = Cluster(settings(4, 1), ("a", "b", "c", "d"))
    cluster.wait(3000)
    cluster.do("a", PinAsked("pin", "g1", "d"))
    cluster.wait(70_000)
    assert cluster.holders() == {"g1": "d"}
    return cluster


@pytest.mark.parametrize("target", ["a", ""])
@pytest.mark.parametrize("asked", ["b", "d"])
def test_a_move_away_from_the_pinned_node_is_refused_with_the_mend(
    pinned: Cluster, asked: str, target: str
) -> None:
    pinned.do(asked, MoveAsked("move", "g1", target))
    answer = pinned.answers["move"]
    assert not answer.is_accepted
    assert "pinned to d" in answer.text
    assert "`zcluster unpin g1`" in answer.text
    assert f"`zcluster pin g1 {target or 'NODE'}`" in answer.text
    pinned.wait(5000)
    assert pinned.holders() == {"g1": "d"}


def test_where_the_pinned_node_is_not_ready_the_group_may_be_moved(pinned: Cluster) -> None:
    pinned.do("d", HealthChanged("switch", "no pulse"))
    pinned.wait(3000)
    holder = pinned.holders()["g1"]
    target = next(name for name in "abc" if name != holder)
    pinned.do("a", MoveAsked("move", "g1", target))
    pinned.wait(3000)
    assert pinned.answers["move"].is_accepted
    assert pinned.holders() == {"g1": target}
    pinned.do("d", HealthChanged("switch", ""))
    pinned.wait(65_000)
    assert pinned.holders() == {"g1": "d"}


def test_where_the_pinned_node_holds_another_group_the_pin_moves_nothing_so_an_operator_may() -> None:
    cluster = Cluster(settings(4, 2), ("a", "b", "c", "d"))
    cluster.wait(3000)
    holders = cluster.holders()
    target = next(name for name in "abcd" if name not in holders.values())
    cluster.do("a", PinAsked("pin", "g1", holders["g2"]))
    cluster.wait(3000)
    cluster.do("a", MoveAsked("move", "g1", target))
    cluster.wait(3000)
    assert cluster.answers["move"].is_accepted
    assert cluster.holders() == {"g1": target, "g2": holders["g2"]}
