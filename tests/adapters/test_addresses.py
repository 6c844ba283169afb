from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.adapters.wire import Wire, add_address, delete_address, delete_link
from zcluster.adapters.addresses import Addresses, prepare_host
from zcluster.errors import KernelRefused

pytestmark = pytest.mark.kernel

V4, V6 = ip_address("10.77.0.9"), ip_address("fd77::9")


@pytest.fixture
def addresses(wire: Wire) -> Iterator[Addresses]:
    """The host's addresses, with the settings that the cluster makes."""
    with wire.host.inside():
        assert prepare_host() == []
        made = Addresses()
        yield made
    made.close()


def test_an_added_address_answers_and_a_removed_one_does_not(wire: Wire, addresses: Addresses) -> None:
    for address in (V4, V6):
        addresses.add("h0", address)
    time.sleep(0.005)
    assert wire.station.ping(str(V4))
    assert wire.station.ping(str(V6))
    for address in (V4, V6):
        addresses.remove("h0", address)
    assert not wire.station.ping(str(V4))
    assert not wire.station.ping(str(V6))
    assert wire.station.ping("10.77.0.1")


def test_the_listing_tells_ours_from_others(addresses: Addresses) -> None:
    addresses.add("h0", V4)
    addresses.add("h0", V6)
    found = {str(one.address): one for one in addresses.present()}
    assert found["10.77.0.9"].is_ours
    assert found["fd77::9"].is_ours
    assert found["10.77.0.9"].prefix == 32
    assert found["10.77.0.9"].interface == "h0"
    assert not found["10.77.0.1"].is_ours
    assert not found["fd77::1"].is_ours


@pytest.mark.slow
def test_an_address_vanishes_without_renewal_and_stays_with_it(addresses: Addresses) -> None:
    other4, other6 = ip_address("10.77.0.10"), ip_address("fd77::10")
    for address in (V4, V6, other4, other6):
        addresses.add("h0", address)
    for _half_second in range(7):
        time.sleep(0.5)
        addresses.add("h0", V4)
        addresses.add("h0", V6)
    left = {one.address for one in addresses.present()}
    assert {V4, V6} <= left
    assert not {other4, other6} & left


def test_removing_what_is_not_there_is_no_error(addresses: Addresses) -> None:
    addresses.remove("h0", V4)
    addresses.remove("h0", V6)
    addresses.remove("absent0", V4)


def test_adding_to_an_interface_that_is_not_there_names_it(addresses: Addresses) -> None:
    with pytest.raises(KernelRefused, match="no interface absent0"):
        addresses.add("absent0", V4)


def test_a_sweep_removes_what_a_predecessor_left_anywhere(addresses: Addresses) -> None:
    addresses.add("h0", V4)
    addresses.add("h1", V6)
    add_address("h1", "10.77.0.10", 24)
    managed = (V4, V6, ip_address("10.77.0.10"), ip_address("10.77.0.11"))
    swept = addresses.sweep(managed)
    assert {(one.interface, str(one.address)) for one in swept} == {
        ("h0", "10.77.0.9"),
        ("h1", "fd77::9"),
        ("h1", "10.77.0.10"),
    }
    assert not {one.address for one in addresses.present()} & set(managed)
    assert addresses.sweep(managed) == ()


def source_towards(far: str) -> str:
    """Which own address the present namespace's kernel chooses for a packet to `far`."""
    with socket.socket(socket.AF_INET if "." in far else socket.AF_INET6, socket.SOCK_DGRAM) as asking:
        asking.connect((far, 9))
        return str(asking.getsockname()[0])


def test_own_traffic_never_leaves_from_a_floating_address(addresses: Addresses) -> None:
    """Not even after the base address went and came again, which puts it behind the floating one."""
    addresses.add("h0", V4, valid_s=60)
    addresses.add("h0", V6, valid_s=60)
    assert source_towards("10.77.0.2") == "10.77.0.1"
    assert source_towards("fd77::2") == "fd77::1"
    delete_address("h0", "10.77.0.1", 24)
    delete_address("h0", "fd77::1", 64)
    assert V4 in {one.address for one in addresses.present()}, "the floating address stays"
    add_address("h0", "10.77.0.1", 24)
    add_address("h0", "fd77::1", 64)
    assert source_towards("10.77.0.2") == "10.77.0.1"
    assert source_towards("fd77::2") == "fd77::1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as many:
        many.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("0.0.0.0"))
        many.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"h0")
        many.connect(("239.1.2.3", 9))
        assert many.getsockname()[0] == "10.77.0.1"


def test_a_bound_socket_speaks_from_the_floating_address(wire: Wire, addresses: Addresses) -> None:
    addresses.add("h0", V4)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((str(V4), 0))
        wire.station.flush()
        bound.sendto(b"INVITE", ("10.77.0.2", 9))
        heard = wire.station.hear(lambda frame: b"INVITE" in frame)
    assert heard is not None
    assert heard[26:30] == V4.packed


def test_addresses_of_a_deleted_interface_are_gone(addresses: Addresses) -> None:
    addresses.add("h1", V4)
    delete_link("h1")
    addresses.remove("h1", V4)
    assert V4 not in {one.address for one in addresses.present()}


def test_the_settings_are_made(addresses: Addresses) -> None:
    root = Path("/proc/sys/net")
    assert (root / "ipv4/conf/all/arp_ignore").read_text() == "1\n"
    assert (root / "ipv4/conf/all/arp_announce").read_text() == "2\n"
    assert (root / "ipv6/ip_nonlocal_bind").read_text() == "1\n"


def test_settings_that_cannot_be_made_are_named(tmp_path: Path) -> None:
    setting = tmp_path / "net/ipv4/ip_nonlocal_bind"
    setting.parent.mkdir(parents=True)
    setting.write_text("1\n")
    setting.chmod(stat.S_IRUSR)
    refused = prepare_host(tmp_path)
    assert len(refused) == 4
    assert refused[0].startswith("net.ipv4.conf.all.arp_ignore could not be set to 1")
    assert os.access(setting, os.R_OK)
