"""A number that the groups of the cluster share: who may use how much of it, and who gives some to whom.

What must hold: the shares never add up to more than the whole, whatever anybody has not heard yet. Each group begins
with the same share. Its master alone writes its row: what it has given to each other group, in total, ever. A share
is what it began with, plus what others gave, less what it gave; who has not heard of a gift only believes to have
less. A row belongs to its group, so it goes to the next master with everything else of the group.

Source: bounded counters, Balegas et al., "Extending Eventually Consistent Cloud Databases for Enforcing Numeric
Invariants" (SRDS 2015).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from zcluster.control.units import GroupName
from zcluster.errors import BadMessage
from zcluster.telephony.packing import pack, unpack

LARGEST_TOTAL = 1 << 31
LARGEST_GIVEN = 1 << 53


class Row(NamedTuple):
    """What a group's master says. `total`: the whole it speaks of; of another whole it says nothing."""

    total: int
    demand: int = 0
    given: Mapping[GroupName, int] = {}

    def with_gift(self, gift: Gift) -> Row:
        """This row after that gift."""
        given = {**self.given, gift.to: self.given.get(gift.to, 0) + gift.amount}
        return self._replace(given=given)

    def packed(self) -> bytes:
        """The body of a record."""
        return pack((self.total, self.demand, tuple(sorted(self.given.items()))))


class Gift(NamedTuple):
    """So much of one group's share is to be another's."""

    source: GroupName
    to: GroupName
    amount: int


def read_row(body: bytes) -> Row:
    """The row in a record's body. Raises BadMessage."""
    total, demand, given = unpack(body, 3)
    if not (
        _is_count(total, LARGEST_TOTAL) and _is_count(demand, LARGEST_TOTAL) and isinstance(given, tuple)
    ):
        raise BadMessage("share: no row")
    found: dict[GroupName, int] = {}
    for each in given:
        if not (isinstance(each, tuple) and len(each) == 2):
            raise BadMessage("share: no gift")
        group, amount = each
        if not isinstance(group, str) or not _is_count(amount, LARGEST_GIVEN):
            raise BadMessage("share: no gift")
        found[group] = amount
    return Row(total, demand, found)


def fair_shares(total: int, groups: Sequence[GroupName]) -> dict[GroupName, int]:
    """What each group begins with: the same, and one more for the first in order until all is given."""
    each, rest = divmod(total, max(1, len(groups)))
    return {group: each + (place < rest) for place, group in enumerate(sorted(groups))}


def shares(total: int, groups: Sequence[GroupName], rows: Mapping[GroupName, Row]) -> dict[GroupName, int]:
    """What each group may use now, as far as it is known here."""
    found = fair_shares(total, groups)
    for group in groups:
        for other, amount in _given(rows, group, total).items():
            if other in found and other != group:
                found[group] -= amount
                found[other] += amount
    return {group: max(0, share) for group, share in found.items()}


def spread(demand: int, have: Mapping[GroupName, int]) -> dict[GroupName, int]:
    """What a node needs, as a demand of each of its groups: each as far as its share goes, the first for the rest."""
    found = {}
    rest = demand
    for group in sorted(have):
        found[group] = min(rest, have[group])
        rest -= found[group]
    if found:
        found[min(found)] += rest
    return found


def gift(
    group: GroupName,
    total: int,
    groups: Sequence[GroupName],
    rows: Mapping[GroupName, Row],
    ours: Collection[GroupName] = (),
) -> Gift | None:
    """What `group` should give away next, None for nothing. Never to one of `ours`, which share already.

    It keeps what it needs and a quarter more. Beyond that, who needs more gets it; what nobody needs goes back to
    who began with it; and who needs less than it began with gets that much even from who needs it too.
    """
    have, fair = shares(total, groups, rows), fair_shares(total, groups)
    needs = {each: _need(rows, each, total) for each in groups}
    keep = max(1, needs[group])
    offers: list[tuple[bool, int, GroupName]] = []
    for other in sorted(set(groups) - {group, *ours}):
        need = needs[other] - have[other]
        if need > 0:
            givers = sum(have[each] > max(1, needs[each]) for each in groups if each != other)
            spare = min(have[group] - keep, -(-need // max(1, givers)))
            owed = min(have[group] - fair[group], fair[other] - have[other], need)
            offers.append((True, max(spare, owed), other))
        else:
            spare = min(have[group] - max(keep, fair[group]), fair[other] - have[other])
            offers.append((False, spare, other))
    # Who needs it comes before who only began with it.
    _, amount, to = max((offer for offer in offers if offer[1] > 0), default=(False, 0, ""))
    return Gift(group, to, amount) if amount else None


def _need(rows: Mapping[GroupName, Row], group: GroupName, total: int) -> int:
    demand = rows[group].demand if _is_current(rows, group, total) else 0
    return demand + -(-demand // 4)


def _given(rows: Mapping[GroupName, Row], group: GroupName, total: int) -> Mapping[GroupName, int]:
    return rows[group].given if _is_current(rows, group, total) else {}


def _is_current(rows: Mapping[GroupName, Row], group: GroupName, total: int) -> bool:
    return group in rows and rows[group].total == total


def _is_count(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most
