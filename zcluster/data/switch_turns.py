"""The switch, and the table that it writes calls down in, as work of the loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from zcluster.adapters.core_db import CoreDb, CoreDbEvent
from zcluster.adapters.core_db_table import RowsRead
from zcluster.data.heart import Heart
from zcluster.data.switch import Switch
from zcluster.telephony.events import Event, RowsChanged, RowsListed, SwitchOpened

# A third of a millisecond each, measured on the 2-core machine beside other work.
PIECE_ROWS = 16


class SwitchTurns:
    """Hands what the switch says to the cores, and what it is to the control process."""

    def __init__(self, switch: Switch, heart: Heart, tell_identity: Callable[[str, str], None]) -> None:
        self._switch = switch
        self._heart = heart
        self._tell_identity = tell_identity

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        return self._switch.filenos()

    def deadline(self) -> int | None:
        """When the switch has something to do by itself."""
        return self._switch.deadline()

    def turn(self, now_ms: int) -> None:
        """What came."""
        for event in self._switch.receive(now_ms):
            if isinstance(event, SwitchOpened):
                self._tell_identity(event.build, event.switchname)
            self._heart.take(event)


class CoreDbTurns:
    """Hands what the switch wrote down to the cores, a few rows at a time: reading a call takes a while."""

    def __init__(self, core_db: CoreDb, heart: Heart, tell: Callable[[str, str, str], None]) -> None:
        self._core_db = core_db
        self._heart = heart
        self._tell = tell
        self._told = ""
        self._waiting: deque[Event] = deque()

    @property
    def has_more(self) -> bool:
        """Whether a batch waits."""
        return bool(self._waiting)

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        return (self._core_db.fileno(),)

    def deadline(self) -> int | None:
        """Its thread wakes us."""
        return None

    def piece(self, _now_ms: int) -> bool:
        """A batch that came, and why nothing can."""
        if not self._waiting:
            for event in self._core_db.receive():
                self._waiting.extend(_parts(event))
        if self._waiting:
            self._heart.take(self._waiting.popleft())
        problem = self._core_db.problem
        if problem != self._told:
            self._told = problem
            if problem:
                self._tell("warning", "core-database", f"calls cannot be followed: {problem}")
        return bool(self._waiting)


def _parts(event: CoreDbEvent) -> list[Event]:
    """The same in pieces that are no long work each."""
    if not isinstance(event, RowsRead):
        return [event]
    changes = event.changes
    parts: list[Event] = [
        RowsChanged(changes[at : at + PIECE_ROWS]) for at in range(0, len(changes), PIECE_ROWS)
    ]
    if event.is_all:
        parts.append(RowsListed(tuple((uuid, row.runtime_uuid) for uuid, row in changes if row)))
    return parts
