"""Keys in, view states and commands out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.console.top.screens import SMALL, documents, moment, shown, typed
from zcluster.console.top.documents import Documents
from zcluster.console.top.events import Unreachable
from zcluster.console.top.frame import frame
from zcluster.console.top.model import press
from zcluster.console.top.rows import groups_of, natural, nodes_of
from zcluster.console.top.state import Move, Pane, Quit, Screen, ViewState

KEYS = (
    *(
        "up",
        "down",
        "left",
        "right",
        "home",
        "end",
        "pageup",
        "pagedown",
        "tab",
        "backtab",
        "enter",
        "escape",
    ),
    *("backspace", "ctrl-c", *"qwmsrzatgnehjkby/?x1 "),
)
EVERYWHERE = ("", "a", "t", "?", "w", "m", "z", "n", "e")


@pytest.mark.parametrize(
    "before", [[], *([key] for key in EVERYWHERE if key), ["enter"], ["tab", "enter"], ["e", "enter"]]
)
def test_q_and_ctrl_c_end_it_from_everywhere(before: list[str]) -> None:
    for known in (documents(5, 3), Documents(), documents(5, 3, Unreachable("gone"))):
        for key in ("q", "ctrl-c"):
            assert typed([*before, key], known)[1] == [Quit()]


def test_in_a_filter_q_is_a_letter_and_ctrl_c_still_ends_it() -> None:
    state, commands = typed(["/", "q"], documents())
    assert (state.filter, commands) == ("q", [])
    assert typed(["/", "q", "ctrl-c"], documents())[1] == [Quit()]


def test_a_filter_keeps_the_rows_that_have_the_text() -> None:
    known = documents()
    state, _ = typed(["/", *"SIP1", "enter"], known)
    assert [group.name for group in groups_of(known, state)][:2] == ["sip1", "sip10"]
    assert {node.name for node in nodes_of(known, state)} >= {"pbx1", "pbx10"}
    assert "pbx2" not in {node.name for node in nodes_of(known, state)}
    assert not typed(["/", *"sip1", "enter", "escape"], known)[0].filter
    assert not typed(["/", *"sip1", "escape"], known)[0].filter
    assert typed(["/", *"ab", "backspace"], known)[0].filter == "a"


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["pbx10", "pbx2", "a1b", "PBX1"]
    assert sorted(names, key=natural) == ["a1b", "PBX1", "pbx2", "pbx10"]


def test_pages_show_every_row_once() -> None:
    known, state, seen = documents(), ViewState(), []
    for _ in range(16):
        lines = shown(known, state)
        heads = next(at for at, line in enumerate(lines) if line.startswith(" GROUP"))
        page = []
        for line in lines[heads + 1 :]:
            if not line[1:].startswith("sip"):
                break
            page.append(line.split()[0].lstrip(">"))
        if page[0] in seen:
            break
        seen += page
        state, _ = press(state, "pagedown", known, SMALL, moment())
    assert sorted(seen) == sorted(f"sip{number}" for number in range(1, 17))


def test_a_row_stays_chosen_when_the_order_changes() -> None:
    known = documents()
    state, _ = typed(["n", "end", "s", "s"], known)
    assert state.order(Pane.NODES) == "state"
    chosen = state.chosen[Pane.NODES]
    assert any(line.startswith(f">{chosen} ") for line in shown(known, state))


def test_looking_into_things_and_coming_back() -> None:
    known = documents(5, 3)
    state, _ = typed(["down", "enter"], known)
    assert (state.screen, state.subject) == (Screen.GROUP, "sip2")
    assert any("successors" in line for line in shown(known, state))
    state, _ = typed(["w"], known, state)
    assert state.screen is Screen.WHY
    state, _ = typed(["escape", "escape"], known, state)
    assert (state.screen, state.chosen[Pane.GROUPS]) == (Screen.OVERVIEW, "sip2")
    state, _ = typed(["n", "enter"], known)
    assert (state.screen, state.subject) == (Screen.NODE, "pbx5")


def test_a_move_is_asked_for_only_after_the_question() -> None:
    known = documents(5, 3)
    state, commands = typed(["m"], known)
    assert not commands
    assert any(line.startswith(" MOVE  sip1 from pbx1 to pbx4?") for line in shown(known, state))
    assert typed(["y"], known, state) == (ViewState(), [Move("sip1", "pbx4")])
    for key in ("n", "escape", "enter", "x", " "):
        after, commands = typed([key], known, state)
        assert (after.moving, commands) == (None, [])


def test_another_target_can_be_chosen() -> None:
    known = documents(20, 16)
    assert typed(["m", "down", "y"], known)[1] == [Move("sip1", "pbx18")]
    assert typed(["m", "up", "y"], known)[1] == [Move("sip1", "pbx19")]


def test_of_a_node_its_group_is_moved() -> None:
    known = documents(5, 3)
    state, _ = typed(["n", "down", "down"], known)
    assert state.chosen[Pane.NODES] == "pbx2"
    assert typed(["m", "y"], known, state)[1] == [Move("sip2", "pbx4")]


@pytest.mark.parametrize(
    ("known", "refusal", "words"),
    [
        (documents(3, 2), "", "No slave stands ready, so sip1 cannot move"),
        (documents(5, 3, Unreachable("gone")), "", "Nothing can be moved while the daemon does not answer"),
        (documents(5, 3), "Moves are asked for on a host of the cluster.", "Moves are asked for on a host"),
        (Documents(), "", "Choose a group first"),
    ],
)
def test_why_nothing_can_be_moved_is_said(known: Documents, refusal: str, words: str) -> None:
    state, commands = typed(["m", "y"], known, refusal=refusal)
    assert not commands
    assert state.notice is not None
    assert any(line.startswith(words) for line in shown(known, state))


def test_a_text_is_scrolled_no_further_than_its_end() -> None:
    known = documents()
    state, _ = typed(["?", *["pagedown"] * 9], known)
    assert "orphaned" in shown(known, state)[-3]
    assert typed(["up"], known, state)[0].scroll == state.scroll - 1
    assert typed(["home"], known, state)[0].scroll == 0


def test_every_key_of_the_help_does_something() -> None:
    known = documents()
    for key in (
        "tab",
        "backtab",
        "down",
        "end",
        "pagedown",
        "enter",
        "w",
        "m",
        "/",
        "s",
        "r",
        "a",
        "t",
        "z",
        "n",
        "e",
    ):
        assert typed([key], known)[0] != ViewState()


@given(st.lists(st.sampled_from(KEYS), max_size=40))
def test_no_keys_break_it(keys: list[str]) -> None:
    for known in (documents(4, 3), Documents()):
        state = ViewState()
        for key in keys:
            state, commands = press(state, key, known, SMALL, moment())
            assert all(isinstance(command, Quit | Move) for command in commands)
        assert len(frame(known, state, SMALL, moment())) == SMALL.height
