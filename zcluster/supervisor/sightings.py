"""Frames on a service network, sorted into what the core wants to know.

What must hold: pure; a frame of this host's own is nothing; an address is spelled as in the settings. Who only
asks whether anybody has an address (a probe: our own peers do) does not use it. For each subnet of a group there
is one canary, an address that nobody holds: who answers for it answers for everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from zcluster.adapters.neighbour_frames import Kind
from zcluster.control.events import AddressSeen, Event, ReferenceSeen

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface

# "zc-canary" in hexadecimal letters would be longer than an interface identifier; this one is as unlikely.
CANARY_IDENTIFIER = 0x02_7A63_FFFE_CA_FA_12
LEAST_HOST_BITS = 2


def canary_of(interface: Interface, taken: Iterable[Address] = ()) -> Address | None:
    """The address to ask for in that subnet; None where the subnet is too small to have one.

    IPv4: the network's own address, which no host may have. IPv6: a fixed unlikely identifier, because the
    network's own address is that of its routers (RFC 4291, 2.6.1).
    """
    network = interface.network
    host_bits = network.max_prefixlen - network.prefixlen
    if host_bits < LEAST_HOST_BITS:
        return None
    if isinstance(network.network_address, IPv4Address):
        return network.network_address
    identifier = CANARY_IDENTIFIER % (1 << host_bits)
    canary = network.network_address + (identifier or 1)
    return None if canary in set(taken) else canary


class Sightings:
    """What addresses mean on this host's service interfaces."""

    def __init__(
        self,
        own_macs: Iterable[str],
        managed: Iterable[Address],
        canaries: Iterable[Address],
        references: Iterable[tuple[str, Address]],
    ) -> None:
        """`references`: (link, address) pairs."""
        self._own_macs = frozenset(own_macs)
        self._managed = {address: str(address) for address in managed}
        self._canaries = {address: str(address) for address in canaries}
        self._references = {address: link for link, address in references}

    def event(self, address: Address, mac: str, kind: Kind) -> Event | None:
        """What it means that `mac` did `kind` with `address`."""
        if kind is Kind.PROBE or mac in self._own_macs:
            return None
        spelled = self._managed.get(address)
        if spelled is not None:
            return AddressSeen(spelled, mac)
        link = self._references.get(address)
        if link is not None:
            return ReferenceSeen(link)
        spelled = self._canaries.get(address)
        if spelled is not None:
            return AddressSeen(spelled, mac, is_canary=True)
        return None
