"""Walks over all records of a group, bucket by bucket, so that a million of them are never one piece.

What must hold: a walk that begins while another is under way does what that one had to do as well, from the first
bucket on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from zcluster.control.units import GroupName
from zcluster.streams.tables import Entry
from zcluster.streams.units import BUCKETS, REGISTRATIONS, Key, group_of
from zcluster.telephony.part import Copies

TURN_BUCKETS = 8


class WalkedCopies(Copies, Protocol):
    """The replicated tables, also by bucket."""

    def bucket(self, name: str, place: int) -> list[Entry]:
        """Every record of one of the `streams.units.BUCKETS`, once."""


@dataclass(slots=True)
class Walk:
    """What to do with all records of a group: take them out of these profiles, and put them where they belong.

    `whole`: its profiles into which also those are put that registered here, and have a row of their own otherwise.
    """

    clear: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)


class Walks:
    """Those under way, in step with each other."""

    def __init__(self, copies: WalkedCopies) -> None:
        self._copies = copies
        self._walks: dict[GroupName, Walk] = {}
        self._bucket = 0
        self._keys: list[Key] = []
        self._filled: set[str] = set()

    def __bool__(self) -> bool:
        """Whether one is under way."""
        return bool(self._walks)

    def begin(
        self, groups: Iterable[GroupName], clear: Iterable[str] = (), whole: Iterable[str] = ()
    ) -> None:
        """Walk over these groups."""
        for group in groups:
            walk = self._walks.setdefault(group, Walk())
            walk.clear.update(clear)
            walk.whole.update(whole)
        self._bucket = 0
        self._keys = []

    def of(self, group: GroupName) -> Walk | None:
        """The walk over this group."""
        return self._walks.get(group)

    def forget(self, profile: str) -> None:
        """What was to be taken out of this one is found in another way, and what was to be filled, anew."""
        for walk in self._walks.values():
            walk.clear.discard(profile)
            walk.whole.clear()

    def take_filled(self) -> set[str]:
        """The profiles that were filled since this was asked last."""
        filled, self._filled = self._filled, set()
        return filled

    def step(self) -> Iterator[Key]:
        """The next records; whoever stops early goes on there the next time."""
        for _ in range(TURN_BUCKETS):
            while self._keys:
                yield self._keys.pop()
            if self._bucket >= BUCKETS:
                self._filled.update(profile for walk in self._walks.values() for profile in walk.whole)
                self._walks.clear()
            if not self._walks:
                return
            walked = {group.encode() for group in self._walks}
            entries = self._copies.bucket(REGISTRATIONS, self._bucket)
            self._keys = [entry.key for entry in entries if group_of(entry.key) in walked]
            self._bucket += 1
