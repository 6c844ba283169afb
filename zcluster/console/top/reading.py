"""Values of documents that came from elsewhere: what is not of the expected kind is left out, never an error.

What must hold: every text that leaves here is printable, of a width that any terminal agrees on, and bounded.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from zcluster.console.words import printable

LARGEST_TEXT = 600
LARGEST_ROWS = 512
LARGEST_NUMBER = 1 << 62


def clean(value: str, most: int = LARGEST_TEXT) -> str:
    """One line without anything that steers a terminal or stands in the cell of its neighbour."""
    if value.isascii() and value.isprintable() and len(value) <= most:
        return value if "  " not in value else " ".join(value.split())
    composed = unicodedata.normalize("NFC", value[:most])
    alone = "".join(letter for letter in composed if not unicodedata.category(letter).startswith("M"))
    return " ".join(printable(alone).split())


def text(row: Mapping[str, Any], key: str) -> str:
    """The text under `key`, "" where there is none."""
    value = row.get(key)
    return clean(value) if isinstance(value, str) else ""


def number(row: Mapping[str, Any], key: str) -> int | None:
    """The whole number under `key`, None where there is none."""
    value = row.get(key)
    return value if type(value) is int and abs(value) < LARGEST_NUMBER else None


def count(row: Mapping[str, Any], key: str) -> int:
    """A number that cannot be less than nothing."""
    return max(0, number(row, key) or 0)


def flag(row: Mapping[str, Any], key: str, default: bool = False) -> bool:
    """Whether it is true; `default` where nothing is said."""
    value = row.get(key)
    return value if isinstance(value, bool) else default


def texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The texts of the list under `key`."""
    value = row.get(key)
    if not isinstance(value, list | tuple):
        return ()
    return tuple(clean(each) for each in value[:LARGEST_ROWS] if isinstance(each, str))


def table(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object under `key`, an empty one where there is none."""
    value = row.get(key)
    return value if isinstance(value, dict) else {}


def rows(row: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], ...]:
    """The objects of the list under `key`."""
    value = row.get(key)
    if not isinstance(value, list | tuple):
        return ()
    return tuple(each for each in value[:LARGEST_ROWS] if isinstance(each, dict))
