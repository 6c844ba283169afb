"""Who may vote: the founding, once, and what a founded node believes afterwards.

Must hold: a cluster is founded only when all expected nodes heard each other both ways, proposed the same
members and wrote down that they agree; a set of names once agreed to on disk is never exchanged for
another one; nodes that come later are shown and do not vote. The cluster's id names the founding: the
first member and its incarnation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zcluster.control.document import Document
from zcluster.control.messages import FoundingView
from zcluster.control.situation import Situation
from zcluster.control.timing import LONG_GRANT_MS
from zcluster.control.units import NodeName


@dataclass(frozen=True, slots=True)
class Founder:
    """An unfounded node as seen by another: its start and what it proposes."""

    name: NodeName
    incarnation: int
    view: FoundingView | None


def propose(founders: Sequence[Founder], expected: int) -> FoundingView | None:
    """The view that this node should report when it hears exactly these unfounded nodes, itself
    included; None while they are not exactly as many as expected.
    """
    if len(founders) != expected:
        return None
    ordered = sorted(founders, key=lambda founder: founder.name)
    first = ordered[0]
    cluster_id = f"{first.name}-{first.incarnation:x}"
    return FoundingView(cluster_id, tuple(founder.name for founder in ordered), False)


def all_propose(founders: Sequence[Founder], view: FoundingView) -> bool:
    """Whether every founder reports the same members and id as `view`, agreed on disk or not."""
    return all(
        f.view is not None and f.view.cluster_id == view.cluster_id and f.view.names == view.names
        for f in founders
    )


def all_accepted(founders: Sequence[Founder], view: FoundingView) -> bool:
    """Whether every founder has this very view on disk: the cluster is founded."""
    return all_propose(founders, view) and all(f.view is not None and f.view.is_accepted for f in founders)


def founded(view: FoundingView) -> Document:
    """The first document of the cluster."""
    return Document(view.cluster_id, 1, view.names)


def may_accept(view: FoundingView, accepted_names: tuple[NodeName, ...]) -> bool:
    """Whether a node that agreed to `accepted_names` before (empty: to nothing) may agree to `view`."""
    return not accepted_names or accepted_names == view.names


def adoptable(document: Document, name: NodeName, accepted_names: tuple[NodeName, ...]) -> bool:
    """Whether an unfounded node should take a founded peer's document: it is a member of it, and has
    not agreed to be a member of another set.
    """
    return name in document.roster and (not accepted_names or accepted_names == document.roster)


class Registrar:
    """Brings this node into a founded cluster: founds it with the others, or adopts its document.

    Nothing here is urgent; every step waits for the disk.
    """

    def __init__(self, situation: Situation) -> None:
        self._s = situation
        self.view: FoundingView | None = None
        self._told = ""
        self._entered = ""

    def review(self) -> None:
        """Look again at whom we hear; called when something changed and in ticks while unfounded."""
        s = self._s
        if s.document is not None:
            return
        if s.durable.document is not None:
            # On its way to the disk: no way back, whatever a founder that has just restarted proposes now.
            self._enter(s.durable.document, self._entered)
            return
        if self._adopt():
            return
        founders = self._founders()
        self._tell_strength(len(founders))
        view = propose(founders, s.settings.expected_nodes)
        if view is None or not may_accept(view, s.durable.accepted_names):
            self._show(None, view)
            return
        is_accepted = (s.stored.accepted_id, s.stored.accepted_names) == (view.cluster_id, view.names)
        view = view._replace(is_accepted=is_accepted)
        self._show(view, view)
        others = [founder for founder in founders if founder.name != s.name]
        if not is_accepted:
            if all_propose(others, view) and not s.is_storing():
                s.store(replace(s.durable, accepted_id=view.cluster_id, accepted_names=view.names))
        elif all_accepted(others, view):
            self._enter(founded(view), "founded")

    def _adopt(self) -> bool:
        s = self._s
        for peer in s.detector.alive(s.now_ms):
            document = peer.report.document
            if document is not None and adoptable(document, s.name, s.durable.accepted_names):
                self._enter(document, "joined")
                return True
        return False

    def _enter(self, document: Document, code: str) -> None:
        s = self._s
        if s.durable.document != document:
            self._entered = code
            came_empty = code == "joined" and not s.durable.accepted_id
            acceptor_from = document.generation + 2 if came_empty else 0
            s.store(
                replace(s.durable, document=document, acceptor_from=acceptor_from, is_amnesiac=came_empty)
            )
            return
        if s.stored.document == document:
            s.enact(document)
            s.voter.is_amnesiac = s.stored.is_amnesiac
            if s.voter.is_amnesiac:
                s.voter.abstain_longer(s.now_ms + LONG_GRANT_MS + s.timing.margin_ms)
            self._show(None, None)
            text = f"{code} cluster {document.cluster_id} of {len(document.roster)} voters"
            s.tell("notice", code, text, cluster_id=document.cluster_id, roster=list(document.roster))

    def _founders(self) -> list[Founder]:
        s = self._s
        found = [Founder(s.name, s.incarnation, self.view)]
        for peer in s.detector.alive(s.now_ms):
            if not peer.report.cluster_id and peer.hears_us:
                found.append(Founder(peer.name, peer.incarnation, peer.report.founding))
        return found

    def _show(self, view: FoundingView | None, considered: FoundingView | None) -> None:
        if view != self.view:
            self.view = view
            self._s.is_report_stale = True
        if view is None and considered is not None and self._told != "other-names":
            self._told = "other-names"
            self._s.tell(
                "alarm",
                "founding-refused",
                "these nodes are not those that this one agreed to found a cluster with: "
                f"{', '.join(considered.names)} instead of {', '.join(self._s.durable.accepted_names)}",
            )

    def _tell_strength(self, heard: int) -> None:
        s = self._s
        if heard > s.settings.expected_nodes and self._told != "too-many":
            self._told = "too-many"
            s.tell(
                "alarm",
                "too-many-nodes",
                f"{heard} nodes want to found a cluster of {s.settings.expected_nodes}: "
                "correct expected-nodes in the file, or stop the nodes that do not belong",
            )
