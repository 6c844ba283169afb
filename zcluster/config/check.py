"""What is legal in a cluster's file and still dangerous, and what such a cluster survives.

What must hold: pure functions of the configuration and of facts that are handed in; every warning names its key
and a way to mend it; nothing here changes what the file means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from zcluster.config.configuration import Configuration
from zcluster.config.durations import dangerous
from zcluster.config.fault import Fault
from zcluster.config.hook_dangers import hook_dangers
from zcluster.config.host import HostFacts, KeyFileState
from zcluster.config.names import is_wildcard
from zcluster.config.switch_dangers import switch_dangers
from zcluster.config.tools_dangers import tools_dangers
from zcluster.control.units import majority

# Long-dead nodes leave the voters one by one, never below three (zcluster.control.council.LEAST_ROSTER).
LEAST_FORGOTTEN_ROSTER = 3
# How long a beat becomes while the roster changes, in bytes: measured with names of 20 characters, and a reserve.
BEAT_BYTES, BYTES_A_NODE, BYTES_A_GROUP, ROOM_BYTES = 250, 17, 8, 1450
# The kernel hands its tick to another processor after so many (docs/decisions/0101).
LATE_TICKS = 5


@dataclass(frozen=True, slots=True)
class Endurance:
    """How much of a cluster may be lost. `slaves` may be negative: then groups outnumber the nodes that may hold.

    `losses` is how many nodes may fail at the same time while the rest still decides; `losses_all_held` is how
    many of these leave every group with a master of its own. `losses_in_turn`: how many may be lost one by one when
    each is forgotten before the next. `witnesses`: patterns of nodes that vote and never hold.
    """

    nodes: int
    groups: int
    masters_possible: int
    slaves: int
    losses: int
    losses_all_held: int
    losses_in_turn: int
    witnesses: int


def endurance(configuration: Configuration) -> Endurance:
    """What the file's cluster survives.

    never-master nodes vote, and count when they are named one by one; each pattern of witnesses counts as one.
    """
    nodes, groups = configuration.expected_nodes, len(configuration.groups)
    named = {pattern for pattern in configuration.never_master if not is_wildcard(pattern)}
    possible = max(nodes - len(named | set(configuration.witnesses)), 0)
    losses = nodes - majority(nodes)
    spare = possible - (1 if configuration.several_groups_per_node else groups)
    in_turn = max(nodes - LEAST_FORGOTTEN_ROSTER, 0) + min(losses, 1)
    return Endurance(
        nodes=nodes,
        groups=groups,
        masters_possible=possible,
        slaves=possible - groups,
        losses=losses,
        losses_all_held=max(min(losses, spare), 0),
        losses_in_turn=in_turn,
        witnesses=len(configuration.witnesses),
    )


def warnings(configuration: Configuration, facts: HostFacts) -> tuple[Fault, ...]:
    """Everything that is legal here and dangerous, in a fixed order."""
    return (
        *_about_nodes(configuration),
        *_about_links(configuration),
        *dangerous(configuration.timing),
        *_about_start(configuration),
        *_about_groups(configuration),
        *_about_sites(configuration),
        *switch_dangers(configuration, facts),
        *tools_dangers(configuration),
        *hook_dangers(configuration, facts.programs),
        *_about_host(configuration, facts),
    )


def _about_nodes(configuration: Configuration) -> Iterator[Fault]:
    nodes = configuration.expected_nodes
    path = ("cluster", "expected-nodes")
    if nodes == 1:
        yield Fault(path, "one node alone survives no loss", "three nodes survive the loss of one")
    elif nodes == 2:
        yield _about_two(configuration)
    elif nodes % 2 == 0:
        yield Fault(
            path,
            f"{nodes} nodes survive no more losses at once than {nodes - 1} do, and half against half stops both",
            f"make it {nodes - 1} or {nodes + 1}; a small node that is listed in never-master counts",
        )
    for key, patterns in (
        ("witnesses", configuration.witnesses),
        ("never-master", configuration.never_master),
    ):
        for place, pattern in enumerate(patterns):
            if not pattern.strip("*"):
                yield Fault(
                    ("cluster", key, place),
                    f"{pattern!r} means every node, so none may hold a group",
                    "name the nodes that carry no traffic",
                )
    beat_bytes = BEAT_BYTES + BYTES_A_NODE * nodes + BYTES_A_GROUP * len(configuration.groups)
    if beat_bytes > ROOM_BYTES:
        yield Fault(
            path,
            f"with {nodes} nodes and {len(configuration.groups)} groups a beat of about {beat_bytes} bytes may not fit "
            "its datagram while the roster changes; what does not fit is left out, and then the roster cannot change",
            "put more addresses into fewer groups, keep the names of hosts short, or make two clusters of it",
        )
    if configuration.survivor_claims and nodes != 2:
        yield Fault(
            ("cluster", "survivor-claims"),
            f"this means nothing while {nodes} nodes vote: a majority decides",
            "take it out",
        )
    possible, groups = endurance(configuration).masters_possible, len(configuration.groups)
    if groups > possible and not configuration.several_groups_per_node:
        yield Fault(
            ("cluster", "several-groups-per-node"),
            f"{groups} groups and {possible} nodes that may hold one: {groups - possible} of them cannot be held",
            "add nodes, or set several-groups-per-node = true",
        )
    elif groups == possible and not configuration.several_groups_per_node:
        yield Fault(
            path,
            f"{groups} groups on {possible} nodes leave no slave: the first loss leaves a group without a master",
            "add a node, or set several-groups-per-node = true",
        )


def _about_two(configuration: Configuration) -> Fault:
    path = ("cluster", "expected-nodes")
    if configuration.survivor_claims:
        return Fault(
            path,
            "of two nodes the survivor goes on alone while its reference addresses answer: when every network "
            "between the two is cut and both still reach a reference, both serve their side until it heals",
            "add a witness, a tiny third node that votes and never carries traffic: witnesses = [...]",
        )
    return Fault(
        path,
        "two nodes without a witness cannot tell a dead peer from a cut cable, so neither takes over, and the one "
        "that is left closes what it holds",
        "add a witness, a tiny third node (witnesses = [...], expected-nodes = 3), or set survivor-claims = true",
    )


def _about_links(configuration: Configuration) -> Iterator[Fault]:
    if len(configuration.links) == 1:
        yield Fault(
            ("link",),
            "there is one link: its cable or switch is enough to stop the whole cluster",
            "add a second [[link]] on a network of its own",
        )
    if not configuration.service_links:
        yield Fault(
            ("link",),
            "no link is a service link: losing the cluster's own networks closes masters that still serve",
            'add the service network as a [[link]] with role = "service"',
        )
    seen: dict[object, str] = {}
    for number, link in enumerate(configuration.links):
        first = seen.setdefault((link.multicast or link.name, link.beacon_port), link.name)
        if first != link.name:
            yield Fault(
                ("link", number, "multicast"),
                f"{link.multicast} port {link.beacon_port} is also that of link {first}: "
                "where networks are bridged, each hears the other's beats",
                "give each link its own multicast address",
            )
        if link.ttl > 1:
            yield Fault(
                ("link", number, "ttl"),
                f"with a ttl of {link.ttl} beats may leave their network through a multicast router",
                "set ttl = 1 unless the link really crosses a router",
            )


def _about_start(configuration: Configuration) -> Iterator[Fault]:
    timing = configuration.timing
    if timing.timer_a_ms < timing.silence_ms:
        yield Fault(
            ("timing", "timer-a-ms"),
            f"a starting node listens for {timing.timer_a_ms} ms, less than a silence of {timing.silence_ms} ms: "
            "it may judge before it has heard every peer",
            f"set it to at least {timing.silence_ms}",
        )


def _about_groups(configuration: Configuration) -> Iterator[Fault]:
    for number, group in enumerate(configuration.groups):
        for place, interface in enumerate(group.addresses):
            network = group.network
            if network and network.version == interface.version and interface.ip not in network:
                yield Fault(
                    ("group", number, "addresses", place),
                    f"{interface.ip} is outside {network}, the network of its interface: "
                    "neighbours may never ask for it there",
                    "correct the address, or the interface",
                )
        for place, pattern in enumerate(group.preferred):
            if is_wildcard(pattern):
                continue
            if not any(fnmatchcase(pattern, allowed) for allowed in group.allowed):
                yield Fault(
                    ("group", number, "preferred", place),
                    f"{pattern} is preferred and not allowed, so it never holds {group.name}",
                    "add it to `allowed`, or take it out here",
                )
            elif any(fnmatchcase(pattern, never) for never in configuration.witnesses):
                yield Fault(
                    ("group", number, "preferred", place),
                    f"{pattern} is preferred, and a witness never holds a group",
                    "take it out of one of the two",
                )
            elif any(fnmatchcase(pattern, never) for never in configuration.never_master):
                yield Fault(
                    ("group", number, "preferred", place),
                    f"{pattern} is preferred, and never-master forbids it",
                    "take it out of one of the two",
                )


def _about_sites(configuration: Configuration) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for number, site in enumerate(configuration.sites):
        for place, pattern in enumerate(site.nodes):
            first = seen.setdefault(pattern, site.name)
            if first != site.name:
                yield Fault(
                    ("site", number, "nodes", place),
                    f"{pattern} already stands in site {first}, and the first one counts",
                    "a node stands at one place: take it out of one of the two",
                )


def _about_host(configuration: Configuration, facts: HostFacts) -> Iterator[Fault]:
    path, key_file = ("cluster", "key-file"), configuration.key_file
    match facts.key_state:
        case KeyFileState.GOOD:
            pass
        case KeyFileState.MISSING:
            yield Fault(
                path,
                f"there is no key at {key_file} on this host: `zcluster run` will refuse to start",
                f"`zcluster keygen {key_file}` on one host, then copy the file to the others",
            )
        case KeyFileState.EXPOSED:
            yield Fault(
                path,
                f"others than its owner can use the key {key_file} (mode {facts.key_mode:04o}): "
                "who has it can move every address, and `zcluster run` will refuse to start",
                f"`chmod 600 {key_file}`, and a new key if somebody may have read it",
            )
        case KeyFileState.UNREADABLE:
            yield Fault(
                path, f"the key {key_file} cannot be read by this user", "check as the user that runs it"
            )
        case KeyFileState.NOT_A_KEY:
            yield Fault(
                path,
                f"what stands in {key_file} is not a cluster key: `zcluster run` will refuse to start",
                "copy the file again from a host where it works, or make a new one with `zcluster keygen --force`",
            )
    late_ms = LATE_TICKS * facts.tick_ms
    if configuration.timing.margin_ms < late_ms:
        yield Fault(
            ("timing", "margin-ms") if configuration.preset != "fast" else ("cluster", "preset"),
            f"this kernel ticks every {facts.tick_ms:g} ms, and under a hypervisor its timeouts may end up to "
            f"{late_ms:g} ms late; a margin of {configuration.timing.margin_ms} ms does not cover that",
            'use a kernel of 1000 Hz, or choose preset = "standard"'
            if configuration.preset == "fast"
            else f"use a kernel of 1000 Hz, or set margin-ms to {late_ms:.0f}",
        )
    if configuration.preset == "fast" and not facts.real_time_permitted:
        yield Fault(
            ("cluster", "preset"),
            "the preset fast needs real-time scheduling, and this host does not permit it to this user: "
            "a busy machine will move addresses without a fault",
            'run as root or with LimitRTPRIO=1 in the unit, or choose preset = "standard"',
        )
