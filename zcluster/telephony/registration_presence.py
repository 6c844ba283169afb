"""Rows that phones made in our own profiles while these are filled, so that none is replaced by an older one of ours.

What must hold: a listing counts only where the profile is looked through before it is filled: one of a profile that
was just won may show what is already on its way out. What there is no room for is only put in again.
"""

from __future__ import annotations

from collections.abc import Iterable

from zcluster.telephony.registration_record import Place

LARGEST_PRESENT = 500_000


class Presence:
    """By profile: what will be or is being filled, and with what it is not to be."""

    def __init__(self) -> None:
        self._present: dict[str, set[tuple[str, str]]] = {}
        self._awaited: set[str] = set()

    def begin(self, profiles: Iterable[str]) -> None:
        """These will be filled."""
        for profile in profiles:
            self._awaited.discard(profile)
            self._present[profile] = set()

    def begin_anew(self, profiles: Iterable[str]) -> None:
        """These alone will be filled, once they were listed."""
        self._awaited = set(profiles)
        self._present = {profile: set() for profile in self._awaited}

    def end(self, profiles: Iterable[str]) -> None:
        """They are filled, or will not be."""
        for profile in profiles:
            self._awaited.discard(profile)
            self._present.pop(profile, None)

    def keep(self, profile: str) -> None:
        """It cannot be listed, and has what it had: it is not filled."""
        if profile in self._awaited:
            self.end([profile])

    def take_awaited(self, profile: str) -> bool:
        """It was listed; True if it is to be filled now."""
        is_awaited = profile in self._awaited
        self._awaited.discard(profile)
        return is_awaited

    def see(self, place: Place, call_id: str, is_listed: bool = False) -> None:
        """This row is here: a phone just made it, or a listing has it."""
        present = self._present.get(place.profile)
        counts = not is_listed or place.profile in self._awaited
        if present is not None and counts and len(present) < LARGEST_PRESENT:
            present.add((place.aor, call_id))

    def is_open(self, profile: str) -> bool:
        """Whether it is not filled yet."""
        return profile in self._present

    def has(self, place: Place, call_id: str) -> bool:
        """Whether this row was seen."""
        return (place.aor, call_id) in self._present.get(place.profile, ())
