"""How long the loop waits after a wake-up for what comes with it: the more peers speak, the more a turn saves.

What must hold: long only while nothing is under way that a few milliseconds matter to. Then what it costs is that
silence is noticed, and a release heard, a little later; the own beat and its acknowledgements are never late, for
no gathering goes beyond what is due. Read from the core and decided here: it is about turns, not about the cluster.
"""

from __future__ import annotations

from zcluster.control.node import Node
from zcluster.control.ownership import Phase

SHORT_SHARE = 10
LONGEST_SHORT_MS = 4
LONG_SHARE = 3  # of which the beat is so many times as long
CROWD_NODES = 8  # in smaller clusters a long wait saves little, and the failover is what people look at
LATELY_BEATS = 3


class Gathering:
    """Asked once a wake-up."""

    def __init__(self, node: Node, beat_ms: int) -> None:
        self._node = node
        self._beat_ms = beat_ms
        self._short_ms = min(beat_ms // SHORT_SHARE, LONGEST_SHORT_MS)

    def __call__(self) -> int:
        """Milliseconds."""
        return self._beat_ms // LONG_SHARE if self._is_crowded_and_calm() else self._short_ms

    def _is_crowded_and_calm(self) -> bool:
        node = self._node
        peers = node.situation.detector.peers
        if len(peers) + 1 < CROWD_NODES or not node.situation.is_member:
            return False
        lately_ms = node.situation.now_ms - LATELY_BEATS * self._beat_ms
        for group, watch in node.seeker.watches.items():
            tenure = node.holder.tenures.get(group)
            if tenure is not None:
                if tenure.phase is not Phase.HOLDING:
                    return False
                continue
            holder = peers.get(watch.holder)
            if holder is None or not watch.holder_is_open or holder.heard_ms < lately_ms:
                return False
        return True
