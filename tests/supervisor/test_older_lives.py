from __future__ import annotations

from zcluster.control.actions import Tell
from zcluster.supervisor.older_lives import LEAST_BEATS, LOOK_MS, TELL_AGAIN_MS, OlderLives


class Stage:
    def __init__(self) -> None:
        self.older: dict[str, int] = {}
        self.alive: set[str] = set()
        self.told: list[Tell] = []
        self.chore = OlderLives(lambda: self.older, lambda node: node in self.alive, self.told.append, 0)


def test_a_node_that_only_its_older_life_speaks_for_is_told_once_a_minute() -> None:
    stage = Stage()
    stage.older = {"n3": LEAST_BEATS}
    stage.chore.run(LOOK_MS)
    stage.chore.run(2 * LOOK_MS)
    assert [tell.code for tell in stage.told] == ["older-life"]
    assert "n3" in stage.told[0].text
    stage.chore.run(LOOK_MS + TELL_AGAIN_MS)
    assert len(stage.told) == 2


def test_a_few_old_datagrams_are_nobody() -> None:
    stage = Stage()
    stage.older = {"n3": LEAST_BEATS - 1}
    stage.chore.run(LOOK_MS)
    assert stage.told == []


def test_who_is_heard_may_be_repeated_by_anybody() -> None:
    stage = Stage()
    stage.older, stage.alive = {"n3": 50}, {"n3"}
    stage.chore.run(LOOK_MS)
    assert stage.told == []


def test_it_looks_every_second() -> None:
    stage = Stage()
    assert stage.chore.deadline() == LOOK_MS
    stage.chore.run(1500)
    assert stage.chore.deadline() == 1500 + LOOK_MS
