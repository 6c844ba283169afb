"""The calls that a takeover could not bring back: for billing, and for the apology.

What must hold: the list is bounded, newest last; nothing in it is key material.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from zcluster.control.units import GroupName, NodeName
from zcluster.telephony.actions import Tell
from zcluster.telephony.call_record import CallRecord

LARGEST_LIST = 5000


@dataclass(frozen=True, slots=True)
class LostCall:
    """One leg. `started_s` and `lost_s`: seconds since 1970 (0: unknown); `node`: whose switch had it, "" unknown."""

    uuid: str
    caller: str
    callee: str
    started_s: int
    reason: str
    group: GroupName
    node: NodeName
    lost_s: int

    @classmethod
    def of(
        cls, uuid: str, record: CallRecord, reason: str, group: GroupName, node: NodeName, lost_s: int
    ) -> LostCall:
        """The entry for a record."""
        return cls(uuid, record.caller, record.callee, record.started_s, reason, group, node, lost_s)

    def told(self) -> Tell:
        """For the journal."""
        text = f"a call of {self.caller or '?'} to {self.callee or '?'} is lost: {self.reason}"
        facts = {name: getattr(self, name) for name in self.__slots__}
        return Tell("notice", "call-lost", text, facts)


class LostCalls:
    """The last LARGEST_LIST of them, in the order in which they were given up."""

    def __init__(self) -> None:
        self._calls: deque[LostCall] = deque(maxlen=LARGEST_LIST)

    def add(self, call: LostCall) -> None:
        """Remember one more."""
        self._calls.append(call)

    def all(self) -> tuple[LostCall, ...]:
        """Oldest first."""
        return tuple(self._calls)
