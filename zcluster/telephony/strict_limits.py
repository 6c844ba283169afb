"""Session limits without overshoot: a share of the limit for each node, enforced by what mod_hash is told.

A sum is as old as the last poll, so callers at several nodes at once can pass it together. For a limit whose number
is in the file too, each group has a share of it (`shares.py`), and our switch is told that the others use all but the
share of its groups. mod_hash then lets in as many as the share allows, by its own exact count, and no dialplan changes.

What must hold: the shares add up to the limit at most. A share shrinks here before the gift is told: mod_hash must
have asked twice (its second question shows that it had read the first answer) and a dump that was asked for after
that must show that what is used fits. What a node cannot use it gives to who needs it; meanwhile a node may refuse a
call although another has room. What mod_hash does not know before its first answer it does not respect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zcluster.control.units import GroupName
from zcluster.errors import BadMessage
from zcluster.streams.units import LIMITS, Key, body_of, record_key
from zcluster.telephony.actions import Action, ChangeRecords
from zcluster.telephony.limit_sums import Count
from zcluster.telephony.mastership import Mastership
from zcluster.telephony.part import Copies
from zcluster.telephony.settings import TelephonySettings
from zcluster.telephony.shares import Gift, Row, gift, read_row, shares, spread

PLAN_MS = 250
ANSWERS_UNTIL_READ = 2


def row_key(group: GroupName, name: str) -> Key:
    """Where a group's master writes the row of a limit."""
    return record_key(group, b"\0sessions\0" + name.encode())


@dataclass(slots=True)
class _Limit:
    """One limit. `gift`: what our switch is not to use any more, told so often and seen in that dump."""

    name: str
    total: int
    gift: Gift | None = None
    answers: int = 0
    is_seen: bool = False

    def begin(self, what: Gift | None) -> None:
        """Give this away, as soon as it is safe."""
        self.gift, self.answers, self.is_seen = what, 0, False


class StrictLimits:
    """Owned by `Limits`, which hands it each answer, each dump and the time."""

    def __init__(self, settings: TelephonySettings, copies: Copies, mastership: Mastership) -> None:
        self._copies = copies
        self._mastership = mastership
        self._groups = tuple(sorted(group.name for group in settings.groups))
        self._limits = [_Limit(name, total) for name, total in sorted(settings.strict_limits.items())]
        self._plan_at_ms = 0

    @property
    def wants_dump(self) -> bool:
        """Whether a gift waits for a dump."""
        return any(
            limit.gift and limit.answers >= ANSWERS_UNTIL_READ and not limit.is_seen for limit in self._limits
        )

    def deadline(self) -> int | None:
        """When `advance` has something to do."""
        return self._plan_at_ms if self._limits else None

    def answer(self, own: Mapping[str, Count]) -> dict[str, int]:
        """For each strict limit, what the others use as far as mod_hash is to know. Counts as told."""
        told = {}
        for limit in self._limits:
            limit.answers += limit.gift is not None
            recovered = own.get(limit.name, Count(0)).recovered
            told[limit.name] = max(0, limit.total - self._share(limit) + recovered)
        return told

    def share(self, name: str) -> int:
        """What our switch may use now of that strict limit. Raises KeyError."""
        for limit in self._limits:
            if limit.name == name:
                return self._share(limit)
        raise KeyError(name)

    def asks(self) -> None:
        """A dump is asked for now: what it shows is later than what was answered before."""
        for limit in self._limits:
            if limit.answers >= ANSWERS_UNTIL_READ:
                limit.is_seen = True

    def fails(self) -> None:
        """The dump did not come: nothing was seen."""
        for limit in self._limits:
            limit.is_seen = False

    def advance(self, own: Mapping[str, Count], is_dumped: bool, now_ms: int) -> list[Action]:
        """Publish what is used, and what is safely given. `is_dumped`: no dump is on its way."""
        if not self._limits or now_ms < self._plan_at_ms:
            return []
        self._plan_at_ms = now_ms + PLAN_MS
        actions: list[Action] = []
        ours = [group for group in self._mastership.written if group in self._groups]
        for limit in self._limits:
            if limit.gift is not None and limit.gift.source not in ours:
                limit.begin(None)
            rows = self._rows(limit)
            used = own.get(limit.name, Count(0)).total
            self._publish(limit, ours, rows, used, is_dumped, actions)
            if limit.gift is None:
                gifts = (gift(group, limit.total, self._groups, rows, ours) for group in ours)
                limit.begin(next((each for each in gifts if each is not None), None))
        return actions

    def _publish(
        self,
        limit: _Limit,
        ours: list[GroupName],
        rows: dict[GroupName, Row],
        used: int,
        is_dumped: bool,
        actions: list[Action],
    ) -> None:
        have = shares(limit.total, self._groups, rows)
        demands = spread(used, {group: have[group] for group in ours})
        room = max(0, sum(have[group] for group in self._mastership.opened if group in have) - used)
        for group in ours:
            old = rows.get(group)
            known = old if old is not None and old.total == limit.total else Row(limit.total)
            row = known._replace(demand=demands[group])
            if limit.gift is not None and limit.gift.source == group and limit.is_seen and is_dumped:
                # Calls that came before our switch knew of its smaller share keep their place.
                given = limit.gift._replace(amount=min(limit.gift.amount, room))
                row = row.with_gift(given) if given.amount else row
                limit.begin(None)
            if row != old:
                rows[group] = row
                actions.append(ChangeRecords(LIMITS, ((row_key(group, limit.name), row.packed()),)))

    def _share(self, limit: _Limit) -> int:
        have = shares(limit.total, self._groups, self._rows(limit))
        ours = sum(have[group] for group in self._mastership.opened if group in have)
        return max(0, ours - (limit.gift.amount if limit.gift else 0))

    def _rows(self, limit: _Limit) -> dict[GroupName, Row]:
        found = {}
        for group in self._groups:
            entry = self._copies.get(LIMITS, row_key(group, limit.name))
            if entry is not None:
                try:
                    found[group] = read_row(body_of(entry.record))
                except BadMessage:
                    continue
        return found
