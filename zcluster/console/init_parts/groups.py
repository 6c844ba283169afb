"""Which groups of floating addresses a host's profiles make, and what has to become of the profiles.

What must hold: pure; an address that is a host's own is never proposed to float; every group lies in a network
that a service link has; what cannot be known is a note for the operator, and no guess in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_interface
from itertools import islice

from zcluster.adapters.host_networks import HostInterface, Interface
from zcluster.console.init_parts.networks import Address, LinkProposal, Network
from zcluster.console.init_parts.switch import ProfileSeen
from zcluster.console.words import listed
from zcluster.errors import ZclusterError

FIRST_HOST = 101
LOOKED_AT = 8
MOST_TRIED = 4096

# Addresses of a network that somebody has; None where it could not be asked.
Taken = Callable[[LinkProposal, Sequence[Address]], Collection[Address] | None]


@dataclass(frozen=True, slots=True)
class GroupProposal:
    """A `[[group]]`; `notes` are comments above it, `todo` what has to be decided before it may run."""

    name: str
    address: Interface
    link: LinkProposal
    profiles: tuple[str, ...]
    notes: tuple[str, ...]
    todo: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Groups:
    """`aside`: profiles that no group has, with the reason."""

    groups: tuple[GroupProposal, ...]
    aside: tuple[tuple[str, str], ...]


def propose(
    links: Sequence[LinkProposal],
    interfaces: Sequence[HostInterface],
    profiles: Sequence[ProfileSeen],
    taken: Taken,
) -> Groups:
    """A group for each address of profiles; one without any where no profile gives a hint. `links`: service links.

    Raises ZclusterError where a network has no room for a floating address.
    """
    aside: list[tuple[str, str]] = []
    by_address: dict[tuple[Address, LinkProposal], list[ProfileSeen]] = {}
    for profile in profiles:
        place = next(
            (link for link in links if profile.sip is not None and profile.sip in link.network), None
        )
        if profile.sip is None or place is None or not _can_float(profile.sip, place.network):
            aside.append((profile.name, _why_aside(profile)))
        else:
            by_address.setdefault((profile.sip, place), []).append(profile)
    own = frozenset(_own_addresses(interfaces))
    free = _Free(own | {address for address, _ in by_address}, taken)
    groups = [
        _of_profiles(address, link, seen, address in own, free)
        for (address, link), seen in by_address.items()
    ]
    if not groups:
        address, todo = free.in_network(links[0])
        groups = [GroupProposal("sip1" if profiles else "vip1", address, links[0], (), (), todo)]
    return Groups(tuple(groups), tuple(aside))


def _can_float(address: Address, network: Network) -> bool:
    """As the file's own rules have it (zcluster.config.values)."""
    if address.is_multicast or address.is_loopback or address.is_unspecified:
        return False
    if address.version == 6:
        return not address.is_link_local
    return address not in (network.network_address, network.broadcast_address)


def _why_aside(profile: ProfileSeen) -> str:
    if profile.sip is None:
        return "it did not say where it listens"
    if profile.sip.is_loopback:
        return f"it listens on {profile.sip}, which no other host can reach"
    return f"it listens on {profile.sip}, which is no address in a service network of this host"


def _of_profiles(
    address: Address, link: LinkProposal, seen: Sequence[ProfileSeen], is_own: bool, free: _Free
) -> GroupProposal:
    """The group has the name of its first profile: no other group has that one."""
    names = tuple(profile.name for profile in seen)
    spoken = f"{listed(names)} {'listens' if len(names) == 1 else 'listen'}"
    if is_own:
        floating, todo = free.in_network(link)
        note = (
            f"{spoken} on {address}, an address that this host keeps. What moves must be none of a host's own: "
            "telephones and carriers have to be sent to the address below instead."
        )
        todo = (
            *todo,
            f"set sip-ip and rtp-ip of {listed(names)} to {floating.ip} on every host, and send telephones and "
            "carriers there (docs/freeswitch.md)",
        )
    else:
        floating = ip_interface(f"{address}/{link.network.prefixlen}")
        note = f"{spoken} on it already. From now on zcluster alone may give it to a host."
        todo = (
            f"take {address} out of whatever gives it to a host today (keepalived, Pacemaker, the network's "
            "configuration)",
        )
    return GroupProposal(names[0], floating, link, names, (note, *_remarks(seen)), todo)


def _remarks(seen: Sequence[ProfileSeen]) -> Iterator[str]:
    """What of a profile would stay behind when its address moves."""
    for profile in seen:
        if profile.rtp not in (profile.sip, None):
            yield f"{profile.name} has its media on {profile.rtp}: rtp-ip must be the floating address as well"
        if profile.external:
            yield (
                f"{profile.name} tells the outside that it is {profile.external}: what stands there must send to the "
                "floating address"
            )


def _own_addresses(interfaces: Sequence[HostInterface]) -> Iterator[Address]:
    """What a host keeps: not the secondary or single addresses, which a manager of floating addresses adds."""
    for interface in interfaces:
        for one in interface.addresses:
            if not one.is_secondary and one.interface.network.num_addresses > 1:
                yield one.interface.ip


class _Free:
    """Finds addresses that nobody seems to have, each once."""

    def __init__(self, used: Collection[Address], taken: Taken) -> None:
        self._used = set(used)
        self._taken = taken
        self._answers: dict[LinkProposal, tuple[list[Address], bool]] = {}

    def in_network(self, link: LinkProposal) -> tuple[Interface, tuple[str, ...]]:
        """An address with the network's prefix, and what is left to decide about it."""
        if link not in self._answers:
            self._answers[link] = self._look(link)
        found, was_asked = self._answers[link]
        if found:
            address = found.pop(0)
            todo = f"make sure that {address} is nobody's, and that no DHCP server gives it out"
            todo += (
                " (nobody answered for it just now)"
                if was_asked
                else " (the network was not asked: not root)"
            )
        else:
            address = next(self._candidates(link), link.own)
            todo = f"choose a free address in {link.network}: {address} only keeps its place, none was found free"
        if address == link.own:
            raise ZclusterError(
                f"{link.network} of {link.interface} has no room for a floating address: widen it"
            )
        self._used.add(address)
        return ip_interface(f"{address}/{link.network.prefixlen}"), (todo,)

    def _look(self, link: LinkProposal) -> tuple[list[Address], bool]:
        proposed = list(islice(self._candidates(link), LOOKED_AT))
        taken = self._taken(link, proposed)
        return [each for each in proposed if each not in (taken or ())], taken is not None

    def _candidates(self, link: LinkProposal) -> Iterator[Address]:
        used = self._used | {link.own, link.gateway}
        return (each for each in _hosts(link.network) if each not in used)


def _hosts(network: Network) -> Iterator[Address]:
    """Addresses for services: from .101 on, and in a small network from its end."""
    last = network.num_addresses - (2 if isinstance(network, IPv4Network) else 1)
    if last > FIRST_HOST:
        offsets = range(FIRST_HOST, min(last, FIRST_HOST + MOST_TRIED) + 1)
    else:
        offsets = range(last, 0, -1)
    for offset in offsets:
        address = network.network_address + offset
        if _can_float(address, network):
            yield address
