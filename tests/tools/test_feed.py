from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tools.small_daemon import INCARNATION, Heard, SmallDaemon, told
from zcluster.tools import feed as feed_module
from zcluster.tools.feed import ANSWER_LIMIT_MS, LOST_CODE, Feed
from zcluster.tools.loop import monotonic_ms
from zcluster.tools.place import Place, PlaceFile
from zcluster.tools.ring import Ring

PATIENCE_S = 20


class Stage:
    """A feed, its daemon, one outlet, and a clock that can be pushed on."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.heard = Heard()
        self.pushed_ms = 0
        self.daemon: SmallDaemon | None = SmallDaemon(run_dir)
        self.ring = Ring()
        self.feed = self.fresh_feed()

    def fresh_feed(self) -> Feed:
        self.ring = Ring()
        self.feed = Feed(self.run_dir / "control.sock", self.ring, PlaceFile(self.run_dir), [self.heard])
        return self.feed

    def now_ms(self) -> int:
        return monotonic_ms() + self.pushed_ms

    def turn(self) -> None:
        self.feed.turn(self.now_ms())
        if self.daemon is not None:
            self.daemon.turn()

    def until(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < end, "it did not happen"
            self.turn()
            time.sleep(0.001)

    def end_daemon(self) -> None:
        assert self.daemon is not None
        self.daemon.close()
        self.daemon = None


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.feed.close()
    if made.daemon is not None:
        made.daemon.close()


def numbers(stage: Stage) -> list[int]:
    return [record.number for record in stage.heard.records]


def test_each_record_once_and_in_order_and_then_the_status(stage: Stage) -> None:
    assert stage.daemon is not None
    for number in (1, 2, 3):
        stage.daemon.tell(told(number))
    stage.until(lambda: len(stage.heard.statuses) >= 1)
    for number in (4, 5):
        stage.daemon.tell(told(number))
    stage.until(lambda: len(stage.heard.records) == 5)
    assert numbers(stage) == [1, 2, 3, 4, 5]
    assert stage.heard.statuses[0]["schema"] == "zcluster.status/1"
    assert [entry.number for entry in stage.ring.after(3, 1 << 20)] == [4, 5]


def test_what_is_older_than_the_daemon_is_history(stage: Stage) -> None:
    """Of a host that boots nobody wants to hear again what happened last week."""
    assert stage.daemon is not None
    stage.daemon.tell(told(8, incarnation=INCARNATION - 1))
    stage.daemon.tell(told(3, node="n2", incarnation=5))
    stage.daemon.tell(told(1, "started"))
    stage.daemon.tell(told(4, node="n2", incarnation=5))
    stage.until(lambda: len(stage.heard.statuses) >= 1)
    assert stage.heard.texts() == ["n1 tells 1", "n2 tells 4"]
    assert [entry.number for entry in stage.ring.after(0, 1 << 20)] == [1, 2, 3, 4]


def test_the_next_life_of_the_process_goes_on_where_this_one_was(stage: Stage) -> None:
    assert stage.daemon is not None
    for number in (1, 2):
        stage.daemon.tell(told(number))
    stage.until(lambda: len(stage.heard.statuses) >= 1)
    stage.feed.close()
    stage.daemon.tell(told(3))
    stage.fresh_feed()
    stage.until(lambda: len(stage.heard.records) == 3 and len(stage.heard.statuses) >= 2)
    assert numbers(stage) == [1, 2, 3]
    assert [entry.number for entry in stage.ring.after(0, 1 << 20)] == [1, 2, 3], "the ring has it all"


def test_a_place_of_another_life_of_the_daemon_is_none(stage: Stage) -> None:
    assert stage.daemon is not None
    PlaceFile(stage.run_dir).write(Place(INCARNATION - 5, 99))
    stage.fresh_feed()
    stage.daemon.tell(told(1))
    stage.until(lambda: len(stage.heard.statuses) >= 1)
    assert numbers(stage) == [1]


@pytest.mark.parametrize("content", ["", "[1]", "[1, true]", "nonsense", '{"a": 1}', "[" * 5000, "\xff"])
def test_a_damaged_place_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "tools.place").write_text(content, "latin-1")
    assert PlaceFile(tmp_path).read() is None


def test_a_daemon_that_goes_is_told_at_once_and_found_again(stage: Stage) -> None:
    assert stage.daemon is not None
    stage.daemon.tell(told(1))
    stage.until(lambda: len(stage.heard.statuses) >= 1)
    ring = stage.daemon.ring
    stage.end_daemon()
    stage.until(lambda: len(stage.heard.reasons) == 1)
    stage.until(lambda: stage.feed.counts()["disconnected"] >= 3)
    assert len(stage.heard.reasons) == 1, "once, not at each attempt"
    stage.daemon = SmallDaemon(stage.run_dir)
    stage.daemon.ring = ring
    stage.daemon.tell(told(2))
    known = len(stage.heard.statuses)
    stage.until(lambda: len(stage.heard.statuses) > known)
    assert numbers(stage) == [1, 2]
    follows = [body for body in stage.daemon.questions if body["ask"] == "follow"]
    assert follows == [{"ask": "follow", "from": 1, "incarnation": INCARNATION}]
    stage.end_daemon()
    stage.until(lambda: len(stage.heard.reasons) == 2)


def test_a_daemon_of_another_life_tells_its_story_from_the_start(stage: Stage) -> None:
    assert stage.daemon is not None
    stage.daemon.tell(told(1))
    stage.until(lambda: len(stage.heard.statuses) >= 1)
    stage.end_daemon()
    stage.daemon = SmallDaemon(stage.run_dir, INCARNATION + 1)
    stage.daemon.tell(told(1))
    stage.daemon.tell(told(1, "started", incarnation=INCARNATION + 1))
    stage.until(lambda: len(stage.heard.records) == 2)
    assert [record.incarnation for record in stage.heard.records] == [INCARNATION, INCARNATION + 1]
    assert stage.ring.incarnation == INCARNATION + 1


def test_a_daemon_that_is_stopped_is_told_too(stage: Stage) -> None:
    assert stage.daemon is not None
    stage.until(lambda: len(stage.heard.statuses) >= 1)
    stage.daemon.is_answering = False
    asked = stage.feed.counts()["asked"]
    stage.pushed_ms += 1000
    stage.until(lambda: stage.feed.counts()["asked"] > asked)
    assert not stage.heard.reasons
    stage.pushed_ms += ANSWER_LIMIT_MS
    stage.until(lambda: len(stage.heard.reasons) == 1)
    assert "does not answer" in stage.heard.reasons[0]


def test_a_daemon_that_gives_no_status_is_told_too(stage: Stage) -> None:
    assert stage.daemon is not None
    stage.daemon.refusal = "not now"
    stage.until(lambda: len(stage.heard.reasons) == 1)
    assert "not now" in stage.heard.reasons[0]
    assert not stage.heard.statuses
    stage.daemon.refusal = ""
    stage.until(lambda: len(stage.heard.statuses) >= 1)


def test_what_was_lost_is_a_record_of_its_own(stage: Stage) -> None:
    assert stage.daemon is not None
    stage.daemon.tell(told(1))
    stage.until(lambda: len(stage.heard.statuses) >= 1)
    stage.daemon.drop(7)
    stage.daemon.ring.append((8, told(8)))
    stage.daemon.tell(told(9))
    stage.until(lambda: len(stage.heard.records) == 3)
    assert [record.code for record in stage.heard.records] == ["takeover", LOST_CODE, "takeover"]
    assert stage.heard.records[1].facts == {"lost": 7}
    assert stage.feed.counts()["lost"] == 7


def test_lost_while_it_was_away(stage: Stage) -> None:
    assert stage.daemon is not None
    stage.daemon.tell(told(1))
    stage.until(lambda: len(stage.heard.statuses) >= 1)
    stage.end_daemon()
    stage.daemon = SmallDaemon(stage.run_dir)
    stage.daemon.lost = 3
    stage.daemon.ring = [(5, told(5))]
    stage.until(lambda: len(stage.heard.records) == 3)
    assert [record.facts.get("lost") for record in stage.heard.records] == [None, 3, None]


def test_the_status_is_asked_once_a_second_and_soon_after_records(stage: Stage) -> None:
    assert stage.daemon is not None
    stage.until(lambda: len(stage.heard.statuses) == 1)
    for _ in range(50):
        stage.turn()
    assert stage.daemon.statuses == 1, "nothing happened and a second is not over"
    stage.pushed_ms += feed_module.STATUS_MS
    stage.until(lambda: len(stage.heard.statuses) == 2)
    for number in range(1, 40):
        stage.daemon.tell(told(number))
    stage.until(lambda: len(stage.heard.records) == 39)
    stage.pushed_ms += feed_module.STATUS_PAUSE_MS
    stage.until(lambda: len(stage.heard.statuses) == 3)
    assert stage.daemon.statuses == 3, "many records, one question"


def test_nonsense_in_the_story_is_counted_and_left_out(stage: Stage) -> None:
    assert stage.daemon is not None
    stage.until(lambda: len(stage.heard.statuses) >= 1)
    bad = told(1)._replace(level="shouting")
    stage.daemon.tell(bad)
    stage.daemon.tell(told(2))
    stage.until(lambda: len(stage.heard.records) == 1)
    assert stage.feed.counts()["malformed"] == 1
