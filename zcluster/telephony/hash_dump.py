"""The text of `hash_dump limit`: read from our own switch, written for the mod_hash that polls us as its remote.

What must hold: whatever a switch says, what is kept of it is bounded; and nothing is written that mod_hash would
read as something else.

Source: hash_dump_function and limit_remote_thread in mod_hash.c. A line is L/<name>/<usage>/<rate>/<interval>/<last>
with <name> = <realm>_<resource>, nothing escaped. The reader of a remote splits at every slash, takes a quote or a
backslash for its own, and strips spaces, so a name with these cannot be told to it. It forgets what an answer does
not name only when the wall clock's second has changed since the last answer, so a zero must be said. An empty answer
changes nothing at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

LARGEST_NAMES = 4096
LARGEST_NAME_BYTES = 256
LARGEST_COUNT = (1 << 31) - 1
NOTHING = "# none\n"

_NO_OUTPUT = ("", "-ERR no reply")
_NUMBER = re.compile(r"-?[0-9]{1,20}")
_UNTOLD = re.compile(r"[/'\\\x00-\x1f\x7f]")


class Usage(NamedTuple):
    """One limit on one switch: sessions now, calls tried in the rate's last window, its length, its beginning.

    `interval_s` and `last_s` (seconds since 1970) are 0 for a name without a rate.
    """

    sessions: int
    rate: int = 0
    interval_s: int = 0
    last_s: int = 0


class Dump(NamedTuple):
    """What a switch said. `skipped`: lines that could not be read or were too many."""

    usages: dict[str, Usage]
    skipped: int


def parse(text: str) -> Dump | None:
    """The limits in an output of `hash_dump limit`; None when it is no such output (mod_hash is not loaded)."""
    if text.strip() in _NO_OUTPUT:
        return Dump({}, 0)
    if text.startswith(("-ERR", "-USAGE", "Usage:")):
        return None
    usages: dict[str, Usage] = {}
    skipped = 0
    for line in text.split("\n"):
        if not line.startswith("L/"):
            skipped += bool(line) and not line.startswith("#")
            continue
        name, *numbers = line[2:].rsplit("/", 4)
        is_read = len(numbers) == 4 and is_name(name) and all(map(_NUMBER.fullmatch, numbers))
        if is_read and len(usages) < LARGEST_NAMES:
            usages[name] = Usage(*map(bounded, map(int, numbers)))
        else:
            skipped += 1
    return Dump(usages, skipped)


def write(sessions: Mapping[str, int]) -> str:
    """The answer to a remote's poll, in the order of the names; never empty. What cannot be told is left out."""
    lines = [
        f"L/{name}/{bounded(count)}/0/0/0\n" for name, count in sorted(sessions.items()) if is_tellable(name)
    ]
    return "".join(lines) or NOTHING


def is_name(name: str) -> bool:
    """Whether this can be kept: short enough, and text that can be encoded."""
    return 0 < len(name) <= LARGEST_NAME_BYTES and 0 < _width(name) <= LARGEST_NAME_BYTES


def is_tellable(name: str) -> bool:
    """Whether mod_hash reads a name back as it was written."""
    return is_name(name) and name == name.strip() and not _UNTOLD.search(name)


def bounded(count: int) -> int:
    """A count within what mod_hash's integers hold. It prints unsigned numbers with %d, so one may be negative."""
    return max(0, min(count, LARGEST_COUNT))


def _width(name: str) -> int:
    try:
        return len(name.encode())
    except UnicodeEncodeError:
        return 0
