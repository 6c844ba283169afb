"""When the time of a freeze is over: by the clocks of the nodes that are heard, not by this host's alone.

What must hold: one clock that is wrong neither ends a freeze nor prolongs it, where three or more are heard: the one
in the middle counts. The core is told again and again, because it may have been too early for it, or its first
member be another by then; it takes a majority to end a freeze.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median_low

from zcluster.control.document import Freeze
from zcluster.control.events import Event, FreezeOver
from zcluster.control.units import NodeName

LOOK_MS = 1000


class FreezeEnd:
    """A chore of the loop. `freeze`: what the cluster document says now; `offsets`: how far the clocks of living nodes
    are ahead of this host's `wall_ms`.
    """

    def __init__(
        self,
        freeze: Callable[[], Freeze | None],
        offsets: Callable[[], Mapping[NodeName, int]],
        wall_ms: Callable[[], int],
        now_ms: int,
    ) -> None:
        self._freeze = freeze
        self._offsets = offsets
        self._wall_ms = wall_ms
        self._due_ms = now_ms + LOOK_MS

    def deadline(self) -> int | None:
        """When to look again."""
        return self._due_ms

    def run(self, now_ms: int) -> Sequence[Event]:
        """`FreezeOver` where the time is over."""
        self._due_ms = now_ms + LOOK_MS
        freeze = self._freeze()
        if freeze is None or not freeze.until_ms:
            return ()
        if common_wall_ms(self._wall_ms(), self._offsets()) < freeze.until_ms:
            return ()
        return (FreezeOver(freeze.since_ms),)


def common_wall_ms(wall_ms: int, offsets: Mapping[NodeName, int]) -> int:
    """The clock in the middle of this host's and the others', the lower of two."""
    return wall_ms + median_low([0, *offsets.values()])
