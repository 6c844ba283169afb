"""When a child that ended is begun anew, and when that is worth telling.

What must hold: later each time it ends soon, at once again after a good life; a child that cannot live is told some
times and then now and then, so that it fills no journal. Pure.
"""

from __future__ import annotations

BACKOFF_MS = (200, 500, 1000, 2000, 5000)
GOOD_LIFE_MS = 60_000
ENDINGS_TOLD, ENDINGS_TOLD_EVERY = 5, 12


class Restarts:
    """`failures`: lives in a row that ended soon."""

    def __init__(self) -> None:
        self.failures = 0

    def pause_ms(self, lived_ms: int) -> int:
        """A life of that length ended: so long until the next."""
        if lived_ms >= GOOD_LIFE_MS:
            self.failures = 0
        pause_ms = BACKOFF_MS[min(self.failures, len(BACKOFF_MS) - 1)]
        self.failures += 1
        return pause_ms

    @property
    def is_told(self) -> bool:
        """Whether this ending is worth telling."""
        return self.failures <= ENDINGS_TOLD or self.failures % ENDINGS_TOLD_EVERY == 0
