"""What the next life of a daemon takes over of the gate that the last one left open on purpose.

What must hold: nothing that the last life armed can ever be pointed at by the next one, and no address that
still points at an old slot is opened by a slot that the next one arms.

The argument. A new life numbers its slots from the start, and a predecessor may have used the very same numbers
a second ago (its own element of one may still run, with a lease of another length if the file was changed). So
the kernel never sees these numbers: slot s of a life is kept in the kernel as s + base, counted round within
its half (usual or long). Base 0 is what a life has that installed fresh rules: nothing is armed then. At an
adoption every number that an element of `armed` or an entry of `pointed` carries, in whichever half, is read at
one generation of the ruleset; a later change by anybody makes our next transaction fail. The base is put behind
the last number before the widest free stretch of the circle. Old elements live `LONG_LEASE_MS` at most, some
hundred numbers; the stretch is at least 2**31 divided by how many were found, weeks at 100 beats a second. So by
the time a life could come upon an old number, no old element and no old entry of the map is left: every element
that it points at is one that it armed itself, and the kernel refuses to arm a live number again in any case.

That the standing rules are ours is not a matter of trust either: what `install` would make is made beside them
as a dormant twin (at no hook, filtering nothing), and the kernel's own listing of the two is compared.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import pairwise

from zcluster.adapters import gate_rules, nftables
from zcluster.adapters.netlink import attributes

Address = IPv4Address | IPv6Address

HALF = 1 << 31  # usual slots are below, long ones from here on (zcluster.control.lease)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is open or armed in the rules found. `slots`: every number in use, as the kernel has it."""

    pointed: frozenset[Address]
    slots: frozenset[int]


def twin_of(table: str) -> str:
    """The name of the dormant table to compare with."""
    return f"{table}-twin"


def kernel_slot(slot: int, base: int) -> int:
    """How a life whose numbers begin at `base` has the kernel keep its slot: 32 bits, the half unchanged."""
    return (slot & HALF) | ((slot + base) % HALF)


def base_beyond(slots: Collection[int]) -> int:
    """Where the next life's numbers begin: behind the last of these before the widest free stretch."""
    used = sorted({slot % HALF for slot in slots})
    if not used:
        return 0
    gaps = [(following - number, number) for number, following in pairwise(used)]
    gaps.append((used[0] + HALF - used[-1], used[-1]))
    return (max(gaps)[1] + 1) % HALF


def read_standing(nft: nftables.Nftables, table: str, families: tuple[int, ...]) -> Standing | None:
    """What the tables under this name hold; None where one is missing, dormant or not told the same as the
    others, or where one of a family stands that should not.
    """
    whole: dict[Address, int] | None = None
    slots: set[int] = set()
    for family in gate_rules.FAMILIES:
        listed = nft.listing(nftables.GET_TABLE, family, table)
        if bool(listed) != (family in families):
            return None
        if not listed:
            continue
        if int.from_bytes(attributes(listed[0]).get(2, b""), "big"):
            return None  # dormant: it filters nothing
        pointed = _pointed(nft, table, family)
        whole = pointed if whole is None else whole  # that of the first family, which knows every version
        versions = gate_rules.versions(family)
        if pointed != {address: slot for address, slot in whole.items() if address.version in versions}:
            return None
        slots.update(pointed.values())
        slots.update(_number(record) for record in nft.listed_elements(family, table, "armed"))
    return Standing(frozenset(whole or ()), frozenset(slots))


def _pointed(nft: nftables.Nftables, table: str, family: int) -> dict[Address, int]:
    """Address to slot, as one table has it."""
    found: dict[Address, int] = {}
    for version in gate_rules.versions(family):
        for record in nft.listed_elements(family, table, f"pointed{version}"):
            known = attributes(record)
            address = ip_address(attributes(known[1])[1])
            found[address] = int.from_bytes(attributes(known[2])[1], "big")
    return found


def _number(record: bytes) -> int:
    return int.from_bytes(attributes(attributes(record)[1])[1], "big")
