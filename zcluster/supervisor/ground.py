"""This host made ready for a node: found among its addresses, its gate closed, a predecessor's remains taken away.

What must hold: nothing is sent from here and no socket for beats is opened; when it returns, no address of ours
answers, except for what a planned restart left open (succession.py).
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass

from zcluster.adapters.addresses import Addresses, prepare_host
from zcluster.adapters.durable import DurableFile
from zcluster.adapters.gate import Gate
from zcluster.adapters.links import Links, macs
from zcluster.adapters.neighbours import Neighbours
from zcluster.config.configuration import Configuration
from zcluster.config.identity import Identity, LocalAddress, identify
from zcluster.supervisor.chronicle import wall_ms
from zcluster.supervisor.loop import monotonic_ms
from zcluster.supervisor.observing import NOTICE, ObservedAddresses, ObservedGate
from zcluster.supervisor.perform import GroupPlace, ReferencePlace
from zcluster.supervisor.places import gated_interfaces, group_places, reference_places
from zcluster.supervisor.succession import Succession

LARGEST_MACS = 64


@dataclass(frozen=True, slots=True)
class Ground:
    """This host made ready: who it is, what it has, and a closed gate on it."""

    identity: Identity
    groups: tuple[GroupPlace, ...]
    references: tuple[ReferencePlace, ...]
    service_interfaces: tuple[str, ...]
    own_macs: tuple[str, ...]
    links: Links
    addresses: Addresses | ObservedAddresses
    gate: Gate | ObservedGate
    neighbours: Neighbours
    succession: Succession
    notices: tuple[str, ...]


def prepare_ground(configuration: Configuration, node_name: str | None, stack: ExitStack) -> Ground:
    """Made so that nothing of a predecessor answers; given back by `stack`. Raises ZclusterError."""
    is_observing = configuration.is_observing
    notices = [NOTICE] if is_observing else prepare_host()
    links = Links()
    stack.callback(links.close)
    addresses = ObservedAddresses() if is_observing else Addresses()
    stack.callback(addresses.close)
    present = [LocalAddress(one.interface, one.address) for one in addresses.present() if not one.is_ours]
    identity = identify(configuration, socket.gethostname(), present, node_name=node_name)
    groups = group_places(configuration, identity)
    references = reference_places(identity)
    interfaces = gated_interfaces(groups)
    managed = [address for group in groups for address in group.addresses]

    gate = ObservedGate() if is_observing else Gate()
    stack.callback(gate.shut)
    succession = Succession(
        DurableFile(configuration.state_dir), identity.node, configuration.timing, wall_ms(), monotonic_ms
    )
    for left in succession.stand(gate, addresses, groups, interfaces):
        notices.append(f"{left.address} was left on {left.interface} by a predecessor, and taken away")
    notices.extend(f"interface {name} does not exist; it is gated when it comes" for name in gate.missing)
    if not gate.egress_supported:
        notices.append("this kernel has no egress hook: announcements rely on the daemon's own clock")

    served = tuple(dict.fromkeys([*interfaces, *(reference.interface for reference in references)]))
    listened = () if is_observing else served
    spoken = dict.fromkeys([*served, *(local.interface for local in identity.links)])
    own_macs = dict.fromkeys(mac for name in spoken for mac in macs(links.present(), name))
    watched = {
        *managed,
        *(canary for group in groups for canary in group.canaries),
        *(reference.address for reference in references),
    }
    neighbours = Neighbours(listened, watched, tuple(own_macs))
    stack.callback(neighbours.close)
    return Ground(
        identity,
        groups,
        references,
        listened,
        tuple(own_macs)[:LARGEST_MACS],
        links,
        addresses,
        gate,
        neighbours,
        succession,
        tuple(notices),
    )
