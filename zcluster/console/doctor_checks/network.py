"""Who answers for everything on a service network: one question for an address that nobody has.

What must hold: it asks as a stranger would and names no address as ours, so that nobody's table changes.
"""

from __future__ import annotations

import select
import time
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

from zcluster.adapters.neighbour_frames import Sighting
from zcluster.adapters.neighbours import Neighbours
from zcluster.config.configuration import Configuration
from zcluster.config.identity import Identity
from zcluster.console.doctor_checks.finding import Finding, error, good, unknown
from zcluster.console.words import counted, listed
from zcluster.errors import KernelRefused
from zcluster.supervisor.places import group_places

Address = IPv4Address | IPv6Address

ATTEMPTS = 3
WAIT_S = 0.3


def canaries_of(configuration: Configuration, identity: Identity) -> dict[str, tuple[Address, ...]]:
    """On each service interface of this host, the addresses that nobody may have."""
    found: dict[str, dict[Address, None]] = {}
    for place in group_places(configuration, identity):
        found.setdefault(place.interface, {}).update(dict.fromkeys(place.canaries))
    return {interface: tuple(canaries) for interface, canaries in found.items()}


def look(canaries: Mapping[str, Sequence[Address]], own_macs: Collection[str]) -> list[Sighting] | str:
    """Who answered for a canary; a text where it could not be asked. Takes a second."""
    watched = {address for addresses in canaries.values() for address in addresses}
    try:
        neighbours = Neighbours(tuple(canaries), watched, own_macs)
    except KernelRefused as refusal:
        return str(refusal)
    try:
        seen: list[Sighting] = []
        for _ in range(ATTEMPTS):
            for interface, addresses in canaries.items():
                for address in addresses:
                    neighbours.probe(interface, address)
            seen += _heard(neighbours)
        return seen
    except KernelRefused as refusal:
        return str(refusal)
    finally:
        neighbours.close()


def findings(seen: Sequence[Sighting] | str, canaries: Mapping[str, Sequence[Address]]) -> list[Finding]:
    """What the answers mean."""
    if isinstance(seen, str):
        return [unknown("proxy ARP", f"the service network was not asked: {seen}", "run the doctor as root")]
    found = [
        error(
            "proxy ARP",
            f"{mac} on {interface} answers for {address}, which nobody has: it would answer for a floating "
            "address as well, and a node that asks before it takes over never sees it free",
            "switch proxy ARP (or neighbour proxying) off on that device, at least for this network",
        )
        for interface, address, mac in dict.fromkeys((one.interface, one.address, one.mac) for one in seen)
    ]
    if found or not canaries:
        return found
    names = counted(len(canaries), "service interface")
    return [good("proxy ARP", f"nobody answers for an unused address ({names}: {listed(tuple(canaries))})")]


def _heard(neighbours: Neighbours) -> list[Sighting]:
    seen: list[Sighting] = []
    limit_s = time.monotonic() + WAIT_S
    while (left_s := limit_s - time.monotonic()) > 0:
        select.select([neighbours], [], [], left_s)
        seen += neighbours.receive()
    return seen
