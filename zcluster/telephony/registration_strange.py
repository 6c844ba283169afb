"""Rows of our own profiles of which no record may speak: judged once word of them had time to come.

What must hold: a row is judged when its time has come and not before, TURN_ROWS of them at once; of more than
LARGEST_STRANGE those that have waited longest are left alone, and expire in their time.
"""

from __future__ import annotations

from collections import deque

from zcluster.telephony.registration_record import Place

LARGEST_STRANGE = 100_000
TURN_ROWS = 200


class Strange:
    """Those of one kind, that all wait `wait_ms`."""

    def __init__(self, wait_ms: int) -> None:
        self._wait_ms = wait_ms
        self._rows: deque[tuple[int, Place, str]] = deque(maxlen=LARGEST_STRANGE)

    def add(self, place: Place, call_id: str, now_ms: int) -> None:
        """A row of the switch's, seen now. `place`: the profile that it is in, and whose it is."""
        self._rows.append((now_ms + self._wait_ms, place, call_id))

    def clear(self) -> None:
        """The switch is another, or will be asked again."""
        self._rows.clear()

    def deadline(self) -> int | None:
        """When `due` has something."""
        return self._rows[0][0] if self._rows else None

    def due(self, now_ms: int) -> list[tuple[Place, str]]:
        """The next that are to be judged now."""
        found: list[tuple[Place, str]] = []
        while self._rows and self._rows[0][0] <= now_ms and len(found) < TURN_ROWS:
            _, place, call_id = self._rows.popleft()
            found.append((place, call_id))
        return found
