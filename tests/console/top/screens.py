"""Documents and moments for the tests of top: the bench's made-up cluster, and every screen of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.canned_daemon import CannedCluster
from zcluster.adapters.journal import Record
from zcluster.console.top.documents import Documents
from zcluster.console.top.events import Came, Event, Told
from zcluster.console.top.frame import Moment, frame
from zcluster.console.top.model import press
from zcluster.console.top.paint import plain
from zcluster.console.top.state import Command, Screen, Size, ViewState

SMALL, LARGE = Size(80, 24), Size(200, 60)
WALL_MS = 1_795_720_927_000
SUBJECTS = {Screen.GROUP: "sip3", Screen.NODE: "pbx2", Screen.WHY: "sip3"}


def clock(at_ms: int) -> str:
    seconds, milliseconds = divmod(at_ms, 1000)
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{milliseconds:03d}"


def moment(now_ms: int = 5000) -> Moment:
    return Moment(now_ms, WALL_MS, clock)


def record(
    text: str,
    code: str = "state",
    level: str = "info",
    node: str = "pbx1",
    facts: Mapping[str, object] | None = None,
) -> Record:
    return Record(WALL_MS - 5000, node, level, code, text, facts or {}, 1, 7)


def takeover(group: str, source: str, target: str, **changed: object) -> Record:
    facts: dict[str, object] = {
        "group": group,
        "epoch": 9,
        "from_node": source,
        "to_node": target,
        "why": "silent",
        "silent_ms": 170,
        "links": {"ring1": 170, "ring2": 171},
        "votes": {target: 0, "pbx1": 3},
        "quorum": 2,
        "roster": 3,
        "won_ms": 4,
        "probes_ms": [4],
        "quiet_ms": 16,
        "open_ms": 28,
    }
    return record(
        f"{group}: {target} holds epoch 9 (silent)", "takeover", "notice", target, {**facts, **changed}
    )


def documents(
    nodes: int = 20, groups: int = 16, *events: Event, has_streams: bool = True, **changed: Any
) -> Documents:
    cluster = CannedCluster(nodes, groups)
    told = [record(f"something happened, number {at}") for at in range(30)]
    found = Documents().take(Came("status", {**cluster.status(), **changed}), 4000)
    found = found.take(Told((*told, takeover("sip3", "pbx20", "pbx3"))), 4000)
    if has_streams:
        for at_ms in (1000, 3000):
            found = found.take(Came("streams", cluster.streams()), at_ms)
        found = found.take(Came("limits", cluster.limits()), 4000)
    for event in events:
        found = found.take(event, 4500)
    return found


def shown(
    known: Documents, state: ViewState | None = None, size: Size = SMALL, at: Moment | None = None
) -> list[str]:
    """The lines of a frame, as text."""
    return plain(frame(known, state or ViewState(), size, at or moment())).split("\n")


def on(screen: Screen, known: Documents) -> ViewState:
    subject = SUBJECTS.get(screen, "")
    if screen is Screen.RECORD:
        subject = known.story[-1].name if known.story else ""
    return ViewState(screen=screen, subject=subject)


def typed(
    keys: Mapping[str, str] | str | list[str],
    known: Documents,
    state: ViewState | None = None,
    refusal: str = "",
) -> tuple[ViewState, list[Command]]:
    """The state and all commands after the keys."""
    state = state or ViewState()
    commands: list[Command] = []
    for key in keys:
        state, more = press(state, key, known, SMALL, moment(), refusal)
        commands += more
    return state, commands
