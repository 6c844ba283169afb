"""How much later a peer's beats come on each link than on the quickest: the difference of the ways, seen from here.

What must hold: pure; costs next to nothing, so its owner hands in one beat of SAMPLE_BEATS, and
bounded by the nodes and links of these. A link that is later than the reader remembers beats is not late but lost.
"""

from __future__ import annotations

from zcluster.control.units import LinkName, NodeName

SAMPLE_BEATS = 8
# Of each difference this share goes into the figure: at 20 ms a beat it follows a change within three seconds.
SHARE = 8


class Lateness:
    """Of all peers on all links. Times in milliseconds of this host's monotonic clock."""

    def __init__(self) -> None:
        self._first: dict[NodeName, tuple[int, int]] = {}
        self._behind: dict[tuple[NodeName, LinkName], float] = {}

    def note(self, node: NodeName, link: LinkName, sequence: int, is_first: bool, now_ms: int) -> None:
        """The first copy on `link` of one of SAMPLE_BEATS beats; `is_first`: the first on any."""
        if is_first:
            self._first[node] = (sequence, now_ms)
        known, first_ms = self._first.get(node, (None, 0))
        if known != sequence:
            return
        before = self._behind.get((node, link))
        late_ms = now_ms - first_ms
        self._behind[node, link] = late_ms if before is None else before + (late_ms - before) / SHARE

    def known(self) -> dict[tuple[NodeName, LinkName], int]:
        """Whole milliseconds by node and link."""
        return {place: round(behind_ms) for place, behind_ms in self._behind.items()}
