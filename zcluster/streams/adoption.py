"""A group changes hands: its records become ours, without a moment in which a reader has none or both.

What must hold: our stream first gets the records and then the claim, in one order, so that whoever sees the
claim has the records. What reached another survivor comes later, by its copy of the old stream, and is taken
unless our own switch said something newer. A superseded writer that lives first withdraws its claim and then
its records, long after: slower readers had that time to change over. Only the master of a group writes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from zcluster.streams.adoption_walk import AdoptionWalk
from zcluster.streams.limits import StreamLimits
from zcluster.streams.reader import Applied
from zcluster.streams.tables import Tables
from zcluster.streams.units import (
    BUCKETS,
    NO_GROUP,
    Changes,
    Claim,
    GroupBytes,
    Key,
    Record,
    StreamId,
    group_of,
    is_claim,
)


@dataclass(slots=True)
class _Held:
    """A group that is ours. `touched`: keys of which our switch spoke since; kept until `window_until_ms`.

    `walk`: the taking over that is under way.
    """

    counter: int
    claim_at_ms: int
    is_claimed: bool = False
    window_until_ms: int = 0
    touched: set[Key] = field(default_factory=set)
    walk: AdoptionWalk | None = None


@dataclass(frozen=True, slots=True)
class Adopted:
    """A group's records were taken over from `source`."""

    group: GroupBytes
    counter: int
    source: StreamId | None
    records: int


class Adoption:
    """Decides, for the streams of one name, what our own stream takes over from others and gives up."""

    def __init__(self, tables: Tables, limits: StreamLimits) -> None:
        self._tables = tables
        self._limits = limits
        self._held: dict[GroupBytes, _Held] = {}
        self._retract_at_ms: dict[GroupBytes, int] = {}
        # Groups whose claim is withdrawn, and the bucket from which on their records are still here.
        self._retracting: dict[GroupBytes, int] = {}

    def win(self, group: GroupBytes, counter: int, now_ms: int) -> None:
        """The group is ours; `advance` adopts its records when it can."""
        held = self._held.get(group)
        if held is None or held.counter != counter:
            self._held[group] = _Held(counter, now_ms + self._limits.claim_wait_ms)
            # What is left of an earlier time is compared with what there is now.
            self._retracting.pop(group, None)

    def lose(self, group: GroupBytes) -> None:
        """The group is not ours any more."""
        held = self._held.pop(group, None)
        if held is not None and held.walk is not None and group not in self._tables.own.table.claims:
            # Half of another's records, under no claim of ours.
            self._retracting[group] = 0

    def change(self, key: Key, body: bytes | None, now_ms: int) -> bool:
        """What our switch says of a record; False when it is of a group that is not ours."""
        group = group_of(key)
        held = self._held.get(group)
        if is_claim(key) or (held is None and group != NO_GROUP):
            return False
        if held is not None and (not held.is_claimed or now_ms < held.window_until_ms):
            held.touched.add(key)
        if body is None:
            self._tables.own.delete(key, now_ms)
        else:
            self._tables.own.put(key, body, now_ms)
        return True

    def advance(self, now_ms: int) -> list[Adopted]:
        """Adopt what can be adopted now, retract what is superseded: about `turn_records` of it at once."""
        winners = self._tables.winners()
        own = self._tables.own.stream
        adopted: list[Adopted] = []
        left = self._limits.turn_records
        for group, held in self._held.items():
            if not held.is_claimed and left > 0 and self._may_claim(winners.get(group), held, now_ms):
                looked, done = self._adopt(group, held, winners.get(group), now_ms)
                left -= looked
                adopted += [done] if done is not None else []
            elif held.touched and held.is_claimed and now_ms >= held.window_until_ms:
                held.touched.clear()
        for group in list(self._tables.own.table.claims):
            if group in self._held or winners.get(group, own) == own:
                self._retract_at_ms.pop(group, None)
            else:
                self._retract(group, now_ms)
        if self._retracting and left > 0:
            self._remove(next(iter(self._retracting)), left, now_ms)
        return adopted

    @property
    def is_under_way(self) -> bool:
        """Whether `advance` has more to do at once."""
        return bool(self._retracting) or any(held.walk is not None for held in self._held.values())

    def hear(self, changes: Changes) -> None:
        """Another stream changed: what is being taken over may be part of that."""
        walks = {group: held.walk for group, held in self._held.items() if held.walk is not None}
        for key in changes[::2] if walks else ():
            walk = walks.get(group_of(key)) if key is not None else None
            if key is not None and walk is not None:
                walk.hear(key)

    def deadline(self) -> int | None:
        """When `advance` has something to do."""
        times = [held.claim_at_ms for held in self._held.values() if not held.is_claimed]
        times += [held.window_until_ms for held in self._held.values() if held.touched and held.is_claimed]
        times += self._retract_at_ms.values()
        return min(times, default=None)

    def superseded(self, stream: StreamId) -> set[GroupBytes]:
        """The groups that another stream claims with less than we do.

        Not what our own earlier life claimed with the same ballot.
        """
        own = self._tables.own.stream
        found = set()
        for group, counter in self._tables.claims(stream).items():
            mine = self._tables.claim_of(own, group)
            if mine is None or self._is_our_own(stream, group, mine.counter):
                continue
            if Claim(counter, stream.incarnation, stream.node) < mine:
                found.add(group)
        return found

    def follow(self, stream: StreamId, groups: set[GroupBytes], applied: Applied, now_ms: int) -> None:
        """A stream that we superseded for `groups` went on: take what it says that we did not know."""
        groups = set(groups)
        bests = {group for group in groups if self._is_best(stream, group)}
        fields = iter(applied.changes)
        for key, record in zip(fields, fields, strict=True):
            assert key is not None
            if is_claim(key):
                # What goes after its claim goes because it was retracted, not because it ended.
                if record is None:
                    groups.discard(key[1:])
                continue
            group = group_of(key)
            # A snapshot shows what is not there, not why: that is no deletion.
            if group in groups and not (record is None and applied.is_part):
                self._merge(group, key, record, group in bests, now_ms)

    def merge_all(self, stream: StreamId, group: GroupBytes, now_ms: int) -> None:
        """A stream that we superseded turned out to have this group: take what we lack."""
        is_best = self._is_best(stream, group)
        for key, record in list(self._tables.table(stream).items()):
            if group_of(key) == group:
                self._merge(group, key, record, is_best, now_ms)

    def _may_claim(self, source: StreamId | None, held: _Held, now_ms: int) -> bool:
        """Nobody is known to have the records, or our copy of them is not complete: the others may yet tell."""
        if now_ms >= held.claim_at_ms:
            return True
        if source is None:
            return self._tables.has_everybody()
        return self._tables.is_readable(source)

    def _adopt(
        self, group: GroupBytes, held: _Held, source: StreamId | None, now_ms: int
    ) -> tuple[int, Adopted | None]:
        """Go on with taking a group over; how many records were looked at, and what was done in the end."""
        walk = held.walk
        if walk is None or walk.source != source:
            is_own = source is not None and self._is_our_own(source, group, held.counter)
            walk = held.walk = AdoptionWalk(group, source, is_own, held.touched)
        looked = walk.step(self._tables, self._limits.turn_records, now_ms)
        if not walk.is_done:
            return looked, None
        held.walk = None
        self._tables.own.claim(group, held.counter, now_ms)
        held.is_claimed = True
        held.window_until_ms = now_ms + self._limits.tombstone_ms
        return looked, Adopted(group, held.counter, source, walk.records)

    def _is_our_own(self, source: StreamId, group: GroupBytes, counter: int) -> bool:
        """Our stream, or that of our earlier life with the same ballot: the same switch, and it told us all."""
        own = self._tables.own.stream
        is_earlier = source.node == own.node and self._tables.claims(source).get(group) == counter
        return source == own or is_earlier

    def _merge(self, group: GroupBytes, key: Key, record: Record | None, is_best: bool, now_ms: int) -> None:
        own = self._tables.own
        mine = own.table.get(key)
        held = self._held.get(group)
        if held is None or key in held.touched or mine == record:
            return
        if is_best and now_ms < held.window_until_ms:
            if record is None:
                own.drop(key, now_ms)
            else:
                own.put_record(key, record, now_ms)
        elif mine is None and record is not None and not own.is_buried(key, now_ms):
            own.put_record(key, record, now_ms)

    def _is_best(self, stream: StreamId, group: GroupBytes) -> bool:
        """Whether no other stream between it and ours claims the group."""
        this = self._tables.claim_of(stream, group)
        others = [
            self._tables.claim_of(other, group)
            for other in self._tables.copies
            if other != stream and group in self.superseded(other)
        ]
        return this is not None and all(other is None or other < this for other in others)

    def _retract(self, group: GroupBytes, now_ms: int) -> None:
        due_ms = self._retract_at_ms.setdefault(group, now_ms + self._limits.retract_ms)
        if now_ms >= due_ms:
            del self._retract_at_ms[group]
            self._tables.own.retract(group, now_ms)
            self._retracting[group] = 0

    def _remove(self, group: GroupBytes, limit_records: int, now_ms: int) -> None:
        """Some records of a group of which the claim is withdrawn."""
        looked, place = 0, self._retracting.pop(group)
        while place < BUCKETS and looked < limit_records:
            looked += self._tables.own.remove(group, place, now_ms)
            place += 1
        if place < BUCKETS:
            self._retracting[group] = place
