"""Floating addresses on the interfaces of this host: add, renew, remove, find.

What must hold: each call is confirmed by the kernel; an address added here vanishes by itself `VALID_S`
seconds after its last renewal (the second layer below the gate); and no traffic of the host's own ever
chooses it as a source.

How the last is had:
- IPv4 is added as /32 with scope "host". Connected routes and `inet_select_addr` never pick an address of
  that scope, not even when the base address was removed and added again, as a DHCP client does; a plain /32
  would then be first in the list and become the source of everything. Replies, bound sockets and ARP
  answers do not look at the scope (net/ipv4/arp.c, arp_ignore = 1 admits it; not 3).
- IPv6 is added as /128 with a preferred lifetime of zero ("deprecated", RFC 4862 5.5.4) and without a prefix
  route, without duplicate detection (the cluster has asked already).

Sources: net/ipv4/devinet.c, net/ipv6/addrconf.c, rtnetlink(7).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from zcluster.adapters import netlink
from zcluster.adapters.netlink import Refused, attribute, attributes
from zcluster.errors import KernelRefused

Address = IPv4Address | IPv6Address

VALID_S = 2
OUR_MARK = 0x7A  # IFA_PROTO (Linux 5.18): whose address it is, shown by `ip addr` as proto 0x7a

_NEW, _DELETE, _GET = 20, 21, 22
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO, _IFA_FLAGS, _IFA_PROTO = 1, 2, 6, 8, 11
_NO_DUPLICATE_DETECTION, _NO_PREFIX_ROUTE = 0x02, 0x200
_SCOPE_GLOBAL, _SCOPE_HOST = 0, 254
_HEAD = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, interface index
_LIFETIME = struct.Struct("=IIII")  # preferred, valid, created, updated
_NOT_THERE = (errno.EADDRNOTAVAIL, errno.ENODEV)

HOST_SETTINGS = (
    ("net/ipv4/conf/all/arp_ignore", "1"),  # answer only on the interface that has the address
    ("net/ipv4/conf/all/arp_announce", "2"),  # never name a floating address as the sender of a question
    ("net/ipv4/conf/all/promote_secondaries", "1"),  # losing one address of a subnet keeps the others
    ("net/ipv4/ip_nonlocal_bind", "1"),  # the standby switch binds before the address is here
    ("net/ipv6/ip_nonlocal_bind", "1"),
)


@dataclass(frozen=True, slots=True)
class Present:
    """An address that is on an interface now. `is_ours`: this program added it (known since Linux 5.18)."""

    interface: str
    address: Address
    prefix: int
    is_ours: bool


class Addresses:
    """The addresses of the network namespace in which this was made."""

    def __init__(self) -> None:
        self._route = netlink.Netlink(netlink.NETLINK_ROUTE)

    def close(self) -> None:
        """Give the socket back; the addresses run out by themselves."""
        self._route.close()

    def add(self, interface: str, address: Address, valid_s: int = VALID_S) -> None:
        """Add the address, or renew it if it is there: valid for `valid_s` from now. Raises `KernelRefused`."""
        index = _index(interface, address)
        flags = _NO_DUPLICATE_DETECTION | _NO_PREFIX_ROUTE if address.version == 6 else 0
        body = (
            _head(address, address.max_prefixlen, index)
            + attribute(_IFA_CACHEINFO, _LIFETIME.pack(0, valid_s, 0, 0))
            + attribute(_IFA_FLAGS, struct.pack("=I", flags))
            + attribute(_IFA_PROTO, bytes((OUR_MARK,)))
        )
        create = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
        self._route.ask(f"adding address {address} to {interface}", _NEW, create, body)

    def remove(self, interface: str, address: Address, prefix: int = 0) -> None:
        """Remove the address; one that is not there is removed. Raises `KernelRefused`."""
        try:
            index = socket.if_nametoindex(interface)
        except OSError:
            return  # an interface that is gone took its addresses along
        body = _head(address, prefix or address.max_prefixlen, index)
        try:
            self._route.ask(f"removing address {address} from {interface}", _DELETE, 0, body)
        except Refused as refusal:
            if refusal.number not in _NOT_THERE:
                raise

    def present(self) -> list[Present]:
        """Every address of every interface, in the kernel's order."""
        names = dict(socket.if_nameindex())
        records = self._route.dump("listing addresses", _GET, bytes(8))
        return [found for record in records if (found := _parsed(record, names)) is not None]

    def sweep(self, managed: Collection[Address]) -> tuple[Present, ...]:
        """Remove from all interfaces what a predecessor left of these addresses; what was removed.

        Only after the gate stands closed. Addresses with another prefix go as well: a floating address
        that somebody configured by hand would otherwise be used behind the cluster's back.
        """
        wanted = frozenset(managed)
        found = tuple(one for one in self.present() if one.address in wanted)
        for one in found:
            self.remove(one.interface, one.address, one.prefix)
        return found


def prepare_host(root: Path = Path("/proc/sys")) -> list[str]:
    """Set what the kernel must do about floating addresses; one sentence for each setting it refused."""
    refused = []
    for name, wanted in HOST_SETTINGS:
        path = root / name
        try:
            if path.read_text().strip() != wanted:
                path.write_text(wanted)
        except OSError as error:
            option = name.replace("/", ".")
            refused.append(f"{option} could not be set to {wanted} ({error.strerror}): set it with sysctl")
    return refused


def _head(address: Address, prefix: int, index: int) -> bytes:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    scope = _SCOPE_HOST if address.version == 4 else _SCOPE_GLOBAL
    head = _HEAD.pack(family, prefix, 0, scope, index)
    return head + attribute(_IFA_LOCAL, address.packed) + attribute(_IFA_ADDRESS, address.packed)


def _index(interface: str, address: Address) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        raise KernelRefused(f"adding address {address}: there is no interface {interface}") from error


def _parsed(record: bytes, names: dict[int, str]) -> Present | None:
    """One address record, or None for one of another family or of an interface that has just gone."""
    family, prefix, _flags, _scope, index = _HEAD.unpack_from(record)
    if family not in (socket.AF_INET, socket.AF_INET6) or index not in names:
        return None
    found = attributes(record[8:])
    packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
    if packed is None:
        return None
    return Present(names[index], ip_address(packed), prefix, found.get(_IFA_PROTO) == bytes((OUR_MARK,)))
