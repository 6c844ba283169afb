"""Copies that lie in our own profiles though no record makes them: its end came while we could order nothing.

What must hold: a copy goes only when the records of its phone had time to reach us, and only if none of them makes
it; and its going takes no other row along.
"""

from __future__ import annotations

from collections import Counter

from zcluster.errors import BadMessage
from zcluster.streams.units import REGISTRATIONS, body_of
from zcluster.telephony.events import Moment
from zcluster.telephony.registration_injection import source_of_copy
from zcluster.telephony.registration_placement import Placement
from zcluster.telephony.registration_record import Place, key_of, unpack
from zcluster.telephony.registration_strange import Strange
from zcluster.telephony.registration_walk import WalkedCopies

# A daemon that starts beside a working switch has the records of a million phones in less than that.
STALE_MS = 10_000


class StaleCopies:
    """Of one switch, as its listings show them."""

    def __init__(self, copies: WalkedCopies, placement: Placement, counts: Counter[str]) -> None:
        self._copies = copies
        self._placement = placement
        self._counts = counts
        self._seen = Strange(STALE_MS)

    def see(self, place: Place, call_id: str, now: Moment) -> None:
        """A listing has this copy, in that profile of ours."""
        self._seen.add(place, call_id, now.mono_ms)

    def forget(self) -> None:
        """The switch will be asked again."""
        self._seen.clear()

    def deadline(self) -> int | None:
        """When `clear_away` has something to do."""
        return self._seen.deadline()

    def clear_away(self, now: Moment) -> None:
        """What no record makes goes, a few hundred at once.

        Where a user has one row, what is known of the user makes or keeps that row, and no copy is under it.
        """
        for place, call_id in self._seen.due(now.mono_ms):
            is_ours = place.group in self._placement.held
            if is_ours and not self._is_made(place, call_id, now) and not self._placement.is_taken(place):
                self._counts["copy of no record"] += 1
                self._placement.clear_away(place, call_id)

    def _is_made(self, place: Place, call_id: str, now: Moment) -> bool:
        found = source_of_copy(place, call_id)
        if found is None or place.profile != self._placement.target or found[0].group in self._placement.held:
            return False
        source, slot = found
        try:
            entry = self._copies.get(REGISTRATIONS, key_of(source))
            if entry is None:
                return False
            registration = unpack(body_of(entry.record))
        except BadMessage:
            return False
        return slot < len(self._placement.ways.copies(source, registration, now.wall_ms))
