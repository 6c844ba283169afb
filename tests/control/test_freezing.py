"""A frozen cluster of real cores: what still happens, what does not, and how it ends."""

from __future__ import annotations

import pytest

from tests.control.cluster import Cluster, settings
from zcluster.control.document import Freeze, Pin
from zcluster.control.events import (
    FreezeAsked,
    FreezeOver,
    HealthChanged,
    MoveAsked,
    PinAsked,
    RestartAsked,
    RosterAsked,
    StopAsked,
    ThawAsked,
)
from zcluster.control.frozen import LARGEST_REASON_BYTES, bounded_who, reason_fault
from zcluster.control.ownership import Phase

FIVE = ("a", "b", "c", "d", "e")
NOW_MS = 1_790_000_000_000


def frozen(cluster: Cluster, on: str = "a", until_ms: int = 0) -> Cluster:
    cluster.do(on, FreezeAsked("freeze", "alice", "switches are replaced", NOW_MS, until_ms))
    cluster.wait(1500)
    assert cluster.answers["freeze"].is_accepted, cluster.answers["freeze"].text
    return cluster


def freeze_of(cluster: Cluster, name: str) -> Freeze | None:
    document = cluster.nodes[name].situation.document
    return document.freeze if document is not None else None


@pytest.fixture
def five() -> Cluster:
    cluster = Cluster(settings(5, 2, failback=True), FIVE)
    cluster.wait(3000)
    assert len(cluster.holders()) == 2
    return cluster


def idle(cluster: Cluster) -> list[str]:
    return sorted(set(cluster.nodes) - set(cluster.holders().values()))


def thaw(cluster: Cluster, on: str) -> None:
    cluster.do(on, ThawAsked("thaw", "bob"))
    cluster.wait(2000)
    assert cluster.answers["thaw"].is_accepted


def test_every_node_knows_who_froze_it_and_where_each_group_is(five: Cluster) -> None:
    before = five.holders()
    frozen(five, on=idle(five)[0])
    for name in five.nodes:
        freeze = freeze_of(five, name)
        assert freeze is not None
        assert (freeze.who, freeze.node, freeze.reason) == ("alice", idle(five)[0], "switches are replaced")
        assert freeze.is_firm
        assert dict(freeze.holders) == before
    assert five.holders() == before
    assert len(five.codes("frozen")) == 5


def test_nobody_takes_over_what_a_dead_host_held_and_the_host_itself_takes_it_again(five: Cluster) -> None:
    before = five.holders()
    dead = before["g1"]
    frozen(five)
    five.kill(dead)
    five.wait(5000)
    assert five.holders() == {"g2": before["g2"]}
    assert any(f"{dead} alone may take it again" in told.text for _, _, told in five.codes("takeover-frozen"))
    five.boot(dead)
    five.wait(3000)
    assert five.holders() == before


def test_after_a_thaw_the_dead_hosts_group_is_taken_over_at_once(five: Cluster) -> None:
    dead = five.holders()["g1"]
    frozen(five)
    five.kill(dead)
    five.wait(5000)
    thaw(five, idle(five)[0])
    assert five.holders().keys() == {"g1", "g2"}
    assert not five.codes("claim-withdrawn"), "the slaves come one after the other, although all are late"


def test_a_power_cut_of_all_brings_every_group_back_to_its_holder(five: Cluster) -> None:
    before = five.holders()
    frozen(five)
    for name in FIVE:
        five.kill(name)
    five.wait(500)
    for name in sorted(FIVE, key=lambda name: name in before.values()):
        five.boot(name)
        five.wait(700)
    five.wait(3000)
    assert five.holders() == before
    assert freeze_of(five, "a") is not None


def test_after_a_power_cut_what_does_not_come_back_stays_without_a_holder(five: Cluster) -> None:
    before = five.holders()
    frozen(five)
    for name in FIVE:
        five.kill(name)
    for name in FIVE:
        if name != before["g1"]:
            five.boot(name)
    five.wait(10_000)
    assert five.holders() == {"g2": before["g2"]}


def test_no_operator_moves_or_pins_and_the_refusal_says_how_to_thaw(five: Cluster) -> None:
    frozen(five)
    before, target = five.holders(), idle(five)[-1]
    five.do("b", MoveAsked("move", "g1", target))
    five.do("b", PinAsked("pin", "g1", target))
    five.do("b", RosterAsked("remove", "remove", (before["g1"],)))
    for identity in ("move", "pin"):
        assert not five.answers[identity].is_accepted
        assert "switches are replaced" in five.answers[identity].text
        assert "zcluster thaw" in five.answers[identity].text
    assert not five.answers["remove"].is_accepted
    five.do("b", PinAsked("unpin", "g1", ""))
    five.wait(1000)
    assert five.answers["unpin"].is_accepted
    assert five.holders() == before


@pytest.mark.slow
def test_a_pin_of_before_waits_for_the_thaw(five: Cluster) -> None:
    before, target = five.holders(), idle(five)[-1]
    five.kill(target)
    five.do("a" if target != "a" else "b", PinAsked("pin", "g1", target))
    five.wait(3000)
    frozen(five, on=idle(five)[0])
    five.boot(target)
    five.wait(70_000)
    assert five.holders() == before
    thaw(five, target)
    five.wait(2000)
    assert five.holders()["g1"] == target


def test_a_holder_that_is_ill_keeps_its_group_and_says_so(five: Cluster) -> None:
    frozen(five)
    before = five.holders()
    five.do(before["g1"], HealthChanged("switch", "its event socket closed"))
    five.wait(5000)
    assert five.holders() == before
    assert "its event socket closed" in five.codes("health-frozen")[0][2].text
    thaw(five, idle(five)[0])
    assert five.holders()["g1"] != before["g1"]


def test_a_stop_names_no_successor_and_the_next_start_takes_the_group_again(five: Cluster) -> None:
    frozen(five)
    before = five.holders()
    five.do(before["g1"], StopAsked())
    five.wait(5000)
    assert before["g1"] in five.exited
    assert five.holders() == {"g2": before["g2"]}
    assert "given to nobody" in five.codes("stopped-frozen")[0][2].text
    five.boot(before["g1"])
    five.wait(3000)
    assert five.holders() == before


def test_a_planned_restart_goes_on_as_always(five: Cluster) -> None:
    frozen(five)
    before = five.holders()
    five.do(before["g1"], RestartAsked("restart"))
    five.wait(500)
    assert before["g1"] in five.exited
    five.wait(1200)
    five.boot(before["g1"])
    five.wait(2000)
    assert five.holders() == before
    assert len(five.codes("takeover")) == 2
    assert not five.codes("takeover-frozen")


def test_the_dead_are_not_forgotten_while_frozen_and_get_their_whole_time_after_it() -> None:
    cluster = Cluster(settings(5, 1, forget_after_ms=5000), FIVE)
    cluster.wait(3000)
    frozen(cluster)
    dead = idle(cluster)[-1]
    cluster.kill(dead)
    cluster.wait(20_000)
    assert cluster.roster(idle(cluster)[0]) == FIVE
    thaw(cluster, idle(cluster)[0])
    cluster.wait(2000)
    assert cluster.roster(idle(cluster)[0]) == FIVE
    cluster.wait(5000)
    assert dead not in cluster.roster(idle(cluster)[0])


def test_the_end_of_its_time_is_agreed_upon(five: Cluster) -> None:
    frozen(five, until_ms=NOW_MS + 60_000)
    five.do("d", FreezeOver(NOW_MS))
    five.wait(1000)
    assert freeze_of(five, "d") is not None, "the first living member sees to it"
    five.do("a", FreezeOver(NOW_MS - 1))
    five.wait(1000)
    assert freeze_of(five, "d") is not None, "that was another freeze"
    five.do("a", FreezeOver(NOW_MS))
    five.wait(1000)
    assert {freeze_of(five, name) for name in FIVE} == {None}
    assert len(five.codes("thawed")) == 5


def test_a_thaw_of_what_is_not_frozen_is_no_failure(five: Cluster) -> None:
    five.do("a", ThawAsked("thaw", "bob"))
    assert five.answers["thaw"].is_accepted
    assert "not frozen" in five.answers["thaw"].text


def test_a_second_freeze_says_new_words_and_keeps_the_holders(five: Cluster) -> None:
    frozen(five)
    before = freeze_of(five, "a")
    five.do("b", FreezeAsked("again", "bob", "longer than thought", NOW_MS + 5, NOW_MS + 90_000))
    five.wait(2000)
    after = freeze_of(five, "c")
    assert before is not None
    assert after is not None
    assert (after.who, after.reason, after.until_ms) == ("bob", "longer than thought", NOW_MS + 90_000)
    assert after.holders == before.holders
    assert after.is_firm


def test_without_a_majority_nothing_is_frozen_or_thawed(five: Cluster) -> None:
    frozen(five)
    for name in ("c", "d", "e"):
        five.kill(name)
    five.wait(1000)
    five.do("a", ThawAsked("no", "bob"))
    five.do("a", FreezeAsked("neither", "bob", "x", NOW_MS, 0))
    for identity in ("no", "neither"):
        assert not five.answers[identity].is_accepted
        assert "majority" in five.answers[identity].text
    five.do("a", RosterAsked("force", "force", ("c", "d", "e")))
    five.wait(1000)
    assert "still nothing moves" in five.answers["force"].text
    thaw(five, "b")
    five.wait(1000)
    assert five.holders().keys() == {"g1", "g2"}


@pytest.mark.parametrize("before_ms", [0, 60, 110, 150, 190, 205, 215, 240])
def test_frozen_in_the_midst_of_a_takeover_the_group_is_where_it_is_written(
    five: Cluster, before_ms: int
) -> None:
    dead, asked = five.holders()["g1"], idle(five)[0]
    five.kill(dead)
    five.wait(before_ms)
    frozen(five, on=asked)
    freeze = freeze_of(five, asked)
    assert freeze is not None
    assert freeze.is_firm
    assert freeze.holder_of("g1") == five.holders().get("g1", dead)
    assert freeze.holder_of("g2") == five.holders()["g2"]


def test_a_holder_that_dies_just_after_the_freeze_is_waited_for(five: Cluster) -> None:
    before = five.holders()
    asked = idle(five)[0]
    five.do(asked, FreezeAsked("freeze", "alice", "now", NOW_MS, 0))
    while freeze_of(five, asked) is None:
        five.wait(5)
    five.kill(before["g1"])
    five.wait(5000)
    freeze = freeze_of(five, asked)
    assert freeze is not None
    assert freeze.is_firm
    assert dict(freeze.holders) == before
    assert five.holders() == {"g2": before["g2"]}


@pytest.mark.parametrize("after_ms", range(0, 60, 7))
def test_frozen_in_the_midst_of_a_move_the_group_is_held_in_the_end(five: Cluster, after_ms: int) -> None:
    target = idle(five)[-1]
    five.do("a", FreezeAsked("freeze", "alice", "now", NOW_MS, 0))
    five.wait(after_ms)
    five.do("a", MoveAsked("move", "g1", target))
    five.wait(5000)
    holders, freeze = five.holders(), freeze_of(five, "a")
    assert holders.keys() == {"g1", "g2"}
    assert freeze is not None
    assert dict(freeze.holders) == holders


@pytest.mark.parametrize(
    ("phase", "firmly", "after"),
    [
        (Phase.CLAIMING, False, None),
        (Phase.PROBING, False, Phase.PROBING),
        (Phase.OPENING, False, Phase.OPENING),
        (Phase.CLAIMING, True, None),
        (Phase.PROBING, True, None),
        (Phase.OPENING, True, Phase.CLOSING),
        (Phase.LAPSED, True, Phase.CLOSING),
        (Phase.HOLDING, True, Phase.HOLDING),
    ],
)
def test_what_a_frozen_document_forbids_ends_with_its_coming(
    five: Cluster, phase: Phase, firmly: bool, after: Phase | None
) -> None:
    name = idle(five)[0]
    node = five.nodes[name]
    assert node.holder.claim(node.seeker.watches["g1"], "", "test", {})
    node.holder.tenures["g1"].phase = phase
    document = node.situation.document
    assert document is not None
    freeze = Freeze("r", "w", "a", NOW_MS, 0, (Pin("g1", five.holders()["g1"]),), firmly)
    node.situation.enact(document._replace(generation=9, freeze=freeze))
    node.freezing.enforce()
    tenure = node.holder.tenures.get("g1")
    assert (tenure.phase if tenure is not None else None) is after


def test_a_pair_alone_cannot_freeze_and_a_survivor_does_not_take_over() -> None:
    pair = Cluster(settings(2, 1, survivor_claims=True, referenced_links=("svc",)), ())
    pair.referenced = {"a", "b"}
    for name in ("a", "b"):
        pair.boot(name)
    pair.wait(3000)
    frozen(pair, until_ms=NOW_MS + 60_000)
    holder = pair.holders()["g1"]
    other = "b" if holder == "a" else "a"
    pair.kill(holder)
    pair.wait(5000)
    assert pair.holders() == {}
    pair.do(other, FreezeAsked("no", "bob", "x", NOW_MS, 0))
    assert "majority" in pair.answers["no"].text
    pair.do(other, FreezeOver(NOW_MS))
    pair.wait(2000)
    assert pair.holders() == {"g1": other}, "alone it agrees with nobody: the time alone ends it"


def test_a_member_of_an_older_version_is_named(five: Cluster) -> None:
    peer = five.nodes["a"].situation.detector.peers["c"]
    peer.report = peer.report._replace(minor=0)
    five.do("a", FreezeAsked("no", "bob", "x", NOW_MS, 0))
    assert "c runs an older version" in five.answers["no"].text


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("", "say why"),
        ("  ", "say why"),
        ("bell\a", "printed"),
        ("line\nline", "printed"),
        ("ä" * 61, "longer"),
        ("ä" * 60, ""),
        ("x" * LARGEST_REASON_BYTES, ""),
    ],
)
def test_a_reason_is_bounded_and_printable(reason: str, fault: str) -> None:
    found = reason_fault(reason)
    assert fault in found
    assert bool(fault) == bool(found)


def test_a_name_is_cut_and_cleaned() -> None:
    assert bounded_who("al\x1b[31mice") == "al[31mice"
    assert bounded_who("\n") == "somebody"
    assert len(bounded_who("ä" * 40).encode()) <= 32
