"""The gate's transactions as prepared bytes: only slot and timeout change from one to the next.

What must hold: every table is told the same in the same transaction, and arming carries NLM_F_EXCL, so that
the kernel refuses to arm an element that has not run out.

A prepared transaction is a list of pieces between which the slot's four bytes go: `slot.join(pieces)`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address

from zcluster.adapters import gate_rules, netlink, nftables

Address = IPv4Address | IPv6Address
Addresses = tuple[Address, ...]

PREPARED = 256  # how many different transactions are kept at most; groups are few

_SLOT = struct.Struct(">I")
_EXCLUSIVE = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL


class Batches:
    """The bodies of the transactions over the tables of these families."""

    def __init__(self, table: str, families: Sequence[int]) -> None:
        self._table = table
        self.families = tuple(families)
        self._prepared: dict[tuple[object, ...], list[bytes]] = {}

    def arm(self, slot: int, lease_ms: int) -> bytes:
        """Add the slot with a timeout of one lease."""
        pieces = self._prepared.get((lease_ms,))
        if pieces is None:
            pieces = self._keep((lease_ms,), lambda mark: self._armed(mark, lease_ms))
        return _SLOT.pack(slot).join(pieces)

    def point(self, old: Addresses, addresses: Addresses, slot: int) -> bytes:
        """Point the addresses at a slot; `old` are those of them that already point somewhere."""
        pieces = self._prepared.get((old, addresses))
        if pieces is None:
            pieces = self._keep((old, addresses), lambda mark: self._repointed(old, addresses, mark))
        return _SLOT.pack(slot).join(pieces)

    def close(self, addresses: Addresses) -> bytes:
        """Take away where the addresses point to."""
        return nftables.batch_body(self._unpointed(addresses))

    def _keep(self, key: tuple[object, ...], build: Callable[[bytes], list[bytes]]) -> list[bytes]:
        if len(self._prepared) >= PREPARED:
            self._prepared.clear()
        self._prepared[key] = pieces = _split(build)
        return pieces

    def _armed(self, mark: bytes, lease_ms: int) -> list[bytes]:
        listed = nftables.element(mark, timeout_ms=lease_ms)
        return [
            nftables.elements(nftables.NEW_ELEMENT, _EXCLUSIVE, family, self._table, "armed", listed)
            for family in self.families
        ]

    def _repointed(self, old: Addresses, addresses: Addresses, mark: bytes) -> list[bytes]:
        return self._unpointed(old) + self._told(
            nftables.NEW_ELEMENT,
            _EXCLUSIVE,
            "pointed",
            addresses,
            lambda address: nftables.element(address.packed, mark),
        )

    def _unpointed(self, addresses: Addresses) -> list[bytes]:
        return self._told(
            nftables.DELETE_ELEMENT, 0, "pointed", addresses, lambda address: nftables.element(address.packed)
        )

    def _told(
        self, kind: int, flags: int, name: str, addresses: Addresses, element: Callable[[Address], bytes]
    ) -> list[bytes]:
        """The same elements for the set of this name in every table, at most a few hundred a message."""
        messages = []
        for family in self.families:
            for version in gate_rules.versions(family):
                listed = [element(address) for address in addresses if address.version == version]
                for start in range(0, len(listed), gate_rules.ELEMENTS_PER_MESSAGE):
                    part = b"".join(listed[start : start + gate_rules.ELEMENTS_PER_MESSAGE])
                    set_name = f"{name}{version}"
                    messages.append(nftables.elements(kind, flags, family, self._table, set_name, part))
        return messages


def _split(build: Callable[[bytes], list[bytes]]) -> list[bytes]:
    """Build with two different marks in the slot's place; where the two differ, there the slot goes.

    The marks differ in every byte, and nothing else does, so no address can be mistaken for a mark.
    """
    first = nftables.batch_body(build(b"\x00\x00\x00\x00"))
    second = nftables.batch_body(build(b"\xff\xff\xff\xff"))
    pieces, start, at = [], 0, 0
    while at < len(first):
        if first[at] != second[at]:
            pieces.append(first[start:at])
            at += _SLOT.size
            start = at
        else:
            at += 1
    pieces.append(first[start:])
    return pieces
