from __future__ import annotations

import os
from ipaddress import ip_address, ip_interface

import pytest
from pyroute2 import IPRoute

from tests.adapters.wire import Wire, set_link
from zcluster.adapters.addresses import Addresses
from zcluster.adapters.gate import Gate
from zcluster.adapters.host_networks import (
    default_gateways,
    interface_lines,
    interfaces,
    neighbour_lines,
    packet_rule_lines,
    route_lines,
)
from zcluster.errors import KernelRefused

pytestmark = pytest.mark.kernel


def test_interfaces_and_their_addresses(wire: Wire) -> None:
    with wire.host.inside():
        floating = Addresses()
        floating.add("h0", ip_address("10.77.0.101"))
        floating.close()
        found = {each.name: each for each in interfaces()}
    assert {"lo", "h0", "h1"} == set(found)
    assert found["lo"].is_loopback
    assert (found["h0"].kind, found["h0"].is_up, found["h0"].can_multicast) == ("veth", True, True)
    by_address = {each.interface: each for each in found["h0"].addresses}
    own, ours = by_address[ip_interface("10.77.0.1/24")], by_address[ip_interface("10.77.0.101/32")]
    assert own.is_lasting
    assert not ours.is_lasting, "a floating address ends by itself"
    assert any(each.is_link_local for each in found["h0"].addresses)
    assert any("10.77.0.101/32" in line and "with an end" in line for line in interface_lines(found.values()))


def test_a_pulled_cable_is_seen(wire: Wire) -> None:
    with wire.other.inside():
        set_link("o0", False)
    with wire.host.inside():
        assert not {each.name: each for each in interfaces()}["h0"].is_up


def test_routes_and_the_way_out(wire: Wire) -> None:
    with wire.host.inside():
        assert default_gateways() == {}
        with IPRoute() as route:
            route.route("add", dst="0.0.0.0/0", gateway="10.77.0.254")
        assert default_gateways() == {"h0": "10.77.0.254"}
        lines = route_lines()
        neighbour_lines()
    assert "default  via 10.77.0.254  dev h0" in lines
    assert any(line.startswith("10.77.0.0/24") for line in lines)


def test_the_gates_rules_and_what_is_open(wire: Wire) -> None:
    with wire.host.inside():
        assert packet_rule_lines() == []
        gate = Gate("zcluster")
        gate.install([ip_address("10.77.0.101")], ["h0"])
        lines = packet_rule_lines()
        gate.remove()
        gate.shut()
    assert "inet zcluster set managed4: 10.77.0.101" in lines
    assert "inet zcluster set armed: empty" in lines
    assert any("hook" in line and "input" in line for line in lines)
    assert any("nf_drop" in line for line in lines)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become somebody else")
def test_what_may_not_be_seen_is_refused_and_not_empty(wire: Wire) -> None:
    with wire.host.inside():
        child = os.fork()
        if child == 0:
            try:
                os.setuid(65534)
                packet_rule_lines()
            except KernelRefused:
                os._exit(7)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
