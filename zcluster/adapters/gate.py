"""The gate: the kernel itself ends a lease, whatever becomes of this process.

What must hold: a managed address is used from this host only while an element that was armed *before* a beat
was sent, and pointed at *after* the majority acknowledged that beat, has not run out in the kernel. A call
that comes late can only point at an element that is gone: the gate stays closed. Slots only grow and the
kernel refuses to arm one twice, so no lease is ever prolonged.

Each call is one transaction over all tables, made of prepared bytes, and returns only when the kernel
confirmed it. Each names the generation of the ruleset that we left; when another tool has changed anything
since, the kernel refuses, we look whether our rules still stand, and go on or raise `GateLost`.

Why, costs and precision: docs/decisions/0101-the-gate.md.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from zcluster.adapters import gate_rules, nftables
from zcluster.adapters.gate_batches import Batches
from zcluster.adapters.netlink import Refused, attributes
from zcluster.errors import KernelRefused

Address = IPv4Address | IPv6Address

ATTEMPTS = 4  # how often a transaction is tried again after others changed the ruleset meanwhile
SLOTS = 1 << 32  # a slot is kept in 32 bits; at 100 beats a second it comes round after 497 days

# What of each listed object is compared: no counters. Numbers from linux/netfilter/nf_tables.h.
_LISTED = {
    nftables.GET_TABLE: (1, 2, 4),  # name, flags (a dormant table filters nothing), handle (it is this one)
    nftables.GET_CHAIN: (3, 4, 5),  # name, hook, policy
    nftables.GET_RULE: (2, 4),  # chain, expressions
    nftables.GET_SET: (2, 3, 5, 7),  # name, flags, lengths of key and data
}
_NO_EGRESS = (errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.ENOENT, errno.EINVAL, errno.EPROTONOSUPPORT)


class GateLost(KernelRefused):
    """Our rules no longer stand as installed: another tool removed or changed them. `install` again."""


class Gate:
    """The packet filter of one node, in the network namespace in which it was made.

    `egress_supported`: packets sent through packet sockets are gated as well, on every interface of
    `covered`. Where it is false (kernels before 5.16), whoever sends such a packet for a managed address
    re-checks the lease's deadline immediately before. `missing` names interfaces that did not exist.
    """

    def __init__(self, table: str = "zcluster") -> None:
        self._table = table
        self._nftables = nftables.Nftables()
        self._batches = Batches(table, ())
        self._installed: tuple[bytes, ...] | None = None
        self._generation = 0
        self._managed: frozenset[Address] = frozenset()
        self._pointed: dict[Address, int] = {}
        self._floor: dict[Address, int] = {}
        self._last_slot = -1
        self.egress_supported = False
        self.covered: tuple[str, ...] = ()
        self.missing: tuple[str, ...] = ()

    def install(self, managed: Sequence[Address], interfaces: Sequence[str]) -> None:
        """Put closed rules for these addresses in the place of whatever stands, in one step.

        A new incarnation's first act; also the mend after `GateLost`, and after an interface came.
        Raises `KernelRefused`; then nothing has changed.
        """
        present = {name for _index, name in socket.if_nameindex()}
        covered = tuple(name for name in interfaces if name in present)
        packed: dict[int, list[bytes]] = {4: [], 6: []}
        for address in dict.fromkeys(managed):
            packed[address.version].append(address.packed)
        self.egress_supported = bool(covered) and self._try_with_egress(packed, covered)
        families = gate_rules.FAMILIES if self.egress_supported else gate_rules.FAMILIES[:2]
        if not self.egress_supported:
            self._replace(families, packed, ())
        self.covered = covered if self.egress_supported else ()
        self.missing = tuple(name for name in interfaces if name not in present)
        self._batches = Batches(self._table, families)
        self._managed = frozenset(managed)
        self._pointed.clear()
        self._generation = self._nftables.generation()
        self._installed = self._listing(families)

    def arm(self, slot: int, addresses: Sequence[Address], lease_ms: int) -> None:
        """Let the kernel hold (address, slot) for `lease_ms`; call it before the beat of that number is sent.

        The kernel rounds down to its tick: the element may run out one tick early, never late.
        Raises `GateLost`, or `KernelRefused`: then that beat must not count for the lease.
        """
        assert slot > self._last_slot, "a slot is armed once"
        assert self._managed.issuperset(addresses), "only what the gate was installed for can be armed"
        self._last_slot = slot
        if addresses:
            self._commit("arming the gate", self._batches.arm(slot % SLOTS, lease_ms))

    def point(self, addresses: Sequence[Address], slot: int) -> None:
        """A majority acknowledged beat `slot`: the addresses now live as long as what was armed for it.

        Raises `GateLost`, or `KernelRefused`: then the gate is as before.
        """
        assert all(slot > self._floor.get(address, -1) for address in addresses), "a released lease is dead"
        if not addresses:
            return
        old = tuple(address for address in addresses if address in self._pointed)
        self._commit("pointing the gate", self._batches.point(old, tuple(addresses), slot % SLOTS))
        self._pointed.update(dict.fromkeys(addresses, slot))

    def close(self, addresses: Sequence[Address]) -> None:
        """Close the gate for these addresses now; on return the kernel has confirmed it.

        What was armed up to now can never open them again. Raises `GateLost` or `KernelRefused`: then
        they must not be called closed, and no release may be sent.
        """
        open_ones = tuple(address for address in addresses if address in self._pointed)
        if open_ones:
            self._commit("closing the gate", self._batches.close(open_ones))
        elif not self.is_intact():
            raise GateLost(f"packet filter table {self._table} was changed by another tool")
        for address in addresses:
            self._pointed.pop(address, None)
            self._floor[address] = self._last_slot

    def is_intact(self) -> bool:
        """Whether our rules stand as they were installed. Cheap while nobody else changes the ruleset."""
        try:
            generation = self._nftables.generation()
            if self._installed is not None and generation == self._generation:
                return True
            self._look_again()
        except GateLost:
            return False
        return True

    def remove(self) -> None:
        """Take all our rules away: from here on nothing is gated. For an orderly uninstall only."""
        gone = []
        for family in gate_rules.FAMILIES:
            if self._nftables.listing(nftables.GET_TABLE, family, self._table):
                gone.append(nftables.table(nftables.DELETE_TABLE, family, self._table))
        if gone:
            self._nftables.commit("removing the gate", nftables.batch_body(gone))
        self._installed = None
        self._pointed.clear()

    def shut(self) -> None:
        """Give the socket back. The rules stay, and what is armed runs out by itself."""
        self._nftables.close()

    def _try_with_egress(self, packed: dict[int, list[bytes]], covered: tuple[str, ...]) -> bool:
        try:
            self._replace(gate_rules.FAMILIES, packed, covered)
        except Refused as refusal:
            if refusal.number not in _NO_EGRESS:
                raise
            return False
        return True

    def _replace(
        self, families: Sequence[int], packed: dict[int, list[bytes]], covered: tuple[str, ...]
    ) -> None:
        messages: list[bytes] = []
        for family in families:
            messages += gate_rules.ruleset(self._table, family, packed, covered)
        self._nftables.commit("installing the gate", nftables.batch_body(messages))

    def _commit(self, action: str, body: bytes) -> None:
        for _attempt in range(ATTEMPTS):
            if self._installed is None:
                break
            try:
                self._nftables.commit(action, body, self._generation)
            except Refused as refusal:
                if refusal.number == errno.ENOENT:
                    raise GateLost(f"{action}: table {self._table} is gone or was changed") from refusal
                if refusal.number != errno.ERESTART:
                    raise
                self._look_again()
            else:
                self._generation = (self._generation + 1) % (1 << 32) or 1
                return
        raise GateLost(f"{action}: table {self._table} is not installed, or its ruleset never comes to rest")

    def _look_again(self) -> None:
        """Take the ruleset's present generation as ours if our part of it is unchanged."""
        generation = self._nftables.generation()
        if self._installed is None or self._listing(self._batches.families) != self._installed:
            self._installed = None
            raise GateLost(f"packet filter table {self._table} was removed or changed by another tool")
        self._generation = generation

    def _listing(self, families: Sequence[int]) -> tuple[bytes, ...]:
        """Everything of ours that must not change between two installations, as the kernel tells it."""
        found: list[bytes] = []
        for family in families:
            for kind, kept in _LISTED.items():
                for record in self._nftables.listing(kind, family, self._table):
                    known = attributes(record)
                    found += [known[number] for number in kept if number in known]
            for version in gate_rules.versions(family):
                found += sorted(self._nftables.listed_elements(family, self._table, f"managed{version}"))
        return tuple(found)
