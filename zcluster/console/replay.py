"""`zcluster replay FILE`: a node's recording, played again by this version's core.

What must hold: the verdict is about every step that was played, and says how many; what it could not play it
says too.
"""

from __future__ import annotations

import re
import time
from datetime import datetime
from pathlib import Path

import click

from zcluster.errors import RecordingError
from zcluster.recording.digest import kinds
from zcluster.recording.replay import Played, Replay
from zcluster.recording.segments import segments_of
from zcluster.simulator.story import Story

EXIT_SAME = 0
EXIT_DIFFERS = 1
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?")


def run(file: Path, until: str | None, tells_story: bool) -> int:
    """Play a segment, or every segment of a directory; 0 when all decisions came out as recorded, else 1.

    Raises RecordingError for what cannot be read.
    """
    played = 0
    paths = recorded(file)
    for path in paths:
        replay = Replay(path)
        _introduce(path, replay)
        last = _play(replay, until_ms(until, replay) if until else None, tells_story)
        if last is None:
            continue
        played += last.number
        if last.difference:
            _tell_difference(path, replay, last)
            return EXIT_DIFFERS
    click.echo(f"{played} events, all decisions reproduced")
    return EXIT_SAME


def recorded(file: Path) -> list[Path]:
    """The segments meant by a path: itself, or what lies in that directory (or in its `recording`)."""
    if not file.is_dir():
        return [file]
    paths = segments_of(file) or segments_of(file / "recording")
    if not paths:
        raise RecordingError(f'there is no recording in {file}; recording = "on" in [cluster] makes them')
    return paths


def until_ms(text: str, replay: Replay) -> int:
    """The core's time of `text`: "15:04", "15:04:05.678" (of the day on which the segment began) or ISO 8601."""
    began = datetime.fromtimestamp(replay.header.wall_ms / 1000)
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        hour, minute, second, fraction = clock.groups(default="0")
        micros = int(fraction.ljust(3, "0")) * 1000
        try:
            wanted = began.replace(hour=int(hour), minute=int(minute), second=int(second), microsecond=micros)
        except ValueError as error:
            raise RecordingError(f"--until {text}: {error}") from error
    else:
        try:
            wanted = datetime.fromisoformat(text)
        except ValueError as error:
            raise RecordingError(f'--until {text}: write a time as "15:04:05.678" or as ISO 8601') from error
    return replay.header.now_ms + round(wanted.timestamp() * 1000) - replay.header.wall_ms


def _play(replay: Replay, end_ms: int | None, tells_story: bool) -> Played | None:
    story = _Printed(replay)
    last = None
    for played in replay.play():
        if end_ms is not None and played.now_ms > end_ms:
            return last
        last = played
        if tells_story:
            story.event(played.now_ms, replay.header.node, played.event)
            for action in played.actions:
                story.action(played.now_ms, replay.header.node, action)
    return last


class _Printed(Story):
    """A story that is printed as it is told, in wall-clock times."""

    def __init__(self, replay: Replay) -> None:
        super().__init__()
        self._replay = replay

    def say(self, now: float, who: str, text: str) -> None:
        click.echo(f"{_clock(self._replay.wall_ms(int(now)))}  {who:8} {text}")


def _introduce(path: Path, replay: Replay) -> None:
    header = replay.header
    begins = "its start" if replay.begins_with_birth else "the middle of its life"
    clock = _clock(header.wall_ms)
    click.echo(
        f"{path.name}: {header.node}, zcluster {header.version or 'unknown'}, from {begins} at {clock}"
    )


def _tell_difference(path: Path, replay: Replay, last: Played) -> None:
    clock = _clock(replay.wall_ms(last.now_ms))
    click.echo(f"{path.name}: event {last.number} at {clock} is the first that is decided otherwise")
    click.echo(f"  event     {last.event}")
    click.echo(f"  {last.difference}")
    click.echo(f"  now       [{kinds(last.actions)}]")
    for action in last.actions:
        click.echo(f"            {action}")
    click.echo(f"{last.number - 1} events of this segment were reproduced before it")


def _clock(wall_ms: int) -> str:
    seconds, milliseconds = divmod(wall_ms, 1000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + f".{milliseconds:03d}"
