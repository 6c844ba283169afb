"""How long the loop lets things gather: the more peers speak, the more a turn saves.

Each turn is a wake-up with cold caches: with twenty nodes one costs about 0.3 ms whatever it finds, so a calm
cluster of many nodes wakes up twice a beat, one time right before its own beat, and does all there is then; one
of very many only right before its own beat, where the timing leaves room for that.

What must hold: long only while nothing is under way that a few milliseconds matter to, and so short that a voter
is free before silence is over: grants run from when a beat was looked at. What it costs is that silence is noticed,
and a release heard, up to half a beat later (a whole one where very many speak). The own beat and the
acknowledgements in it are never late, for no gathering goes beyond what is due. Read from the core and decided
here: it is about turns, not about the cluster.
"""

from __future__ import annotations

from zcluster.control.node import Node
from zcluster.control.ownership import Phase
from zcluster.control.timing import MULTITUDE_NODES, SCHEDULER_TICK_MS, Timing

SHORT_SHARE = 10
LONGEST_SHORT_MS = 4
CROWD_NODES = 8  # in smaller clusters a long wait saves little, and the failover is what people look at
LATELY_BEATS = 3


class Gathering:
    """The loop's pace for one node."""

    def __init__(self, node: Node, timing: Timing) -> None:
        self._node = node
        self._lately_ms = LATELY_BEATS * timing.beat_ms
        self._short_ms = min(timing.beat_ms // SHORT_SHARE, LONGEST_SHORT_MS)
        self._timing = timing

    def blind_ms(self) -> int:
        """Half a beat where many speak and nothing is urgent: something comes anyway."""
        if not self._is_crowded_and_calm():
            return 0
        return longest_ms(self._timing, len(self._node.situation.detector.peers) + 1)

    def gather_ms(self) -> int:
        """As long as the copies of one beat take."""
        return self._short_ms

    def _is_crowded_and_calm(self) -> bool:
        node = self._node
        peers = node.situation.detector.peers
        if len(peers) + 1 < CROWD_NODES or not node.situation.is_member:
            return False
        lately_ms = node.situation.now_ms - self._lately_ms
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


def longest_ms(timing: Timing, nodes: int) -> int:
    """Half a beat, or half of the time in which voters are free before silence is over, if that is less. A whole
    beat among very many nodes, if voters are then still free a tick before silence is over.
    """
    free_ms = timing.silence_ms - timing.grant_ms
    if nodes >= MULTITUDE_NODES and timing.beat_ms + SCHEDULER_TICK_MS <= free_ms:
        return timing.beat_ms
    return min(timing.beat_ms, free_ms) // 2
