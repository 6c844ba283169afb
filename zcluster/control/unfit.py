"""Tells when this node takes over nothing any more because something of it broke, and when that is over.

What must hold: one warning for each time that the node fails, and another one only when something of another kind
comes first; one notice when it is over; nothing of a node that holds by the file nothing anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

from zcluster.control.designation import may_carry
from zcluster.control.durations import duration
from zcluster.control.reasons import Kind, fault, kind_of
from zcluster.control.situation import Situation
from zcluster.control.units import NodeState


class Unfit:
    """Looks at the state and the faults whenever either may have changed."""

    def __init__(self, situation: Situation) -> None:
        self._s = situation
        self._told: Kind | None = None
        self._since_ms = 0

    def review(self, problems: Sequence[str]) -> None:
        """Tell what is news. `problems`: true faults of this node, the first one first."""
        s = self._s
        kind = kind_of(problems[0]) if problems and s.state is NodeState.FAILED else None
        if kind is self._told or not may_carry(s.settings, s.name):
            return
        before, self._told = self._told, kind
        if before is None:
            self._since_ms = s.now_ms
        if kind is not None:
            self._tell_fault(kind, problems)
        elif s.state is not NodeState.STOPPING:
            length_ms = s.now_ms - self._since_ms
            text = f"what kept this node from taking over is mended after {duration(length_ms)}"
            s.tell("notice", "mended", text, after_ms=length_ms)

    def _tell_fault(self, kind: Kind, problems: Sequence[str]) -> None:
        s = self._s
        text = f"this node takes over nothing: {' and '.join(map(fault, problems))}"
        match kind:
            case Kind.SWITCH:
                s.tell("warning", "switch-not-well", text, problems=list(problems))
            case Kind.SERVICE:
                s.tell("warning", "service-not-well", text, problems=list(problems))
            case Kind.HOST:
                s.tell("warning", "host-not-well", text, problems=list(problems))
