"""What a hook has still to be told, kept in a file of the run directory for the next life of this process.

What must hold: an event is in the file before anybody forgets it, so that it is told at least once while the host is
up; a torn line, a foreign one or a full disk costs what it held and never more. Bounded: the file is written anew when
it has grown.

    {"add": RECORD}     to be told
    {"done": KEY}       told, given up or dropped; the last ones are kept, for the story may be read twice
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from zcluster.adapters.journal import LARGEST_LINE_BYTES, record_from
from zcluster.tools.hooks_event import Event, event_of

LARGEST_BYTES = 512 << 10
MOST_DONE = 64
LARGEST_READ_BYTES = 64 << 20


def forget_others(directory: Path, names: Iterable[str]) -> None:
    """Remove what hooks left that the file does not have any more: once they are back, it would be told too late."""
    wanted = {f"{name}.jsonl" for name in names}
    with suppress(OSError):
        for path in list(directory.iterdir()):
            if path.suffix in (".jsonl", ".new") and path.name not in wanted:
                path.unlink()


class HookMemory:
    """The file of the hook `name` in `directory`. `unwritten` counts what could not be kept."""

    def __init__(self, directory: Path, name: str) -> None:
        self._path = directory / f"{name}.jsonl"
        self._file: BinaryIO | None = None
        self._bytes = 0
        self._done: deque[str] = deque(maxlen=MOST_DONE)
        self._known: set[str] = set()
        self.unwritten = 0

    def load(self) -> list[Event]:
        """What an earlier life left, oldest first."""
        found: dict[str, Event] = {}
        with suppress(OSError), self._path.open("rb") as file:
            while file.tell() < LARGEST_READ_BYTES and (line := file.readline(2 * LARGEST_LINE_BYTES)):
                with suppress(ValueError, RecursionError):
                    self._take(json.loads(line), found)
        self._known.update(found)
        self._rewrite(found.values())
        return list(found.values())

    def _take(self, said: object, found: dict[str, Event]) -> None:
        if not isinstance(said, dict):
            return
        if "add" in said:
            event = event_of(record_from(said["add"]))
            found.setdefault(event.key, event)
        elif isinstance(key := said.get("done"), str):
            found.pop(key, None)
            self._remember(key)

    def add(self, event: Event, pending: Iterable[Event]) -> bool:
        """Keep it; false where it is known. `pending`: all that is to be told, without it."""
        if event.key in self._known:
            return False
        self._known.add(event.key)
        if self._bytes > LARGEST_BYTES:
            self._rewrite(pending)
        self._append({"add": event.record.plain()})
        return True

    def done(self, event: Event) -> None:
        """It needs no more telling."""
        self._remember(event.key)
        self._append({"done": event.key})

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError):
                file.close()

    def _remember(self, key: str) -> None:
        if len(self._done) == MOST_DONE:
            self._known.discard(self._done[0])
        self._done.append(key)
        self._known.add(key)

    def _append(self, said: dict[str, object]) -> None:
        try:
            if self._file is None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file = self._path.open("ab", buffering=0)
                self._bytes = self._file.tell()
            self._bytes += self._file.write(_line(said))
        except OSError:
            self.unwritten += 1
            self.close()

    def _rewrite(self, pending: Iterable[Event]) -> None:
        """The file without what is over; the old one stays until the new one is whole."""
        self.close()
        lines = [_line({"done": key}) for key in self._done]
        lines += [_line({"add": event.record.plain()}) for event in pending]
        if not lines and not self._path.exists():
            return
        draft = self._path.with_suffix(".new")
        try:
            draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_bytes(b"".join(lines))
            os.replace(draft, self._path)
        except OSError:
            self.unwritten += 1


def _line(said: dict[str, object]) -> bytes:
    return json.dumps(said, separators=(",", ":"), default=str).encode() + b"\n"
