"""What the tables of the file must be to each other: names that are unique, networks that are apart, groups
that live on a service link.

What must hold: a table that is only partly good takes part with what is good in it, so that one fault hides no
other; each fault is told once, at the later of the two keys that disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zcluster.config.configuration import Address, Network
from zcluster.config.fault import Fault, KeyPath
from zcluster.config.schema import MOST_GROUPS, ClusterTable, GroupTable, LinkTable, SiteTable

Links = Mapping[int, LinkTable]
Groups = Mapping[int, GroupTable]
Sites = Mapping[int, SiteTable]


def faults_between(links: Links, groups: Groups, *, all_links_known: bool) -> Iterator[Fault]:
    """Everything that disagrees; links and groups are keyed by the table's place in the file, from 0.

    While a link is only partly good (`all_links_known` is false), a group may well mean that one, so nothing is
    said of its place.
    """
    yield from _repeated_names("link", links)
    yield from _overlapping_networks(links)
    for number, link in links.items():
        yield from _within_link(number, link)
    yield from _repeated_names("group", groups)
    yield from _repeated_addresses(groups)
    yield from _address_is_reference(links, groups)
    if all_links_known:
        for number, group in groups.items():
            if group.has("interface"):
                yield from _group_place(number, group, links)


def service_link_of(group: GroupTable, links: Links) -> LinkTable | None:
    """The service link a group's addresses live on; None when it cannot be told from the file alone."""
    service = [link for link in links.values() if link.role == "service"]
    if group.interface is None or isinstance(group.interface, str):
        return service[0] if len(service) == 1 else None
    return next((link for link in service if link.network == group.interface), None)


def _repeated_names(array: str, tables: Links | Groups | Sites) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for number, table in tables.items():
        if not table.has("name"):
            continue
        first = seen.setdefault(table.name, number)
        if first != number:
            yield Fault(
                (array, number, "name"),
                f"the name {table.name!r} is taken by {array}[{first}]",
                "give each its own name",
            )


def _overlapping_networks(links: Links) -> Iterator[Fault]:
    known = [(number, link) for number, link in links.items() if link.has("network")]
    for number, link in known:
        for other, earlier in known:
            if other < number and _overlap(earlier.network, link.network):
                yield Fault(
                    ("link", number, "network"),
                    f"{link.network} overlaps {earlier.network} of link[{other}]: "
                    "no host could tell which of its interfaces is meant",
                    "give each link a network of its own",
                )


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _within_link(number: int, link: LinkTable) -> Iterator[Fault]:
    yield from _discovery(number, link)
    if link.has("multicast", "network") and link.multicast and link.multicast.version != link.network.version:
        yield Fault(
            ("link", number, "multicast"),
            f"{link.multicast} is IPv{link.multicast.version} on a network of IPv{link.network.version}",
            "choose a multicast address of the network's own family",
        )
    if not link.has("reference"):
        return
    if link.has("role") and link.reference and link.role != "service":
        yield Fault(
            ("link", number, "reference"),
            "only a service link has reference addresses",
            'set role = "service" if floating addresses live here, else remove this line',
        )
    for place, address in enumerate(link.reference):
        if link.has("network") and address not in link.network:
            yield Fault(
                ("link", number, "reference", place),
                f"{address} is not in {link.network}, so it can answer no ARP or neighbour solicitation here",
                "name a router, switch or server on this very network",
            )


def _discovery(number: int, link: LinkTable) -> Iterator[Fault]:
    """Multicast needs its group, unicast its peers, and neither the other's."""
    if not link.has("discovery", "multicast", "peers"):
        return
    if link.discovery == "multicast":
        if link.multicast is None:
            yield Fault(
                ("link", number, "multicast"),
                "this key is missing",
                'add a line such as multicast = "239.77.1.1", or discovery = "unicast" with peers = [...]',
            )
        if link.peers:
            yield Fault(
                ("link", number, "peers"),
                "this link finds its peers by multicast, so nobody would ask these",
                'set discovery = "unicast", or take this line out',
            )
        return
    if link.multicast is not None:
        yield Fault(
            ("link", number, "multicast"),
            "this link finds its peers by unicast, so the multicast address means nothing",
            'take this line out, or set discovery = "multicast"',
        )
    if not link.peers:
        yield Fault(
            ("link", number, "peers"),
            "discovery by unicast needs addresses or DNS names to ask",
            'add peers = ["10.77.1.1", "10.77.1.2"], every node of the cluster, or peers = ["nodes.example.net"]',
        )
    for place, peer in enumerate(link.peers):
        if isinstance(peer, str) or not link.has("network"):
            continue
        if peer.version != link.network.version:
            yield Fault(
                ("link", number, "peers", place),
                f"{peer} is IPv{peer.version} on a network of IPv{link.network.version}",
                "name each peer by its address of the network's own family",
            )


def faults_of_the_whole(
    cluster: ClusterTable | None, links: Links, groups: Groups, sites: Sites, *, all_links_known: bool
) -> Iterator[Fault]:
    """What groups, sites and links must be to each other and to `[cluster]`."""
    if len(groups) > MOST_GROUPS:
        yield Fault(
            ("group", MOST_GROUPS),
            f"there are {len(groups)} groups, and a beat names {MOST_GROUPS} at most",
            "a group may have many addresses: put together what moves together",
        )
    yield from _repeated_names("site", sites)
    yield from _apart(groups, sites)
    if cluster is None or not cluster.has("survivor_claims") or not all_links_known:
        return
    if cluster.survivor_claims and not any(
        link.role == "service" and link.reference for link in links.values()
    ):
        yield Fault(
            ("cluster", "survivor-claims"),
            "a survivor can judge its own cable only by reference addresses, and no service link has any: "
            "both of two separated nodes would think themselves the survivor",
            "add reference = [...] to the service link: a router and a switch that answer ARP there",
        )


def _apart(groups: Groups, sites: Sites) -> Iterator[Fault]:
    names = [group.name for group in groups.values() if group.has("name")]
    for number, group in groups.items():
        for place, other in enumerate(group.apart_from if group.has("apart_from") else ()):
            path: KeyPath = ("group", number, "apart-from", place)
            if group.has("name") and other == group.name:
                yield Fault(path, "a group cannot be apart from itself", "name another group")
            elif other not in names and len(names) == len(groups):
                yield Fault(path, f"there is no group {other!r}", f"the groups are {', '.join(names)}")
        if group.has("apart_from") and group.apart_from and not sites:
            yield Fault(
                ("group", number, "apart-from"),
                "apart means at another site, and the file has none",
                'add [[site]] tables, such as name = "north" and nodes = ["pbx1", "pbx2"]',
            )


def _repeated_addresses(groups: Groups) -> Iterator[Fault]:
    seen: dict[Address, str] = {}
    for number, group in groups.items():
        for place, interface in enumerate(group.addresses if group.has("addresses") else ()):
            if interface.ip in seen:
                yield Fault(
                    ("group", number, "addresses", place),
                    f"{interface.ip} already stands in {seen[interface.ip]}",
                    "an address belongs to one group, once",
                )
            seen.setdefault(interface.ip, f"group[{number}]")


def _address_is_reference(links: Links, groups: Groups) -> Iterator[Fault]:
    references = {address for link in links.values() if link.has("reference") for address in link.reference}
    for number, group in groups.items():
        for place, interface in enumerate(group.addresses if group.has("addresses") else ()):
            if interface.ip in references:
                yield Fault(
                    ("group", number, "addresses", place),
                    f"{interface.ip} is also a reference address: a floating address proves nothing about a network",
                    "take it out of `reference`; name a router, switch or server instead",
                )


def _group_place(number: int, group: GroupTable, links: Links) -> Iterator[Fault]:
    path: KeyPath = ("group", number, "interface")
    if isinstance(group.interface, str) or service_link_of(group, links) is not None:
        return
    service = [str(link.network) for link in links.values() if link.role == "service"]
    listed = " or ".join(f'"{network}"' for network in service)
    if group.interface is None:
        if service:
            yield Fault(
                path, "this key is missing, and there are several service links", f"add interface = {listed}"
            )
        else:
            yield Fault(path, "this key is missing, and there is no service link", _ADD_SERVICE_LINK)
        return
    same = [place for place, link in links.items() if link.network == group.interface]
    if same:
        yield Fault(
            path,
            f"{group.interface} is a cluster link, which carries no floating addresses",
            f'set role = "service" in link[{same[0]}] ({links[same[0]].name})',
        )
    else:
        yield Fault(
            path,
            f"no service link has the network {group.interface}",
            f"write {listed}, or the name of an interface" if service else _ADD_SERVICE_LINK,
        )


_ADD_SERVICE_LINK = 'add a [[link]] with role = "service" and the network that the floating addresses are in'
