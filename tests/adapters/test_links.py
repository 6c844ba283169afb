from __future__ import annotations

import select
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tests.adapters.wire import Wire, add_address, add_cable, delete_address, delete_link, set_link
from zcluster.adapters.addresses import Addresses
from zcluster.adapters.links import Links, LinkSeen, macs

pytestmark = pytest.mark.kernel


@pytest.fixture
def links(wire: Wire) -> Iterator[Links]:
    """The host's interfaces."""
    with wire.host.inside():
        made = Links()
        yield made
    made.close()


def changes(links: Links, wanted: str, wait_s: float = 2.0) -> LinkSeen:
    """The next change of one interface."""
    end = time.monotonic() + wait_s
    while select.select([links], [], [], max(0.0, end - time.monotonic()))[0]:
        for seen in links.receive():
            if seen.name == wanted:
                return seen
    raise AssertionError(f"nothing happened to {wanted}")


def named(links: Links, name: str) -> LinkSeen:
    (found,) = [link for link in links.present() if link.name == name]
    return found


def test_the_first_look_tells_everything(wire: Wire, links: Links) -> None:
    assert [link.name for link in links.present()] == ["lo", "h0", "h1"]
    port = named(links, "h0")
    assert port.is_up
    assert port.is_ethernet
    assert port.mac == wire.port.mac.hex(":")
    assert {ip_address("10.77.0.1"), ip_address("fd77::1")} <= set(port.addresses)
    assert not named(links, "lo").is_ethernet
    assert links.receive() == []


def test_a_pulled_cable_and_its_return(wire: Wire, links: Links) -> None:
    with wire.other.inside():
        set_link("o0", False)
    assert not changes(links, "h0").is_up
    with wire.other.inside():
        set_link("o0", True)
    assert changes(links, "h0").is_up


def test_an_interface_set_down(links: Links) -> None:
    set_link("h0", False)
    assert not changes(links, "h0").is_up


def test_addresses_come_and_go(links: Links) -> None:
    address = ip_address("10.77.0.44")
    add_address("h0", "10.77.0.44", 24)
    assert address in changes(links, "h0").addresses
    delete_address("h0", "10.77.0.44", 24)
    assert address not in changes(links, "h0").addresses


def test_renewing_an_address_is_no_change(links: Links) -> None:
    addresses = Addresses()
    addresses.add("h0", ip_address("10.77.0.9"))
    assert ip_address("10.77.0.9") in changes(links, "h0").addresses
    addresses.add("h0", ip_address("10.77.0.9"))
    addresses.close()
    assert select.select([links], [], [], 0.2)[0], "the kernel tells it"
    assert links.receive() == []


def test_interfaces_come_and_go(wire: Wire, links: Links) -> None:
    add_cable("h2", "o2", wire.other)
    assert changes(links, "h2").is_present
    links.receive()
    delete_link("h2")
    gone = changes(links, "h2")
    while gone.is_present:
        gone = changes(links, "h2")
    assert not gone.is_up
    assert gone.addresses == ()
    assert "h2" not in [link.name for link in links.present()]


def test_an_overflow_of_notices_costs_nothing_but_a_new_look(links: Links) -> None:
    addresses = Addresses()
    for _round in range(20_000):  # far more than the socket holds
        addresses.add("h0", ip_address("10.77.0.9"))
    addresses.add("h0", ip_address("10.77.0.55"))
    addresses.remove("h0", ip_address("10.77.0.9"))
    addresses.close()
    seen = [link for link in links.receive() if link.name == "h0"]
    assert ip_address("10.77.0.55") in seen[0].addresses
    assert ip_address("10.77.0.9") not in seen[0].addresses
    assert links.receive() == []


def link(name: str, index: int, mac: str, lower: int = 0, master: int = 0, permanent: str = "") -> LinkSeen:
    return LinkSeen(name, index, mac, permanent or mac, True, True, lower, master)


def test_the_macs_of_a_vlan_on_a_bond_are_those_of_its_ports() -> None:
    shared = "02:00:00:00:00:01"
    known = [
        link("eth0", 2, shared, master=4),
        link("eth1", 3, shared, master=4, permanent="02:00:00:00:00:02"),
        link("bond0", 4, shared),
        link("bond0.7", 5, shared, lower=4),
        link("eth9", 6, "02:00:00:00:00:09"),
        link("tun0", 7, ""),
        link("odd0", 8, "00:00:00:00:00:00"),
    ]
    assert macs(known, "bond0.7") == (shared, "02:00:00:00:00:02")
    assert macs(known, "bond0") == (shared, "02:00:00:00:00:02")
    assert macs(known, "eth9") == ("02:00:00:00:00:09",)
    assert macs(known, "absent0") == ()
    assert macs(known, "odd0") == ()
