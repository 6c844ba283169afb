"""The journal: what happened on this host, one JSON object a line, kept over restarts.

What must hold: it never grows past two files of `largest_bytes`; a torn or foreign line is skipped and
counted, never an error at start; nothing in it is needed for safety, so it is flushed and not fsynced.
Calls block on the disk; the supervisor makes them in its side thread.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeGuard

from zcluster.errors import StateFileError

FILE_NAME = "journal.jsonl"
OLDER_FILE_NAME = "journal.1.jsonl"
LARGEST_BYTES = 4 << 20
LARGEST_LINE_BYTES = 16 << 10
LEVELS = ("info", "notice", "warning", "alarm")
NUMBER_END = 2**53  # JSON numbers that every language keeps whole
LARGEST_DEPTH = 16  # of lists and objects in a fact: far below what the writer of JSON can follow

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


class Record(NamedTuple):
    """One thing told. `at_ms` is wall-clock milliseconds since 1970 on `node`, where it happened.

    `number` counts what that node told in its life `incarnation`, from 1 and without a gap; both are 0 for what
    an older version told.
    """

    at_ms: int
    node: str
    level: str
    code: str
    text: str
    facts: Mapping[str, object]
    incarnation: int = 0
    number: int = 0

    def plain(self) -> dict[str, object]:
        """As JSON-ready values."""
        return {**self._asdict(), "facts": dict(self.facts)}


def record_from(value: object) -> Record:
    """A record from JSON or MessagePack values of any origin, that JSON can say again. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("not an object")
    at_ms, facts = value.get("at_ms"), value.get("facts", {})
    incarnation, number = value.get("incarnation", 0), value.get("number", 0)
    words = [value.get(key) for key in ("node", "level", "code", "text")]
    if not _is_whole(at_ms) or not isinstance(facts, dict) or not all(isinstance(key, str) for key in facts):
        raise ValueError("at_ms or facts is malformed")
    if not _is_plain(facts, LARGEST_DEPTH):
        raise ValueError("facts hold what is no JSON, or are nested too deeply")
    if not all(isinstance(word, str) for word in words) or words[1] not in LEVELS:
        raise ValueError("node, level, code or text is malformed")
    if not _is_whole(incarnation) or not _is_whole(number) or bool(incarnation) != bool(number):
        raise ValueError("incarnation or number is malformed")
    node, level, code, text = map(str, words)
    return Record(at_ms, node, level, code, text, facts, incarnation, number)


def _is_whole(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < NUMBER_END


def _is_plain(value: object, depth: int) -> bool:
    match value:
        case None | bool() | int() | str():
            return True
        case float():
            return isfinite(value)
        case dict():
            inner = [*value.values()]
            is_named = all(isinstance(key, str) for key in value)
        case list() | tuple():
            inner, is_named = [*value], True
        case _:
            return False
    return depth > 0 and is_named and all(_is_plain(each, depth - 1) for each in inner)


def without_facts(record: Record, size_bytes: int) -> Record:
    """The record in short, where its facts, in all of `size_bytes`, do not fit."""
    return record._replace(text=record.text[:1000], facts={"left_out": f"{size_bytes} bytes of facts"})


def encode_line(record: Record) -> bytes:
    """The record as one line; facts that do not fit or are not plain values are left out, and it says so."""
    line = _encode(record.plain()).encode("ascii")
    if len(line) >= LARGEST_LINE_BYTES:
        short = without_facts(record, len(line)).plain()
        line = _encode(short).encode("ascii")
    return line + b"\n"


class Journal:
    """The journal of one node in `state_dir`: the newer file, and one older."""

    def __init__(self, state_dir: Path, largest_bytes: int = LARGEST_BYTES) -> None:
        self._path = state_dir / FILE_NAME
        self._older_path = state_dir / OLDER_FILE_NAME
        self._largest_bytes = largest_bytes
        self._file: BinaryIO | None = None
        self._written_bytes = 0
        self.skipped_lines = 0

    def recent(self, count: int) -> list[Record]:
        """The newest `count` records, oldest first. Lines that are no record are counted and skipped."""
        found: deque[Record] = deque(maxlen=count)
        for path in (self._older_path, self._path):
            found.extend(self._records_of(path))
        return list(found)

    def _records_of(self, path: Path) -> Iterable[Record]:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        except OSError as error:
            raise StateFileError(f"{path}: {error.strerror}; mend the file's permissions") from error
        with file:
            while line := file.readline(LARGEST_LINE_BYTES + 1):
                if line.isspace():
                    continue
                try:
                    yield record_from(json.loads(line))
                except (ValueError, RecursionError):
                    self.skipped_lines += 1

    def append(self, records: Iterable[Record]) -> None:
        """Write the records behind the others; the file is turned over when it is full. StateFileError."""
        try:
            file = self._file if self._file is not None else self._open()
            for record in records:
                self._written_bytes += file.write(encode_line(record))
            file.flush()
            if self._written_bytes >= self._largest_bytes:
                self.close()
                self._path.replace(self._older_path)
        except OSError as error:
            self.close()
            raise StateFileError(f"{self._path}: {error.strerror}; is the disk full or read-only?") from error

    def _open(self) -> BinaryIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab")
        self._written_bytes = self._file.tell()
        if self._written_bytes:
            # A crash may have left half a line; a fresh line keeps the next record readable.
            self._file.write(b"\n")
        return self._file

    def close(self) -> None:
        """Close the file; the next `append` opens it again."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError:
                pass  # what could not be flushed was reported by the write before
