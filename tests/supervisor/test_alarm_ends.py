"""What an alarm said is over when a later record says so: then the status has it no more."""

from __future__ import annotations

import pytest

from tests.control.cluster import Cluster, settings
from zcluster.adapters.journal import Record
from zcluster.codes.catalogue import CATALOGUE
from zcluster.codes.ends import ENDS
from zcluster.control.events import FreezeAsked, HealthChanged, ThawAsked
from zcluster.supervisor.story import Story

NOW_MS = 1_790_000_000_000


def story_of(cluster: Cluster) -> Story:
    return Story(
        Record(int(at_ms), node, told.level, told.code, told.text, told.facts, 1, number)
        for number, (at_ms, node, told) in enumerate(cluster.told, 1)
    )


def alarms_of(cluster: Cluster) -> set[str]:
    return {record.code for record in story_of(cluster).alarms(0)}


@pytest.fixture
def frozen() -> Cluster:
    cluster = Cluster(settings(5, 2), ("a", "b", "c", "d", "e"))
    cluster.wait(3000)
    cluster.do("a", FreezeAsked("freeze", "alice", "works", NOW_MS, 0))
    cluster.wait(1500)
    assert cluster.answers["freeze"].is_accepted
    return cluster


def thaw(cluster: Cluster) -> None:
    cluster.do(next(iter(cluster.nodes)), ThawAsked("thaw", "bob"))
    cluster.wait(3000)
    assert cluster.answers["thaw"].is_accepted


def test_after_the_thaw_no_alarm_says_that_a_group_is_without_holder(frozen: Cluster) -> None:
    frozen.kill(frozen.holders()["g1"])
    frozen.wait(5000)
    assert alarms_of(frozen) == {"takeover-frozen"}
    thaw(frozen)
    assert len(frozen.holders()) == 2
    assert alarms_of(frozen) == set()


def test_the_frozen_holder_that_comes_back_ends_the_alarm_without_a_thaw(frozen: Cluster) -> None:
    holder = frozen.holders()["g1"]
    frozen.kill(holder)
    frozen.wait(5000)
    assert alarms_of(frozen) == {"takeover-frozen"}
    frozen.boot(holder)
    frozen.wait(3000)
    assert frozen.holders()["g1"] == holder
    assert alarms_of(frozen) == set()


def test_a_holder_that_was_kept_by_the_freeze_is_no_alarm_after_it(frozen: Cluster) -> None:
    frozen.do(frozen.holders()["g1"], HealthChanged("switch", "no pulse"))
    frozen.wait(1000)
    assert alarms_of(frozen) == {"health-frozen"}
    thaw(frozen)
    assert alarms_of(frozen) == set()


def told(number: int, code: str, level: str, teller: str = "n1", **facts: object) -> Record:
    return Record(number, teller, level, code, f"{code} {facts} of {teller}", facts, 1, number)


@pytest.mark.parametrize(
    ("alarm", "later", "is_over"),
    [
        (("gate-failed", "n2", "g1", ""), ("takeover", "n2", "g1"), True),
        (("gate-failed", "n2", "g1", ""), ("takeover", "n2", "g2"), False),
        (("close-failed", "n1", "g1", ""), ("released", "n1", "g1"), True),
        (("close-failed", "n1", "g1", ""), ("released", "n2", "g1"), False),
        (("document-fork", "n1", "", "n2"), ("generation", "n1", ""), True),
        (("document-fork", "n1", "", "n2"), ("generation", "n2", ""), False),
        (("older-life", "n1", "", "n3"), ("started", "n3", ""), True),
        (("older-life", "n1", "", "n3"), ("started", "n1", ""), False),
        (("gate-lost", "n1", "", ""), ("takeover", "n2", "g1"), False),
        (("store-failed", "n1", "", ""), ("started", "n1", ""), False),
    ],
)
def test_what_ends_an_alarm(
    alarm: tuple[str, str, str, str], later: tuple[str, str, str], is_over: bool
) -> None:
    first = told(1, alarm[0], "alarm", alarm[1], group=alarm[2], node=alarm[3])
    second = told(2, later[0], "notice", later[1], group=later[2])
    assert Story([first, second]).alarms(0) == ([] if is_over else [first])
    assert Story([second, first]).alarms(0) == [first]


def test_a_notice_ends_the_alarm_of_its_own_code_and_a_second_alarm_stands() -> None:
    alarm, notice = told(1, "limits-remote", "alarm"), told(2, "limits-remote", "notice")
    again = told(3, "limits-remote", "alarm", place="other")
    assert Story([alarm, notice]).alarms(0) == []
    assert Story([alarm, again]).alarms(0) == [again]


def test_the_table_knows_alarms_and_codes_that_are_told() -> None:
    for code, enders in ENDS.items():
        assert "alarm" in CATALOGUE[code].levels
        assert all(CATALOGUE[each].in_story for each in enders), code
