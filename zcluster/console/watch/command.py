"""`zcluster watch`: what happens in the cluster, as it happens, as lines or JSON lines.

What must hold: it only asks and prints; Ctrl-C and a reader that goes away end it cleanly; while its own reader is
slow it reads nothing, and the daemon then tells what was missed.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from zcluster.adapters.control_client import ControlClient
from zcluster.adapters.journal import LEVELS
from zcluster.console.lists import assure
from zcluster.console.names import assure_names
from zcluster.console.watch.events import (
    STATUS,
    STORY,
    Connected,
    Disconnected,
    Event,
    Happened,
    Missed,
    plain,
)
from zcluster.console.watch.pages import Style, lines
from zcluster.console.watch.polls import Counts, Verdicts
from zcluster.console.watch.story_source import StorySource
from zcluster.console.why import local_clock

LONGEST_WAIT_MS = 1000


class Source(Protocol):
    """Where events come from."""

    def filenos(self) -> tuple[int, ...]: ...

    def deadline(self) -> int | None: ...

    def turn(self, now_ms: int) -> list[Event]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be shown. `count` 0 for no end; `level`: the least of a record; `group`: records of others are not
    shown, those of none are."""

    streams: Sequence[str]
    is_from_start: bool = False
    is_json: bool = False
    count: int = 0
    level: str = LEVELS[0]
    group: str = ""


def run(control_path: Path, data_path: Path, wish: Wish) -> int:
    """Watch until it is enough, 0. Raises ControlSocketError where nobody can be asked to begin with, and
    ZclusterError for a group that there is not.
    """
    for path in _asked(control_path, data_path, wish):
        ControlClient(path, {"ask": "ping"}).close()
    if STORY in wish.streams:
        assure_names(control_path, wish.group)
    style = Style(sys.stdout.isatty(), sys.stdout.isatty() and _is_colour_wanted())
    sources = sources_for(control_path, data_path, wish)
    try:
        watch(sources, wish, sys.stdout, style)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Whoever read us has gone: nothing may be flushed to it at the end of the interpreter either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        for source in sources:
            source.close()
    return 0


def _asked(control_path: Path, data_path: Path, wish: Wish) -> list[Path]:
    """The sockets that must be there to begin with."""
    found = [control_path] if wish.is_from_start or {STATUS, STORY} & {*wish.streams} else []
    if {*wish.streams} - {STATUS, STORY}:
        assure(data_path)
        found.append(data_path)
    return found


def _is_colour_wanted() -> bool:
    """As https://no-color.org asks."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def sources_for(control_path: Path, data_path: Path, wish: Wish) -> list[Source]:
    """One for each stream; the status comes first, where the beginning is wanted."""
    sources: list[Source] = []
    if wish.is_from_start or STATUS in wish.streams:
        sources.append(Verdicts(wish.is_from_start, STATUS in wish.streams).poll(control_path))
    if STORY in wish.streams:
        sources.append(StorySource(control_path, wish.is_from_start))
    sources.extend(Counts(name).poll(data_path) for name in wish.streams if name not in (STATUS, STORY))
    return sources


def watch(sources: Sequence[Source], wish: Wish, out: TextIO, style: Style) -> None:
    """Print what comes until `wish.count` of it is printed."""
    left = wish.count
    waiting = select.poll()
    while True:
        now_ms = time.monotonic_ns() // 1_000_000
        for source in sources:
            for event in source.turn(now_ms):
                if not is_wanted(event, wish):
                    continue
                _print(event, wish, out, style)
                left -= _counts(event)
                if wish.count and left <= 0:
                    out.flush()
                    return
        out.flush()
        descriptors = [fileno for source in sources for fileno in source.filenos()]
        dues = [due for source in sources if (due := source.deadline()) is not None]
        wait_ms = min([LONGEST_WAIT_MS, *(max(due - now_ms, 0) for due in dues)])
        for descriptor in descriptors:
            waiting.register(descriptor, select.POLLIN)
        waiting.poll(wait_ms)
        for descriptor in descriptors:
            waiting.unregister(descriptor)


def is_wanted(event: Event, wish: Wish) -> bool:
    """Whether a record passes the filters; everything else does."""
    if not isinstance(event, Happened):
        return True
    record = event.record
    if LEVELS.index(record.level) < LEVELS.index(wish.level):
        return False
    return not wish.group or record.facts.get("group", wish.group) == wish.group


def _counts(event: Event) -> int:
    """What `count` counts: things that happened, not our own connection."""
    return 0 if isinstance(event, Missed | Connected | Disconnected) else 1


def _print(event: Event, wish: Wish, out: TextIO, style: Style) -> None:
    at_ms = time.time_ns() // 1_000_000
    if wish.is_json:
        out.write(json.dumps(plain(event, at_ms)) + "\n")
    else:
        out.write("\n".join(lines(event, at_ms, local_clock, style)) + "\n")
