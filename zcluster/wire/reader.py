"""From raw datagrams to events: what is authentic and new, what is a copy, what is dropped and why.

What must hold: each (node, incarnation, sequence) becomes one BeatReceived, whatever the number of links
and transports, and never after a newer one of that node. A copy of the newest beat costs no MAC and no
decoding. Everything that is dropped is counted in `counts` under one word:
    short, magic, version, key, mac, oversized, malformed   as BadMessage says
    own        our own beat came back          twin      another node uses our name
    late       older than processed, by less than LATE_BEATS: a delayed copy, or overtaken
    replayed   older than that, or of an older incarnation, or one copy too many
    future     its incarnation is more than a day ahead of our wall clock
    crowded    more than MAX_NODES nodes
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from zcluster.control.events import BeatReceived, BeatRepeated
from zcluster.control.messages import Beat
from zcluster.control.units import LinkName, NodeName
from zcluster.errors import BadMessage
from zcluster.wire.beacon import Envelope
from zcluster.wire.bounds import MAC_BYTES, MAX_NODES
from zcluster.wire.clocks import Clocks
from zcluster.wire.codec import BeatDecoder, Fast, read_fast
from zcluster.wire.keys import WireKeys

FUTURE_MS = 24 * 3600 * 1000
LATE_BEATS = 64
# Sixteen links, three ways on each: more copies of one beat are somebody's replay.
MAX_COPIES = 48
# Copies of the beats before the newest are told by their bytes as well: links differ in delay.
REMEMBERED_BEATS = 4


@dataclass(slots=True)
class _Seen:
    """A processed datagram and how often it may still come."""

    datagram: bytes
    node: NodeName
    incarnation: int
    sequence: int
    copies_left: int = MAX_COPIES


@dataclass(slots=True)
class _Older:
    """A life of a node before the one that counts, which goes on speaking: how often lately, and how far."""

    incarnation: int
    sequence: int
    beats: int = 1


@dataclass(slots=True)
class _Heard:
    """The newest beats of one node, the newest last."""

    incarnation: int
    sequence: int
    seen: deque[_Seen] = field(default_factory=deque)


class BeatReader:
    """Reads datagrams of all links for the node `own` of this `incarnation`."""

    def __init__(self, keys: Sequence[WireKeys], own: NodeName, incarnation: int) -> None:
        self.counts: Counter[str] = Counter()
        self.clocks = Clocks()
        self._envelope = Envelope(keys)
        self._decoder = BeatDecoder()
        self._own = own
        self._incarnation = incarnation
        self._heard: dict[NodeName, _Heard] = {}
        # By the MAC at a datagram's end: hashing 16 bytes is cheaper than hashing all of them.
        self._seen: dict[bytes, _Seen] = {}
        self._older: dict[NodeName, _Older] = {}

    def read(self, datagram: bytes, link: LinkName, wall_ms: int) -> BeatReceived | BeatRepeated | None:
        """The event of a datagram that came in on `link`, or None when it was dropped and counted.

        `wall_ms` is the wall clock in milliseconds since 1970. Raises nothing for any bytes.
        """
        seen = self._seen.get(datagram[-MAC_BYTES:])
        if seen is not None and seen.datagram == datagram:
            return self._repeated(seen, link)
        try:
            fast = read_fast(self._envelope.open(datagram))
            refusal = self._refusal(fast, wall_ms)
            if refusal:
                self.counts[refusal] += 1
                return None
            # Only now: an old beat must not displace the newest report that the decoder keeps.
            beat = self._decoder.complete(fast)
        except BadMessage as problem:
            self.counts[problem.kind] += 1
            return None
        self._remember(beat, datagram)
        if fast.wall_ms is not None:
            self.clocks.note(beat.node, fast.wall_ms, wall_ms)
        return BeatReceived(beat, link)

    def take_older(self) -> dict[NodeName, int]:
        """How many ever newer beats came since the last call from a life of a node older than the one that counts.

        All of them were dropped. Old datagrams that somebody sends again look the same, but are soon at an end.
        """
        found = {node: older.beats for node, older in self._older.items() if older.beats}
        self._older = {node: self._older[node] for node in found}
        for older in self._older.values():
            older.beats = 0
        return found

    def _note_older(self, beat: Fast) -> None:
        older = self._older.get(beat.node)
        if older is None or older.incarnation != beat.incarnation:
            self._older[beat.node] = _Older(beat.incarnation, beat.sequence)
        elif beat.sequence > older.sequence:
            older.sequence = beat.sequence
            older.beats += 1

    def _repeated(self, seen: _Seen, link: LinkName) -> BeatRepeated | None:
        heard = self._heard[seen.node]
        if not seen.copies_left:
            self.counts["replayed"] += 1
            return None
        seen.copies_left -= 1
        if seen.sequence != heard.sequence:
            self.counts["late"] += 1
            return None
        return BeatRepeated(seen.node, seen.incarnation, seen.sequence, link)

    def _refusal(self, beat: Fast, wall_ms: int) -> str:
        if beat.node == self._own:
            return "twin" if beat.incarnation > self._incarnation else "own"
        if beat.incarnation > wall_ms + FUTURE_MS:
            return "future"
        heard = self._heard.get(beat.node)
        if heard is None:
            return "crowded" if len(self._heard) >= MAX_NODES else ""
        if beat.incarnation < heard.incarnation:
            self._note_older(beat)
            return "replayed"
        if beat.incarnation > heard.incarnation:
            return ""
        if beat.sequence > heard.sequence:
            return ""
        return "late" if beat.sequence > heard.sequence - LATE_BEATS else "replayed"

    def _remember(self, beat: Beat, datagram: bytes) -> None:
        heard = self._heard.get(beat.node)
        if heard is None:
            heard = self._heard[beat.node] = _Heard(beat.incarnation, beat.sequence)
        elif heard.incarnation != beat.incarnation:
            self._forget(heard, 0)
        heard.incarnation = beat.incarnation
        heard.sequence = beat.sequence
        self._forget(heard, REMEMBERED_BEATS - 1)
        seen = _Seen(datagram, beat.node, beat.incarnation, beat.sequence)
        heard.seen.append(seen)
        self._seen[datagram[-MAC_BYTES:]] = seen

    def _forget(self, heard: _Heard, keep: int) -> None:
        while len(heard.seen) > keep:
            del self._seen[heard.seen.popleft().datagram[-MAC_BYTES:]]
