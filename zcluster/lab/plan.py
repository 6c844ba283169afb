"""What the laboratory looks like on paper: its networks, hosts, addresses and groups, and their names.

What must hold: everything here is a pure function of the number of nodes and groups, so that the topology,
the configuration file, the client and the observer can never disagree about an address.

Hosts are `n1` to `nN` plus `client`. Each host has three interfaces, `ring1`, `ring2` and `svc`; the other end
of each is a port of the bridge of that network and is called `NETWORK.HOST` (such as `svc.n1`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

MOST_NODES = 24
MOST_GROUPS = 20
CLIENT = "client"
_CLIENT_NUMBER = 250
_FIRST_FLOATING = 100


class Network(StrEnum):
    """The three networks: two cluster links and the one that carries the floating addresses."""

    RING1 = "ring1"
    RING2 = "ring2"
    SERVICE = "svc"

    @property
    def bridge(self) -> str:
        """Name of the bridge in the laboratory's own namespace."""
        return f"br-{self.value}"

    def port(self, host: str) -> str:
        """Name of the bridge's port that `host` is plugged into."""
        return f"{self.value}.{host}"


CLUSTER_NETWORKS = (Network.RING1, Network.RING2)
NETWORK_PREFIX = {Network.RING1: "10.77.1", Network.RING2: "10.77.2", Network.SERVICE: "10.77.9"}
SERVICE_PREFIX_V6 = "fd77:9::"
LENGTH_V4 = 24
LENGTH_V6 = 64


class SwitchKind(StrEnum):
    """What stands beside the daemons: nothing, the laboratory's own fake, or a real FreeSWITCH."""

    NONE = "none"
    FAKE = "fake"
    FREESWITCH = "freeswitch"


@dataclass(frozen=True, slots=True)
class HostPlan:
    """One host: its name and the last number of each of its addresses."""

    name: str
    number: int

    def address(self, network: Network) -> str:
        """The host's own IPv4 address on `network`."""
        return f"{NETWORK_PREFIX[network]}.{self.number}"

    @property
    def service_address_v6(self) -> str:
        """The host's own IPv6 address on the service network."""
        return f"{SERVICE_PREFIX_V6}{self.number}"


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """One group: its name and its two floating addresses."""

    name: str
    address_v4: str
    address_v6: str

    @property
    def addresses(self) -> tuple[str, str]:
        """Both floating addresses, IPv4 first."""
        return (self.address_v4, self.address_v6)

    @property
    def profile(self) -> str:
        """The SIP profile on its IPv4 address, of the same name on every node."""
        return self.name


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole laboratory on paper. `lets_hold_several` None: where the groups could not otherwise survive
    what the cluster survives. `switch_prefix`: where a real FreeSWITCH is installed. `has_tools`: each node has its
    tools process, whose bus and metrics are on the service network and on the node itself.
    """

    nodes: tuple[HostPlan, ...]
    client: HostPlan
    groups: tuple[GroupPlan, ...]
    preset: str
    is_recording: bool = False
    lets_hold_several: bool | None = None
    forget_after_s: int = 600
    switch: SwitchKind = SwitchKind.NONE
    switch_prefix: Path | None = None
    has_tools: bool = False

    @property
    def hosts(self) -> tuple[HostPlan, ...]:
        """All hosts, the client last."""
        return (*self.nodes, self.client)

    @property
    def majority(self) -> int:
        """How many nodes are a majority."""
        return len(self.nodes) // 2 + 1

    @property
    def floating(self) -> tuple[str, ...]:
        """Every floating address, group by group."""
        return tuple(address for group in self.groups for address in group.addresses)

    def group(self, name: str) -> GroupPlan:
        """The group of that name. Raises KeyError."""
        for group in self.groups:
            if group.name == name:
                return group
        raise KeyError(name)


def make_plan(
    nodes: int,
    groups: int,
    preset: str,
    switch: SwitchKind = SwitchKind.NONE,
    switch_prefix: Path | None = None,
) -> Plan:
    """The laboratory of `nodes` nodes (1 to MOST_NODES) and `groups` groups (1 to MOST_GROUPS)."""
    assert 1 <= nodes <= MOST_NODES, f"1 to {MOST_NODES} nodes"
    assert 1 <= groups <= MOST_GROUPS, f"1 to {MOST_GROUPS} groups"
    assert (switch is SwitchKind.FREESWITCH) == (switch_prefix is not None), "a real switch lies somewhere"
    return Plan(
        nodes=tuple(HostPlan(f"n{number}", number) for number in range(1, nodes + 1)),
        client=HostPlan(CLIENT, _CLIENT_NUMBER),
        groups=tuple(_group(number) for number in range(1, groups + 1)),
        preset=preset,
        switch=switch,
        switch_prefix=switch_prefix,
    )


def _group(number: int) -> GroupPlan:
    last = _FIRST_FLOATING + number
    # The same digits in both families, so that fd77:9::101 is plainly the twin of 10.77.9.101.
    return GroupPlan(f"g{number}", f"{NETWORK_PREFIX[Network.SERVICE]}.{last}", f"{SERVICE_PREFIX_V6}{last}")
