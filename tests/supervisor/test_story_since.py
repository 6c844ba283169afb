"""Since when a group is held, by the records: also where its epoch went on under another number."""

from __future__ import annotations

from zcluster.adapters.journal import Record
from zcluster.supervisor.story import Story

TAKEN = Record(1, "n1", "notice", "takeover", "text", {"group": "blue", "epoch": 4}, 7, 1)


def exchanged(at_ms: int, before: object, epoch: int, group: str = "blue") -> Record:
    facts = {"group": group, "epoch": epoch, "before": before}
    return Record(at_ms, "n1", "info", "epoch-exchanged", "text", facts, 7, at_ms)


def test_an_epoch_that_continues_is_held_since_its_first_number() -> None:
    story = Story([TAKEN, exchanged(2, 4, 6), exchanged(3, 5, 9, "red"), exchanged(4, 6, 9)])
    assert story.last_takeover("blue", 9) is TAKEN
    assert story.last_takeover("blue", 4) is TAKEN
    assert story.last_takeover("blue", 5) is None
    assert Story([TAKEN, exchanged(2, "4", 6)]).last_takeover("blue", 6) is None
