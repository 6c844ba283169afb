"""The streams of one node: events in, actions out.

What must hold: `handle` never fails for anything that a peer said; each message leads to a bounded answer;
nothing waits but by `deadline`. A peer's mistake is counted in `counts` and forgotten.
"""

from __future__ import annotations

from collections import Counter

from zcluster.control.units import GroupName, NodeName
from zcluster.streams.actions import Action, CopyCompleted, GroupAdopted, Publish, Replicated, Send, Tell
from zcluster.streams.adoption import Adoption
from zcluster.streams.events import (
    Event,
    GroupLost,
    GroupWon,
    MessageReceived,
    PathChanged,
    PeerFailed,
    PeerHeard,
    RecordsChanged,
    StreamLoaded,
    Tick,
)
from zcluster.streams.limits import StreamLimits
from zcluster.streams.messages import Batch, Chunk, Digest, Forgotten, Message, RepairRequest, SnapshotRequest
from zcluster.streams.reader import Copy
from zcluster.streams.tables import Peers, Tables
from zcluster.streams.units import CALLS, LIMITS, REGISTRATIONS, STREAM_NAMES, GroupBytes, StreamId
from zcluster.streams.writer import Writer

# In which order the streams of a group that was won are taken over.
URGENCY = (CALLS, LIMITS, REGISTRATIONS)


class Replicator:
    """Own streams and copies of all others. `digest_key`: 16 to 64 random bytes, new for each life."""

    def __init__(
        self, node: NodeName, incarnation: int, digest_key: bytes, limits: StreamLimits | None = None
    ) -> None:
        self.node = node
        self.incarnation = incarnation
        self.limits = limits or StreamLimits()
        self.counts: Counter[str] = Counter()
        self.peers = Peers(incarnations={node: incarnation})
        self.tables = {
            name: Tables(Writer(StreamId(node, incarnation, name), digest_key, self.limits), self.peers)
            for name in STREAM_NAMES
        }
        self._adoptions = {name: Adoption(self.tables[name], self.limits) for name in STREAM_NAMES}
        self._completed: dict[StreamId, bool] = {}
        self._settle_at_ms: dict[StreamId, int] = {}
        self._superseded_ms: dict[StreamId, int] = {}
        # Streams that ended here: what other survivors still say of these lives is not wanted.
        self._retired: dict[tuple[NodeName, str], int] = {}
        self._digest_at_ms: int | None = None
        # Claims, lives or completeness changed, or time went by: look again at what to adopt and to let go.
        self._is_moved = False
        # An adoption or a retraction is under way: it goes on with the next Tick.
        self._is_under_way = False

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        """What happened, and what is to be done about it."""
        actions: list[Action] = []
        if not isinstance(event, RecordsChanged | MessageReceived):
            self._is_moved = True
        is_turn = isinstance(event, Tick) or not self._is_under_way
        match event:
            case Tick():
                pass
            case MessageReceived(message, sender):
                self._receive(message, sender, now_ms, actions)
            case RecordsChanged(name, changes):
                self._change(name, changes, now_ms)
            case StreamLoaded(name):
                self.tables[name].own.is_whole = True
                self._digest_at_ms = now_ms
            case PeerFailed(node):
                self._fail(node, now_ms)
            case PeerHeard(node):
                self._hear(node, now_ms)
            case PathChanged(node):
                self._hurry(node, now_ms)
            case GroupWon(group, counter):
                for adoption in self._adoptions.values():
                    adoption.win(group.encode(), counter, now_ms)
            case GroupLost(group):
                for adoption in self._adoptions.values():
                    adoption.lose(group.encode())
        self._advance(now_ms, actions, is_turn)
        return actions

    def deadline(self) -> int:
        """When `Tick` is due at the latest."""
        if self._is_moved:
            return 0
        times = [self._digest_at_ms or 0, *self._settle_at_ms.values()]
        times += [at + self.limits.keep_superseded_ms for at in self._superseded_ms.values()]
        for name, tables in self.tables.items():
            for wanted in (tables.own.deadline(), self._adoptions[name].deadline()):
                if wanted is not None:
                    times.append(wanted)
            times += [at for at in (copy.deadline() for copy in tables.copies.values()) if at is not None]
        return min(times)

    def completeness(self) -> dict[NodeName, dict[str, int]]:
        """Percent of each living node's streams that are here; a node not heard of yet is missing."""
        found: dict[NodeName, dict[str, int]] = {}
        for name, tables in self.tables.items():
            for node, percent in tables.completeness().items():
                if node != self.node:
                    found.setdefault(node, {})[name] = percent
        return found

    # -- from peers

    def _receive(self, message: Message, sender: NodeName, now_ms: int, actions: list[Action]) -> None:
        stream = message.stream
        match message:
            case RepairRequest() | SnapshotRequest():
                self._answer(message, sender, actions)
            case _ if stream.name not in self.tables or stream == self.tables[stream.name].own.stream:
                self.counts["own"] += 1
            case Batch() | Digest() | Chunk() | Forgotten():
                copy = self._copy(stream, sender)
                if copy is not None:
                    self._feed(copy, message, sender, now_ms, actions)

    def _answer(
        self, request: RepairRequest | SnapshotRequest, sender: NodeName, actions: list[Action]
    ) -> None:
        tables = self.tables.get(request.stream.name)
        if tables is None:
            return
        own = tables.own
        copy = tables.copies.get(request.stream)
        is_own = request.stream == own.stream
        answers: list[Batch] | list[Chunk] | Forgotten = []
        match request:
            case RepairRequest(_, first, last) if is_own:
                answers = own.repair(first, last)
            case RepairRequest(_, first, last) if copy is not None:
                answers = copy.repair(first, last)
            case SnapshotRequest(_, begin, chunks) if is_own:
                answers = own.chunks(begin, chunks)
            case SnapshotRequest() if copy is not None:
                answers = copy.chunks(request)
            case _:
                self.counts["unknown stream"] += 1
        if isinstance(answers, Forgotten):
            actions.append(Send(sender, answers))
        else:
            actions += [Send(sender, answer) for answer in answers]

    def _copy(self, stream: StreamId, sender: NodeName) -> Copy | None:
        """The copy that a message is for, begun now if need be."""
        tables = self.tables[stream.name]
        copy = tables.copies.get(stream)
        if copy is not None:
            return copy
        if stream.node == self.node and stream.incarnation > self.incarnation:
            self.counts["twin"] += 1
            return None
        is_retired = stream.incarnation <= self._retired.get((stream.node, stream.name), -1)
        if is_retired and (sender != stream.node or self.peers.is_gone(stream)):
            return None
        if sum(len(each.copies) for each in self.tables.values()) >= self.limits.streams:
            self.counts["too many streams"] += 1
            return None
        copy = tables.copies[stream] = Copy(stream, self.limits)
        return copy

    def _feed(
        self,
        copy: Copy,
        message: Batch | Digest | Chunk | Forgotten,
        sender: NodeName,
        now_ms: int,
        actions: list[Action],
    ) -> None:
        self._place(copy, now_ms)
        adoption = self._adoptions[copy.stream.name]
        # A claim that was just withdrawn may still show: what goes after it went for another reason.
        groups = adoption.superseded(copy.stream) & copy.table.claims.keys()
        was_readable, claims = copy.is_readable, copy.claim_changes
        match message:
            case Batch():
                copy.receive_batch(message, now_ms)
            case Digest() if sender == copy.stream.node and not copy.is_orphan:
                copy.receive_digest(message, now_ms)
            case Digest() if copy.is_orphan:
                copy.receive_holding(message, sender, now_ms)
            case Digest():
                self.counts["digest of a living writer"] += 1
            case Forgotten():
                if sender == copy.target:
                    copy.receive_forgotten(message, now_ms)
            case Chunk():
                try:
                    copy.receive_chunk(message, now_ms)
                except ValueError:
                    self.counts["bad chunk"] += 1
        if was_readable != copy.is_readable or claims != copy.claim_changes:
            self._is_moved = True
        self._note(copy, groups, was_readable, now_ms, actions)

    def _note(
        self, copy: Copy, groups: set[GroupBytes], was_readable: bool, now_ms: int, actions: list[Action]
    ) -> None:
        """What the change of a copy means for our own stream and for the switch."""
        stream = copy.stream
        adoption = self._adoptions[stream.name]
        for applied in copy.take():
            actions.append(Replicated(stream, applied.changes))
            adoption.hear(applied.changes)
            if groups:
                adoption.follow(stream, groups, applied, now_ms)
        if copy.is_readable:
            known = groups if was_readable else set()
            for group in sorted(adoption.superseded(stream) - known):
                adoption.merge_all(stream, group, now_ms)
        if self._completed.get(stream, False) != copy.is_complete:
            self._completed[stream] = copy.is_complete
            self._is_moved = True
            actions.append(CopyCompleted(stream, copy.is_complete))
        if copy.is_orphan and (copy.is_lacking or copy.target is not None):
            self._settle_at_ms.setdefault(stream, now_ms + self.limits.skip_ms)
        else:
            self._settle_at_ms.pop(stream, None)

    # -- nodes

    def _place(self, copy: Copy, now_ms: int) -> None:
        """Notice a younger life of a node, and whether a copy has a writer."""
        stream = copy.stream
        incarnations = self.peers.incarnations
        if stream.incarnation > incarnations.get(stream.node, 0) and stream.node != self.node:
            incarnations[stream.node] = stream.incarnation
            self._is_moved = True
            self._place_all(stream.node, now_ms)
            # The new life may need what we have of the old one.
            self._digest_at_ms = now_ms
        elif self.peers.is_gone(stream) != copy.is_orphan:
            self._place_all(stream.node, now_ms)

    def _place_all(self, node: NodeName, now_ms: int) -> None:
        for tables in self.tables.values():
            for stream, copy in tables.copies.items():
                is_gone = self.peers.is_gone(stream)
                if stream.node == node and is_gone != copy.is_orphan:
                    if is_gone:
                        copy.orphan()
                        self._settle_at_ms[stream] = now_ms + self.limits.skip_ms
                    else:
                        copy.unorphan(now_ms)
                        self._settle_at_ms.pop(stream, None)
                if copy.is_orphan and copy.target == node and node in self.peers.failed_ms:
                    copy.target = None

    def _fail(self, node: NodeName, now_ms: int) -> None:
        if node != self.node and node not in self.peers.failed_ms:
            self.peers.failed_ms[node] = now_ms
            self.peers.heard.discard(node)
            self._place_all(node, now_ms)
            # The survivors compare at once how far their copies reach.
            self._digest_at_ms = now_ms

    def _hear(self, node: NodeName, now_ms: int) -> None:
        if self.peers.failed_ms.pop(node, None) is not None:
            self._place_all(node, now_ms)
        if node != self.node:
            self.peers.heard.add(node)
        self._digest_at_ms = now_ms

    def _hurry(self, node: NodeName, now_ms: int) -> None:
        for tables in self.tables.values():
            for copy in tables.copies.values():
                if copy.target == node:
                    copy.hurry(now_ms)

    # -- our own

    def _change(self, name: str, changes: tuple[tuple[bytes, bytes | None], ...], now_ms: int) -> None:
        adoption = self._adoptions[name]
        for key, body in changes:
            try:
                taken = adoption.change(key, body, now_ms)
            except ValueError:
                self.counts["record too large"] += 1
                continue
            if not taken:
                self.counts["record of a group not ours"] += 1

    def _adopt(self, now_ms: int, actions: list[Action]) -> None:
        """What is most urgent alone: a million registrations wait for the next turn, so that the calls do not."""
        self._is_under_way = False
        for name in URGENCY:
            adopted = self._adoptions[name].advance(now_ms)
            self._is_under_way = self._adoptions[name].is_under_way
            for each in adopted:
                text: GroupName = each.group.decode()
                actions.append(GroupAdopted(name, text, each.counter, each.source, each.records))
            if adopted or self._is_under_way:
                self._is_moved = True
                return

    # -- time

    def _advance(self, now_ms: int, actions: list[Action], is_turn: bool) -> None:
        """All that is due: settle, retire, adopt, send, ask. What is long goes on when it `is_turn`."""
        self._settle(now_ms, actions)
        if self._is_moved and is_turn:
            self._is_moved = False
            self._retire(now_ms)
            self._adopt(now_ms, actions)
        if self._digest_at_ms is None or now_ms >= self._digest_at_ms:
            self._digest_at_ms = now_ms + self.limits.digest_ms
            self._publish_digests(actions)
        for tables in self.tables.values():
            actions += [Publish(batch) for batch in tables.own.batches(now_ms)]
            for copy in tables.copies.values():
                request = copy.ask(now_ms)
                if request is not None and copy.target is not None:
                    actions.append(Send(copy.target, request))

    def _publish_digests(self, actions: list[Action]) -> None:
        for tables in self.tables.values():
            actions += [Publish(batch) for batch in tables.own.flush()]
            actions.append(Publish(tables.own.digest()))
            for copy in tables.copies.values():
                if copy.is_orphan and copy.is_complete:
                    actions.append(Publish(copy.digest()))
                lost = copy.lost()
                if lost is not None:
                    actions.append(Publish(lost))

    def _settle(self, now_ms: int, actions: list[Action]) -> None:
        for stream in [stream for stream, at in self._settle_at_ms.items() if now_ms >= at]:
            del self._settle_at_ms[stream]
            copy = self.tables[stream.name].copies[stream]
            if copy.target is not None:
                # A survivor is telling us what it has.
                self._settle_at_ms[stream] = now_ms + self.limits.skip_ms
            elif not copy.is_complete or copy.is_lacking:
                groups = self._adoptions[stream.name].superseded(stream) & copy.table.claims.keys()
                was_readable = copy.is_readable
                copy.settle()
                self.counts["settled"] += 1
                facts = {"node": stream.node, "stream": stream.name, "partial": copy.is_partial}
                actions.append(Tell("warning", "copy-settled", "no survivor has more of this stream", facts))
                self._note(copy, groups, was_readable, now_ms, actions)

    def _retire(self, now_ms: int) -> None:
        """Let go of the copies that others superseded, after a while for late echoes."""
        for tables in self.tables.values():
            winners = tables.winners()
            for stream, copy in list(tables.copies.items()):
                if not copy.is_orphan or not self._is_superseded(tables, stream, copy, winners):
                    self._superseded_ms.pop(stream, None)
                    continue
                since_ms = self._superseded_ms.setdefault(stream, now_ms)
                if now_ms - since_ms >= self.limits.keep_superseded_ms:
                    self._forget(tables, stream)

    def _is_superseded(
        self, tables: Tables, stream: StreamId, copy: Copy, winners: dict[GroupBytes, StreamId]
    ) -> bool:
        groups = copy.claims.keys() or tables.groups_of(stream)
        if groups:
            return all(winners.get(group, stream) != stream for group in groups)
        lives = [one for one in tables.copies.values() if one.stream.node == stream.node and one.is_readable]
        has_younger = stream.node == self.node or any(
            one.stream.incarnation > stream.incarnation for one in lives
        )
        return copy.is_readable and (has_younger or stream.node in self.peers.failed_ms)

    def _forget(self, tables: Tables, stream: StreamId) -> None:
        del tables.copies[stream]
        for kept in (self._completed, self._settle_at_ms, self._superseded_ms):
            kept.pop(stream, None)
        place = (stream.node, stream.name)
        self._retired[place] = max(self._retired.get(place, -1), stream.incarnation)
