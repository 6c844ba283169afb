"""Where everything of the shared file is on this host: links, groups, references, canaries.

What must hold: pure, from the file and this host's identity.
"""

from __future__ import annotations

from collections.abc import Sequence

from zcluster.config.configuration import Configuration
from zcluster.config.identity import Identity, LocalLink
from zcluster.supervisor.discovery import Listed
from zcluster.supervisor.perform import GroupPlace, ReferencePlace
from zcluster.supervisor.sightings import Address, canary_of
from zcluster.supervisor.status import LinkFacts
from zcluster.supervisor.transport import Place


def link_place(local: LocalLink) -> Place:
    """How a link is spoken on here."""
    link = local.link
    return Place(
        link=link.name,
        interface=local.interface,
        address=str(local.address),
        multicast=str(link.multicast) if link.multicast else "",
        beacon_port=link.beacon_port,
        bus_port=link.bus_port,
        ttl=link.ttl,
    )


def listed_links(identity: Identity) -> tuple[Listed, ...]:
    """The links without multicast, and whom to ask there."""
    return tuple(
        Listed(local.link.name, local.link.network, local.address, local.link.peers)
        for local in identity.links
        if local.link.peers
    )


def group_places(configuration: Configuration, identity: Identity) -> tuple[GroupPlace, ...]:
    """Each group with its interface and one canary for each of its subnets."""
    managed = [address.ip for group in configuration.groups for address in group.addresses]
    places = []
    for local in identity.groups:
        addresses = tuple(address.ip for address in local.group.addresses)
        canaries: dict[Address, None] = {}
        for address in local.group.addresses:
            canary = canary_of(address, managed)
            if canary is not None:
                canaries[canary] = None
        places.append(GroupPlace(local.group.name, local.interface, addresses, tuple(canaries)))
    return tuple(places)


def reference_places(identity: Identity) -> tuple[ReferencePlace, ...]:
    """Every reference address with the interface to ask on."""
    return tuple(
        ReferencePlace(local.link.name, local.interface, address)
        for local in identity.links
        for address in local.link.reference
    )


def gated_interfaces(groups: Sequence[GroupPlace]) -> tuple[str, ...]:
    """The interfaces that floating addresses appear on, each once."""
    return tuple(dict.fromkeys(group.interface for group in groups))


def link_facts(configuration: Configuration, identity: Identity) -> tuple[LinkFacts, ...]:
    """This host's links, for the status."""
    services = {link.name for link in configuration.service_links}
    return tuple(
        LinkFacts(local.link.name, local.interface, str(local.address), local.link.name in services)
        for local in identity.links
    )
