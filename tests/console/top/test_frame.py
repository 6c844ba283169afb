"""Every screen at every size: exactly as large as the terminal, and what matters is on it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.console.top.screens import LARGE, SMALL, documents, moment, on, record, shown, takeover
from tests.examples import examples
from zcluster.adapters.journal import LEVELS, Record
from zcluster.console.top.documents import Documents
from zcluster.console.top.events import Came, Event, Lost, Told, Unreachable
from zcluster.console.top.frame import frame
from zcluster.console.top.paint import Colours, Painter
from zcluster.console.top.reading import clean
from zcluster.console.top.state import Moving, Pane, Screen, Size, ViewState

SIZES = (SMALL, LARGE, Size(132, 43), Size(60, 15), Size(20, 5), Size(1, 1))
HOSTILE = "\x1b[2J\x1b]0;pwned\x07\x9b31m\u202egnp.exe\u0300\u0301\u200b\n\t日本語\U0001f468\u200d\U0001f469"


def fits(known: Documents, state: ViewState, size: Size) -> None:
    lines = frame(known, state, size, moment())
    assert len(lines) == size.height
    for line in lines:
        assert sum(cell_len(piece.text) for piece in line.pieces) == size.width
        assert line.text.isprintable() or not line.text


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("screen", list(Screen))
def test_every_screen_has_the_size_of_the_terminal(screen: Screen, size: Size) -> None:
    for known in (documents(), documents(3, 1), documents(2, 3, has_streams=False), Documents()):
        fits(known, on(screen, known), size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "state",
    [
        ViewState(is_typing=True, filter="日本" * 20),
        ViewState(filter="nothing has this"),
        ViewState(moving=Moving("sip1", "pbx1", ("pbx17", "pbx18"))),
        *(ViewState(pane=pane, is_wide=True) for pane in Pane),
        ViewState(is_interactive=False),
    ],
)
def test_every_state_of_the_overview_has_the_size_of_the_terminal(state: ViewState, size: Size) -> None:
    fits(documents(), state, size)


def test_twenty_nodes_and_sixteen_groups_are_all_there_on_a_large_terminal() -> None:
    text = "\n".join(shown(documents(), size=LARGE))
    for number in range(1, 21):
        assert f" pbx{number}" in text
    for number in range(1, 17):
        assert f" sip{number} " in text
    assert "10.20.0.25 fd20::25" in text
    assert "pbx20 fell silent, 198 ms" in text


def test_on_a_small_one_the_worst_stands_first_and_the_rest_is_counted() -> None:
    lines = shown(documents())
    heads = next(at for at, line in enumerate(lines) if line.startswith(" NODE"))
    assert lines[heads + 1].startswith(" pbx20  FAILED")
    assert "of 20" in lines[heads]
    assert "of 16" in next(line for line in lines if line.startswith(" GROUP"))
    assert lines[1].startswith(" DEGRADED  All 16 groups are held, but pbx20 is silent")
    assert lines[-1].startswith("q quit  ? help")


def test_a_small_cluster_shows_everything_on_a_small_terminal() -> None:
    text = "\n".join(shown(documents(5, 3)))
    for word in ("sip1", "sip2", "sip3", "pbx1*", "pbx4", "pbx5", "registrations", "STORY", "HELD FOR"):
        assert word in text
    assert "of 5" not in text.split("NODE")[1].split("\n")[0]


def test_a_group_without_holder_is_the_first_thing_seen() -> None:
    known = documents(5, 3)
    assert known.picture is not None
    status = documents_status(5, 3)
    status["groups"][1] |= {"holder": "", "counter": None, "since_ms": None}
    lines = shown(known.take(Came("status", status), 4600))
    assert lines[1].startswith(" NO HOLDER  Group sip2 has no holder")
    heads = next(at for at, line in enumerate(lines) if line.startswith(" GROUP"))
    assert lines[heads + 1].startswith(">sip2   NOBODY")


def documents_status(nodes: int, groups: int) -> dict[str, Any]:
    from bench.canned_daemon import CannedCluster

    return CannedCluster(nodes, groups).status()


def test_what_is_old_says_so_and_keeps_the_last_picture() -> None:
    known = documents(5, 3, Unreachable("no daemon listens at /run/zcluster/control.sock"))
    lines = shown(known, at=moment(16_000))
    assert lines[1].startswith(" OLD  this is how it was 12 s ago: no daemon listens at")
    assert any(line.startswith(">sip1") for line in lines)
    held = next(line for line in lines if line.startswith(">sip1"))
    assert held == next(line for line in shown(known, at=moment(99_000)) if line.startswith(">sip1"))
    assert not any(
        line.startswith(" OLD ") for line in shown(known.take(Came("status", documents_status(5, 3)), 17_000))
    )


def test_before_anything_came_it_says_what_it_waits_for() -> None:
    lines = shown(Documents().take(Unreachable("no daemon listens here"), 1))
    assert lines[1] == " WAITING  no daemon listens here; trying again"


def test_freeze_and_observing_are_loud() -> None:
    freeze = {
        "reason": "new cables",
        "who": "root",
        "node": "pbx1",
        "left_ms": 125_000,
        "age_ms": 9000,
        "holders": [],
    }
    lines = shown(documents(5, 3, freeze=freeze, mode="observe"))
    assert lines[1].startswith(" FROZEN  OBSERVING  DEGRADED ")
    assert "FROZEN by root on pbx1 9.0 s ago (new cables)" in " ".join(" ".join(lines[1:6]).split())
    assert any("WOULD HOLD" in line for line in lines)


def test_all_complaints_are_counted_and_shown_in_full_on_their_screen() -> None:
    warnings = [{"level": "alarm", "text": f"bad thing {at} " * 9} for at in range(9)]
    known = documents(5, 3, warnings=warnings)
    lines = shown(known)
    assert sum(line.startswith("! ") for line in lines) == 2
    assert any("and 8 more: press a" in line for line in lines)
    every = shown(known, ViewState(screen=Screen.ALARMS), Size(80, 200))
    assert sum("bad thing 8" in line for line in every) >= 1


def test_an_alarm_that_may_be_over_says_how_long_ago_it_was_told() -> None:
    warnings = [
        {"level": "alarm", "text": "over", "code": "silent", "age_ms": 130_000},
        {"level": "alarm", "text": "stands", "code": "proxy", "age_ms": 4_000},
    ]
    page = shown(documents(5, 3, warnings=warnings), ViewState(screen=Screen.ALARMS), Size(80, 40))
    assert "told 2 min 10 s ago: over (`zcluster explain silent`)" in page
    assert "stands (`zcluster explain proxy`)" in page


def test_what_was_adopted_is_not_called_orphaned_and_rates_need_one_life() -> None:
    plain = {"stream": "calls", "records": 12, "claims": 1, "percent": 100, "behind": 0}
    adopted = {**plain, "node": "pbx4", "is_orphan": True, "is_current": False, "incarnation": 1}
    known = documents(5, 3, has_streams=False)
    for at_ms, sequence, incarnation in ((1000, 100, 1), (3000, 150, 1), (5000, 10, 2)):
        living = {**plain, "node": "pbx5", "incarnation": incarnation, "sequence": sequence}
        known = known.take(Came("streams", {"copies": [adopted, living]}), at_ms)
        line = next(line for line in shown(known) if line.startswith(" STREAMS"))
        assert "calls 11" in line
        assert "orph" not in line
        assert ("25.0/s" in line) == (at_ms == 3000)


def test_what_all_nodes_tell_is_one_row() -> None:
    texts = [
        record("pbx9 fell silent: last heard", "silent", "warning", f"pbx{at}", {"node": "pbx9"})
        for at in (1, 2, 3)
    ]
    lines = shown(documents(5, 3, Told(tuple(texts))), ViewState(pane=Pane.STORY))
    assert sum("pbx9 fell silent" in line for line in lines) == 1
    assert any("pbx1 +2: pbx9 fell silent" in line for line in lines)


def test_why_tells_the_change_as_the_command_does() -> None:
    lines = shown(documents(), on(Screen.WHY, documents()), LARGE)
    text = " ".join(" ".join(lines).split())
    assert "pbx20 was last heard 170 ms before the claim" in text
    assert "addresses open and announced at 28 ms, 198 ms after the last sign of the old holder" in text


def test_a_change_that_was_missed_is_not_told_by_an_older_one() -> None:
    known = documents(5, 3, Told((takeover("sip2", "pbx5", "pbx4"),)))
    row = next(line for line in shown(known) if line.startswith(" sip2"))
    assert row.split()[:2] == ["sip2", "pbx2"]
    assert "fell silent" not in row


def test_who_tells_a_thing_is_said_once() -> None:
    known = documents(5, 3, Told((record("pbx1: SLAVE -> MASTER"),)))
    assert any(line.endswith(" pbx1: SLAVE -> MASTER") for line in shown(known))
    assert not any("pbx1: pbx1:" in line for line in shown(known))


def test_a_record_is_shown_with_its_facts() -> None:
    known = documents(5, 3, Told((record("a calls b", "call-lost", "alarm", facts={"uuid": "4711-x"}),)))
    text = "\n".join(shown(known, on(Screen.RECORD, known)))
    assert "4711-x" in text
    assert "zcluster explain call-lost" in text


def test_nothing_from_the_network_steers_the_terminal() -> None:
    status = documents_status(3, 2)
    status |= {"cluster": HOSTILE, "node": HOSTILE, "warnings": [{"level": "alarm", "text": HOSTILE}]}
    status["groups"][0] |= {"name": HOSTILE, "holder": HOSTILE, "addresses": [HOSTILE]}
    status["nodes"][1] |= {"name": HOSTILE, "unready": [HOSTILE], "version": HOSTILE, "state": HOSTILE}
    status["nodes"][2]["links"][0]["name"] = HOSTILE
    told = Told(
        (
            takeover(HOSTILE, HOSTILE, HOSTILE),
            record(HOSTILE, HOSTILE, "alarm", HOSTILE, {HOSTILE: HOSTILE}),
        )
    )
    streams = {
        "own": {"calls": {"records": 1}},
        "copies": [{"node": HOSTILE, "stream": "calls"}],
        "figures": {HOSTILE: 1},
    }
    known = documents(3, 2, Came("status", status), told, Came("streams", streams))
    for screen in Screen:
        for size in (SMALL, LARGE):
            state = on(screen, known)
            fits(known, state, size)
            painted = Painter(Colours.NONE).paint(frame(known, state, size, moment())).decode()
            assert "]0;" not in painted or "\x1b]" not in painted
            assert not {"\x07", "\x9b", "\u202e", "\n", "\t"} & set(painted)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = tuple(documents_status(2, 1))
NODE_KEYS = tuple(documents_status(2, 1)["nodes"][1])
GROUP_KEYS = tuple(documents_status(2, 1)["groups"][0])
STREAM_KEYS = (
    "node",
    "incarnation",
    "stream",
    "records",
    "claims",
    "sequence",
    "behind",
    "percent",
    "is_orphan",
)


def damaged(keys: tuple[str, ...], plain: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A good object with some values that are anything."""
    return st.dictionaries(st.sampled_from(keys), VALUES, max_size=4).map(lambda wrong: {**plain, **wrong})


@st.composite
def statuses(draw: st.DrawFn) -> dict[str, Any]:
    status = documents_status(3, 2)
    status["nodes"] = draw(st.lists(damaged(NODE_KEYS, status["nodes"][1]), max_size=5))
    status["groups"] = draw(st.lists(damaged(GROUP_KEYS, status["groups"][0]), max_size=5))
    return draw(damaged(KEYS, status))


RECORDS = st.builds(
    Record,
    st.integers(),
    st.text(max_size=12),
    st.sampled_from(LEVELS),
    st.sampled_from(("takeover", "silent", "state")) | st.text(max_size=9),
    st.text(max_size=40),
    st.dictionaries(
        st.sampled_from(tuple(takeover("g", "a", "b").facts)) | st.text(max_size=6), VALUES, max_size=6
    ),
)
STREAMS = st.fixed_dictionaries(
    {"own": st.dictionaries(st.sampled_from(("calls", "limits")), damaged(STREAM_KEYS, {}), max_size=2)},
    optional={
        "copies": st.lists(damaged(STREAM_KEYS, {"stream": "calls"}), max_size=4),
        "node": VALUES,
        "figures": VALUES,
    },
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Came, st.just("status"), statuses() | st.dictionaries(st.sampled_from(KEYS), VALUES)),
    st.builds(Came, st.just("streams"), STREAMS | st.dictionaries(st.text(), VALUES, max_size=3)),
    st.builds(Came, st.just("limits"), st.fixed_dictionaries({"rows": VALUES})),
    st.builds(Told, st.lists(RECORDS, max_size=6).map(tuple), st.booleans()),
    st.builds(Lost, st.integers(0, 9)),
    st.builds(Unreachable, st.text(max_size=30)),
)
VIEWS = st.builds(
    ViewState,
    screen=st.sampled_from(Screen),
    subject=st.text(max_size=9).map(clean) | st.sampled_from(("sip1", "pbx2")),
    scroll=st.integers(0, 300),
    pane=st.sampled_from(Pane),
    is_wide=st.booleans(),
    filter=st.text(max_size=6),
    is_typing=st.booleans(),
)


@settings(max_examples=examples(50))
@given(st.lists(EVENTS, max_size=6), VIEWS, st.integers(1, 210), st.integers(1, 70))
def test_whatever_comes_it_never_fails_and_always_fits(
    events: list[Event], state: ViewState, width: int, height: int
) -> None:
    known = Documents()
    for at, event in enumerate(events):
        known = known.take(event, at * 700)
    fits(known, state, Size(width, height))
