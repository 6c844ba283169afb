from __future__ import annotations

from ipaddress import ip_address, ip_interface

import pytest

from zcluster.adapters.neighbour_frames import Kind
from zcluster.control.events import AddressSeen, Event, ReferenceSeen
from zcluster.supervisor.sightings import Sightings, canary_of

OWN, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
SIGHTINGS = Sightings(
    own_macs=[OWN],
    managed=[ip_address("10.20.0.10"), ip_address("fd20::10")],
    canaries=[ip_address("10.20.0.0")],
    references=[("lan", ip_address("10.20.0.254"))],
)


@pytest.mark.parametrize(
    ("address", "mac", "event"),
    [
        ("10.20.0.10", OTHER, AddressSeen("10.20.0.10", OTHER)),
        ("fd20:0::10", OTHER, AddressSeen("fd20::10", OTHER)),
        ("10.20.0.10", OWN, None),
        ("10.20.0.0", OTHER, AddressSeen("10.20.0.0", OTHER, is_canary=True)),
        ("10.20.0.254", OTHER, ReferenceSeen("lan")),
        ("10.20.0.77", OTHER, None),
    ],
)
@pytest.mark.parametrize("kind", Kind)
def test_frames_are_sorted(address: str, mac: str, event: Event | None, kind: Kind) -> None:
    found = SIGHTINGS.event(ip_address(address), mac, kind)
    assert found == (None if kind is Kind.PROBE else event), "a peer's probe is no use of the address"


@pytest.mark.parametrize(
    ("interface", "canary"),
    [
        ("10.20.0.10/24", "10.20.0.0"),
        ("10.20.0.10/31", None),
        ("10.20.0.10/32", None),
        ("fd20::10/128", None),
        ("fd20::10/127", None),
    ],
)
def test_the_canary_of_a_subnet(interface: str, canary: str | None) -> None:
    found = canary_of(ip_interface(interface))
    assert found == (ip_address(canary) if canary else None)


@pytest.mark.parametrize("prefix", [48, 64, 96, 112, 120, 126])
def test_the_canary_of_an_ipv6_subnet_lies_in_it_and_is_not_its_routers(prefix: int) -> None:
    interface = ip_interface(f"fd20::10/{prefix}")
    canary = canary_of(interface)
    assert canary in interface.network
    assert canary != interface.network.network_address
    assert canary_of(interface, [canary] if canary else []) is None
