from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.recording.recorded import Archive
from tests.sim.beats import beat
from zcluster.control.actions import OpenAddresses
from zcluster.control.events import BeatReceived
from zcluster.control.messages import Claim
from zcluster.control.node import Node
from zcluster.control.voter import Vote, Voter
from zcluster.errors import RecordingError
from zcluster.recording.replay import Played, Replay
from zcluster.recording.segments import MAGIC
from zcluster.recording.steps import StepReader, StepWriter

SEEDS = range(6)


def end_of(path: Path) -> tuple[Replay, Played | None, int]:
    """The replay, its last step, and how many there were."""
    replay, last, count = Replay(path), None, 0
    for played in replay.play():
        last, count = played, count + 1
    return replay, last, count


def test_a_late_beat_between_two_with_one_report_changes_nothing() -> None:
    """Its own report is another object; the next beat's is still the one that the node knows."""
    new, late = beat("x", 7), beat("x", 5, Claim("g", 1, False))
    entries: list[object] = []
    for sequence, one in enumerate((new, late, new._replace(sequence=8))):
        entries += (BeatReceived(one, "ring"), 100 + sequence, [])
    events = [step.event for step in StepReader(100, {}).steps(StepWriter(100, {}).block(entries))]
    reports = [event.beat.report for event in events if isinstance(event, BeatReceived)]
    assert [event.beat.sequence for event in events if isinstance(event, BeatReceived)] == [7, 5, 8]
    assert reports[2] is reports[0]
    assert reports[1] == late.report


@pytest.mark.parametrize("seed", SEEDS)
def test_every_life_of_every_node_is_reproduced(tmp_path: Path, seed: int) -> None:
    archive = Archive(tmp_path)
    archive.play(seed)
    steps = 0
    for path in archive.segments():
        _, last, count = end_of(path)
        assert last is None or last.difference == "", path
        steps += count
    assert steps > 500


def test_a_segment_that_begins_in_the_middle_of_a_life_is_reproduced_alone(tmp_path: Path) -> None:
    archive = Archive(tmp_path, largest_bytes=3000)
    archive.play(2)
    later = [path for path in archive.segments() if path.stem != "00000001"]
    assert len(later) > 5
    steps = 0
    for path in later:
        replay, last, count = end_of(path)
        assert not replay.begins_with_birth
        assert last is None or last.difference == "", path
        steps += count
    assert steps > 500


def test_segments_follow_one_another_without_a_gap(tmp_path: Path) -> None:
    archive = Archive(tmp_path, largest_bytes=6000)
    archive.play(2)
    directory = max(tmp_path.iterdir(), key=lambda d: len(list(d.iterdir())))
    paths = sorted(directory.glob("*.zrec"))
    for before, after in pairwise(paths):
        ended, _, _ = end_of(before)
        begun = Replay(after)
        assert begun.node.situation.sequence == ended.node.situation.sequence
        assert begun.node.situation.now_ms == ended.node.situation.now_ms


def test_the_ring_is_bounded(tmp_path: Path) -> None:
    archive = Archive(tmp_path, largest_bytes=6000, kept=3)
    archive.play(2)
    for directory in tmp_path.iterdir():
        paths = sorted(directory.glob("*.zrec"))
        assert len(paths) <= 3
        assert all(path.stat().st_size < 60_000 for path in paths)


class Miser(Voter):
    """Another core: it grants nothing new."""

    def hear(self, *arguments: Any, **keywords: Any) -> Vote:
        vote = super().hear(*arguments, **keywords)
        return Vote.REFUSED if vote is Vote.GRANTED else vote


miserly = partial(Node, make_voter=Miser)


def test_another_core_differs_at_the_step_where_it_decides_otherwise(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.play(2)
    found = []
    for path in archive.segments():
        steps = list(Replay(path, miserly).play())
        assert all(step.difference == "" for step in steps[:-1])
        found += [step for step in steps if step.difference]
    assert found


def test_a_torn_end_costs_only_the_end(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.play(2)
    path = max(archive.segments(), key=lambda p: p.stat().st_size)
    _, _, whole = end_of(path)
    path.write_bytes(path.read_bytes()[:-30])
    _, last, count = end_of(path)
    assert whole - 256 <= count < whole
    assert last is not None
    assert last.difference == ""


def test_damage_before_the_end_is_named(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.play(2)
    path = max(archive.segments(), key=lambda p: p.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(RecordingError, match=r"damaged|malformed"):
        end_of(path)


@pytest.mark.parametrize("content", [b"", b"something else", MAGIC, MAGIC + b"H\0\0"])
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "1.zrec"
    path.write_bytes(content)
    with pytest.raises(RecordingError):
        Replay(path)


class Brittle(Voter):
    """A core with a defect: it raises at its two hundredth vote."""

    votes = 0

    def hear(self, *arguments: Any, **keywords: Any) -> Vote:
        self.votes += 1
        assert self.votes < 200, "a defect"
        return super().hear(*arguments, **keywords)


brittle = partial(Node, make_voter=Brittle)


def test_the_step_in_which_the_core_raised_is_recorded_and_raises_again(tmp_path: Path) -> None:
    archive = Archive(tmp_path, make_node=brittle)
    assert "a defect" in archive.run(2)
    seen = []
    for path in archive.segments():
        last = list(Replay(path, brittle).play())[-1]
        assert last.difference == ""
        seen.append(list(Replay(path).play())[-1].difference)
    assert [text[:38] for text in seen if text] == ["the recorded core raised an error here"]


def test_openings_are_in_the_story(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.play(2)
    opened = [
        step
        for path in archive.segments()
        for step in Replay(path).play()
        if any(isinstance(action, OpenAddresses) for action in step.actions)
    ]
    assert opened
