from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcluster.config.passwordfile import load_password, ordinary
from zcluster.lab.configuration import cluster_file
from zcluster.lab.plan import SwitchKind, make_plan
from zcluster.lab.switch_configuration import (
    ProfilePlan,
    SwitchPlan,
    switch_command,
    switch_directories,
    switch_files,
)
from zcluster.lab.switches import write_password

FRAGMENTS = Path(__file__).parents[2] / "conf" / "freeswitch"
PROFILES = (
    ProfilePlan("g1", "10.77.9.101"),
    ProfilePlan("g1-v6", "fd77:9::101"),
    ProfilePlan("g2", "10.77.9.102", 5070),
)


def plan(
    node: str = "n1", password: str = "secret", profiles: tuple[ProfilePlan, ...] = PROFILES
) -> SwitchPlan:
    return SwitchPlan(node, Path("/lab") / node, Path("/opt/switch"), profiles, "10.77.9.250:5060", password)


def parsed(of: SwitchPlan) -> ET.Element:
    ((path, text),) = switch_files(of).items()
    assert path == of.directory / "conf" / "freeswitch.xml"
    return ET.fromstring(text)


def configuration(root: ET.Element, name: str) -> ET.Element:
    (found,) = root.findall(f"section[@name='configuration']/configuration[@name='{name}']")
    return found


def params(element: ET.Element) -> list[tuple[str, str]]:
    return [(param.attrib["name"], param.attrib["value"]) for param in element.iter("param")]


def fragment(name: str) -> ET.Element:
    """A shipped fragment, as the switch reads it: lines with <include> are its own business."""
    return ET.fromstring((FRAGMENTS / name).read_text())


def plainly(element: ET.Element) -> tuple[object, ...]:
    return element.tag, sorted(element.attrib.items()), [plainly(child) for child in element]


def test_the_switch_reads_line_by_line_so_no_line_may_look_like_an_order_to_it() -> None:
    (text,) = switch_files(plan()).values()
    lines = text.splitlines()
    assert lines[0].startswith("<?xml")
    # switch_xml.c, preprocess(): such lines are dropped, run or expanded before anything is parsed.
    for order in ("<?", "<include>", "</include>", "x-pre-process", "$${"):
        assert not any(order in line.lower() for line in lines[1:]), order


def test_every_profile_is_bound_to_its_address_in_standby_and_tracks_its_calls() -> None:
    sofia = configuration(parsed(plan()), "sofia.conf")
    profiles = sofia.findall("profiles/profile")
    assert [profile.attrib["name"] for profile in profiles] == ["g1", "g1-v6", "g2"]
    for profile, wanted in zip(profiles, PROFILES, strict=True):
        settings = dict(params(profile))
        assert settings["sip-ip"] == settings["rtp-ip"] == wanted.address
        assert settings["sip-port"] == str(wanted.port)
        assert settings["profile-standby"] == settings["track-calls"] == "true"
    assert len({dict(params(profile))["dbname"] for profile in profiles}) == len(profiles)


def test_two_nodes_differ_in_their_name_and_directories_alone() -> None:
    first, second = (next(iter(switch_files(plan(node)).values())) for node in ("n1", "n2"))
    assert first != second
    assert first.replace("/lab/n1/", "/lab/n2/").replace('"n1"', '"n2"') == second


def test_two_nodes_share_no_directory_and_nothing_is_left_to_the_installation() -> None:
    first, second = plan("n1"), plan("n2")
    assert not set(switch_directories(first)) & set(switch_directories(second))
    command = switch_command(first)
    assert command[0] == "/opt/switch/bin/freeswitch"
    assert {Path(word) for word in command if word.startswith("/lab/")} == set(switch_directories(first))
    assert first.core_database.parent in switch_directories(first)


@pytest.mark.parametrize(
    ("fragment_name", "configuration_name", "own"),
    [
        ("switch.xml", "switch.conf", {"switchname", "core-db-name", "max-sessions", "sessions-per-second"}),
        ("event_socket.xml", "event_socket.conf", {"password"}),
        ("profile.xml", "sofia.conf", set()),
    ],
)
def test_what_an_operator_is_told_to_set_is_set_here(
    fragment_name: str, configuration_name: str, own: set[str]
) -> None:
    here = params(configuration(parsed(plan()), configuration_name))
    told = params(fragment(f"zcluster/{fragment_name}"))
    assert told
    for name, value in told:
        if name in own:
            assert name in dict(here)
        else:
            assert (name, value) in here


def test_the_remote_is_the_one_of_the_fragment() -> None:
    (told,) = fragment("zcluster/hash.xml").iter("remote")
    (here,) = configuration(parsed(plan(password="p")), "hash.conf").iter("remote")
    assert here.attrib == told.attrib | {"password": "p"}
    assert here.attrib["username"] == "", "with a name the switch would ask for userauth"


def test_calls_by_way_of_the_holder_are_taken_as_the_fragment_says_and_before_anything_else() -> None:
    told = list(fragment("zcluster/dialplan.xml").iter("extension"))
    (context,) = parsed(plan()).findall("section[@name='dialplan']/context")
    here = list(context.iter("extension"))
    assert [dict(each.attrib)["name"] for each in here[: len(told)]] == [each.attrib["name"] for each in told]
    assert [[plainly(part) for part in each] for each in here[: len(told)]] == [
        [plainly(part) for part in each] for each in told
    ]


def test_the_floating_addresses_alone_are_admitted_as_the_cluster() -> None:
    (access,) = configuration(parsed(plan()), "acl.conf").iter("list")
    assert access.attrib == {"name": "zcluster", "default": "deny"}
    networks = [ip_network(node.attrib["cidr"]) for node in access]
    assert networks == [ip_network(profile.address) for profile in PROFILES]
    assert all(node.attrib["type"] == "allow" for node in access)


def test_the_example_profile_is_the_fragment_and_its_address() -> None:
    (profile,) = fragment("sip_profiles/sip1.xml").iter("profile")
    settings = dict(params(profile))
    assert settings["sip-ip"] == settings["rtp-ip"]
    (include,) = profile.iter("X-PRE-PROCESS")
    assert include.attrib == {"cmd": "include", "data": "$${conf_dir}/zcluster/profile.xml"}
    admitted = [node.attrib["cidr"] for node in fragment("zcluster/acl.xml").iter("node")]
    assert f"{settings['sip-ip']}/32" in admitted


@pytest.mark.parametrize("path", sorted(FRAGMENTS.rglob("*.xml")), ids=lambda path: path.name)
def test_a_fragment_survives_being_read_line_by_line(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("<include>", "</include>")
    assert not any("include>" in line for line in lines[1:-1])
    # A comment that names an order to the preprocessor would carry it out.
    for comment in re.findall(r"<!--(.*?)-->", path.read_text(), re.DOTALL):
        assert "$${" not in comment
        assert "pre-process" not in comment.lower()


_TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=40)


@given(name=_TEXT, password=_TEXT)
def test_no_name_or_password_breaks_out_of_its_attribute(name: str, password: str) -> None:
    root = parsed(plan(password=password, profiles=(ProfilePlan(name, "10.77.9.101"),)))
    (profile,) = configuration(root, "sofia.conf").iter("profile")
    assert profile.attrib["name"] == name
    assert dict(params(configuration(root, "event_socket.conf")))["password"] == password


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str))
def test_any_address_is_admitted_alone(address: str) -> None:
    root = parsed(plan(profiles=(ProfilePlan("g1", address),)))
    (node,) = configuration(root, "acl.conf").iter("node")
    assert list(ip_network(node.attrib["cidr"])) == [ip_address(address)]


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError):
        switch_files(plan(profiles=(ProfilePlan("g1", "sip.example.net"),)))


def test_the_password_is_of_this_laboratory_alone_and_no_name(tmp_path: Path) -> None:
    """As the cluster's name it would be blotted out of every report."""
    first, second = tmp_path / "a", tmp_path / "b"
    passwords = []
    for directory in (first, second):
        directory.mkdir()
        file = write_password(directory)
        assert file.stat().st_mode & 0o777 == 0o600
        passwords.append(load_password(file))
        assert load_password(write_password(directory)) == passwords[-1], (
            "the switches of one laboratory agree"
        )
        text = cluster_file(make_plan(3, 2, "standard", SwitchKind.FAKE), directory / "key", file)
        assert passwords[-1] not in text
        assert ordinary(passwords[-1], text.split()) is None
    assert passwords[0] != passwords[1]
