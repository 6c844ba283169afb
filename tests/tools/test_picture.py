from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.tools.canned import status, with_group
from zcluster.tools.health import alive, master, ready
from zcluster.tools.latest import Latest
from zcluster.tools.metrics import MetricsText
from zcluster.tools.metrics_families import FIGURES, FROM_STATUS
from zcluster.tools.metrics_story import StoryLedger
from zcluster.tools.picture import MOST_ITEMS, FreezeSeen, picture_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def test_what_the_laboratory_said() -> None:
    picture = picture_of(status())
    assert (picture.node, picture.state, picture.quorum, picture.hears_majority) == ("n2", "MASTER", 2, True)
    assert [(group.name, group.holder, group.counter) for group in picture.groups] == [
        ("g1", "n2", 65),
        ("g2", "n3", 65),
    ]
    assert [node.name for node in picture.nodes] == ["n1", "n2", "n3"]
    assert picture.own is not None
    assert picture.own.name == "n2"
    assert picture.nodes[0].links[0].loss_per_mille == 0
    assert picture.copies is not None
    assert picture.copies.percents == (("n1", 100), ("n3", 100))
    assert picture.freeze is None
    assert picture_of(status(freeze={"reason": "works", "age_ms": 5})).freeze == FreezeSeen(5, None)


def test_a_group_is_open_here_only_while_it_is_held_here() -> None:
    for document, is_open in (
        (status(), True),
        (with_group("g1", phase="LAPSED"), False),
        (with_group("g1", phase="OPENING"), False),
        (with_group("g1", holder="n3"), False),
        (with_group("g1", holder=""), False),
        (status(mode="observe"), False),
    ):
        picture = picture_of(document)
        assert picture.is_open_here(picture.groups[0]) is is_open


@settings(max_examples=examples(30))
@given(st.dictionaries(st.sampled_from(sorted(status())), JSON))
def test_a_document_of_any_form_is_read_as_far_as_it_goes(changes: dict[str, object]) -> None:
    picture = picture_of(status(**changes))
    for family in (*FROM_STATUS, FIGURES):
        for labels, number in family.rows(picture):
            assert len(labels) == len(family.labels)
            assert all(label.isprintable() for label in labels)
            assert number == float(number)
    latest = Latest(lambda: 0)
    latest.take(status(**changes))
    assert (
        MetricsText(latest, StoryLedger("n2"), dict, lambda: 0).text("")[0].startswith(b"# HELP zcluster_up")
    )
    for verdict in (alive(picture, ""), ready(picture, ""), master(picture, "", "g1")):
        assert json.loads(json.dumps(verdict.plain()))["text"]


def test_lists_are_bounded() -> None:
    nodes = [{"name": f"n{number}"} for number in range(10_000)]
    assert len(picture_of(status(nodes=nodes)).nodes) == MOST_ITEMS


def test_nothing_of_a_peer_reaches_a_terminal_unprintable() -> None:
    (node,) = picture_of(status(nodes=[{"name": "n1\x1b[2J\n", "build": "x" * 500}])).nodes
    assert node.name.isprintable()
    assert len(node.build) == 200
