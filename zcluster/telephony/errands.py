"""Small questions and orders about single channels, a few at a time.

What must hold: at most LARGEST_UNDER_WAY are with the switch; what waits is bounded; an errand that could not be
run is tried again LARGEST_TRIES times and then given up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from zcluster.switch.commands import Command, api
from zcluster.telephony.actions import Run
from zcluster.telephony.metadata import SIP_INVITE_CSEQ

LARGEST_UNDER_WAY = 16
LARGEST_WAITING = 65_536
LARGEST_TRIES = 3
EXISTS, UNSET = "exists", "unset"


@dataclass(slots=True)
class Errand:
    """`kind`: EXISTS (does the switch have that session?) or UNSET (forget the CSeq of the recovery)."""

    kind: str
    uuid: str
    tries: int = 0

    def command(self) -> Command:
        """What the switch is asked."""
        if self.kind == EXISTS:
            return api("uuid_exists", self.uuid)
        # Without a value the variable goes; else every later re-INVITE would begin with it again.
        return api("uuid_setvar", self.uuid, SIP_INVITE_CSEQ)


class Errands:
    """One switch's. `name`: makes a purpose, unlike every other one."""

    def __init__(self, name: Callable[[str], str]) -> None:
        self._name = name
        self._waiting: deque[Errand] = deque()
        self._under_way: dict[str, Errand] = {}
        self._asked: set[str] = set()

    def add(self, kind: str, uuid: str) -> bool:
        """Have it done; false when too many wait."""
        if kind == EXISTS and uuid in self._asked:
            return True
        if len(self._waiting) >= LARGEST_WAITING:
            return False
        if kind == EXISTS:
            self._asked.add(uuid)
        self._waiting.append(Errand(kind, uuid))
        return True

    def clear(self) -> None:
        """Another life of the switch: nothing of that is of interest any more."""
        self._waiting.clear()
        self._under_way.clear()
        self._asked.clear()

    def is_asking(self, uuid: str) -> bool:
        """Whether it is not known yet if this session exists."""
        return uuid in self._asked

    def answered(self, purpose: str) -> Errand | None:
        """The errand that this was the answer for."""
        errand = self._under_way.pop(purpose, None)
        if errand is not None and errand.kind == EXISTS:
            self._asked.discard(errand.uuid)
        return errand

    def failed(self, purpose: str) -> Errand | None:
        """It was not answered; returns it when it is given up."""
        errand = self._under_way.pop(purpose, None)
        if errand is None:
            return None
        errand.tries += 1
        if errand.tries >= LARGEST_TRIES:
            if errand.kind == EXISTS:
                self._asked.discard(errand.uuid)
            return errand
        self._waiting.append(errand)
        return None

    def due(self) -> list[Run]:
        """What may be run now."""
        runs = []
        while self._waiting and len(self._under_way) < LARGEST_UNDER_WAY:
            errand = self._waiting.popleft()
            purpose = self._name(errand.kind)
            self._under_way[purpose] = errand
            runs.append(Run(purpose, errand.command()))
        return runs
