"""The telephony core of a node: every event goes to every part, and their actions come back in one list.

What must hold: the pulse is first, so that what moves addresses is performed before anything else.
"""

from __future__ import annotations

from collections.abc import Sequence

from zcluster.telephony.actions import Action
from zcluster.telephony.events import Event, Moment
from zcluster.telephony.part import Part


class Telephony:
    """The parts, as one. It is a part itself."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(parts)

    def handle(self, event: Event, now: Moment) -> list[Action]:
        """What happened, and what is to be done about it."""
        actions: list[Action] = []
        for part in self._parts:
            actions += part.handle(event, now)
        return actions

    def deadline(self) -> int | None:
        """When `Tick` is due at the latest."""
        dues = (part.deadline() for part in self._parts)
        return min((due_ms for due_ms in dues if due_ms is not None), default=None)
