"""This host's interfaces, routes, neighbours and packet rules, as `zcluster init` and `zcluster report` need them.

What must hold: looking changes nothing and needs no program beside the kernel (pyroute2 speaks netlink); every
listing is bounded, and says so where it was cut; what this user may not see is a KernelRefused and no empty list.
The daemon uses none of this: it has its own netlink (docs/decisions/0100-raw-netlink.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from itertools import islice
from typing import Any

from pyroute2 import IPRoute
from pyroute2.nftables.main import NFTables

from zcluster.adapters import netlink
from zcluster.adapters.nftables import Nftables
from zcluster.errors import KernelRefused

Interface = IPv4Interface | IPv6Interface

LARGEST_INTERFACES = 512
LARGEST_LINES = 2000
LARGEST_SETS, LARGEST_ELEMENTS = 200, 100
_IS_UP, _IS_LOOPBACK, _IS_POINT_TO_POINT, _CAN_MULTICAST, _HAS_CARRIER = 0x1, 0x8, 0x10, 0x1000, 0x10000
_IS_PERMANENT, _IS_TEMPORARY_SECONDARY = 0x80, 0x01
_FOREVER_S = 0xFFFFFFFF
_MAIN_TABLE = 254
_LINK_SCOPE = 253
_IPV6 = 10
_NEIGHBOUR_STATES = {1: "incomplete", 2: "reachable", 4: "stale", 8: "delay", 16: "probe", 32: "failed"}
_LASTING_NEIGHBOURS = {64: "noarp", 128: "permanent"}
_ROUTE_TYPES = {2: "local", 3: "broadcast", 5: "multicast", 6: "blackhole", 7: "unreachable", 8: "prohibit"}


@dataclass(frozen=True, slots=True)
class HostAddress:
    """One address with its prefix. `is_lasting`: the kernel will not end it by itself, as it does a DHCP lease
    or a floating address of ours. `is_secondary`: a further one of the same network, or a temporary one (IPv6).
    """

    interface: Interface
    is_lasting: bool
    is_secondary: bool
    is_link_local: bool


@dataclass(frozen=True, slots=True)
class HostInterface:
    """`kind` is the kernel's word for a virtual one ("vlan", "bridge", "veth", ...), "" for hardware. `master` is
    the name of the bond or bridge that it is a port of, "" for none. `is_up`: set up, with carrier.
    """

    name: str
    kind: str
    mac: str
    mtu: int
    is_up: bool
    is_loopback: bool
    is_point_to_point: bool
    can_multicast: bool
    master: str
    addresses: tuple[HostAddress, ...]


def interfaces() -> tuple[HostInterface, ...]:
    """Every interface, in the kernel's order. Raises KernelRefused."""
    with _Route() as route:
        links = list(islice(route.get_links(), LARGEST_INTERFACES))
        listed = list(islice(route.get_addr(), 8 * LARGEST_INTERFACES))
    names = {link["index"]: _attribute(link, "IFLA_IFNAME") for link in links}
    by_index: dict[int, list[HostAddress]] = {}
    for record in listed:
        by_index.setdefault(record["index"], []).append(_address(record))
    return tuple(
        HostInterface(
            name=names[link["index"]],
            kind=(_attribute(link, "IFLA_LINKINFO") or _Nothing).get_attr("IFLA_INFO_KIND") or "",
            mac=_attribute(link, "IFLA_ADDRESS") or "",
            mtu=_attribute(link, "IFLA_MTU") or 0,
            is_up=bool(link["flags"] & _IS_UP and link["flags"] & _HAS_CARRIER),
            is_loopback=bool(link["flags"] & _IS_LOOPBACK),
            is_point_to_point=bool(link["flags"] & _IS_POINT_TO_POINT),
            can_multicast=bool(link["flags"] & _CAN_MULTICAST),
            master=names.get(_attribute(link, "IFLA_MASTER") or 0, ""),
            addresses=tuple(by_index.get(link["index"], ())),
        )
        for link in links
    )


def default_gateways() -> dict[str, str]:
    """The interfaces with a default route in the main table, the preferred one first, and the router's address
    ("" where there is none). Raises KernelRefused.
    """
    with _Route() as route:
        names = _names(route)
        found = [
            (_attribute(record, "RTA_PRIORITY") or 0, record["family"], record)
            for record in islice(route.get_routes(table=_MAIN_TABLE), LARGEST_LINES)
            if record["dst_len"] == 0 and record["type"] == 1
        ]
    gateways: dict[str, str] = {}
    for _metric, _family, record in sorted(found, key=lambda each: each[:2]):
        name = names.get(_attribute(record, "RTA_OIF") or 0, "")
        if name:
            gateways.setdefault(name, _attribute(record, "RTA_GATEWAY") or "")
    return gateways


def interface_lines(seen: Iterable[HostInterface]) -> list[str]:
    """For people: a line an interface, and one each of its addresses below."""
    lines = []
    for one in seen:
        words = [one.name, one.kind or "hardware", "up" if one.is_up else "down", f"mtu {one.mtu}", one.mac]
        words += ["multicast"] if one.can_multicast else []
        words += [f"port of {one.master}"] if one.master else []
        lines.append("  ".join(words))
        for address in one.addresses:
            marks = ["secondary"] if address.is_secondary else []
            marks += [] if address.is_lasting else ["with an end"]
            lines.append("    " + "  ".join([str(address.interface), *marks]))
    return lines


def route_lines() -> list[str]:
    """A line a route, of every table but those of the kernel's own addresses. Raises KernelRefused."""
    with _Route() as route:
        names = _names(route)
        return _bounded(_route_line(record, names) for record in route.get_routes() if record["table"] != 255)


def neighbour_lines() -> list[str]:
    """Who was last seen at which address of the networks: address, interface, MAC, state. Raises KernelRefused."""
    with _Route() as route:
        names = _names(route)
        known = _NEIGHBOUR_STATES | _LASTING_NEIGHBOURS
        return _bounded(
            "  ".join(
                (
                    str(_attribute(record, "NDA_DST")),
                    names.get(record["ifindex"], "?"),
                    _attribute(record, "NDA_LLADDR") or "-",
                    known.get(record["state"], str(record["state"])),
                )
            )
            for record in route.get_neighbours()
            if record["state"] not in _LASTING_NEIGHBOURS
        )


def packet_rule_lines() -> list[str]:
    """Sets, chains and rules of nf_tables: a rule is the list of its expressions, as the kernel names them.
    Raises KernelRefused (without CAP_NET_ADMIN above all).
    """
    try:
        nft = NFTables(nfgen_family=0)
        try:
            chains, rules = list(nft.get_chains()), list(islice(nft.get_rules(), LARGEST_LINES))
            sets = list(islice(nft.get_sets(), LARGEST_SETS))
        finally:
            nft.close()
    except Exception as error:
        raise KernelRefused(f"listing the packet rules: {error}") from error
    lines = list(_set_lines(sets))
    for chain in chains:
        place = _family(chain), _attribute(chain, "NFTA_CHAIN_TABLE"), _attribute(chain, "NFTA_CHAIN_NAME")
        lines.append(f"{place[0]} {place[1]} {place[2]}{_hook(chain)}")
        lines += [
            "    " + " ".join(_expressions(rule))
            for rule in rules
            if place
            == (_family(rule), _attribute(rule, "NFTA_RULE_TABLE"), _attribute(rule, "NFTA_RULE_CHAIN"))
        ]
    return _bounded(lines)


class _Nothing:
    """In the place of nested attributes that a record has not."""

    @staticmethod
    def get_attr(_name: str) -> None:
        return None


class _Route:
    """An IPRoute whose every failure is a KernelRefused."""

    def __enter__(self) -> Any:
        try:
            self._route = IPRoute()
        except Exception as error:
            raise KernelRefused(f"asking the kernel for its networks: {error}") from error
        return self._route

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._route.close()
        if isinstance(error, Exception) and not isinstance(error, KernelRefused):
            raise KernelRefused(f"asking the kernel for its networks: {error}") from error


def _attribute(record: Any, name: str) -> Any:
    return record.get_attr(name)


def _names(route: Any) -> dict[int, str]:
    return {link["index"]: _attribute(link, "IFLA_IFNAME") for link in route.get_links()}


def _address(record: Any) -> HostAddress:
    text = _attribute(record, "IFA_LOCAL") or _attribute(record, "IFA_ADDRESS")
    flags = _attribute(record, "IFA_FLAGS") or record["flags"]
    times: Mapping[str, int] = _attribute(record, "IFA_CACHEINFO") or {}
    return HostAddress(
        interface=ip_interface(f"{text}/{record['prefixlen']}"),
        is_lasting=bool(flags & _IS_PERMANENT) and times.get("ifa_valid", _FOREVER_S) == _FOREVER_S,
        is_secondary=bool(flags & _IS_TEMPORARY_SECONDARY),
        is_link_local=record["scope"] == _LINK_SCOPE,
    )


def _route_line(record: Any, names: Mapping[int, str]) -> str:
    target = _attribute(record, "RTA_DST")
    words = [f"{target}/{record['dst_len']}" if target else "default" + " (v6)" * (record["family"] == _IPV6)]
    words += [_ROUTE_TYPES[record["type"]]] if record["type"] in _ROUTE_TYPES else []
    for name, word in (("RTA_GATEWAY", "via"), ("RTA_PREFSRC", "from"), ("RTA_PRIORITY", "metric")):
        value = _attribute(record, name)
        words += [f"{word} {value}"] if value else []
    words += [f"dev {names[index]}"] if (index := _attribute(record, "RTA_OIF")) in names else []
    words += [f"table {record['table']}"] if record["table"] != _MAIN_TABLE else []
    return "  ".join(words)


def _family(record: Any) -> str:
    known = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
    return known.get(record["nfgen_family"], str(record["nfgen_family"]))


def _set_lines(sets: Iterable[Any]) -> Iterator[str]:
    """A set and what is in it now: an address of ours is open where its slot of "pointed" stands in "armed"."""
    nft = Nftables()
    try:
        for each in sets:
            table, name = _attribute(each, "NFTA_SET_TABLE"), _attribute(each, "NFTA_SET_NAME")
            listed = nft.listed_elements(each["nfgen_family"], table, name)
            words = ", ".join(_element(record) for record in listed[:LARGEST_ELEMENTS]) or "empty"
            more = f", {len(listed) - LARGEST_ELEMENTS} more" if len(listed) > LARGEST_ELEMENTS else ""
            yield f"{_family(each)} {table} set {name}: {words}{more}"
    finally:
        nft.close()


def _element(record: bytes) -> str:
    """`10.77.9.101 -> 00000007`, `00000007 (ends in 120 ms)`. Source: linux/netfilter/nf_tables.h."""
    known = netlink.attributes(record)
    text = _key_text(known.get(1, b""))
    text += f" -> {_key_text(known[2])}" if 2 in known else ""
    return text + (f" (ends in {int.from_bytes(known[5], 'big')} ms)" if 5 in known else "")


def _key_text(attribute: bytes) -> str:
    value = netlink.attributes(attribute).get(1, b"")
    return str(ip_address(value)) if len(value) in (4, 16) and value[0] else value.hex()


def _hook(chain: Any) -> str:
    hook = _attribute(chain, "NFTA_CHAIN_HOOK")
    if hook is None:
        return ""
    number, priority = hook.get_attr("NFTA_HOOK_HOOKNUM"), hook.get_attr("NFTA_HOOK_PRIORITY")
    policy = "drop" if _attribute(chain, "NFTA_CHAIN_POLICY") == 0 else "accept"
    return f": hook {number} priority {priority} policy {policy}"


def _expressions(rule: Any) -> Iterator[str]:
    for expression in _attribute(rule, "NFTA_RULE_EXPRESSIONS") or ():
        data = expression.get_attr("NFTA_EXPR_DATA")
        yield f"{expression.get_attr('NFTA_EXPR_NAME')}({', '.join(_values(data))})"


def _values(nested: Any) -> Iterator[str]:
    """The values of nested attributes in their order: numbers as text, bytes in hexadecimal."""
    for _name, value in nested["attrs"] if hasattr(nested, "get_attr") else ():
        if hasattr(value, "get_attr"):
            yield from _values(value)
        elif isinstance(value, bytes):
            yield value.hex()
        elif isinstance(value, frozenset):
            yield from sorted(map(str, value))
        else:
            yield str(value).removeprefix("NFT_").lower()


def _bounded(lines: Iterable[str]) -> list[str]:
    taken = list(islice(lines, LARGEST_LINES + 1))
    if len(taken) > LARGEST_LINES:
        taken[LARGEST_LINES:] = [f"(there are more than {LARGEST_LINES})"]
    return taken
