"""What the switch was told already, kept in the switch itself: it forgets when its listeners do.

What must hold: pure; a record that an earlier life of this process fired into the same life of the switch is known,
and no other; what stands in the variable may be anybody's writing, and is believed as far as it can be read.
"""

from __future__ import annotations

import json

from zcluster.adapters.journal import Record

LARGEST_NODES = 64


class Told:
    """Of each node the newest record that was fired: its incarnation and number."""

    def __init__(self) -> None:
        self._earlier: dict[str, tuple[int, int]] = {}
        self._newest: dict[str, tuple[int, int]] = {}

    def read(self, text: str) -> None:
        """What an earlier life wrote."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(found, dict):
            return
        for node, place in list(found.items())[:LARGEST_NODES]:
            match place:
                case [int(incarnation), int(number)]:
                    self._earlier[node] = self._newest[node] = (incarnation, number)

    def knows(self, record: Record) -> bool:
        """Whether an earlier life fired it."""
        earlier = self._earlier.get(record.node)
        return earlier is not None and record.number > 0 and (record.incarnation, record.number) <= earlier

    def add(self, record: Record) -> None:
        """It is fired now."""
        if not record.number:
            return
        place = (record.incarnation, record.number)
        self._newest[record.node] = max(place, self._newest.pop(record.node, place))
        if len(self._newest) > LARGEST_NODES:
            del self._newest[next(iter(self._newest))]

    def text(self) -> str:
        """For the next life."""
        return json.dumps(self._newest, separators=(",", ":"))
