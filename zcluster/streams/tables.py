"""All streams of one name on one node, seen as one table.

What must hold: each group is read from exactly one stream, so that a record is never there twice and never
missing while it changes its writer. That stream is the one with the highest claim (ballot counter, then the
younger life) among our own, the copies that have been complete once, and the orphans. Records of a group that
nobody claims yet are read from every stream, each key once; records of no group only while their node lives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from zcluster.control.units import NodeName
from zcluster.streams.reader import Copy
from zcluster.streams.table import Table
from zcluster.streams.units import (
    MARK_BYTES,
    NO_GROUP,
    Claim,
    GroupBytes,
    Key,
    Record,
    StreamId,
    group_of,
    is_claim,
)
from zcluster.streams.writer import Writer


class Entry(NamedTuple):
    """A record as a reader sees it, and whose it is. `is_orphan`: its writer is gone, nobody adopted it yet."""

    stream: StreamId
    key: Key
    record: Record
    is_orphan: bool


@dataclass(slots=True)
class Peers:
    """What is known of the nodes: who lives, who failed and since when, which life of each is the youngest."""

    heard: set[NodeName] = field(default_factory=set)
    failed_ms: dict[NodeName, int] = field(default_factory=dict)
    incarnations: dict[NodeName, int] = field(default_factory=dict)

    def is_gone(self, stream: StreamId) -> bool:
        """Whether nobody writes this stream any more."""
        return stream.node in self.failed_ms or stream.incarnation < self.incarnations.get(stream.node, 0)


class Tables:
    """Our own stream and the copies of all others, of one name."""

    def __init__(self, own: Writer, peers: Peers) -> None:
        self.own = own
        self.copies: dict[StreamId, Copy] = {}
        self._peers = peers

    def claim_of(self, stream: StreamId, group: GroupBytes) -> Claim | None:
        """With what `stream` claims `group`."""
        counter = self.claims(stream).get(group)
        return None if counter is None else Claim(counter, stream.incarnation, stream.node)

    def claims(self, stream: StreamId) -> dict[GroupBytes, int]:
        """The groups that `stream` says it is the one for, and with which ballot."""
        return self.own.table.claims if stream == self.own.stream else self.copies[stream].claims

    def table(self, stream: StreamId) -> Table:
        """The records of one stream; raises KeyError for one that is not here."""
        return self.own.table if stream == self.own.stream else self.copies[stream].table

    def is_readable(self, stream: StreamId) -> bool:
        """Whether a stream is ours or a copy that has been complete once."""
        return stream == self.own.stream or self.copies[stream].is_readable

    def winners(self) -> dict[GroupBytes, StreamId]:
        """For each group that somebody claims, the stream that it is read from."""
        best: dict[GroupBytes, tuple[bool, Claim, StreamId]] = {}
        for stream, _, is_readable in self._streams():
            for group, counter in self.claims(stream).items():
                # What was never complete counts only where there is nothing else.
                rank = (is_readable, Claim(counter, stream.incarnation, stream.node), stream)
                if group not in best or rank > best[group]:
                    best[group] = rank
        return {group: stream for group, (_, _, stream) in sorted(best.items())}

    def entries(self) -> Iterator[Entry]:
        """Every record once. The tables must not change meanwhile: take what you need in one go."""
        return self._seen(Table.items)

    def bucket(self, place: int) -> list[Entry]:
        """The records of one of the BUCKETS, each once: a walk over a million that may pause between buckets."""
        return list(self._seen(lambda table: table.bucket(place)))

    def _seen(self, items: Callable[[Table], Iterator[tuple[Key, Record]]]) -> Iterator[Entry]:
        winners = self.winners()
        unclaimed: set[Key] = set()
        for stream, table, is_readable in self._in_order():
            if not is_readable and stream not in winners.values():
                continue
            is_gone = self._is_gone(stream)
            for key, record in items(table):
                group = group_of(key)
                if not self._shows(stream, group, winners, is_gone) or is_claim(key):
                    continue
                if group not in winners and group != NO_GROUP:
                    if key in unclaimed:
                        continue
                    unclaimed.add(key)
                yield Entry(stream, key, record, is_gone)

    def get(self, key: Key) -> Entry | None:
        """The record under this key, from the stream that counts."""
        winners = self.winners()
        group = group_of(key)
        for stream, table, is_readable in self._in_order():
            if is_readable or winners.get(group) == stream:
                record = table.get(key)
                is_gone = self._is_gone(stream)
                if record is not None and self._shows(stream, group, winners, is_gone):
                    return Entry(stream, key, record, is_gone)
        return None

    def groups_of(self, stream: StreamId) -> set[GroupBytes]:
        """The groups of which a stream has records."""
        groups = {group_of(key) for key, _ in self.table(stream).items() if not is_claim(key)}
        return groups - {NO_GROUP}

    def sums(self, now_ms: int, orphan_share_ms: int) -> dict[bytes, int]:
        """Limits: for each name, the sum over all nodes and groups. Bodies are `pack_share` numbers.

        The share of a failed node counts until its group is adopted, at most `orphan_share_ms`.
        """
        found: dict[bytes, int] = {}
        for stream, key, record, is_orphan in self.entries():
            since_ms = self._peers.failed_ms.get(stream.node, now_ms)
            if not is_orphan or now_ms - since_ms < orphan_share_ms:
                name = key[key.find(b"\0") + 1 :]
                found[name] = found.get(name, 0) + unpack_share(record)
        return found

    def completeness(self) -> dict[NodeName, int]:
        """Percent of each living node's stream that is here."""
        return {
            stream.node: copy.percent
            for stream, copy in sorted(self.copies.items())
            if not self._peers.is_gone(stream)
        }

    def has_everybody(self) -> bool:
        """Whether the streams of all living nodes are here, whole: what nobody claims here, nobody claims."""
        whole = {
            stream.node
            for stream, copy in self.copies.items()
            if copy.is_complete and not self._peers.is_gone(stream)
        }
        return bool(self._peers.heard) and self._peers.heard <= whole

    def _streams(self) -> Iterator[tuple[StreamId, Table, bool]]:
        yield self.own.stream, self.own.table, True
        for stream, copy in self.copies.items():
            yield stream, copy.table, copy.is_readable

    def _in_order(self) -> list[tuple[StreamId, Table, bool]]:
        """The living before the gone, the younger life before the older: who has the better word unclaimed."""
        return sorted(
            self._streams(), key=lambda each: (self._is_gone(each[0]), -each[0].incarnation, each[0].node)
        )

    def _is_gone(self, stream: StreamId) -> bool:
        return stream != self.own.stream and self._peers.is_gone(stream)

    def _shows(
        self, stream: StreamId, group: GroupBytes, winners: dict[GroupBytes, StreamId], is_gone: bool
    ) -> bool:
        if group in winners:
            return winners[group] == stream
        return group != NO_GROUP or not is_gone or not self._has_successor(stream)

    def _has_successor(self, stream: StreamId) -> bool:
        """Records of no group: they go with their node, but a new life replaces the old once complete."""
        if stream.node in self._peers.failed_ms:
            return True
        lives = [one for one, _, is_readable in self._streams() if one.node == stream.node and is_readable]
        return any(one.incarnation > stream.incarnation for one in lives)


def pack_share(count: int) -> bytes:
    """The body of a limit's record: how much of it this node and group use."""
    return count.to_bytes(8, "little")


def unpack_share(record: Record) -> int:
    """The count of a limit's record; 0 for one that is none."""
    return int.from_bytes(record[MARK_BYTES:], "little") if len(record) == MARK_BYTES + 8 else 0
