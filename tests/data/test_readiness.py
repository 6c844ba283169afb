from __future__ import annotations

from zcluster.data.readiness import PATIENCE_MS, Readiness
from zcluster.wire.local_link import Completeness

WHOLE = {"registrations": 100, "calls": 100, "limits": 100}


def test_not_before_it_is_known_who_lives() -> None:
    judged = Readiness(0).judge(None, {"n2": WHOLE}, 10 * PATIENCE_MS)
    assert not judged.is_ready
    assert "not said yet" in judged.reason


def test_alone_it_is_ready_at_once() -> None:
    assert Readiness(0).judge((), {}, 0) == Completeness((), True)


def test_ready_when_every_living_peers_streams_are_complete() -> None:
    readiness = Readiness(0)
    part = {"n2": WHOLE, "n3": {"registrations": 40, "calls": 100}, "gone": {}}
    assert readiness.judge(("n2", "n3"), part, 5) == Completeness(
        (("n2", 100), ("n3", 46)), False, "the copy is not complete: n3 46 %"
    )
    assert readiness.judge(("n2", "n3"), {**part, "n3": WHOLE}, 6).is_ready


def test_what_was_complete_once_stays_good_enough_until_the_node_goes() -> None:
    readiness = Readiness(0)
    assert readiness.judge(("n2",), {"n2": WHOLE}, 0).is_ready
    mending = readiness.judge(("n2",), {"n2": {**WHOLE, "calls": 70}}, 1)
    assert mending == Completeness((("n2", 90),), True)
    readiness.judge((), {}, 2)
    assert not readiness.judge(("n2",), {}, 3).is_ready


def test_after_patience_it_is_ready_and_knows_what_is_lacking() -> None:
    readiness = Readiness(1000)
    assert not readiness.judge(("n2",), {}, 1000 + PATIENCE_MS - 1).is_ready
    assert readiness.judge(("n2",), {}, 1000 + PATIENCE_MS).is_ready
    assert readiness.lacking == ("n2",)


def test_many_are_not_all_named() -> None:
    judged = Readiness(0).judge(tuple(f"n{number}" for number in range(60)), {}, 0)
    assert judged.reason == "the copy is not complete: n0 0 %, n1 0 %, n2 0 % and 57 more"
