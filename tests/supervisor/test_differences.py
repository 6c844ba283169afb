from __future__ import annotations

from tests.control.cluster import Cluster, settings
from zcluster.control.events import SwitchIdentified
from zcluster.control.view import View, view
from zcluster.supervisor.differences import LARGEST_OFFSET_MS, differences
from zcluster.supervisor.status import Surroundings, status_of
from zcluster.supervisor.story import Story


def seen(*switches: tuple[str, str], dead: str = "") -> View:
    """What node a sees of nodes with these builds and switchnames."""
    names = "abcd"[: len(switches)]
    cluster = Cluster(settings(len(names), 1), names)
    cluster.wait(2000)
    for name, (build, switchname) in zip(names, switches, strict=True):
        cluster.do(name, SwitchIdentified(build, switchname))
    cluster.wait(100)
    if dead:
        cluster.kill(dead)
        cluster.wait(1000)
    return view(cluster.nodes["a"], int(cluster.now_ms))


def test_equal_builds_own_names_and_close_clocks_are_no_difference() -> None:
    found = seen(("x", "fsA"), ("x", "fsB"), ("", ""))
    assert differences(found, {"b": LARGEST_OFFSET_MS, "c": -LARGEST_OFFSET_MS}) == []


def test_different_builds_are_told_with_who_has_which() -> None:
    (told,) = differences(seen(("x", "fsA"), ("y", "fsB"), ("", "")), {})
    assert "(a: x, b: y)" in told.text
    assert told.code == "different-builds"
    assert "calls do not" in told.text


def test_one_name_of_two_switches_is_told() -> None:
    (told,) = differences(seen(("x", "pbx"), ("x", "fsB"), ("x", "pbx")), {})
    assert "a, c are all called pbx" in told.text
    assert told.code == "same-switchname"


def test_a_clock_that_is_off_is_told_and_the_own_is_not() -> None:
    found = seen(("", ""), ("", ""), ("", ""))
    far_ms = LARGEST_OFFSET_MS + 1
    (told,) = differences(found, {"a": far_ms, "b": far_ms, "c": -far_ms})
    assert f"(b: +{far_ms} ms, c: -{far_ms} ms)" in told.text
    assert told.code == "clock-difference"


def test_who_is_silent_differs_in_nothing() -> None:
    assert differences(seen(("x", "n"), ("x", "m"), ("y", "n"), dead="c"), {"c": 99_999}) == []


def test_the_status_tells_each_nodes_switch_and_clock_and_warns() -> None:
    found = seen(("x", "fsA"), ("y", "fsB"), ("", ""))
    around = Surroundings(
        version="1",
        incarnation=7,
        up_ms=1,
        wall_ms=1,
        silence_ms=200,
        is_observing=False,
        links=(),
        notices=(),
        warnings=(),
        counters={},
        clock_offsets={"b": -12},
    )
    document = status_of(found, around, Story(()))
    nodes = document["nodes"]
    assert isinstance(nodes, list)
    assert [(n["build"], n["switchname"], n["clock_offset_ms"]) for n in nodes] == [
        ("x", "fsA", None),
        ("y", "fsB", -12),
        ("", "", None),
    ]
    warnings = document["warnings"]
    assert isinstance(warnings, list)
    assert [w["level"] for w in warnings if "different builds" in w["text"]] == ["warning"]
