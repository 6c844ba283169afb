"""How far the wall clocks of the peers are from ours, told from one side: now and then a beat carries its sender's.

What must hold: a beat can only be late, never early. So of many the least late one counts: a clock that is seen to be
ahead of ours is ahead, by what is told or by a few milliseconds more; one that seems to be behind is so, or it is that
few milliseconds of the way. A clock that was set is seen within two windows. Pure; one who is not heard keeps what was
known.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from zcluster.control.units import NodeName

# One beat of these carries the wall clock: ten bytes, and the cost of a clock.
CLOCK_EVERY_BEATS = 16
# At 20 ms a beat, five seconds each.
WINDOW_READINGS = 16
KEPT_WINDOWS = 2


@dataclass(slots=True)
class _Readings:
    """Our clock less the peer's at each reading: the least of the windows before, and of the one that is filled."""

    before: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT_WINDOWS - 1))
    least: int | None = None
    count: int = 0


class Clocks:
    """Of as many nodes as its owner hands in."""

    def __init__(self) -> None:
        self._readings: dict[NodeName, _Readings] = {}

    def note(self, node: NodeName, said_ms: int, wall_ms: int) -> None:
        """A fresh beat of `node` says `said_ms`, and our clock says `wall_ms` (milliseconds since 1970)."""
        readings = self._readings.setdefault(node, _Readings())
        difference_ms = wall_ms - said_ms
        if readings.count == WINDOW_READINGS:
            assert readings.least is not None, "a full window has a least reading"
            readings.before.append(readings.least)
            readings.least, readings.count = None, 0
        if readings.least is None or difference_ms < readings.least:
            readings.least = difference_ms
        readings.count += 1

    def offsets(self) -> dict[NodeName, int]:
        """Milliseconds that each node's clock is ahead of ours; negative where it is behind."""
        return {
            node: -min([*readings.before, *([readings.least] if readings.least is not None else [])])
            for node, readings in self._readings.items()
        }
