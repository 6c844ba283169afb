"""The daemon's documents as they come: real sockets, a clock of the test's own, daemon and reader turn by turn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.canned_daemon import CannedCluster, CannedDaemon
from zcluster.console.top.events import Answered, Came, Event, Lost, Told, Unreachable
from zcluster.console.top.local_source import (
    ANSWER_LIMIT_MS,
    HASTE_MS,
    LISTS_MS,
    MOVE_LIMIT_MS,
    RETRY_MS,
    LocalSource,
)

INTERVAL_MS = 500
TURNS = 40


class Scene:
    """A source and, while it lives, its daemon. `now_ms` is the source's clock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now_ms = 1000
        self.source = LocalSource(directory / "control.sock", directory / "data.sock", INTERVAL_MS)
        self.daemon: CannedDaemon | None = None

    def begin(self) -> CannedDaemon:
        self.daemon = CannedDaemon(self.directory, CannedCluster(4, 2))
        return self.daemon

    def end(self) -> None:
        if self.daemon is not None:
            self.daemon.close()
            self.daemon = None

    def turns(self, count: int = TURNS, after_ms: int = 0) -> list[Event]:
        """What the source tells while both have their turns."""
        self.now_ms += after_ms
        found: list[Event] = []
        for _ in range(count):
            found += self.source.turn(self.now_ms)
            if self.daemon is not None:
                self.daemon.serve(0)
        return found


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    found = Scene(tmp_path)
    yield found
    found.source.close()
    found.end()


def came(events: list[Event]) -> list[str]:
    return [event.name for event in events if isinstance(event, Came)]


def texts(events: list[Event]) -> list[str]:
    return [record.text for event in events if isinstance(event, Told) for record in event.records]


def reasons(events: list[Event]) -> list[str]:
    return [event.reason for event in events if isinstance(event, Unreachable)]


def test_everything_comes_at_once_and_then_as_often_as_asked_for(scene: Scene) -> None:
    scene.begin()
    events = scene.turns()
    assert sorted(came(events)) == ["limits", "status", "streams"]
    assert texts(events)[0].startswith("zcluster 0.1.0 starts as pbx1")
    assert came(scene.turns(after_ms=INTERVAL_MS)) == ["status"]
    assert sorted(came(scene.turns(after_ms=LISTS_MS))) == ["limits", "status", "streams"]
    assert scene.source.deadline() <= scene.now_ms + INTERVAL_MS


def test_what_happens_comes_at_once_and_brings_a_new_status(scene: Scene) -> None:
    daemon = scene.begin()
    scene.turns()
    daemon.tell("notice", "takeover", "sip1 moved", {"group": "sip1"})
    events: list[Event] = []
    limit = time.monotonic() + 30
    while not texts(events) and time.monotonic() < limit:
        events += scene.turns(1)  # the daemon gathers what it tells by its own clock
    assert texts(events) == ["sip1 moved"]
    assert came(scene.turns(after_ms=HASTE_MS)) == ["status"]


def test_a_daemon_that_ends_is_told_at_once_and_its_next_life_begins_the_story_anew(scene: Scene) -> None:
    scene.begin()
    scene.turns()
    scene.end()
    assert "no daemon listens" in reasons(scene.turns(2))[0]
    assert reasons(scene.turns(1)) == []
    assert reasons(scene.turns(1, after_ms=RETRY_MS))
    scene.begin()
    events = scene.turns(after_ms=RETRY_MS)
    assert "status" in came(events)
    assert next(event.is_anew for event in events if isinstance(event, Told))


def test_a_daemon_that_stands_still_is_told_after_a_while(scene: Scene) -> None:
    daemon = scene.begin()
    scene.turns()
    scene.daemon = None
    assert reasons(scene.turns(after_ms=INTERVAL_MS)) == []
    assert reasons(scene.turns(after_ms=ANSWER_LIMIT_MS)) == ["the daemon does not answer; is it stopped?"]
    scene.daemon = daemon
    assert "status" in came(scene.turns(after_ms=RETRY_MS))


def test_a_connection_that_breaks_goes_on_where_it_was(scene: Scene) -> None:
    daemon = scene.begin()
    scene.turns()
    assert scene.source._follower is not None
    scene.source._follower.problem = "broken"
    scene.turns()
    daemon.tell("info", "state", "told meanwhile", {})
    events = scene.turns(after_ms=RETRY_MS)
    limit = time.monotonic() + 30
    while not texts(events) and time.monotonic() < limit:
        events += scene.turns(1)
    assert texts(events) == ["told meanwhile"]
    assert not any(event.is_anew for event in events if isinstance(event, Told))


def test_a_move_is_answered_or_given_up(scene: Scene) -> None:
    scene.begin()
    scene.turns()
    scene.source.move("sip1", "pbx3", scene.now_ms)
    assert Answered(True, "sip1 moves from pbx1 to pbx3") in scene.turns()
    daemon, scene.daemon = scene.daemon, None
    scene.source.move("sip1", "pbx1", scene.now_ms)
    answers = [event for event in scene.turns(after_ms=MOVE_LIMIT_MS) if isinstance(event, Answered)]
    assert answers == [Answered(False, "the daemon does not answer; is it stopped?")]
    scene.daemon = daemon


def test_without_a_data_process_there_are_no_streams(scene: Scene) -> None:
    scene.begin()
    scene.source = LocalSource(scene.directory / "control.sock", scene.directory / "none.sock", INTERVAL_MS)
    events = [event for event in scene.turns() if isinstance(event, Came)]
    bodies = {event.name: event.body for event in events}
    assert set(bodies) == {"status", "streams", "limits"}
    assert not bodies["streams"]
    assert not bodies["limits"]


def test_a_status_of_another_kind_is_no_daemon_of_this_version(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = scene.begin()
    monkeypatch.setattr(daemon.cluster, "status", lambda: {"schema": "other/9"})
    assert "not a daemon of this version" in reasons(scene.turns())[0]


def test_a_record_that_cannot_be_read_is_counted(scene: Scene) -> None:
    scene.begin()
    scene.turns()
    events: list[Event] = []
    for line in ({"lost": 3}, {"number": 9, "record": {"node": 5}}):
        scene.source._take_line(line, [], events)
    assert events == [Lost(3), Lost(1)]
