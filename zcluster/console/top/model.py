"""A key in, a new view state and commands out.

What must hold: pure; q and Ctrl-C end it from everywhere (but q is a letter while a filter is typed); a move is asked
for only by y, after the question named group, holder and target.
"""

from __future__ import annotations

from dataclasses import replace

from zcluster.console.top.documents import Documents
from zcluster.console.top.frame import Moment, last_scroll, page_rows
from zcluster.console.top.rows import chosen_at, names_of
from zcluster.console.top.state import (
    PANES,
    Command,
    Move,
    Moving,
    Notice,
    Pane,
    Place,
    Quit,
    Screen,
    Size,
    ViewState,
)

LARGEST_FILTER = 40
LARGEST_BACK = 16
NOTICE_MS = 10_000
END = 1 << 30
STEPS = {"up": -1, "k": -1, "down": 1, "j": 1}
PAGES = {"pageup": -1, "b": -1, "pagedown": 1, " ": 1}
GO = {"g": Pane.GROUPS, "n": Pane.NODES, "e": Pane.STORY}
TEXTS = {"?": Screen.HELP, "h": Screen.HELP, "a": Screen.ALARMS, "t": Screen.STREAMS}

Turn = tuple[ViewState, tuple[Command, ...]]


def press(
    state: ViewState, key: str, documents: Documents, size: Size, moment: Moment, refusal: str = ""
) -> Turn:
    """What the key does. `refusal`: why moves cannot be asked for here, "" where they can."""
    if key == "ctrl-c":
        return state, (Quit(),)
    if state.is_typing:
        return _typed(state, key), ()
    if key == "q":
        return state, (Quit(),)
    if state.moving is not None:
        return _answered(state, state.moving, key)
    return _pressed(state, key, documents, size, moment, refusal), ()


def _typed(state: ViewState, key: str) -> ViewState:
    """A letter of the filter."""
    match key:
        case "enter":
            return replace(state, is_typing=False)
        case "escape":
            return replace(state, is_typing=False, filter="")
        case "backspace":
            return replace(state, filter=state.filter[:-1])
    if len(key) == 1 and key.isprintable() and len(state.filter) < LARGEST_FILTER:
        return replace(state, filter=state.filter + key)
    return state


def _answered(state: ViewState, moving: Moving, key: str) -> Turn:
    """The question whether to move waits for this key."""
    if key in STEPS:
        at = (moving.at + STEPS[key]) % len(moving.targets)
        return replace(state, moving=replace(moving, at=at)), ()
    done = replace(state, moving=None)
    if key == "y":
        return done, (Move(moving.group, moving.target),)
    return done, ()


def _pressed(
    state: ViewState, key: str, documents: Documents, size: Size, moment: Moment, refusal: str
) -> ViewState:
    if key in TEXTS:
        return state if state.screen is TEXTS[key] else _opened(state, TEXTS[key], "")
    match key:
        case "escape" | "left" | "backspace":
            return _back(state)
        case "w":
            group = _group(state, documents)
            opened = _opened(state, Screen.WHY, group)
            # The latest change stands last, and is what is asked for.
            return replace(opened, scroll=last_scroll(documents, opened, size, moment))
        case "m":
            return _moving(state, documents, moment.now_ms, refusal)
    if state.screen is Screen.OVERVIEW:
        return _on_overview(state, key, documents, size, moment)
    return _scrolled(state, key, documents, size, moment)


def _on_overview(state: ViewState, key: str, documents: Documents, size: Size, moment: Moment) -> ViewState:
    pane = state.pane
    if key in GO:
        return replace(state, pane=GO[key])
    if key in STEPS or key in PAGES or key in ("home", "end"):
        return _chosen(state, key, documents, size, moment)
    match key:
        case "tab" | "backtab":
            step = 1 if key == "tab" else -1
            return replace(state, pane=PANES[(PANES.index(pane) + step) % len(PANES)])
        case "enter" | "right":
            return _looked_into(state, documents)
        case "/":
            return replace(state, is_typing=True)
        case "s":
            return replace(state, orders={**state.orders, pane: state.orders.get(pane, 0) + 1})
        case "r":
            is_reversed = not state.is_reversed.get(pane, False)
            return replace(state, is_reversed={**state.is_reversed, pane: is_reversed})
        case "z":
            return replace(state, is_wide=not state.is_wide)
    return state


def _chosen(state: ViewState, key: str, documents: Documents, size: Size, moment: Moment) -> ViewState:
    """Another row of the pane."""
    names = names_of(state.pane, documents, state)
    at = chosen_at(state.pane, names, state)
    if at is None:
        return state
    if key in PAGES:
        at += PAGES[key] * page_rows(documents, state, size, moment)
    else:
        at = {"home": 0, "end": END}.get(key, at + STEPS.get(key, 0))
    at = min(max(at, 0), len(names) - 1)
    # Of the story, the newest row is followed and not kept.
    is_newest = state.pane is Pane.STORY and at == len(names) - 1
    return replace(state, chosen={**state.chosen, state.pane: "" if is_newest else names[at]})


def _looked_into(state: ViewState, documents: Documents) -> ViewState:
    names = names_of(state.pane, documents, state)
    at = chosen_at(state.pane, names, state)
    if at is None:
        return state
    screens = {Pane.GROUPS: Screen.GROUP, Pane.NODES: Screen.NODE, Pane.STORY: Screen.RECORD}
    # The row stays chosen even if the order changes meanwhile.
    kept = replace(state, chosen={**state.chosen, state.pane: names[at]})
    return _opened(kept, screens[state.pane], names[at])


def _scrolled(state: ViewState, key: str, documents: Documents, size: Size, moment: Moment) -> ViewState:
    page = page_rows(documents, state, size, moment)
    last = last_scroll(documents, state, size, moment)
    scroll = min(state.scroll, last)
    if key in STEPS:
        scroll += STEPS[key]
    elif key in PAGES:
        scroll += PAGES[key] * page
    elif key in ("home", "end"):
        scroll = 0 if key == "home" else last
    return replace(state, scroll=min(max(scroll, 0), last))


def _opened(state: ViewState, screen: Screen, subject: str) -> ViewState:
    here = Place(state.screen, state.subject, state.scroll)
    return replace(
        state, screen=screen, subject=subject, scroll=0, back=(*state.back, here)[-LARGEST_BACK:], notice=None
    )


def _back(state: ViewState) -> ViewState:
    """The screen before; on the overview first the wide pane ends, then the filter."""
    if state.back:
        place = state.back[-1]
        return replace(
            state, screen=place.screen, subject=place.subject, scroll=place.scroll, back=state.back[:-1]
        )
    if state.screen is not Screen.OVERVIEW:
        return replace(state, screen=Screen.OVERVIEW, subject="", scroll=0)
    if state.is_wide:
        return replace(state, is_wide=False)
    return replace(state, filter="", notice=None)


def _group(state: ViewState, documents: Documents) -> str:
    """The group that `w` and `m` are about: that of the screen, or the chosen one; of a node the first it holds."""
    if state.screen in (Screen.GROUP, Screen.WHY):
        return state.subject
    picture = documents.picture
    pane = Pane.NODES if state.screen is Screen.NODE else state.pane
    names = names_of(pane, documents, state)
    at = chosen_at(pane, names, state)
    name = state.subject if state.screen is Screen.NODE else names[at] if at is not None else ""
    if pane is Pane.GROUPS:
        return name
    node = picture.peer(name) if picture is not None and pane is Pane.NODES else None
    return node.holds[0] if node is not None and node.holds else ""


def _moving(state: ViewState, documents: Documents, now_ms: int, refusal: str) -> ViewState:
    """Ask whether to move, or say why that cannot be."""

    def refused(text: str) -> ViewState:
        return replace(state, notice=Notice(text, False, now_ms + NOTICE_MS))

    name, picture = _group(state, documents), documents.picture
    group = picture.group(name) if picture is not None else None
    if refusal:
        return refused(refusal)
    if documents.trouble:
        return refused("Nothing can be moved while the daemon does not answer.")
    if picture is None or group is None:
        return refused("Choose a group first (g), then press m.")
    targets = tuple(node.name for node in picture.ready_slaves if node.name != group.holder)
    if not targets:
        return refused(f"No slave stands ready, so {group.name} cannot move; a shows what is wrong.")
    return replace(state, moving=Moving(group.name, group.holder, targets), notice=None)
