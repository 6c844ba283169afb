"""The interfaces of this host: what they are now, and notice of every change.

What must hold: after `receive` returned nothing, `present` is the kernel's truth. Notices that the kernel had
to drop (ENOBUFS) cost a fresh look at everything, never a wrong picture.

Sources: rtnetlink(7), linux/if_link.h, Documentation/networking/operstates.rst.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

from zcluster.adapters import netlink
from zcluster.adapters.netlink import Refused, attributes

Address = IPv4Address | IPv6Address

_GROUPS = 0x1 | 0x10 | 0x100  # RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_NEW_LINK, _DELETE_LINK, _GET_LINK = 16, 17, 18
_NEW_ADDRESS, _DELETE_ADDRESS, _GET_ADDRESS = 20, 21, 22
_LINK_HEAD = struct.Struct("=BxHiII")  # family, type, index, flags, change
_ADDRESS_HEAD = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, index
_ADDRESS, _NAME, _LOWER, _MASTER, _OPERSTATE, _PERMANENT = 1, 3, 5, 10, 16, 54
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_ETHERNET = 1
_IS_UP, _HAS_CARRIER = 0x1, 0x10000  # IFF_UP, IFF_LOWER_UP
_WORKING = (0, 6)  # IF_OPER_UNKNOWN (drivers that do not tell), IF_OPER_UP
_INDEX = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """One interface. `is_up`: set up, with carrier, and able to pass frames. MACs as "aa:bb:cc:dd:ee:ff".

    `lower` and `master` are the indexes of what it stands on (a VLAN) and what it is a port of (a bond, a
    bridge), 0 for none. `is_present` is false in the one notice of an interface that has gone.
    """

    name: str
    index: int
    mac: str
    permanent_mac: str
    is_ethernet: bool
    is_up: bool
    lower: int
    master: int
    addresses: tuple[Address, ...] = ()
    is_present: bool = True


class Links:
    """The interfaces of the network namespace in which this was made."""

    def __init__(self) -> None:
        self._notices = netlink.Netlink(netlink.NETLINK_ROUTE, _GROUPS)
        self._route = netlink.Netlink(netlink.NETLINK_ROUTE)
        self._links: dict[int, LinkSeen] = {}
        self._look()

    def fileno(self) -> int:
        """Readable when something changed."""
        return self._notices.fileno()

    def close(self) -> None:
        """Give the sockets back."""
        self._notices.close()
        self._route.close()

    def present(self) -> tuple[LinkSeen, ...]:
        """Every interface, by index, as of the last `receive`."""
        return tuple(self._links[index] for index in sorted(self._links))

    def receive(self) -> list[LinkSeen]:
        """Take the waiting notices; every interface that is not as it was, by index, each once."""
        before = dict(self._links)
        try:
            for kind, body in self._notices.receive():
                self._apply(kind, body)
        except Refused:
            self._discard()
            self._look()
        changed = []
        for index in sorted(before.keys() | self._links.keys()):
            was, now = before.get(index), self._links.get(index)
            if now is None and was is not None:
                changed.append(replace(was, is_present=False, is_up=False, addresses=()))
            elif now is not None and now != was:
                changed.append(now)
        return changed

    def _discard(self) -> None:
        """Throw away the notices that survived an overflow: they are older than the look that follows."""
        while True:
            try:
                if not self._notices.receive():
                    return
            except Refused:
                continue

    def _look(self) -> None:
        """Ask for everything anew."""
        self._links.clear()
        for record in self._route.dump("listing interfaces", _GET_LINK, bytes(16)):
            self._apply(_NEW_LINK, record)
        for record in self._route.dump("listing addresses", _GET_ADDRESS, bytes(8)):
            self._apply(_NEW_ADDRESS, record)

    def _apply(self, kind: int, body: bytes) -> None:
        """One record of a listing, or one notice: they have the same form."""
        if kind in (_NEW_LINK, _DELETE_LINK) and body[0] == socket.AF_UNSPEC:
            seen = _link(body)
            if kind == _DELETE_LINK:
                self._links.pop(seen.index, None)
            else:
                known = self._links.get(seen.index)
                self._links[seen.index] = replace(seen, addresses=known.addresses) if known else seen
        elif kind in (_NEW_ADDRESS, _DELETE_ADDRESS):
            index, address = _address(body)
            known = self._links.get(index)
            if known is not None and address is not None:
                others = tuple(one for one in known.addresses if one != address)
                is_new = kind == _NEW_ADDRESS and len(others) == len(known.addresses)
                if is_new or kind == _DELETE_ADDRESS:
                    added = (*others, address) if is_new else others
                    self._links[index] = replace(known, addresses=added)


def macs(links: Iterable[LinkSeen], name: str) -> tuple[str, ...]:
    """Every MAC from which frames of this interface may come: its own, those of a bond's ports, and those
    of what it stands on. Sorted; empty if there is no such interface."""
    known = tuple(links)
    pending = [link for link in known if link.name == name]
    found: dict[int, LinkSeen] = {}
    while pending:
        link = pending.pop()
        if link.index not in found:
            found[link.index] = link
            pending += [one for one in known if link.index == one.master or link.lower == one.index]
    used = {mac for link in found.values() for mac in (link.mac, link.permanent_mac) if mac.strip("0:")}
    return tuple(sorted(used))


def _link(body: bytes) -> LinkSeen:
    _family, kind, index, flags, _change = _LINK_HEAD.unpack_from(body)
    found = attributes(body[16:])
    operstate = found.get(_OPERSTATE, b"\0")[0]
    is_running = bool(flags & _IS_UP) and bool(flags & _HAS_CARRIER)
    mac = found.get(_ADDRESS, b"").hex(":")
    return LinkSeen(
        name=found.get(_NAME, b"").rstrip(b"\0").decode(errors="replace"),
        index=index,
        mac=mac,
        permanent_mac=found.get(_PERMANENT, b"").hex(":") or mac,
        is_ethernet=kind == _ETHERNET,
        is_up=is_running and operstate in _WORKING,
        lower=_number(found.get(_LOWER)),
        master=_number(found.get(_MASTER)),
    )


def _number(value: bytes | None) -> int:
    return int(_INDEX.unpack(value)[0]) if value else 0


def _address(body: bytes) -> tuple[int, Address | None]:
    _family, _prefix, _flags, _scope, index = _ADDRESS_HEAD.unpack_from(body)
    found = attributes(body[8:])
    packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
    return index, ip_address(packed) if packed and len(packed) in (4, 16) else None
