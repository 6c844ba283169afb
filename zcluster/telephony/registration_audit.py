"""Records of our own that should not be there any more: looked for bucket by bucket, a little at a time.

What must hold: a binding is forgotten when its end is long past and the switch never said so, or when a listing of
its profile, asked for after it registered, does not have it: then the end was said while nobody listened. Only
bindings that registered at this node's switch are judged by its listings.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from zcluster.control.units import NodeName
from zcluster.streams.units import BUCKETS
from zcluster.telephony.registration_record import Place, Registration

# The switch looks for expired rows every `registration-thread-frequency` (30 s), and may be slow or deaf.
FORGET_AFTER_MS = 120_000
# One bucket at a time: all records in five minutes, or in 20 s when a listing is to be compared.
FORGET_TURN_MS = 300
COMPARE_TURN_MS = 20
LARGEST_SEEN = 500_000


@dataclass(slots=True)
class _Listing:
    """Who is registered at a profile: what a listing showed, and who came since it was asked for."""

    seen: set[tuple[str, str]] = field(default_factory=set)
    # The bucket in which the comparison began; None while the listing is being read.
    begun_at: int | None = None


class Audit:
    """Judges the records of the groups that we hold."""

    def __init__(self, node: NodeName, counts: Counter[str]) -> None:
        self._node = node
        self._counts = counts
        self._listings: dict[str, _Listing] = {}
        self._at_ms: int | None = None
        self._bucket = 0

    def start(self, now_ms: int) -> None:
        """There is something to judge."""
        if self._at_ms is None:
            self._at_ms = now_ms + FORGET_TURN_MS

    def stop(self) -> None:
        """We hold nothing."""
        self._at_ms = None
        self._listings.clear()

    def expect(self, profile: str) -> None:
        """A listing of this profile is being asked for."""
        self._listings[profile] = _Listing()

    def see(self, profile: str, aor: str, call_id: str) -> None:
        """A binding is there, by a listing or an event."""
        listing = self._listings.get(profile)
        if listing is None:
            return
        listing.seen.add((aor, call_id))
        if len(listing.seen) > LARGEST_SEEN:
            self._counts["listing not compared"] += 1
            del self._listings[profile]

    def compare(self, profile: str, now_ms: int) -> None:
        """The listing has been read to its end."""
        listing = self._listings.get(profile)
        if listing is not None and self._at_ms is not None:
            listing.begun_at = self._bucket
            self._at_ms = min(self._at_ms, now_ms + COMPARE_TURN_MS)

    def give_up(self, profile: str = "") -> None:
        """The listing did not come; without a profile: none will."""
        if profile:
            self._listings.pop(profile, None)
        else:
            self._listings.clear()

    def deadline(self) -> int | None:
        """When `turn` is due."""
        return self._at_ms

    def turn(self, now_ms: int) -> int | None:
        """The bucket to judge now, None for none."""
        if self._at_ms is None or now_ms < self._at_ms:
            return None
        bucket = self._bucket
        is_comparing = any(each.begun_at is not None for each in self._listings.values())
        self._at_ms = now_ms + (COMPARE_TURN_MS if is_comparing else FORGET_TURN_MS)
        return bucket

    def finish(self, bucket: int) -> None:
        """That bucket was judged."""
        self._bucket = (bucket + 1) % BUCKETS
        for profile, listing in list(self._listings.items()):
            if listing.begun_at == self._bucket:
                del self._listings[profile]

    def gone(self, place: Place, registration: Registration, wall_ms: int) -> set[str]:
        """The Call-IDs of those bindings that are to be forgotten."""
        found = set()
        for each in registration.bindings:
            if each.expires_ms + FORGET_AFTER_MS <= wall_ms:
                self._counts["forgotten"] += 1
                found.add(each.call_id)
            elif each.node == self._node and self._is_missing(place, each.call_id):
                self._counts["not listed"] += 1
                found.add(each.call_id)
        return found

    def _is_missing(self, place: Place, call_id: str) -> bool:
        listing = self._listings.get(place.profile)
        if listing is None or listing.begun_at is None:
            return False
        return (place.aor, call_id) not in listing.seen
