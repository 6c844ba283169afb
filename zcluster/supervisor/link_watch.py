"""A network on which nobody is heard while others carry: nothing moves, and it must be told all the same.

What must hold: words only. A peer that is heard nowhere is silent, which the core tells; a link that no living peer
was ever heard on says nothing; what comes and goes within a moment is told once, not with every beat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from zcluster.control.actions import Tell
from zcluster.control.detector import Peer
from zcluster.control.durations import duration
from zcluster.control.events import Event
from zcluster.control.units import LinkName

LOOK_MS = 200
SILENCES = 2


class LinkWatch:
    """A chore of the loop. `alive`: the peers that are heard on some link now."""

    def __init__(
        self,
        links: Iterable[LinkName],
        silence_ms: int,
        alive: Callable[[int], Sequence[Peer]],
        tell: Callable[[Tell], None],
        now_ms: int,
    ) -> None:
        self._links = tuple(links)
        self._limit_ms = SILENCES * silence_ms
        self._alive = alive
        self._tell = tell
        self._due_ms = now_ms + LOOK_MS
        self._lost_ms: dict[LinkName, int] = {}

    def deadline(self) -> int | None:
        """When to look again."""
        return self._due_ms

    def run(self, now_ms: int) -> Sequence[Event]:
        """Tell of each link that fell silent for all living peers, and of its return."""
        self._due_ms = now_ms + LOOK_MS
        peers = self._alive(now_ms)
        for link in self._links:
            heard = [record.heard_ms for peer in peers if (record := peer.links.get(link)) is not None]
            if not heard:
                continue  # nobody is left, or was ever heard there: not for us to judge
            last_ms = max(heard)
            if last_ms <= now_ms - self._limit_ms:
                if link not in self._lost_ms:
                    self._lost_ms[link] = last_ms
                    others = sum(
                        max(record.heard_ms for record in peer.links.values()) > last_ms for peer in peers
                    )
                    text = (
                        f"{link}: nobody is heard here any more; {others} of {len(peers)} are, on other links"
                    )
                    self._tell(
                        Tell("warning", "link-silent", text, {"link": link, "silent_ms": now_ms - last_ms})
                    )
            elif link in self._lost_ms:
                silent_ms = last_ms - self._lost_ms.pop(link)
                text = f"{link}: heard again after {duration(silent_ms)}"
                self._tell(Tell("notice", "link-heard", text, {"link": link, "silent_ms": silent_ms}))
        return ()
