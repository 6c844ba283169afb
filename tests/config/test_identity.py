from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.texts import GOOD, accepted
from zcluster.config.identity import LocalAddress, identify
from zcluster.config.load import load
from zcluster.errors import IdentityError

CONFIGURATION = accepted(GOOD)


def host(*pairs: str) -> list[LocalAddress]:
    """`eth0=10.0.0.1` and so on, in the kernel's order."""
    split = [pair.split("=") for pair in pairs]
    return [LocalAddress(interface, ip_address(address)) for interface, address in split]


PLAIN = host("lo=127.0.0.1", "lo=::1", "eth1=10.77.1.3", "eth2=10.77.9.3", "eth2=fe80::3")


def test_a_host_finds_itself() -> None:
    identity = identify(CONFIGURATION, "pbx3.example.net", PLAIN)
    assert identity.node == "pbx3"
    assert [(local.link.name, local.interface, str(local.address)) for local in identity.links] == [
        ("ring1", "eth1", "10.77.1.3"),
        ("service", "eth2", "10.77.9.3"),
    ]
    assert [(local.group.name, local.interface) for local in identity.groups] == [("sip1", "eth2")]
    assert identity.link("ring1").interface == "eth1"
    with pytest.raises(KeyError):
        identity.link("ring7")


def test_the_example_fits_a_host_of_the_laboratory() -> None:
    example = load(Path(__file__).resolve().parents[2] / "conf" / "example.toml")
    identity = identify(example, "n1", host("r1=10.77.1.1", "r2=10.77.2.1", "svc=10.77.9.11"))
    assert [local.interface for local in identity.links] == ["r1", "r2", "svc"]
    assert {local.interface for local in identity.groups} == {"svc"}


def test_a_given_name_stands_in_for_the_hosts() -> None:
    assert identify(CONFIGURATION, "whatever", PLAIN, node_name="witness").node == "witness"


def test_an_interface_by_name_is_taken_as_it_is() -> None:
    identity = identify(accepted(GOOD + 'interface = "bond7"'), "pbx3", PLAIN)
    assert [local.interface for local in identity.groups] == ["bond7"]


def test_a_floating_address_left_behind_is_not_the_hosts_own() -> None:
    left = [*host("eth2=10.77.9.101"), *PLAIN]
    assert str(identify(CONFIGURATION, "pbx3", left).link("service").address) == "10.77.9.3"
    with pytest.raises(IdentityError, match="link service: no local address"):
        identify(CONFIGURATION, "pbx3", host("eth1=10.77.1.3", "eth2=10.77.9.101"))


def test_of_several_addresses_on_one_interface_the_first_counts() -> None:
    several = [*PLAIN, *host("eth2=10.77.9.2")]
    assert str(identify(CONFIGURATION, "pbx3", several).link("service").address) == "10.77.9.3"


def test_several_interfaces_in_one_network_are_refused() -> None:
    with pytest.raises(IdentityError) as caught:
        identify(CONFIGURATION, "pbx3", [*PLAIN, *host("eth3=10.77.1.4")])
    assert "link ring1: several interfaces have an address in 10.77.1.0/24" in str(caught.value)
    assert "10.77.1.3 on eth1, 10.77.1.4 on eth3" in str(caught.value)
    assert "narrower" in str(caught.value)


def test_everything_that_does_not_fit_is_told_at_once() -> None:
    with pytest.raises(IdentityError) as caught:
        identify(CONFIGURATION, "-bad-", [])
    first, *rest = str(caught.value).splitlines()
    assert first == "this host does not fit the file:"
    assert len(rest) == 3
    assert "'-bad-' cannot be a node's name" in rest[0]
    assert "link ring1: no local address in 10.77.1.0/24 (this host has none at all)" in rest[1]
    assert "link service" in rest[2]


@given(st.permutations(PLAIN))
def test_the_order_of_interfaces_does_not_matter(addresses: list[LocalAddress]) -> None:
    assert identify(CONFIGURATION, "pbx3", addresses) == identify(CONFIGURATION, "pbx3", PLAIN)


def test_a_witness_need_not_be_on_every_network() -> None:
    configuration = accepted(GOOD.replace("= 3", '= 3\nwitnesses = ["w*"]'))
    witness = identify(configuration, "w1", host("eth1=10.77.1.3"))
    assert [local.link.name for local in witness.links] == ["ring1"]
    assert witness.groups == ()
    everywhere = identify(configuration, "w1", PLAIN)
    assert [local.link.name for local in everywhere.links] == ["ring1", "service"]
    assert [local.group.name for local in everywhere.groups] == ["sip1"], "where it could, its gate stands"
    with pytest.raises(IdentityError, match="no local address is in any link's network"):
        identify(configuration, "w1", host("eth1=10.9.9.9"))
    with pytest.raises(IdentityError, match="link service: no local address"):
        identify(configuration, "pbx1", host("eth1=10.77.1.3"))
    with pytest.raises(IdentityError, match="several interfaces"):
        identify(configuration, "w1", host("eth1=10.77.1.3", "eth3=10.77.1.4"))
