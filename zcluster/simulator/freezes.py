"""What must hold of a frozen cluster, at every step of a safety phase: F of docs/decisions/0520.

F: a host begins to answer for a group only if the newest document that is settled, or the host's own where that is
newer, is not firmly frozen, or has the group on that host. Settled here is a fact and nobody's belief: a majority
of the document's roster has it on disk, and knows that it has, for longer than a grant.

The one exception is a node that is left alone of a pair, for which a freeze is over when its time is.
"""

from __future__ import annotations

from collections import Counter

from zcluster.control.document import Document, Freeze
from zcluster.control.units import GroupName, majority
from zcluster.simulator.checkers import Violation

# Of a grant, by the slowest clock and the fastest; and one rounding.
DRIFT = 1.004
ROUNDING_MS = 2.0


class Freezes:
    """Which documents are on which disk since when. Times are true time in ms.

    `counts`: openings under a firm freeze ("kept"), of which by another node than answered last ("strays").
    """

    def __init__(self, names: tuple[str, ...], grant_ms: int) -> None:
        self._names = names
        self._grant_ms = grant_ms * DRIFT + ROUNDING_MS
        self._documents: dict[int, Document] = {}
        self._since: list[dict[int, float]] = [{} for _ in names]
        self._last: dict[GroupName, int] = {}
        self._is_needed = False
        self.counts: Counter[str] = Counter()

    def wrote(self, host: int, document: Document | None, now: float) -> None:
        """That host keeps to this document; None: its disk is empty."""
        since = self._since[host]
        if document is None:
            since.clear()
        elif document.generation not in since:
            since[document.generation] = now
            self._documents[document.generation] = document
            self._is_needed = self._is_needed or document.freeze is not None

    def settled(self, now: float) -> Document | None:
        """The newest document that a majority of its roster has kept to for a whole grant."""
        for generation in sorted(self._documents, reverse=True):
            document = self._documents[generation]
            kept = 0
            for name, since in zip(self._names, self._since, strict=True):
                begun = min((when for number, when in since.items() if number >= generation), default=now)
                kept += name in document.roster and begun <= now - self._grant_ms
            if kept >= majority(len(document.roster)):
                return document
        return None

    def began(
        self, group: GroupName, host: int, own: Document | None, own_freeze: Freeze | None, now: float
    ) -> None:
        """The host begins to answer, with its own document, and the freeze that binds it by that."""
        last = self._last.get(group)
        self._last[group] = host
        if not self._is_needed or own is None:
            return
        settled = self.settled(now)
        document, freeze = own, own.freeze
        if settled is not None and settled.generation > own.generation:
            document, freeze = settled, settled.freeze
        elif freeze is not None and own_freeze is None and freeze.until_ms:
            self.counts["over"] += 1
            return
        if freeze is None or not freeze.is_firm:
            return
        self.counts["kept"] += 1
        self.counts["strays"] += last not in (None, host)
        if freeze.holder_of(group) != self._names[host]:
            raise Violation(
                "F",
                f"{self._names[host]} answers for {group}, which generation {document.generation} freezes on "
                f"{freeze.holder_of(group) or 'nobody'}",
            )
