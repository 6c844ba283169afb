"""The feed against the daemon's own half of the protocol: its story, its followers, its answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tools.small_daemon import INCARNATION, NODE, Heard, told
from zcluster.adapters.control_socket import FILE_NAME, ControlSocket
from zcluster.supervisor.following import GATHER_MS
from zcluster.supervisor.questions import Questions
from zcluster.supervisor.story import LARGEST_RECORDS, Story
from zcluster.tools.feed import LOST_CODE, Feed
from zcluster.tools.loop import monotonic_ms
from zcluster.tools.place import PlaceFile
from zcluster.tools.ring import Ring

PATIENCE_S = 30


class Stage:
    """Both of them, turned by hand."""

    def __init__(self, run_dir: Path) -> None:
        older = [told(number, incarnation=INCARNATION - 1) for number in range(1, 4)]
        self.story = Story(older)
        self._socket = ControlSocket(run_dir / FILE_NAME)
        self._questions = Questions(
            self._socket,
            self.story,
            lambda: {"ok": True, "node": NODE},
            NODE,
            INCARNATION,
            "test",
            monotonic_ms,
        )
        self.heard = Heard()
        self.ring = Ring()
        self.feed = Feed(run_dir / FILE_NAME, self.ring, PlaceFile(run_dir), [self.heard])

    def turn_daemon(self) -> None:
        self._questions.receive()
        due_ms = self._questions.following.deadline()
        if due_ms is not None and due_ms <= monotonic_ms():
            self._questions.following.run(monotonic_ms())

    def until(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < end, "it did not happen"
            self.feed.turn(monotonic_ms())
            self.turn_daemon()
            time.sleep(0.0005)

    def close(self) -> None:
        self.feed.close()
        self._socket.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


def test_what_this_life_tells_is_handed_on_and_what_was_before_is_kept(stage: Stage) -> None:
    stage.story.add(told(1, "started"))
    stage.until(lambda: bool(stage.heard.statuses))
    stage.story.add(told(2))
    stage.until(lambda: len(stage.heard.records) == 2)
    assert [record.number for record in stage.heard.records] == [1, 2]
    assert [entry.number for entry in stage.ring.after(0, 1 << 20)] == [1, 2, 3, 4, 5]
    assert (stage.ring.node, stage.ring.incarnation) == (NODE, INCARNATION)


def test_a_feed_that_could_not_read_is_told_how_much_it_missed(stage: Stage) -> None:
    stage.story.add(told(1, "started"))
    stage.until(lambda: len(stage.heard.records) == 1)
    total = 8 * LARGEST_RECORDS
    for number in range(2, total + 1):
        stage.story.add(told(number)._replace(facts={"pad": "x" * 500}))
        if number % 25 == 0:
            time.sleep(GATHER_MS / 1000)
            stage.turn_daemon()
    stage.until(lambda: stage.ring.newest == stage.story.newest)
    lost = [record for record in stage.heard.records if record.code == LOST_CODE]
    numbers = [record.number for record in stage.heard.records if record.code != LOST_CODE]
    assert lost
    assert numbers == sorted(set(numbers))
    assert len(numbers) + sum(int(str(record.facts["lost"])) for record in lost) == total
