from __future__ import annotations

from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest

from zcluster.config.load import read, read_bytes
from zcluster.lab.configuration import cluster_file
from zcluster.lab.plan import MOST_GROUPS, MOST_NODES, Network, make_plan

EXAMPLE = Path(__file__).parents[2] / "conf" / "example.toml"


@pytest.mark.parametrize("nodes", range(3, MOST_NODES + 1))
@pytest.mark.parametrize("groups", [1, 3, MOST_GROUPS])
@pytest.mark.parametrize("preset", ["standard", "fast", "patient"])
def test_the_file_is_one_that_the_daemon_takes(nodes: int, groups: int, preset: str) -> None:
    plan = make_plan(nodes, groups, preset)
    reading = read_bytes(cluster_file(plan, Path("/tmp/key")).encode())
    assert reading.faults == ()
    configuration = reading.configuration
    assert configuration is not None
    assert (configuration.expected_nodes, configuration.preset) == (nodes, preset)
    configured = [str(address.ip) for group in configuration.groups for address in group.addresses]
    assert configured == list(plan.floating)
    assert configuration.several_groups_per_node == (groups > plan.majority)


def test_the_lab_is_the_cluster_of_the_example() -> None:
    ours = read_bytes(cluster_file(make_plan(5, 3, "standard"), Path("/tmp/key")).encode()).configuration
    example = read(EXAMPLE).configuration
    assert ours is not None
    assert example is not None
    assert ours.links == example.links
    assert ours.expected_nodes == example.expected_nodes
    assert ours.timing == example.timing
    assert [group.addresses for group in ours.groups] == [group.addresses for group in example.groups]


def test_each_host_has_addresses_of_its_own_in_each_network() -> None:
    plan = make_plan(5, 3, "standard")
    own = [host.address(network) for host in plan.hosts for network in Network]
    own += [host.service_address_v6 for host in plan.hosts]
    everything = [*own, *plan.floating]
    assert len(set(everything)) == len(everything)
    assert ip_interface(f"{plan.nodes[0].address(Network.RING2)}/24").network == ip_network("10.77.2.0/24")


@pytest.mark.parametrize(("nodes", "majority"), [(3, 2), (4, 3), (5, 3), (7, 4)])
def test_majority(nodes: int, majority: int) -> None:
    assert make_plan(nodes, 1, "standard").majority == majority


def test_a_group_is_found_by_its_name() -> None:
    plan = make_plan(3, 2, "standard")
    assert plan.group("g2").addresses == ("10.77.9.102", "fd77:9::102")
    with pytest.raises(KeyError):
        plan.group("g3")
