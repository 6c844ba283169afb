"""What a check found: a subject, how bad it is, in words, and what mends it.

What must hold: a warning and an error have a mend; what could not be looked at is said as such and is no error.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is. `UNKNOWN`: it was not possible to look; nothing is known to be wrong."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject` is one or two words to find it again by; `mend` is "" only where there is nothing to mend."""

    subject: str
    level: Level
    words: str
    mend: str = ""

    def __post_init__(self) -> None:
        assert self.mend or self.level in (Level.OK, Level.UNKNOWN), f"{self.subject}: no mend"


def good(subject: str, words: str) -> Finding:
    """Looked at, and well."""
    return Finding(subject, Level.OK, words)


def unknown(subject: str, words: str, mend: str = "") -> Finding:
    """Not looked at; why not."""
    return Finding(subject, Level.UNKNOWN, words, mend)


def warning(subject: str, words: str, mend: str) -> Finding:
    """It works, and something will be worse than it must be."""
    return Finding(subject, Level.WARNING, words, mend)


def error(subject: str, words: str, mend: str) -> Finding:
    """A takeover would fail, or harm."""
    return Finding(subject, Level.ERROR, words, mend)
