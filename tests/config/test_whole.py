from __future__ import annotations

from ipaddress import ip_address

import pytest

from tests.config.texts import CLUSTER, GOOD, GROUP, RING, SERVICE, accepted, one_fault
from zcluster.config.configuration import Mode, Site
from zcluster.control import document
from zcluster.supervisor.settings import settings_of

UNICAST = """
[[link]]
name = "ring1"
network = "10.77.1.0/24"
discovery = "unicast"
peers = ["10.77.1.1", "10.77.1.2", "Nodes.Example.net."]
"""
SITES = """
[[site]]
name = "north"
nodes = ["pbx1", "pbx2"]

[[site]]
name = "south"
nodes = ["s*"]
"""
SECOND = GROUP.replace("sip1", "sip2").replace("101", "102")
MANY = "".join(GROUP.replace("sip1", f"s{n}").replace("9.101", f"9.{n}") for n in range(102, 230))
PAIR = CLUSTER.replace("= 3", "= 2\nsurvivor-claims = true")
REFERENCE = SERVICE + 'reference = ["10.77.9.1"]\n'


def test_what_is_left_out() -> None:
    configuration = accepted(GOOD)
    assert (configuration.mode, configuration.is_observing) == (Mode.ACTIVE, False)
    assert (configuration.witnesses, configuration.survivor_claims, configuration.sites) == ((), False, ())
    assert settings_of(configuration).forget_after_ms == 600_000


def test_the_rules_of_the_file_reach_the_core() -> None:
    lines = '= 3\nwitnesses = ["w*"]\nforget-after-s = 60\nmode = "observe"'
    apart = 'apart-from = ["sip1"]\n'
    configuration = accepted(CLUSTER.replace("= 3", lines) + RING + SERVICE + SITES + GROUP + SECOND + apart)
    assert configuration.is_observing
    assert configuration.sites == (Site("north", ("pbx1", "pbx2")), Site("south", ("s*",)))
    settings = settings_of(configuration)
    assert settings.witnesses == ("w*",)
    assert settings.forget_after_ms == 60_000
    assert settings.sites == (document.Site("north", ("pbx1", "pbx2")), document.Site("south", ("s*",)))
    assert [group.apart_from for group in settings.groups] == [(), ("sip1",)]


def test_one_of_two_may_go_on_alone_only_with_references() -> None:
    assert settings_of(accepted(PAIR + RING + REFERENCE + GROUP)).survivor_claims
    fault = one_fault(PAIR + RING + SERVICE + GROUP)
    assert fault.key == "cluster.survivor-claims"
    assert "reference = [...]" in fault.mend


def test_unicast_links_have_peers_and_no_group() -> None:
    link = accepted(CLUSTER + UNICAST + SERVICE + GROUP).link("ring1")
    assert link.multicast is None
    assert link.peers == (ip_address("10.77.1.1"), ip_address("10.77.1.2"), "nodes.example.net")


@pytest.mark.parametrize(
    ("text", "key", "wrong"),
    [
        (CLUSTER + UNICAST + 'multicast = "239.77.1.1"' + SERVICE + GROUP, "link[0].multicast", "by unicast"),
        (CLUSTER + RING + 'peers = ["10.77.1.1"]' + SERVICE + GROUP, "link[0].peers", "by multicast"),
        (
            CLUSTER + RING.replace("multicast", "#") + SERVICE + GROUP,
            "link[0].multicast",
            "this key is missing",
        ),
        (
            CLUSTER + UNICAST.split("peers")[0] + SERVICE + GROUP,
            "link[0].peers",
            "needs addresses or DNS names",
        ),
        (CLUSTER + UNICAST.replace("77.1.2", "77.1.2/24") + SERVICE + GROUP, "link[0].peers[1]", "neither"),
        (CLUSTER + UNICAST.replace("10.77.1.2", "10.77.1") + SERVICE + GROUP, "link[0].peers[1]", "neither"),
        (CLUSTER + UNICAST.replace("10.77.1.2", "fd77::2") + SERVICE + GROUP, "link[0].peers[1]", "IPv6"),
        (CLUSTER + UNICAST.replace("unicast", "anycast") + SERVICE + GROUP, "link[0].discovery", "not known"),
        (GOOD.replace("= 3", '= 3\nmode = "passive"'), "cluster.mode", "not known"),
        (GOOD.replace("= 3", "= 3\nforget-after-s = 5"), "cluster.forget-after-s", "out of range"),
        (GOOD + 'apart-from = ["sip1"]' + SITES, "group[0].apart-from[0]", "apart from itself"),
        (GOOD + 'apart-from = ["sip9"]' + SITES, "group[0].apart-from[0]", "no group 'sip9'"),
        (GOOD + SECOND + 'apart-from = ["sip1"]', "group[1].apart-from", "the file has none"),
        (GOOD + SITES.replace("south", "north"), "site[1].name", "is taken by site[0]"),
        (GOOD + '[[site]]\nname = "north"', "site[0].nodes", "missing"),
        (GOOD + MANY, "group[128]", "129 groups"),
    ],
)
def test_each_fault_names_its_key_and_a_mend(text: str, key: str, wrong: str) -> None:
    fault = one_fault(text)
    assert fault.key == key
    assert wrong in fault.wrong
    assert fault.mend
