"""What this node heard of each peer, on which link, and how long ago.

Must hold: heard on any link is heard; a beat not newer than one already processed changes nothing but
the link's own record; nobody is judged for the time that this node itself stood still.
"""

from __future__ import annotations

from zcluster.control.messages import Beat, Claim, Report
from zcluster.control.units import LinkName, NodeName, Pair

LOSS_WINDOW_BEATS = 50


class LinkRecord:
    """One peer on one link: newest sequence, when, and the loss over the last window."""

    __slots__ = ("heard_ms", "loss_per_mille", "received", "sequence", "window_start")

    def __init__(self, sequence: int, now_ms: int) -> None:
        self.sequence = sequence
        self.heard_ms = now_ms
        self.window_start = sequence
        self.received = 1
        self.loss_per_mille = 0

    def note(self, sequence: int, now_ms: int) -> None:
        """A copy of the beat `sequence` came on this link."""
        if sequence <= self.sequence:
            return
        self.sequence = sequence
        self.heard_ms = now_ms
        self.received += 1
        span = sequence - self.window_start
        if span >= LOSS_WINDOW_BEATS:
            missing = max(0, span + 1 - self.received)
            self.loss_per_mille = 1000 * missing // (span + 1)
            self.window_start = sequence
            self.received = 1


class Peer:
    """The newest processed beat of one peer, and what follows from it: mutable, owned by the detector."""

    __slots__ = (
        "acks",
        "heard_ms",
        "hears_us",
        "incarnation",
        "links",
        "name",
        "pairs",
        "report",
        "sequence",
    )

    def __init__(self, beat: Beat) -> None:
        self.name: NodeName = beat.node
        self.incarnation = 0
        self.sequence = 0
        self.heard_ms = 0
        self.report: Report = beat.report
        self.acks = beat.acks
        self.pairs: tuple[Pair, ...] = ()
        self.hears_us = False
        self.links: dict[LinkName, LinkRecord] = {}

    def is_newer(self, beat: Beat) -> bool:
        """Whether the beat comes after every one processed before, restarts included."""
        if beat.incarnation == self.incarnation:
            return beat.sequence > self.sequence
        return beat.incarnation > self.incarnation

    def take(self, beat: Beat, link: LinkName, now_ms: int) -> None:
        """Make this the newest beat."""
        if beat.incarnation != self.incarnation:
            self.links.clear()
            self.incarnation = beat.incarnation
            self.hears_us = False
        self.sequence = beat.sequence
        self.heard_ms = now_ms
        self.acks = beat.acks
        self.note_link(beat.sequence, link, now_ms)

    def note_link(self, sequence: int, link: LinkName, now_ms: int) -> None:
        """Keep the record of one link, for repeated copies too."""
        record = self.links.get(link)
        if record is None:
            self.links[link] = LinkRecord(sequence, now_ms)
        else:
            record.note(sequence, now_ms)

    def claim_of(self, group: str) -> Claim | None:
        """The pair of that group in its newest beat."""
        for claim in self.report.claims:
            if claim.group == group:
                return claim
        return None


class Detector:
    """All peers ever heard in this incarnation. `silence_ms`: after that much silence a peer is failed."""

    def __init__(self, silence_ms: int) -> None:
        self._silence_ms = silence_ms
        self.peers: dict[NodeName, Peer] = {}

    def is_alive(self, name: NodeName, now_ms: int) -> bool:
        """Whether the peer was heard within the silence."""
        peer = self.peers.get(name)
        return peer is not None and now_ms - peer.heard_ms < self._silence_ms

    def alive(self, now_ms: int) -> list[Peer]:
        """The peers heard within the silence, by the order of their first beats."""
        limit_ms = now_ms - self._silence_ms
        return [peer for peer in self.peers.values() if peer.heard_ms > limit_ms]

    def excuse(self, stall_ms: int, now_ms: int) -> None:
        """This node stood still: nobody's silence grows by that time (DESIGN 4.6)."""
        for peer in self.peers.values():
            peer.heard_ms = min(now_ms, peer.heard_ms + stall_ms)
            for record in peer.links.values():
                record.heard_ms = min(now_ms, record.heard_ms + stall_ms)
