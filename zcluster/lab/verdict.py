"""Did two hosts answer for one address at the same time? Judged from what was seen on the wire.

What must hold: pure, and strict. A host that answers, then sees another host answer, then answers again, has
answered at a time that belonged to the other, unless the cluster says that the address came back to it in
between. So a hand-over from A to B is one change of host in the order of time, never two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

# Packets that had passed the old holder's packet filter before it closed may still be stamped after the new
# holder's first answer; on one machine they are on their way for some ten microseconds.
IN_FLIGHT_NS = 1_000_000


class Kind(StrEnum):
    """How a host used an address."""

    ARP = "arp"
    NEIGHBOUR = "nd"
    TRAFFIC = "traffic"


@dataclass(frozen=True, slots=True, order=True)
class Sighting:
    """A host sent something as `address`, at `when_ns` of the kernel's clock."""

    when_ns: int
    host: str
    address: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Episode:
    """A host was the only one to use an address, from its first to its last sighting."""

    host: str
    first_ns: int
    last_ns: int
    sightings: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """`host` used an address again after `other` had begun to."""

    address: str
    host: str
    other: str
    when_ns: int


def episodes_of(sightings: Iterable[Sighting], in_flight_ns: int = IN_FLIGHT_NS) -> list[Episode]:
    """The episodes of one address, from its sightings in any order.

    A last packet of the host before, stamped within `in_flight_ns` of an episode's begin, opens no episode.
    """
    episodes: list[Episode] = []
    for seen in sorted(sightings):
        current = episodes[-1] if episodes else None
        if current is not None and current.host == seen.host:
            episodes[-1] = Episode(seen.host, current.first_ns, seen.when_ns, current.sightings + 1)
            continue
        in_flight = current is not None and seen.when_ns - current.first_ns <= in_flight_ns
        if in_flight and len(episodes) > 1 and episodes[-2].host == seen.host:
            continue
        episodes.append(Episode(seen.host, seen.when_ns, seen.when_ns, 1))
    return episodes


def find_overlap(address: str, episodes: Sequence[Episode], holders: Sequence[str]) -> Overlap | None:
    """The first use of an address by a host whose time was over; None if there was none.

    `holders` are the hosts that the cluster says held the address, in the order of their epochs. A host may
    come back only where that order has it come back.
    """
    used = [episode.host for episode in episodes]
    if len(set(used)) == len(used) or _is_in_order(used, holders):
        return None
    seen: set[str] = set()
    for number, episode in enumerate(episodes):
        if episode.host in seen and not _is_in_order(used[: number + 1], holders):
            return Overlap(address, episode.host, used[number - 1], episode.first_ns)
        seen.add(episode.host)
    return None


def judge(
    sightings: Iterable[Sighting], holders: Mapping[str, Sequence[str]], in_flight_ns: int = IN_FLIGHT_NS
) -> list[Overlap]:
    """Every address's first overlap. `holders`: by address, see `find_overlap`."""
    by_address: dict[str, list[Sighting]] = {}
    for seen in sightings:
        by_address.setdefault(seen.address, []).append(seen)
    found = (
        find_overlap(address, episodes_of(seen, in_flight_ns), holders.get(address, ()))
        for address, seen in sorted(by_address.items())
    )
    return [overlap for overlap in found if overlap is not None]


def _is_in_order(used: Sequence[str], holders: Sequence[str]) -> bool:
    """Whether `used` can be read off `holders` from left to right, leaving some out."""
    remaining = iter(holders)
    return all(host in remaining for host in used)
