"""The cluster document among real cores: admission, removal, forgetting, forcing, pins, lost disks."""

from __future__ import annotations

import pytest

from tests.control.cluster import Cluster, settings
from zcluster.control.document import Document, Durable
from zcluster.control.events import PinAsked, RosterAsked

FIVE = ("a", "b", "c", "d", "e")


@pytest.fixture
def five() -> Cluster:
    cluster = Cluster(settings(5, 2), FIVE)
    cluster.wait(3000)
    assert len(cluster.holders()) == 2
    return cluster


def idle(cluster: Cluster) -> list[str]:
    return sorted(set(cluster.nodes) - set(cluster.holders().values()))


def test_a_new_node_is_shown_and_admitted_when_asked(five: Cluster) -> None:
    five.boot("f")
    five.wait(1500)
    assert five.roster("a") == FIVE
    assert "not admitted" in five.nodes["f"].situation.unready
    five.do("b", RosterAsked("x", "add", ("f",)))
    five.wait(5000)
    assert five.answers["x"].is_accepted
    assert {five.roster(name) for name in five.nodes} == {(*FIVE, "f")}
    assert five.nodes["f"].situation.unready == ()


def test_adding_who_is_not_heard_is_refused(five: Cluster) -> None:
    five.do("b", RosterAsked("x", "add", ("f",)))
    assert "not heard" in five.answers["x"].text


def test_a_member_is_removed_and_holders_are_protected(five: Cluster) -> None:
    before = five.holders()
    five.do("a", RosterAsked("x", "remove", (before["g1"],)))
    assert not five.answers["x"].is_accepted
    gone = idle(five)[-1]
    five.do("a", RosterAsked("y", "remove", (gone,)))
    five.wait(2000)
    assert five.answers["y"].is_accepted
    assert gone not in five.roster("a")
    assert five.holders() == before


def test_a_living_member_is_not_removed_where_the_rest_would_be_no_majority(five: Cluster) -> None:
    for name in idle(five)[-2:]:
        five.kill(name)
    five.wait(1000)
    living = idle(five)[0]
    five.do(living, RosterAsked("x", "remove", (living,)))
    assert "too few of the remaining" in five.answers["x"].text
    dead = (set(FIVE) - set(five.nodes)).pop()
    five.do(living, RosterAsked("y", "remove", (dead,)))
    five.wait(2000)
    assert five.answers["y"].is_accepted


def test_the_dead_are_forgotten_one_by_one_and_the_returned_taken_back() -> None:
    cluster = Cluster(settings(5, 1, forget_after_ms=5000), FIVE)
    cluster.wait(3000)
    for name in ("d", "e"):
        cluster.kill(name)
    cluster.wait(9000)
    assert cluster.roster("a") == ("a", "b", "c")
    cluster.kill("c")
    cluster.wait(9000)
    assert cluster.roster("a") == ("a", "b", "c"), "never below three"
    assert set(cluster.holders()) == {"g1"}, "two of three are a majority"
    for name in ("c", "d", "e"):
        cluster.boot(name)
    cluster.wait(9000)
    assert cluster.roster("a") == FIVE


@pytest.mark.slow
def test_twenty_can_lose_nine_and_later_more() -> None:
    names = tuple(f"n{number:02}" for number in range(1, 21))
    cluster = Cluster(settings(20, 2, forget_after_ms=4000), names)
    cluster.wait(3000)
    for name in names[:9]:
        cluster.kill(name)
    cluster.wait(16_000)
    assert len(cluster.roster("n20")) == 11
    for name in names[9:14]:
        cluster.kill(name)
    cluster.wait(2000)
    assert set(cluster.holders()) == {"g1", "g2"}


def test_without_a_majority_nothing_is_agreed_and_an_operator_may_force(five: Cluster) -> None:
    for name in ("c", "d", "e"):
        five.kill(name)
    five.wait(1000)
    assert five.holders() == {}
    five.do("a", RosterAsked("x", "remove", ("e",)))
    assert "force" in five.answers["x"].text
    five.do("a", RosterAsked("y", "force", ("c", "d", "e")))
    five.wait(2000)
    assert five.answers["y"].is_accepted
    assert five.roster("b") == ("a", "b")
    assert set(five.holders()) == {"g1", "g2"}
    five.boot("c")
    five.wait(5000)
    assert five.roster("c") == ("a", "b", "c"), "a forgotten node returns by itself"


def test_forcing_is_refused_while_a_majority_is_heard_or_the_lost_are_alive(five: Cluster) -> None:
    five.do("a", RosterAsked("x", "force", ("e",)))
    assert "majority is heard" in five.answers["x"].text
    for name in ("c", "d"):
        five.kill(name)
    five.cut = {(x, y) for x in ("a", "b") for y in ("e",)}
    five.wait(1000)
    five.do("a", RosterAsked("y", "force", ("c", "d", "e")))
    assert "e is alive" in five.answers["y"].text


def test_a_member_with_an_empty_disk_binds_itself_only_after_the_next_document(five: Cluster) -> None:
    lost = idle(five)[0]
    five.kill(lost)
    five.wait(500)
    five.boot(lost, Durable())
    five.wait(300)
    voter = five.nodes[lost].situation.voter
    assert voter.is_abstaining(int(five.now_ms)), "it may have given a long grant that it does not remember"
    five.wait(6000)
    assert not five.nodes[lost].situation.voter.is_amnesiac
    assert not five.nodes[lost].council.is_amnesiac()
    generations = {
        node.situation.document.generation for node in five.nodes.values() if node.situation.document
    }
    assert len(generations) == 1
    assert generations.pop() >= 2


def test_two_changes_at_once_are_both_made(five: Cluster) -> None:
    for name in ("f", "g"):
        five.boot(name)
    five.wait(1500)
    five.do("a", RosterAsked("x", "add", ("f",)))
    five.do("c", RosterAsked("y", "add", ("g",)))
    five.wait(8000)
    assert five.roster("a") == (*FIVE, "f", "g")
    assert five.answers["x"].is_accepted
    assert five.answers["y"].is_accepted


@pytest.mark.slow
def test_a_pinned_group_goes_home_when_its_node_stands_ready(five: Cluster) -> None:
    target = idle(five)[-1]
    five.do("a", PinAsked("x", "g1", target))
    five.wait(63_000)
    assert five.holders()["g1"] == target
    five.do("b", PinAsked("y", "g1", ""))
    five.wait(2000)
    assert five.nodes["a"].situation.pins == ()


def test_where_a_member_is_dead_the_returned_is_taken_back_with_its_own_help() -> None:
    """Two of three can vote, the third never comes: one member more would want three, so it must count itself."""
    three = Cluster(settings(4, 1), ())
    memory = Durable(incarnation=1, document=Document("id", 4, ("a", "b", "c"), forgotten=("d",)))
    for name in ("a", "b", "d"):
        three.boot(name, memory)
    three.wait(5_000)
    assert three.roster("a") == ("a", "b", "c", "d")
    assert set(three.holders()) == {"g1"}


def test_while_a_member_only_starts_nobody_is_added_to_it() -> None:
    three = Cluster(settings(4, 1), ())
    memory = Durable(incarnation=1, document=Document("id", 4, ("a", "b", "c")))
    for name in ("a", "b", "d"):
        three.boot(name, memory)
    three.wait(3_000)
    three.boot("c", Durable())
    three.wait(500)
    three.do("a", RosterAsked("wish", "add", ("d",)))
    assert not three.answers["wish"].is_accepted
    assert "three seconds" in three.answers["wish"].text
    three.wait(4_000)
    three.do("a", RosterAsked("again", "add", ("d",)))
    three.wait(1_000)
    assert three.answers["again"].is_accepted
    assert three.roster("a") == ("a", "b", "c", "d")
