"""On which line of a TOML text does a key stand? The standard library's reader does not say.

What must hold: the text has already been accepted by `tomllib`, so this reads structure, never validity. It
knows tables, arrays of tables, dotted and quoted keys, and skips strings and arrays that span lines. For a key
that it cannot place, the line of its nearest known parent is the answer.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence

from zcluster.config.fault import KeyPath

_KEY_PART = r"(?:[A-Za-z0-9_-]+|\"(?:[^\"\\]|\\.)*\"|'[^']*')"
_DOTTED_KEY = rf"{_KEY_PART}(?:\s*\.\s*{_KEY_PART})*"
_TABLE = re.compile(rf"\s*(\[\[?)\s*({_DOTTED_KEY})\s*\]\]?\s*(?:#.*)?$")
_ASSIGNMENT = re.compile(rf"\s*({_DOTTED_KEY})\s*=")
_TOKEN = re.compile(r"\"\"\"|'''|\"(?:[^\"\\]|\\.)*\"|'[^']*'|#.*|[\[\]{},]|[^\[\]{},\"'#]+|.")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every table and key of a valid TOML text; items of arrays included."""
    lines: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    table: KeyPath = ()
    value = _OpenValue()
    for number, line in enumerate(text.splitlines(), start=1):
        if value.is_open:
            value.read(line, number, lines)
        elif match := _TABLE.match(line):
            path = _numbered(_split(match[2]), counts)
            if match[1] == "[[":
                counts[path] = counts.get(path, -1) + 1
                path = (*path, counts[path])
            table = path
            lines[table] = number
        elif match := _ASSIGNMENT.match(line):
            path = (*table, *_split(match[1]))
            lines.setdefault(path, number)
            value = _OpenValue(path)
            value.read(line[match.end() :], number, lines)
    return lines


def line_of(path: Sequence[str | int], lines: Mapping[KeyPath, int]) -> int:
    """The line of that key, else of its nearest parent that is known, else 0."""
    known = tuple(path)
    while known:
        if known in lines:
            return lines[known]
        known = known[:-1]
    return 0


class _OpenValue:
    """The value that is being read: it may span lines, and its outermost array's items are numbered."""

    def __init__(self, path: KeyPath = ()) -> None:
        self._path = path
        self._depth = 0
        self._item = 0
        self._is_array = False
        self._quote = ""

    @property
    def is_open(self) -> bool:
        return self._depth > 0 or self._quote != ""

    def read(self, line: str, number: int, lines: dict[KeyPath, int]) -> None:
        position = 0
        while position < len(line):
            if self._quote:
                end = line.find(self._quote, position)
                if end < 0:
                    return
                position = end + 3
                self._quote = ""
                continue
            match = _TOKEN.match(line, position)
            assert match is not None
            position = match.end()
            self._take(match[0], number, lines)

    def _take(self, token: str, number: int, lines: dict[KeyPath, int]) -> None:
        if token.startswith("#") or not token.strip():
            return
        if token in "]}":
            self._depth -= 1
            return
        if self._depth == 1 and self._is_array and token == ",":
            self._item += 1
            return
        if self._depth == 1 and self._is_array:
            lines.setdefault((*self._path, self._item), number)
        if token in ('"""', "'''"):
            self._quote = token
        elif token in "[{":
            self._is_array = self._is_array or (self._depth == 0 and token == "[")
            self._depth += 1


def _numbered(parts: Sequence[str], counts: Mapping[KeyPath, int]) -> KeyPath:
    """A header's path with the number of the current element after each array of tables on the way."""
    path: KeyPath = ()
    for index, part in enumerate(parts):
        path = (*path, part)
        if path in counts and index + 1 < len(parts):
            path = (*path, counts[path])
    return path


def _split(dotted: str) -> tuple[str, ...]:
    """`a."b.c".d` is three keys."""
    parts = re.findall(_KEY_PART, dotted)
    return tuple(part if part[0] not in "\"'" else _unquoted(part) for part in parts)


def _unquoted(part: str) -> str:
    """A quoted key as TOML reads it, escapes included."""
    return str(next(iter(tomllib.loads(f"{part} = 0"))))
