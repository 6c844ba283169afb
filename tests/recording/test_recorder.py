from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.recording.recorded import Archive, at_once
from zcluster.errors import RecordingError
from zcluster.recording.replay import Replay

Errand = Callable[[], None]


def all_reproduced(archive: Archive) -> int:
    steps = 0
    for path in archive.segments():
        for played in Replay(path).play():
            assert played.difference == "", path
            steps += 1
    return steps


def test_a_side_thread_that_is_behind_costs_a_gap_and_nothing_else(tmp_path: Path) -> None:
    handed = 0

    def at_times(errand: Errand) -> bool:
        nonlocal handed
        handed += 1
        return handed % 5 != 0 and at_once(errand)

    archive = Archive(tmp_path, submit=at_times)
    archive.play(2)
    assert sum(recorder.counts["gaps"] for recorder in archive.recorders) > 1
    assert len(archive.segments()) > len(archive.recorders)
    assert all_reproduced(archive) > 1000


def test_a_disk_that_refuses_is_counted_and_tried_again_later(tmp_path: Path) -> None:
    (tmp_path / "in-the-way").write_text("")
    archive = Archive(tmp_path / "in-the-way")
    archive.play(2)
    failed = [recorder.counts["failed"] for recorder in archive.recorders]
    assert all(1 <= count <= 4 for count in failed)


def test_work_is_done_in_whole_blocks(tmp_path: Path) -> None:
    errands: list[Errand] = []

    def later(errand: Errand) -> bool:
        errands.append(errand)
        return True

    archive = Archive(tmp_path, submit=later)
    archive.play(2)
    assert archive.segments() == []
    for errand in errands:
        errand()
    assert len(errands) < all_reproduced(archive) / 40


def test_an_unfinished_segment_says_so(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.play(2)
    path = archive.segments()[0]
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(RecordingError, match="ends before it begins"):
        Replay(path)
