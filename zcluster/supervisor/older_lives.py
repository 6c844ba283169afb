"""A node that speaks as an older life of itself: nobody may listen to it, and somebody must say so.

It happens when a host lost its state directory *and* its clock was set back: its new life numbers itself below the
last one, so that its beats cannot be told from old ones sent again. What must hold: an alarm, not a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from zcluster.control.actions import Tell
from zcluster.control.events import Event
from zcluster.control.units import NodeName

LOOK_MS = 1000
LEAST_BEATS = 5
TELL_AGAIN_MS = 60_000


class OlderLives:
    """A chore of the loop. `take_older`: as BeatReader's. `is_alive`: whether the life that counts is heard."""

    def __init__(
        self,
        take_older: Callable[[], Mapping[NodeName, int]],
        is_alive: Callable[[NodeName], bool],
        tell: Callable[[Tell], None],
        now_ms: int,
    ) -> None:
        self._take_older = take_older
        self._is_alive = is_alive
        self._tell = tell
        self._due_ms = now_ms + LOOK_MS
        self._told_ms: dict[NodeName, int] = {}

    def deadline(self) -> int | None:
        """When to look again."""
        return self._due_ms

    def run(self, now_ms: int) -> Sequence[Event]:
        """Tell, once a minute, of each node that only its older life speaks for."""
        self._due_ms = now_ms + LOOK_MS
        for node, beats in self._take_older().items():
            if beats < LEAST_BEATS or self._is_alive(node):
                continue
            told_ms = self._told_ms.get(node)
            if told_ms is not None and now_ms - told_ms < TELL_AGAIN_MS:
                continue
            self._told_ms[node] = now_ms
            text = (
                f"{node} is not listened to: it numbers its life below its last one, as after the loss of its state "
                f"directory with a clock set back; set the clock of {node} right and restart zcluster there"
            )
            self._tell(Tell("alarm", "older-life", text, {"node": node, "beats": beats}))
        return ()
