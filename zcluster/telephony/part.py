"""What every part of the telephony core looks like, and what it may read of the replicated tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from zcluster.streams.tables import Entry
from zcluster.streams.units import Key
from zcluster.telephony.actions import Action
from zcluster.telephony.events import Event, Moment


class Part(Protocol):
    """One concern: calls, registrations, limits, the pulse. Every event is handed to every part."""

    def handle(self, event: Event, now: Moment) -> list[Action]:
        """What happened, and what is to be done about it. Never raises for anything that came from outside."""

    def deadline(self) -> int | None:
        """When `Tick` is due at the latest, in monotonic milliseconds; None for not at all."""


class Copies(Protocol):
    """The replicated tables, ours included, as each group is read from its one stream."""

    def entries(self, name: str) -> Iterator[Entry]:
        """Every record of the streams of that name once. Take all you need before you return to the loop."""

    def get(self, name: str, key: Key) -> Entry | None:
        """The record under this key."""
