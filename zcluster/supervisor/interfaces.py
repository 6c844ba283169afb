"""This host's interfaces as they come and go: carrier for the core, new sockets for what stood on them.

What must hold: the core hears of a link's carrier exactly when it changes; an interface or an address that came
back is used again at once; nothing here decides anything about the cluster.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

from zcluster.adapters.links import LinkSeen
from zcluster.control.events import Event, HealthChanged, LinkChanged
from zcluster.control.units import LinkName
from zcluster.errors import KernelRefused
from zcluster.supervisor.transport import Place

Address = IPv4Address | IPv6Address


class LinksDoor(Protocol):
    """The kernel's notices (`zcluster.adapters.links`)."""

    def present(self) -> tuple[LinkSeen, ...]: ...
    def receive(self) -> list[LinkSeen]: ...


class TransportDoor(Protocol):
    """The beats' sockets (`zcluster.supervisor.transport`)."""

    def interface_changed(self, interface: str, now_ms: int) -> None: ...
    def rebuild(self, link: LinkName, now_ms: int) -> None: ...


class NeighboursDoor(Protocol):
    """The packet sockets (`zcluster.adapters.neighbours`)."""

    def bind(self, interfaces: Sequence[str], own_macs: Collection[str] = ()) -> None: ...


class GateDoor(Protocol):
    """What the performer does when a gated interface came."""

    def reinstall_gate(self) -> Sequence[Event]: ...


class Interfaces:
    """Watches the interfaces that the links and the groups stand on."""

    def __init__(
        self,
        links: LinksDoor,
        places: Sequence[Place],
        service_interfaces: Sequence[str],
        own_macs: Collection[str],
    ) -> None:
        self._links = links
        self._places = tuple(places)
        self._service_interfaces = tuple(service_interfaces)
        self._own_macs = tuple(own_macs)
        self._known = {seen.name: seen for seen in links.present()}
        self._carriers = {place.link: self._is_usable(self._known.get(place.interface)) for place in places}

    def carriers(self) -> dict[LinkName, bool]:
        """Whether each link's interface can pass frames now."""
        return dict(self._carriers)

    def receive(
        self, transport: TransportDoor, neighbours: NeighboursDoor, gate: GateDoor, now_ms: int
    ) -> list[Event]:
        """Take the kernel's notices and do what follows from them."""
        events: list[Event] = []
        for seen in self._links.receive():
            before = self._known.pop(seen.name, None)
            if seen.is_present:
                self._known[seen.name] = seen
            self._follow(before, seen, transport, now_ms)
            if seen.name in self._service_interfaces and seen.is_present and _is_another(before, seen):
                events.extend(self._service_interface_came(neighbours, gate))
        for place in self._places:
            is_up = self._is_usable(self._known.get(place.interface))
            if is_up != self._carriers[place.link]:
                self._carriers[place.link] = is_up
                events.append(LinkChanged(place.link, is_up))
        return events

    def _follow(self, before: LinkSeen | None, seen: LinkSeen, transport: TransportDoor, now_ms: int) -> None:
        for place in self._places:
            if place.interface != seen.name:
                continue
            address = ip_address(place.address)
            had_address = before is not None and address in before.addresses
            has_address = address in seen.addresses
            if had_address and (not has_address or _is_another(before, seen)):
                transport.rebuild(place.link, now_ms)
            elif has_address != had_address or (before is not None and before.is_up != seen.is_up):
                transport.interface_changed(seen.name, now_ms)

    def _service_interface_came(self, neighbours: NeighboursDoor, gate: GateDoor) -> list[Event]:
        found = list(gate.reinstall_gate())
        try:
            neighbours.bind(self._service_interfaces, self._own_macs)
        except KernelRefused as refusal:
            return [*found, HealthChanged("neighbours", str(refusal))]
        return [*found, HealthChanged("neighbours", "")]

    @staticmethod
    def _is_usable(seen: LinkSeen | None) -> bool:
        return seen is not None and seen.is_up


def _is_another(before: LinkSeen | None, seen: LinkSeen) -> bool:
    """Whether sockets bound to the interface before are void: it is a new one, or has another MAC."""
    return before is None or before.index != seen.index or before.mac != seen.mac
