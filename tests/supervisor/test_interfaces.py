from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from ipaddress import ip_address

import pytest

from zcluster.adapters.links import LinkSeen
from zcluster.control.events import Event, HealthChanged, LinkChanged
from zcluster.errors import KernelRefused
from zcluster.supervisor.interfaces import Interfaces
from zcluster.supervisor.transport import Place

MAC = "02:00:00:00:00:01"


def place(link: str, interface: str, address: str) -> Place:
    return Place(link, interface, address, "239.1.1.1", 4000, 4001, 1)


def seen(name: str, index: int, address: str, is_up: bool = True) -> LinkSeen:
    return LinkSeen(name, index, MAC, MAC, True, is_up, 0, 0, (ip_address(address),))


RING = seen("ring0", 2, "10.1.0.1")
LAN = seen("lan0", 3, "10.2.0.1")


class World:
    """The kernel's notices, and what was done about them."""

    def __init__(self) -> None:
        self.notices: list[LinkSeen] = []
        self.done: list[str] = []
        self.binding_is_refused = False

    def present(self) -> tuple[LinkSeen, ...]:
        return (RING, LAN)

    def receive(self) -> list[LinkSeen]:
        notices, self.notices = self.notices, []
        return notices

    def interface_changed(self, interface: str, now_ms: int) -> None:
        self.done.append(f"try {interface}")

    def rebuild(self, link: str, now_ms: int) -> None:
        self.done.append(f"rebuild {link}")

    def bind(self, interfaces: Sequence[str], own_macs: Collection[str] = ()) -> None:
        if self.binding_is_refused:
            raise KernelRefused("no right")
        self.done.append(f"bind {' '.join(interfaces)}")

    def reinstall_gate(self) -> Sequence[Event]:
        self.done.append("gate")
        return ()


class Host:
    """One ring and one service network, both well."""

    def __init__(self) -> None:
        self.world = World()
        places = [place("ring", "ring0", "10.1.0.1"), place("lan", "lan0", "10.2.0.1")]
        self.interfaces = Interfaces(self.world, places, ("lan0",), (MAC,))

    def hears(self, *notices: LinkSeen) -> list[Event]:
        self.world.notices = list(notices)
        return self.interfaces.receive(self.world, self.world, self.world, 1000)


@pytest.fixture
def host() -> Host:
    return Host()


def test_carrier_is_told_when_it_changes_and_only_then(host: Host) -> None:
    assert host.interfaces.carriers() == {"ring": True, "lan": True}
    down = replace(RING, is_up=False)
    assert host.hears(down) == [LinkChanged("ring", False)]
    assert host.hears(down) == []
    assert host.hears(RING) == [LinkChanged("ring", True)]
    assert host.world.done == ["try ring0", "try ring0"]


def test_an_address_that_goes_and_comes_rebuilds_its_link(host: Host) -> None:
    assert host.hears(replace(RING, addresses=())) == []
    assert host.hears(RING) == []
    assert host.world.done == ["rebuild ring", "try ring0"]


def test_a_floating_address_on_the_interface_changes_nothing(host: Host) -> None:
    assert host.hears(replace(LAN, addresses=(*LAN.addresses, ip_address("10.2.0.99")))) == []
    assert host.world.done == []


def test_a_service_interface_that_comes_back_is_gated_and_listened_on_anew(host: Host) -> None:
    gone = replace(LAN, is_present=False, is_up=False, addresses=())
    assert host.hears(gone) == [LinkChanged("lan", False)]
    assert host.world.done == ["rebuild lan"]
    assert host.hears(replace(LAN, index=9)) == [HealthChanged("neighbours", ""), LinkChanged("lan", True)]
    assert host.world.done == ["rebuild lan", "try lan0", "gate", "bind lan0"]


def test_a_new_hardware_address_voids_what_was_bound(host: Host) -> None:
    host.hears(replace(LAN, mac="02:00:00:00:00:09"))
    assert host.world.done == ["rebuild lan", "gate", "bind lan0"]


def test_a_refused_binding_is_a_fault_of_health(host: Host) -> None:
    host.world.binding_is_refused = True
    assert host.hears(replace(LAN, index=9)) == [HealthChanged("neighbours", "no right")]


def test_interfaces_of_others_are_left_alone(host: Host) -> None:
    assert host.hears(seen("docker0", 7, "172.17.0.1")) == []
    assert host.world.done == []
