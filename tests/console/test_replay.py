from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.recording.recorded import Archive
from zcluster.cli import commands
from zcluster.console.replay import run
from zcluster.control.node import Node
from zcluster.control.voter import Vote, Voter
from zcluster.errors import RecordingError


class Miser(Voter):
    """The core of another version, which granted nothing."""

    def hear(self, *arguments: Any, **keywords: Any) -> Vote:
        vote = super().hear(*arguments, **keywords)
        return Vote.REFUSED if vote is Vote.GRANTED else vote


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """The longest recorded life of one seed, as a state directory."""
    archive = Archive(tmp_path / "all")
    archive.play(2)
    longest = max(archive.segments(), key=lambda path: path.stat().st_size)
    (tmp_path / "state").mkdir()
    longest.parent.rename(tmp_path / "state" / "recording")
    return tmp_path / "state"


def shown(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(commands, ["replay", *arguments], catch_exceptions=False)
    return result.exit_code, result.output


def test_a_good_recording_is_reproduced(recording: Path) -> None:
    for path in (recording, recording / "recording", recording / "recording" / "00000001.zrec"):
        code, output = shown(str(path))
        assert code == 0
        assert output.strip().endswith("events, all decisions reproduced")
        assert int(output.splitlines()[-1].split()[0]) > 300


def test_the_story_has_times_and_what_was_said(recording: Path) -> None:
    code, output = shown(str(recording), "--story")
    assert code == 0
    assert "STARTING -> SLAVE" in output
    assert "says state" in output
    _, shorter = shown(str(recording), "--story", "--until", "2023-11-14T00:00:00")
    assert "STARTING -> SLAVE" not in shorter


def test_until_is_a_time_of_the_day_the_segment_began(recording: Path) -> None:
    code, whole = shown(str(recording), "--story", "--until", "23:59:59.999")
    assert code == 0
    at = whole.splitlines()[20].split()[1]
    _, part = shown(str(recording), "--story", "--until", at)
    assert 20 <= len(part.splitlines()) < len(whole.splitlines())


@pytest.mark.parametrize("until", ["noon", "25:00", "2026-13-01"])
def test_a_time_that_is_none_is_refused(recording: Path, until: str) -> None:
    with pytest.raises(RecordingError, match="--until"):
        run(recording, until, False)


def test_the_first_difference_is_named(tmp_path: Path) -> None:
    archive = Archive(tmp_path, make_node=partial(Node, make_voter=Miser))
    archive.run(2)
    ends = [shown(str(path)) for path in archive.segments()]
    different = [output for code, output in ends if code == 1]
    assert different
    assert all("is the first that is decided otherwise" in output for output in different)
    assert all("recorded [" in output or "with other contents" in output for output in different)


def test_a_directory_without_a_recording_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r'recording = "on"'):
        run(tmp_path, None, False)
