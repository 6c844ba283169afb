"""The gate: the kernel itself ends a lease, whatever becomes of this process.

What must hold: a managed address is used from this host only while an element that was armed *before* a beat
was sent, and pointed at *after* the majority acknowledged that beat, has not run out in the kernel. A call
that comes late can only point at an element that is gone: the gate stays closed. Slots only grow, those of
usual leases (below 2**31) and those of long ones (from there) each for themselves, and the kernel refuses to
arm one twice, so no lease is ever prolonged. What `adopt` takes over keeps this: see gate_adoption.py.

Each call is one transaction over all tables, made of prepared bytes, and returns only when the kernel
confirmed it. Each names the generation of the ruleset that we left; when another tool has changed anything
since, the kernel refuses, we look whether our rules still stand, and go on or raise `GateLost`.

Why, costs and precision: docs/decisions/0101-the-gate.md.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

from zcluster.adapters import gate_rules, nftables
from zcluster.adapters.gate_adoption import HALF, base_beyond, kernel_slot, read_standing, twin_of
from zcluster.adapters.gate_batches import Batches
from zcluster.adapters.netlink import Refused, attributes
from zcluster.errors import KernelRefused

Address = IPv4Address | IPv6Address

ATTEMPTS = 4  # how often a transaction is tried again after others changed the ruleset meanwhile

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
        self._newest = [-1, -1]  # armed last: of the usual slots, of the long ones
        self._floor: dict[Address, tuple[int, ...]] = {}
        self._base = 0
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
        families = self._put(self._table, managed, covered)
        self._pointed.clear()
        self._generation = self._nftables.generation()
        self._installed = self._listing(families)
        self._stand(families, managed, covered)
        self.missing = tuple(name for name in interfaces if name not in present)

    def adopt(
        self, managed: Sequence[Address], interfaces: Sequence[str], kept: Collection[Address] = ()
    ) -> bool:
        """Take over the rules of a predecessor that left them standing on purpose; closes nothing of `kept`.

        True if they are exactly what `install` would make for the same arguments; what is open of other
        addresses than `kept` is closed then. False, with nothing changed, if anything differs: `install`.
        Raises `KernelRefused`, or `GateLost` where the closing met another tool: `install` as well.
        """
        present = {name for _index, name in socket.if_nameindex()}
        if not present.issuperset(interfaces):
            return False
        twin = twin_of(self._table)
        try:
            families = self._put(twin, managed, tuple(interfaces), nftables.TABLE_IS_DORMANT)
            wanted = self._comparable(twin, families)
        finally:
            self._delete(twin)
        self._generation = self._nftables.generation()
        standing = read_standing(self._nftables, self._table, families)
        if standing is None or self._comparable(self._table, families) != wanted:
            return False
        self._installed = self._listing(families)
        if self._nftables.generation() != self._generation:
            self._installed = None
            return False
        self._stand(families, managed, tuple(interfaces))
        self._pointed = dict.fromkeys(standing.pointed, -1)
        self._base = base_beyond(standing.slots)
        self.close([address for address in standing.pointed if address not in kept])
        return True

    def arm(self, slot: int, addresses: Sequence[Address], lease_ms: int) -> None:
        """Let the kernel hold (address, slot) for `lease_ms`; call it before the beat of that number is sent.

        The kernel rounds down to its tick: the element may run out one tick early, never late.
        Raises `GateLost`, or `KernelRefused`: then that beat must not count for the lease.
        """
        half = slot // HALF
        assert slot > self._newest[half], "a slot is armed once"
        assert self._managed.issuperset(addresses), "only what the gate was installed for can be armed"
        self._newest[half] = slot
        if addresses:
            self._commit("arming the gate", self._batches.arm(kernel_slot(slot, self._base), lease_ms))

    def point(self, addresses: Sequence[Address], slot: int) -> None:
        """A majority acknowledged beat `slot`: the addresses now live as long as what was armed for it.

        Raises `GateLost`, or `KernelRefused`: then the gate is as before.
        """
        half = slot // HALF
        floors = [self._floor[address][half] for address in addresses if address in self._floor]
        assert all(slot > floor for floor in floors), "a released lease is dead"
        assert slot <= self._newest[half], "what is armed later must not open by itself"
        if not addresses:
            return
        old = tuple(address for address in addresses if address in self._pointed)
        mark = kernel_slot(slot, self._base)
        self._commit("pointing the gate", self._batches.point(old, tuple(addresses), mark))
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
            self._floor[address] = tuple(self._newest)

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
        self._delete(self._table)
        self._installed = None
        self._pointed.clear()

    def shut(self) -> None:
        """Give the socket back. The rules stay, and what is armed runs out by itself."""
        self._nftables.close()

    def _put(
        self, table: str, managed: Sequence[Address], covered: tuple[str, ...], flags: int = 0
    ) -> tuple[int, ...]:
        """Put closed rules in the place of what stands under this name; the families of tables made."""
        packed: dict[int, list[bytes]] = {4: [], 6: []}
        for address in dict.fromkeys(managed):
            packed[address.version].append(address.packed)

        def replace(families: tuple[int, ...], interfaces: tuple[str, ...]) -> tuple[int, ...]:
            messages: list[bytes] = []
            for family in families:
                messages += gate_rules.ruleset(table, family, packed, interfaces, flags)
            self._nftables.commit("installing the gate", nftables.batch_body(messages))
            return families

        if covered:
            try:
                return replace(gate_rules.FAMILIES, covered)
            except Refused as refusal:
                if refusal.number not in _NO_EGRESS:
                    raise
        return replace(gate_rules.FAMILIES[:2], ())

    def _stand(self, families: tuple[int, ...], managed: Sequence[Address], covered: tuple[str, ...]) -> None:
        self.egress_supported = nftables.NETDEV in families
        self.covered = covered if self.egress_supported else ()
        self.missing = ()
        self._batches = Batches(self._table, families)
        self._managed = frozenset(managed)

    def _delete(self, table: str) -> None:
        gone = []
        for family in gate_rules.FAMILIES:
            if self._nftables.listing(nftables.GET_TABLE, family, table):
                gone.append(nftables.table(nftables.DELETE_TABLE, family, table))
        if gone:
            self._nftables.commit("removing the gate", nftables.batch_body(gone))

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
        return self._listed(self._table, families, _LISTED)

    def _comparable(self, table: str, families: Sequence[int]) -> tuple[bytes, ...]:
        """The same without what differs between two tables of the same rules: names, handles, dormancy."""
        kinds = {kind: kept for kind, kept in _LISTED.items() if kind != nftables.GET_TABLE}
        return self._listed(table, families, kinds)

    def _listed(
        self, table: str, families: Sequence[int], kinds: Mapping[int, Sequence[int]]
    ) -> tuple[bytes, ...]:
        found: list[bytes] = []
        for family in families:
            for kind, kept in kinds.items():
                for record in self._nftables.listing(kind, family, table):
                    known = attributes(record)
                    found += [known[number] for number in kept if number in known]
            for version in gate_rules.versions(family):
                found += sorted(self._nftables.listed_elements(family, table, f"managed{version}"))
        return tuple(found)
