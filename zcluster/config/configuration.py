"""The cluster's file as plain values: what the rest of the house sees of it.

What must hold: these values are the same on every host, because the file is. Nothing here depends on pydantic,
on this host's name or on its addresses (that is `zcluster.config.identity`), and nothing here can change.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path

from zcluster.control.timing import Timing

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network


class Mode(StrEnum):
    """Whether the nodes move addresses, or only say what they would have done (docs/decisions/0301)."""

    ACTIVE = "active"
    OBSERVE = "observe"


class LinkRole(StrEnum):
    """What a link is for. Both kinds carry beats; only a service link carries floating addresses."""

    CLUSTER = "cluster"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Link:
    """One network that beats travel on.

    `network` is what a host matches its own addresses against. `reference` are addresses in it that answer
    ARP or neighbour solicitations whenever this network works for us; only service links have them.
    A link finds peers by its `multicast` group, or (None) by asking each of `peers`, addresses or DNS names;
    a node skips its own.
    """

    name: str
    role: LinkRole
    network: Network
    multicast: Address | None
    beacon_port: int
    bus_port: int
    ttl: int
    reference: tuple[Address, ...] = ()
    peers: tuple[Address | str, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """A place whose nodes share their fate; `nodes` are patterns of names."""

    name: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """What moves together. Exactly one of `network` and `interface` says where its addresses live.

    `link` names the service link of that network; it is empty when the interface was given by name and more
    than one service link could be meant. `priority`: higher keeps its holder when nodes run out.
    `apart_from`: groups whose masters should stand at another site.
    """

    name: str
    addresses: tuple[Interface, ...]
    network: Network | None
    interface: str | None
    link: str
    priority: int = 100
    allowed: tuple[str, ...] = ("*",)
    preferred: tuple[str, ...] = ()
    apart_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole file. `digest` is the SHA-256 of its bytes, in hexadecimal.

    `witnesses`: patterns of nodes that vote and never hold. `survivor_claims`: of two voters, the one that
    still reaches its references may go on alone. `is_recording`: keep what `zcluster replay` reads.
    """

    name: str
    expected_nodes: int
    preset: str
    timing: Timing
    key_file: Path
    state_dir: Path
    run_dir: Path
    links: tuple[Link, ...]
    groups: tuple[Group, ...]
    several_groups_per_node: bool = False
    failback: bool = False
    never_master: tuple[str, ...] = ()
    witnesses: tuple[str, ...] = ()
    survivor_claims: bool = False
    forget_after_s: int = 600
    mode: Mode = Mode.ACTIVE
    is_recording: bool = False
    sites: tuple[Site, ...] = ()
    digest: str = ""

    @property
    def cluster_links(self) -> tuple[Link, ...]:
        """The links that serve the cluster alone."""
        return tuple(link for link in self.links if link.role is LinkRole.CLUSTER)

    @property
    def service_links(self) -> tuple[Link, ...]:
        """The links that carry the floating addresses."""
        return tuple(link for link in self.links if link.role is LinkRole.SERVICE)

    @property
    def is_observing(self) -> bool:
        """Whether nothing of any host may be touched."""
        return self.mode is Mode.OBSERVE

    @property
    def control_socket(self) -> Path:
        """Where the local daemon listens for `zcluster status` and its like."""
        return self.run_dir / "control.sock"

    def link(self, name: str) -> Link:
        """The link of that name; KeyError when there is none."""
        for link in self.links:
            if link.name == name:
                return link
        raise KeyError(name)

    def group(self, name: str) -> Group:
        """The group of that name; KeyError when there is none."""
        for group in self.groups:
            if group.name == name:
                return group
        raise KeyError(name)
