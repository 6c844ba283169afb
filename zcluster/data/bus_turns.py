"""The streams' bus as bulk work of the loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from zcluster.adapters.stream_bus import PeerAddress, Received, StreamBus
from zcluster.data.heart import Heart
from zcluster.data.loop import monotonic_ms
from zcluster.streams.events import PathChanged
from zcluster.wire.local_link import PeerPlace

# So many are fetched at once; one is a piece, for it may be a part of a snapshot.
FETCHED_MESSAGES = 8
LONGEST_LATE_MS = 100


class BusTurns:
    """Hands what comes to the cores, one message at a time."""

    def __init__(self, bus: StreamBus, heart: Callable[[], Heart]) -> None:
        self._bus = bus
        self._heart = heart
        self._waiting: deque[Received] = deque()

    @property
    def has_more(self) -> bool:
        """Whether something waits."""
        return bool(self._waiting) or self._bus.has_more

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        return (self._bus.fileno(),)

    def deadline(self) -> int | None:
        """When the bus has something to do by itself."""
        return self._bus.deadline()

    def piece(self, now_ms: int) -> bool:
        """A message, and what is due on the bus."""
        if self._waiting:
            self._take()
            return True
        self._waiting.extend(self._bus.receive(FETCHED_MESSAGES, now_ms))
        late_ms = now_ms - self._bus.deadline()
        # Silence is judged on what truly did not come; under a flood a sign of life must go out nevertheless.
        if late_ms >= (LONGEST_LATE_MS if self._waiting else 0):
            self._moved(self._bus.run(now_ms))
        if self._waiting:
            self._take()
            return True
        return self._bus.has_more

    def _take(self) -> None:
        each = self._waiting.popleft()
        self._heart().take_body(each.sender, each.body)

    def set_peers(self, places: tuple[PeerPlace, ...]) -> None:
        """These live, and are there."""
        peers = tuple(PeerAddress(node, incarnation, dict(at)) for node, incarnation, at in places)
        self._moved(self._bus.set_peers(peers, monotonic_ms()))

    def _moved(self, nodes: list[str]) -> None:
        for node in nodes:
            self._heart().take_peer(PathChanged(node))
