"""What `zcluster init` proposes: pure over hosts of every shape, and on real interfaces with a switch that answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from ipaddress import IPv4Network, ip_address, ip_interface
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as some

from tests.adapters.wire import Namespace, add_address, add_cable, set_link
from tests.switch.recorded import received
from zcluster.adapters.host_networks import HostAddress, HostInterface
from zcluster.cli import commands
from zcluster.config.configuration import Configuration, LinkRole, SocketAddress
from zcluster.config.load import read, read_bytes
from zcluster.console.init_parts.groups import propose
from zcluster.console.init_parts.networks import Address, LinkProposal, Networks, judge
from zcluster.console.init_parts.switch import ProfileSeen, SwitchSeen, profile_names, profile_of
from zcluster.console.init_parts.text import WIDTH, Proposal, decisions, render
from zcluster.errors import StateFileError, ZclusterError
from zcluster.lab.fake_switch.settings import ProfilePlan, SwitchPlan, write_plan

EVENT_SOCKET = SocketAddress(ip_address("127.0.0.1"), 8021)
PASSWORD_PATH = Path("/etc/zcluster/event-socket.password")
LIMIT_S = 20.0


def address(written: str, is_lasting: bool = True, is_secondary: bool = False) -> HostAddress:
    interface = ip_interface(written)
    return HostAddress(interface, is_lasting, is_secondary, interface.is_link_local)


def interface(name: str, *addresses: HostAddress | str, kind: str = "", is_up: bool = True) -> HostInterface:
    own = tuple(address(each) if isinstance(each, str) else each for each in addresses)
    return HostInterface(name, kind, "02:00:00:00:00:01", 1500, is_up, name == "lo", False, True, "", own)


LO = interface("lo", "127.0.0.1/8", "::1/128")
ETH0 = interface("eth0", "192.168.7.11/24", "fe80::1/64")
ETH1, ETH2 = interface("eth1", "10.77.1.11/24"), interface("eth2", "fd77:2::11/64")
HOST = (LO, ETH0, ETH1, ETH2)
GATEWAYS = {"eth0": "192.168.7.1"}


def profile(name: str, sip: str, rtp: str = "", external: str = "") -> ProfileSeen:
    return ProfileSeen(name, ip_address(sip), ip_address(rtp or sip), external)


def nobody(_link: LinkProposal, _addresses: Sequence[Address]) -> Collection[Address] | None:
    return set()


def proposal(
    interfaces: Sequence[HostInterface] = HOST,
    profiles: Sequence[ProfileSeen] = (),
    nodes: int | None = 3,
    switch: SwitchSeen | None = None,
    password_file: Path | None = PASSWORD_PATH,
) -> Proposal:
    seen = switch or SwitchSeen("" if profiles else "Connection refused", tuple(profiles))
    networks = judge(interfaces, GATEWAYS, {each.sip for each in profiles if each.sip})
    groups = propose(networks.service, interfaces, profiles, nobody)
    return Proposal("pbx1", "pbx", nodes, networks, groups, seen, EVENT_SOCKET, password_file, PASSWORD_PATH)


def configuration(made: Proposal) -> Configuration:
    reading = read_bytes(render(made).encode())
    assert reading.faults == ()
    assert reading.configuration is not None
    return reading.configuration


def roles(networks: Networks) -> dict[str, str]:
    return {link.interface: f"{link.name} {link.role}" for link in networks.links}


def left_out(*interfaces: HostInterface) -> dict[str, str]:
    return {each.interface: each.why for each in judge((LO, ETH0, *interfaces), GATEWAYS, ()).left_out}


def test_the_way_out_is_the_service_network_and_the_others_are_rings() -> None:
    networks = judge(HOST, GATEWAYS, ())
    assert roles(networks) == {"eth0": "service service", "eth1": "ring1 cluster", "eth2": "ring2 cluster"}
    assert networks.left_out == ()
    assert networks.service[0].gateway == ip_address("192.168.7.1")


def test_where_a_profile_listens_is_the_service_network_whatever_the_routes_say() -> None:
    networks = judge(HOST, GATEWAYS, {ip_address("10.77.1.101")})
    assert roles(networks) == {"eth1": "service service", "eth0": "ring1 cluster", "eth2": "ring2 cluster"}
    assert "SIP profile" in networks.service[0].why


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (interface("wg0", "10.9.0.1/24", kind="wireguard"), "tunnel"),
        (interface("docker0", "172.17.0.1/16", kind="bridge"), "containers"),
        (interface("br-1a2b3c", "172.18.0.1/16", kind="bridge"), "containers"),
        (interface("dummy0", "10.8.0.1/24", kind="dummy"), "pretended"),
        (interface("eth3", "10.7.0.1/24", is_up=False), "down"),
        (interface("eth4", "10.6.0.1/32"), "no address of its own"),
        (interface("eth5", "fe80::5/64"), "no address of its own"),
        (interface("eth6", "192.168.7.12/24"), "could not tell which is meant"),
        (interface("eth7", "192.168.0.0/16"), "could not tell which is meant"),
        (interface("eth8", "8.8.8.8/24"), "public"),
    ],
)
def test_what_is_no_link_is_left_out_with_the_reason(odd: HostInterface, why: str) -> None:
    assert why in left_out(odd)[odd.name]


def test_a_bridge_and_a_veth_with_an_address_are_interfaces_like_any_other() -> None:
    odd = (interface("br0", "10.5.0.1/24", kind="bridge"), interface("eth9", "10.4.0.1/24", kind="veth"))
    assert set(roles(judge((LO, ETH0, *odd), GATEWAYS, ()))) == {"eth0", "br0", "eth9"}


def test_without_a_switch_the_file_can_be_used_and_asks() -> None:
    made = proposal(nodes=None, password_file=None)
    found = configuration(made)
    assert [(link.name, link.role) for link in found.links] == [
        ("service", LinkRole.SERVICE),
        ("ring1", LinkRole.CLUSTER),
        ("ring2", LinkRole.CLUSTER),
    ]
    (group,) = found.groups
    assert group.addresses == (ip_interface("192.168.7.101/24"),)
    assert found.switch is None
    assert len({link.multicast for link in found.links}) == 3
    words = " ".join(decisions(made))
    assert "expected-nodes" in words
    assert "192.168.7.101 is nobody's" in words
    assert "Connection refused" in words


def test_a_profile_on_a_floating_address_keeps_it() -> None:
    held = address("192.168.7.150/32")
    host = (LO, interface("eth0", "192.168.7.11/24", held), ETH1)
    made = proposal(host, [profile("sip1", "192.168.7.150"), profile("sip2", "192.168.7.151")])
    found = configuration(made)
    assert [(group.profiles, str(group.addresses[0])) for group in found.groups] == [
        (("sip1",), "192.168.7.150/24"),
        (("sip2",), "192.168.7.151/24"),
    ]
    assert "take 192.168.7.150 out of whatever gives it" in " ".join(decisions(made))
    assert found.switch is not None
    assert found.switch.password_file == PASSWORD_PATH


def test_profiles_on_the_hosts_own_address_get_a_new_one_and_are_told() -> None:
    """What a single PBX looks like: FreeSWITCH's own configuration listens on the host's address."""
    seen = [profile("internal", "192.168.7.11", external="203.0.113.9"), profile("external", "192.168.7.11")]
    made = proposal(profiles=seen)
    (group,) = configuration(made).groups
    assert group.profiles == ("internal", "external")
    assert group.addresses == (ip_interface("192.168.7.101/24"),)
    words = " ".join(decisions(made))
    assert "set sip-ip and rtp-ip of internal and external to 192.168.7.101 on every host" in words
    assert "203.0.113.9" in render(made)


def test_profiles_on_two_networks_make_two_service_links() -> None:
    found = configuration(proposal(profiles=[profile("in", "192.168.7.150"), profile("out", "10.77.1.150")]))
    assert [link.name for link in found.service_links] == ["service", "service2"]
    assert [group.link for group in found.groups] == ["service", "service2"]


@pytest.mark.parametrize("sip", ["::1", "127.0.0.1", "172.31.0.5"])
def test_a_profile_that_cannot_move_is_named_with_the_reason(sip: str) -> None:
    made = proposal(profiles=[profile("odd", sip)])
    assert all(group.profiles == () for group in configuration(made).groups)
    assert "In no group: the profile odd" in render(made)


def test_media_elsewhere_is_told() -> None:
    assert "rtp-ip must be the floating address" in render(
        proposal(profiles=[profile("sip1", "192.168.7.150", "192.168.7.11")])
    )


def test_an_address_that_somebody_has_is_not_proposed() -> None:
    links = judge(HOST, GATEWAYS, ()).service
    asked: list[Address] = []

    def somebody(_link: LinkProposal, addresses: Sequence[Address]) -> Collection[Address]:
        asked.extend(addresses)
        return set(addresses[:2])

    (group,) = propose(links, HOST, (), somebody).groups
    assert group.address == ip_interface("192.168.7.103/24")
    assert 1 < len(asked) < 20
    (group,) = propose(links, HOST, (), lambda *_: None).groups
    assert "was not asked" in group.todo[0]
    (group,) = propose(links, HOST, (), lambda _link, addresses: set(addresses)).groups
    assert "none was found" in group.todo[0]


def test_a_network_without_room_is_refused() -> None:
    small = interface("eth0", "192.168.7.1/30")
    links = judge((LO, small), {"eth0": "192.168.7.2"}, ()).service
    with pytest.raises(ZclusterError, match="no room"):
        propose(links, (LO, small), (), nobody)


def test_the_recorded_words_of_a_real_switch_are_understood() -> None:
    text = received("api-registered").decode()
    assert profile_names(text) == (("own", "vip1"), ())
    begin = text.index("<profile>\n  <profile-info>")
    assert profile_of("vip1", text[begin:]) == ProfileSeen(
        "vip1", ip_address("10.77.0.100"), ip_address("10.77.0.100"), ""
    )


@pytest.mark.parametrize("name", ['a"b', "a\nb = 1", "#", "-x", "a b"])
def test_a_profile_whose_name_does_not_fit_the_file_is_only_mentioned(name: str) -> None:
    row = f"<profile>\n<name>{name}</name>\n<type>profile</type>\n<data>x</data>\n<state>RUNNING (0)</state>"
    assert profile_names(row) == ((), (name,))
    made = proposal(switch=SwitchSeen("", (), unnamed=(name,)))
    configuration(made)


words = some.text(max_size=30)
addresses = some.one_of(some.ip_addresses(v=4), some.ip_addresses(v=6))
own_addresses = some.builds(
    lambda ip, length, is_lasting, is_secondary: HostAddress(
        ip_interface(f"{ip}/{min(length, ip.max_prefixlen)}"), is_lasting, is_secondary, ip.is_link_local
    ),
    addresses,
    some.integers(0, 128),
    some.booleans(),
    some.booleans(),
)
hosts = some.lists(
    some.builds(
        HostInterface,
        name=some.text("abcdefgh0123.-", min_size=1, max_size=15),
        kind=some.sampled_from(["", "vlan", "veth", "bridge", "tun"]),
        mac=some.just("02:00:00:00:00:01"),
        mtu=some.just(1500),
        is_up=some.booleans(),
        is_loopback=some.booleans(),
        is_point_to_point=some.booleans(),
        can_multicast=some.booleans(),
        master=some.just(""),
        addresses=some.lists(own_addresses, max_size=3).map(tuple),
    ),
    max_size=6,
    unique_by=lambda each: each.name,
)
profiles = some.lists(
    some.builds(
        ProfileSeen,
        name=some.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True),
        sip=some.none() | addresses,
        rtp=some.none() | addresses,
        external=words,
    ),
    max_size=5,
    unique_by=lambda each: each.name,
)


@given(hosts, profiles, words, some.none() | some.integers(1, 64), some.booleans())
def test_whatever_the_host_looks_like_the_file_can_be_used(
    host: list[HostInterface], seen: list[ProfileSeen], said: str, nodes: int | None, has_switch: bool
) -> None:
    here = seen + [
        profile(f"own{number}", str(each.interface.ip))
        for number, one in enumerate(host)
        for each in one.addresses[:1]
    ]
    networks = judge(host, {one.name: "" for one in host[:1]}, {each.sip for each in here if each.sip})
    if not networks.service:
        return
    try:
        groups = propose(networks.service, host, here, nobody)
    except ZclusterError:  # no room
        assert min(link.network.num_addresses for link in networks.service) <= 16
        return
    switch = SwitchSeen("" if has_switch else said or "gone", tuple(here), unnamed=(said,))
    made = Proposal(said, "pbx", nodes, networks, groups, switch, EVENT_SOCKET, None, PASSWORD_PATH)
    found = configuration(made)
    own = {each.interface.ip for one in host for each in one.addresses if not each.is_secondary}
    for group in found.groups:
        for floating in group.addresses:
            assert (
                floating.ip not in own or floating.network.num_addresses <= 2 or _is_single(host, floating.ip)
            )
    text = render(made)
    assert all(len(line) <= WIDTH + 40 or " " not in line.strip("# ") for line in text.splitlines())


def _is_single(host: Sequence[HostInterface], ip: Address) -> bool:
    """An address without a network around it is one that somebody floats."""
    return any(
        each.interface.ip == ip and each.interface.network.num_addresses == 1
        for one in host
        for each in one.addresses
    )


def init(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(commands, ["init", *words])
    if isinstance(done.exception, ZclusterError):
        raise done.exception
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "zcluster.toml"
    path.write_text("mine")
    with pytest.raises(StateFileError, match="--force"):
        init("--no-switch", "--out", str(path))
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "wrong", [("--name", "a b"), ("--event-socket", "localhost:8021"), ("--password-file", "relative")]
)
def test_odd_options_are_refused_in_words(wrong: tuple[str, str]) -> None:
    with pytest.raises(ZclusterError, match=wrong[0]):
        init("--no-switch", "--out", "-", *wrong)


@pytest.fixture
def far() -> Namespace:
    return Namespace()


@pytest.mark.kernel
def test_a_host_with_nothing_to_carry_an_address_is_told_so() -> None:
    with Namespace().inside(), pytest.raises(ZclusterError, match="no interface of this host"):
        init("--no-switch", "--out", "-")


def _several_interfaces(far: Namespace) -> None:
    set_link("lo", True)
    for name, written, prefix in (
        ("eth0", "192.168.7.11", 24),
        ("eth1", "10.77.1.11", 24),
        ("eth2", "10.77.2.11", 24),
    ):
        add_cable(name, f"{name}-far", far)
        add_address(name, written, prefix)
    with far.inside():
        add_address("eth0-far", "192.168.7.101", 24)


@pytest.mark.kernel
def test_on_a_host_with_several_interfaces_and_no_switch(tmp_path: Path, far: Namespace) -> None:
    path = tmp_path / "zcluster.toml"
    with Namespace().inside():
        _several_interfaces(far)
        status, output = init("--out", str(path), "--expected-nodes", "5", "--event-socket", "127.0.0.1:1")
        checked = CliRunner().invoke(commands, ["check", str(path)])
    assert (status, checked.exit_code) == (0, 0)
    found = read(path).configuration
    assert found is not None
    assert found.expected_nodes == 5
    assert {str(link.network) for link in found.links} == {"192.168.7.0/24", "10.77.1.0/24", "10.77.2.0/24"}
    (group,) = found.groups
    assert str(group.addresses[0]) == "192.168.7.102/24", "the neighbour has .101 and said so"
    assert "Still to decide" in output
    assert "the switch was not asked" in output


@pytest.mark.kernel
@pytest.mark.lab
def test_beside_a_switch_its_profiles_become_groups(tmp_path: Path, far: Namespace) -> None:
    path, password = tmp_path / "zcluster.toml", tmp_path / "event-socket.password"
    password.write_text("from-the-switch\n")
    password.chmod(0o600)
    plan = SwitchPlan(
        switchname="fs1",
        profiles=(ProfilePlan("internal", "192.168.7.11"), ProfilePlan("sip2", "10.77.1.150")),
        event_socket=("127.0.0.1", 8021),
        password="from-the-switch",
        core_db=str(tmp_path / "core.db"),
        carrier=("192.168.7.1", 5060),
    )
    write_plan(plan, tmp_path / "plan.json")
    with Namespace().inside():
        _several_interfaces(far)
        process = subprocess.Popen(
            [sys.executable, "-m", "zcluster.lab.fake_switch", str(tmp_path / "plan.json")],
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        try:
            _wait_for(plan.event_socket)
            status, _ = init("--out", str(path), "--password-file", str(password))
        finally:
            process.kill()
            process.wait()
        checked = CliRunner().invoke(commands, ["check", str(path)])
    assert (status, checked.exit_code) == (0, 0)
    found = read(path).configuration
    assert found is not None
    assert found.switch is not None
    assert found.switch.password_file == password
    assert [(group.profiles, str(group.addresses[0]), group.network) for group in found.groups] == [
        (("internal",), "192.168.7.102/24", IPv4Network("192.168.7.0/24")),
        (("sip2",), "10.77.1.150/24", IPv4Network("10.77.1.0/24")),
    ]
    assert password.read_text().strip() not in path.read_text()


def _wait_for(place: tuple[str, int]) -> None:
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        try:
            socket.create_connection(place, timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nobody listens at {place}")
