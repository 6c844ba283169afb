"""The cluster's file as plain values: what the rest of the house sees of it.

What must hold: these values are the same on every host, because the file is. Nothing here depends on pydantic,
on this host's name or on its addresses (that is `zcluster.config.identity`), and nothing here can change.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from typing import NamedTuple

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
    a node skips its own. Streams come out of `data_port`, and requests go to the port after it (TCP both).
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
    data_port: int = 7702


class SocketAddress(NamedTuple):
    """Where a TCP socket listens."""

    address: Address
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class SwitchCondition:
    """An event of the switch that means it is broken; `match` are header names and their exact values."""

    event: str
    match: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SwitchSettings:
    """The FreeSWITCH that runs on every host. Without a `password_file` FreeSWITCH's well-known one counts.

    A pulse goes through its event system every `pulse_ms`, and must be back within `pulse_limit_ms`.
    `limits_port`: where mod_hash of this host asks what the others count. `batch_calls` are recovered at once.
    """

    event_socket: SocketAddress
    core_db: Path
    password_file: Path | None = None
    pulse_ms: int = 50
    pulse_limit_ms: int = 500
    limits_port: int = 8022
    batch_calls: int = 50
    conditions: tuple[SwitchCondition, ...] = ()


@dataclass(frozen=True, slots=True)
class Limit:
    """What all nodes together may use of what the dialplan limits as `name` ("realm_resource").

    `rate`: calls in one second. `sessions`: at the same time, never one more; the dialplan's own number. At least one
    of the two is given. The name "sessions-per-second" means the core's own rate, and has no `sessions`.
    """

    name: str
    rate: int | None = None
    sessions: int | None = None


LOOPBACK = "loopback"
OFF = "off"


@dataclass(frozen=True, slots=True)
class ToolsSettings:
    """What the tools process offers. A place to listen is the name of a link, or LOOPBACK.

    The bus for tools publishes on `port` of each place in `listen` (none: there is no such bus), and answers on the
    port after it. `readers`: names whose keys are admitted there and to the story on the cluster's bus. `metrics` is
    OFF or a place. `switch_events`: the switch of this host, if the file has one, is told what happens.
    """

    listen: tuple[str, ...] = ()
    port: int = 7710
    readers: tuple[str, ...] = ("reader",)
    metrics: str = OFF
    metrics_port: int = 7712
    switch_events: bool = True


class HookNodes(StrEnum):
    """Which nodes run a hook for an event: all, the one whose affair it is, or one that speaks for the cluster."""

    EVERY = "every"
    HOLDER = "holder"
    ONE = "one"


@dataclass(frozen=True, slots=True)
class Hook:
    """A program to be run, or a URL to be told, when something happens. One of `command` and `url` is there.

    `codes` and `groups` are patterns, none for all; an event that names no group belongs to any. Each try may take
    `timeout_s`; after `attempts` of them the event is given up.
    """

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    codes: tuple[str, ...] = ()
    levels: tuple[str, ...] = ("notice", "warning", "alarm")
    groups: tuple[str, ...] = ()
    nodes: HookNodes = HookNodes.ONE
    timeout_s: int = 10
    attempts: int = 5


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
    `apart_from`: groups whose masters should stand at another site. `profiles`: the SIP profiles of the switch
    that live on its addresses.
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
    profiles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole file. `digest` is the SHA-256 of its bytes, in hexadecimal.

    `witnesses`: patterns of nodes that vote and never hold. `survivor_claims`: of two voters, the one that
    still reaches its references may go on alone. `is_recording`: keep what `zcluster replay` reads.
    `log_format`: see `zcluster.adapters.log`.
    `switch` is None where addresses alone move. Without [tools] there are `tools` that listen nowhere.
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
    switch: SwitchSettings | None = None
    limits: tuple[Limit, ...] = ()
    tools: ToolsSettings = ToolsSettings()
    hooks: tuple[Hook, ...] = ()
    log_format: str = "auto"
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
