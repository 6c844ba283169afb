"""What is said again and again is said a few times a minute, and then how often it was held back.

What must hold: pure, times are given; bounded, whatever is told; two lines are the same when they differ in numbers
alone. It restrains the log, never the story or the journal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SAME_A_MINUTE = 10
CODE_A_MINUTE = 200
LARGEST_KINDS = 500
MINUTE_MS = 60_000
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class HeldBack:
    """So many lines of a code did not get into the log. `sample`: the text of one."""

    code: str
    count: int
    sample: str


@dataclass(slots=True)
class _Kind:
    """`text` of one that was held back."""

    admitted: int = 0
    held: int = 0
    text: str = ""


class Restraint:
    """Of one log. Counts begin anew each minute."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._codes: dict[str, int] = {}
        self._until_ms = 0
        self._has_held = False

    def admits(self, code: str, text: str, now_ms: int) -> bool:
        """Whether this line is to be written. Ask `settle` before, for what the last minute left to say."""
        key = (code, _NUMBER.sub("#", text))
        if key not in self._kinds and len(self._kinds) >= LARGEST_KINDS:
            key = (code, "")
        if not self._kinds:
            self._until_ms = now_ms + MINUTE_MS
        kind = self._kinds.setdefault(key, _Kind())
        of_code = self._codes.get(code, 0)
        if kind.admitted >= SAME_A_MINUTE or of_code >= CODE_A_MINUTE:
            kind.held += 1
            kind.text = text
            self._has_held = True
            return False
        kind.admitted += 1
        self._codes[code] = of_code + 1
        return True

    def deadline(self) -> int | None:
        """When there will be something to settle; None while nothing was held back."""
        return self._until_ms if self._has_held else None

    def settle(self, now_ms: int) -> list[HeldBack]:
        """After the minute: what it held back, by code; the counts begin anew."""
        if now_ms < self._until_ms or not self._kinds:
            return []
        held: dict[str, HeldBack] = {}
        for (code, _), kind in self._kinds.items():
            if kind.held:
                before = held[code].count if code in held else 0
                held[code] = HeldBack(code, before + kind.held, kind.text)
        self._has_held = False
        self._kinds.clear()
        self._codes.clear()
        return list(held.values())
