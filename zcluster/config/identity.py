"""Who am I? The file is the same on every host, so each host finds itself in it.

The node's name is the host's name, and an interface is found by matching a network of the file against the
addresses this host has. What must hold: this is a pure function of its arguments; a floating address that an
earlier run left behind is never taken for the host's own; where the answer is not unique nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from zcluster.config.configuration import Address, Configuration, Group, Link, Network
from zcluster.config.names import NAME_RULE, is_name
from zcluster.errors import IdentityError


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """One address that this host has. Hand them in as the kernel lists them: primary addresses come first."""

    interface: str
    address: Address


@dataclass(frozen=True, slots=True)
class LocalLink:
    """A link of the file, and where it is on this host."""

    link: Link
    interface: str
    address: Address


@dataclass(frozen=True, slots=True)
class LocalGroup:
    """A group of the file, and the interface its addresses appear on when this host holds it."""

    group: Group
    interface: str


@dataclass(frozen=True, slots=True)
class Identity:
    """This host's place in the cluster; links and groups in the order of the file."""

    node: str
    links: tuple[LocalLink, ...]
    groups: tuple[LocalGroup, ...]

    def link(self, name: str) -> LocalLink:
        """The local side of the link of that name; KeyError when there is none."""
        for local in self.links:
            if local.link.name == name:
                return local
        raise KeyError(name)


def identify(
    configuration: Configuration,
    host_name: str,
    local_addresses: Sequence[LocalAddress],
    *,
    node_name: str | None = None,
) -> Identity:
    """This host's identity. `node_name`, where given, stands in for the host's name.

    A witness carries nothing, so it need not be on every network: one link is enough for it. Raises
    IdentityError, which lists everything that does not fit at once.
    """
    wrong: list[str] = []
    own = _without_floating(configuration, local_addresses)
    node = node_name or host_name.split(".")[0]
    if not is_name(node):
        wrong.append(
            f"{node!r} cannot be a node's name: {NAME_RULE}; set this host's name, or give --node NAME"
        )
    is_witness = any(fnmatchcase(node, pattern) for pattern in configuration.witnesses)
    links = tuple(
        local
        for link in configuration.links
        if not (is_witness and not _inside(link.network, own))
        and (local := _local_link(link, own, wrong)) is not None
    )
    groups = tuple(
        LocalGroup(group, interface)
        for group in configuration.groups
        if not (is_witness and (group.network is None or not _inside(group.network, own)))
        and (interface := _group_interface(group, configuration, own, wrong)) is not None
    )
    if not links and not wrong:
        networks = ", ".join(str(link.network) for link in configuration.links)
        wrong.append(f"no local address is in any link's network ({networks}); give an interface its address")
    if wrong:
        raise IdentityError("\n".join(["this host does not fit the file:", *(f"  {line}" for line in wrong)]))
    return Identity(node, links, groups)


def _without_floating(
    configuration: Configuration, addresses: Sequence[LocalAddress]
) -> tuple[LocalAddress, ...]:
    floating = {address.ip for group in configuration.groups for address in group.addresses}
    return tuple(local for local in addresses if local.address not in floating)


def _local_link(link: Link, own: Sequence[LocalAddress], wrong: list[str]) -> LocalLink | None:
    """Where the link is here; the first address counts when one interface has several in its network."""
    inside = _inside(link.network, own)
    if _is_unique(f"link {link.name}", link.network, inside, own, wrong):
        return LocalLink(link, inside[0].interface, inside[0].address)
    return None


def _group_interface(
    group: Group, configuration: Configuration, own: Sequence[LocalAddress], wrong: list[str]
) -> str | None:
    """The interface for a group's addresses; silent where its link's own fault is already told."""
    if group.interface is not None:
        return group.interface
    assert group.network is not None, "the schema gives every group a network or an interface"
    inside = _inside(group.network, own)
    told = wrong if all(link.network != group.network for link in configuration.links) else []
    if _is_unique(f"group {group.name}", group.network, inside, own, told):
        return inside[0].interface
    return None


def _inside(network: Network, own: Sequence[LocalAddress]) -> list[LocalAddress]:
    return [local for local in own if local.address in network]


def _is_unique(
    what: str,
    network: Network,
    inside: Sequence[LocalAddress],
    own: Sequence[LocalAddress],
    wrong: list[str],
) -> bool:
    """Is there exactly one interface with an address in that network? If not, say so in `wrong`."""
    interfaces = sorted({local.interface for local in inside})
    if len(interfaces) == 1:
        return True
    if not interfaces:
        seen = ", ".join(f"{local.address} on {local.interface}" for local in own) or "none at all"
        wrong.append(
            f"{what}: no local address in {network} (this host has {seen}); "
            "give the interface its address, or correct the network in the file"
        )
    else:
        several = ", ".join(f"{local.address} on {local.interface}" for local in inside)
        wrong.append(
            f"{what}: several interfaces have an address in {network} ({several}); "
            "make the network in the file narrower, so that it means one of them"
        )
    return False
