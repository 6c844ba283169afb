"""Which of a host's networks look like a cluster link, which like the one that telephones see, and why.

What must hold: pure; every interface with an address is either proposed or left out with the reason; no two
proposed networks overlap, and each is on one interface alone, for a node finds its interfaces by them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from zcluster.adapters.host_networks import HostAddress, HostInterface

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

CLUSTER, SERVICE = "cluster", "service"
_TUNNELS = frozenset(
    {"tun", "tap", "wireguard", "ipip", "gre", "gretap", "sit", "ip6tnl", "vti", "xfrm", "ppp"}
)
_PRETENDED = frozenset({"dummy", "ifb", "nlmon"})
_OF_THIS_HOST_ALONE = ("docker", "br-", "virbr", "lxcbr", "lxdbr", "cni", "podman", "cali", "flannel")


@dataclass(frozen=True, slots=True)
class LinkProposal:
    """A `[[link]]`. `own` is this host's address in it, `why` one sentence; `gateway` None where it has none."""

    name: str
    role: str
    network: Network
    interface: str
    own: Address
    why: str
    gateway: Address | None
    is_own_lasting: bool
    macs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An interface that is no link, and why."""

    interface: str
    why: str


@dataclass(frozen=True, slots=True)
class Networks:
    """Service links first: a reader looks for what telephones see."""

    links: tuple[LinkProposal, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def service(self) -> tuple[LinkProposal, ...]:
        """The links that carry floating addresses."""
        return tuple(link for link in self.links if link.role == SERVICE)


def judge(
    interfaces: Sequence[HostInterface], gateways: Mapping[str, str], profile_addresses: Collection[Address]
) -> Networks:
    """`gateways` by interface, the preferred first; `profile_addresses` are those that SIP profiles listen on."""
    left_out: list[LeftOut] = []
    found = list(_unique(_candidates(interfaces, gateways, left_out), left_out))
    served = [link for link in found if any(address in link.network for address in profile_addresses)]
    if served:
        why = "a running SIP profile of the switch has its address here"
    else:
        served = _most_likely_service(found, gateways)
        has_way_out = bool(served) and served[0].interface in gateways
        why = (
            "the default route goes out here" if has_way_out else "nothing tells them apart; it is the first"
        )
    service = [replace(link, role=SERVICE, why=why) for link in served]
    cluster = [link for link in found if link not in served]
    for link in [each for each in cluster if each.network.is_global]:
        cluster.remove(link)
        left_out.append(
            LeftOut(link.interface, f"{link.network} is public; a link only if it is yours alone")
        )
    return Networks((*_named("service", service), *_named("ring", cluster)), tuple(left_out))


def primary(interface: HostInterface) -> HostAddress | None:
    """The address that tells the network of an interface: the first of its own, IPv4 before IPv6."""
    usable = [
        one
        for one in interface.addresses
        if not one.is_secondary
        and not one.is_link_local
        and not one.interface.is_loopback
        and not one.interface.is_multicast
        and not one.interface.network.network_address.is_unspecified
        and one.interface.network.num_addresses > 2
    ]
    return min(usable, key=lambda one: one.interface.version, default=None)


def _candidates(
    interfaces: Sequence[HostInterface], gateways: Mapping[str, str], left_out: list[LeftOut]
) -> Iterator[LinkProposal]:
    for one in interfaces:
        address = primary(one)
        if one.is_loopback or (address is None and not one.addresses):
            continue
        if why := _unfit(one, address):
            left_out.append(LeftOut(one.name, why))
            continue
        assert address is not None, "without one it is unfit"
        gateway = gateways.get(one.name, "")
        network = address.interface.network
        reached = next((way for way in (_address(gateway),) if way is not None and way in network), None)
        why = "no default route: it looks like a network between hosts"
        if one.name in gateways:
            why = "it has a default route, and another network is the better service network"
        yield LinkProposal(
            "", CLUSTER, network, one.name, address.interface.ip, why, reached, address.is_lasting, (one.mac,)
        )


def _unfit(one: HostInterface, address: HostAddress | None) -> str:
    """Why this interface cannot be a link; "" when it can."""
    if one.kind in _TUNNELS or one.is_point_to_point:
        return "a tunnel: a floating address cannot live here, and what it runs over is the better link"
    if one.kind in _PRETENDED:
        return f"a pretended device ({one.kind})"
    if one.name.startswith(_OF_THIS_HOST_ALONE):
        return "a network of containers or virtual machines inside this host"
    if one.master:
        return f"a port of {one.master}"
    if address is None:
        return "it has no address of its own with a network around it"
    if not one.is_up:
        return "it is down, or has no carrier"
    if not one.can_multicast:
        return 'it cannot multicast; a link here needs discovery = "unicast" and peers = [...]'
    return ""


def _unique(found: Iterator[LinkProposal], left_out: list[LeftOut]) -> Iterator[LinkProposal]:
    links = list(found)
    for link in links:
        others = [
            other
            for other in links
            if other is not link
            and other.network.version == link.network.version
            and other.network.overlaps(link.network)
        ]
        if others:
            names = " and ".join(other.interface for other in others)
            left_out.append(
                LeftOut(
                    link.interface, f"{link.network} is on {names} too: a node could not tell which is meant"
                )
            )
        else:
            yield link


def _most_likely_service(found: Sequence[LinkProposal], gateways: Mapping[str, str]) -> list[LinkProposal]:
    by_name = {link.interface: link for link in found}
    ways_out = [by_name[name] for name in gateways if name in by_name]
    return (ways_out or list(found))[:1]


def _named(word: str, links: Sequence[LinkProposal]) -> Iterator[LinkProposal]:
    """service, service2, ...; ring1, ring2, ..."""
    for number, link in enumerate(links, 1):
        name = word if word == "service" and number == 1 else f"{word}{number}"
        yield replace(link, name=name)


def _address(text: str) -> Address | None:
    if not text:
        return None
    return IPv6Address(text) if ":" in text else IPv4Address(text)
