from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from tests.lab.world_check import passes_in_world
from zcluster.lab.cluster_view import NOBODY
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import Network, make_plan
from zcluster.lab.verdict import Kind, judge
from zcluster.supervisor.daemon import EXIT_RESTART

pytestmark = pytest.mark.kernel

ASLEEP = ["/bin/sh", "-c", "exec sleep 60"]  # instead of the daemon: hosts that do nothing by themselves
SETTLE_S = 0.4


@contextmanager
def laboratory(directory: Path, nodes: int = 3) -> Iterator[Laboratory]:
    lab = Laboratory(directory, make_plan(nodes, 1, "standard"), daemon=ASLEEP)
    try:
        lab.build()
        yield lab
    finally:
        lab.close()


def on(lab: Laboratory, node: str, work: Callable[[], None]) -> None:
    assert lab.hosts[node].fork("act", work).wait(5.0) == 0


def hold(lab: Laboratory, node: str) -> None:
    """The node takes the group's addresses and says so, as a daemon would."""

    def act() -> None:
        with IPRoute() as netlink:
            index = netlink.link_lookup(ifname="svc")[0]
            netlink.addr("add", index=index, address=lab.plan.groups[0].address_v4, prefixlen=24)
            netlink.addr("add", index=index, address=lab.plan.groups[0].address_v6, prefixlen=64, flags=2)
        announce(lab.plan.groups[0].address_v4)
        announce_v6(lab.plan.groups[0].address_v6)

    on(lab, node, act)


def announce(address: str) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as sender:
        sender.bind(("svc", 0))
        mac, packed = sender.getsockname()[4], socket.inet_aton(address)
        head = b"\xff" * 6 + mac + b"\x08\x06" + b"\x00\x01\x08\x00\x06\x04\x00\x01"
        sender.send(head + mac + packed + bytes(6) + packed)


def announce_v6(address: str) -> None:
    """An unsolicited neighbour advertisement that overrides (RFC 4861, section 7.2.6)."""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sender:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        mac = bytes.fromhex(Path("/sys/class/net/svc/address").read_text().strip().replace(":", ""))
        head = bytes([136, 0, 0, 0, 0x20, 0, 0, 0])
        body = head + socket.inet_pton(socket.AF_INET6, address) + b"\x02\x01" + mac
        sender.sendto(body, ("ff02::1", 0, 0, socket.if_nametoindex("svc")))


def drop(lab: Laboratory, node: str) -> None:
    def act() -> None:
        with IPRoute() as netlink:
            index = netlink.link_lookup(ifname="svc")[0]
            netlink.addr("del", index=index, address=lab.plan.groups[0].address_v4, prefixlen=24)
            netlink.addr("del", index=index, address=lab.plan.groups[0].address_v6, prefixlen=64)

    on(lab, node, act)


def steady(lab: Laboratory) -> bool:
    return all(lab.probes.is_answering(address, 100) for address in lab.plan.floating)


def test_hosts_have_their_own_names_addresses_and_storage() -> None:
    def check(directory: Path) -> None:
        with laboratory(directory) as lab:
            for number in (1, 2, 3):

                def look(number: int = number) -> None:
                    assert socket.gethostname() == f"n{number}"
                    with IPRoute() as netlink:
                        own = {item.get_attr("IFA_ADDRESS") for item in netlink.get_addr()}
                    wanted = {f"10.77.{network}.{number}" for network in (1, 2, 9)} | {f"fd77:9::{number}"}
                    assert wanted <= own
                    assert {path.name for path in Path("/sys/class/net").iterdir()} == {
                        "lo",
                        "ring1",
                        "ring2",
                        "svc",
                    }
                    assert Path("/run/zcluster").is_dir()
                    Path("/run/zcluster-state/kept").write_text("x")

                on(lab, f"n{number}", look)
                assert (directory / "state" / f"n{number}" / "kept").exists()
            assert not Path("/run/zcluster-state/kept").exists()

    passes_in_world(check)


def test_a_handover_is_measured_and_seen_as_one() -> None:
    def check(directory: Path) -> None:
        with laboratory(directory) as lab:
            assert lab.silent_addresses() == list(lab.plan.floating)
            hold(lab, "n1")
            lab.wait_for(lambda: steady(lab), 5.0, "n1 answers")
            lab.observer.start_over()
            since_ns = time.time_ns()
            drop(lab, "n1")
            lab.wait(0.2)
            hold(lab, "n2")
            lab.wait_for(lambda: steady(lab), 5.0, "n2 answers")
            gap = lab.probes.outage("10.77.9.101", since_ns)
            assert gap is not None
            assert gap.is_over
            assert gap.length_ms > 150
            sightings = lab.observer.sightings()
            assert {seen.host for seen in sightings} == {"n1", "n2"}
            assert {seen.kind for seen in sightings} == set(Kind)
            assert {seen.address for seen in sightings} == set(lab.plan.floating)
            assert judge(sightings, {}) == []

    passes_in_world(check)


def test_two_hosts_with_one_address_are_caught() -> None:
    def check(directory: Path) -> None:
        with laboratory(directory) as lab:
            hold(lab, "n1")
            lab.wait_for(lambda: steady(lab), 5.0, "n1 answers")
            hold(lab, "n2")  # n1 still has it, and says so when it is asked
            lab.wait(0.1)
            on(lab, "n1", lambda: announce("10.77.9.101"))
            lab.wait(0.1)
            found = judge(lab.observer.sightings(), {})
            assert [overlap.address for overlap in found] == ["10.77.9.101"]
            assert found[0].host == "n1"

    passes_in_world(check)


def test_a_muted_host_keeps_its_carrier_and_is_still_heard_by_the_observer() -> None:
    def check(directory: Path) -> None:
        def carrier(wanted: str) -> Callable[[], None]:
            def look() -> None:
                assert Path("/sys/class/net/svc/carrier").read_text().strip() == wanted

            return look

        with laboratory(directory) as lab:
            hold(lab, "n1")
            lab.wait_for(lambda: steady(lab), 5.0, "n1 answers")
            lab.switchboard.mute("n1", *Network)
            since_ns = time.time_ns()
            lab.wait(SETTLE_S)
            assert len(lab.silent_addresses()) == 2
            on(lab, "n1", carrier("1"))
            lab.observer.start_over()
            on(lab, "n1", lambda: announce("10.77.9.101"))
            assert [seen.host for seen in lab.observer.sightings()] == ["n1"]
            lab.switchboard.unmute("n1", *Network)
            lab.wait_for(lambda: steady(lab), 5.0, "n1 answers again")
            gap = lab.probes.outage("10.77.9.101", since_ns)
            assert gap is not None
            assert gap.length_ms >= SETTLE_S * 1000

            lab.switchboard.unplug("n1", Network.SERVICE)
            on(lab, "n1", carrier("0"))
            lab.switchboard.plug("n1", Network.SERVICE)
            lab.wait_for(lambda: steady(lab), 5.0, "n1 answers once more")

    passes_in_world(check)


def test_a_host_that_lost_power_returns_with_its_disk_and_nothing_else() -> None:
    def check(directory: Path) -> None:
        def write() -> None:
            Path("/run/zcluster/memory").write_text("x")
            Path("/run/zcluster-state/disk").write_text("x")

        def look() -> None:
            assert not Path("/run/zcluster/memory").exists()
            assert Path("/run/zcluster-state/disk").exists()
            with IPRoute() as netlink:
                own = {item.get_attr("IFA_ADDRESS") for item in netlink.get_addr()}
            assert "10.77.9.101" not in own

        with laboratory(directory) as lab:
            hold(lab, "n1")
            on(lab, "n1", write)
            lab.wait_for(lambda: steady(lab), 5.0, "n1 answers")
            daemon = lab.daemon_of("n1")
            lab.cut_off("n1")
            assert daemon.wait(2.0) == -9
            lab.wait(SETTLE_S)
            assert len(lab.silent_addresses()) == 2
            lab.clear_away("n1")
            assert lab.powered == ["n2", "n3"]
            lab.power_on("n1")
            on(lab, "n1", look)
            assert lab.daemon_of("n1").is_running()
            assert lab.ownership("g1") == NOBODY

    passes_in_world(check)


def test_what_was_started_by_hand_goes_with_the_power() -> None:
    """As in `lab shell`: the laboratory did not start it and is not its parent."""

    def check(directory: Path) -> None:
        with laboratory(directory) as lab:
            by_hand = visitor(lab, "n1")
            elsewhere = visitor(lab, "n2")
            lab.hosts["n1"].signal_all(signal.SIGSTOP)
            lab.wait_for(lambda: state_of(by_hand) == "T", 10.0, "it stands still with its host")
            lab.cut_off("n1")
            lab.wait_for(lambda: state_of(by_hand) in "ZX", 10.0, "it is dead")
            assert state_of(elsewhere) == "S"
            lab.clear_away("n1")
            lab.power_on("n1")

    passes_in_world(check)


def visitor(lab: Laboratory, node: str) -> int:
    """A program in that host whose parent is gone: its process id."""
    file = lab.directory / f"{node}.visitor"

    def act() -> None:
        process = os.fork()
        if process == 0:
            os.setsid()
            os.execv("/bin/sh", ASLEEP)
        file.write_text(str(process))

    on(lab, node, act)
    return int(file.read_text())


def state_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "X"


def test_a_planned_restart_is_followed_by_the_next_life_where_that_is_wanted() -> None:
    def check(directory: Path) -> None:
        lab = Laboratory(directory, make_plan(2, 1, "standard"), daemon=["/bin/sh", "-c", "exit 75"])
        try:
            lab.build()
            first = lab.daemon_of("n1")
            assert first.wait(10.0) == EXIT_RESTART
            lab.wait(SETTLE_S)
            assert lab.daemon_of("n1") is first
            assert lab.ended_daemons()["n1"] == EXIT_RESTART

            lab.is_service_manager = True
            lab.wait_for(lambda: lab.daemon_of("n1") is not first, 10.0, "the next life")
        finally:
            lab.close()

    passes_in_world(check)


def test_a_daemon_that_ends_otherwise_is_nobodys_next_life() -> None:
    def check(directory: Path) -> None:
        with laboratory(directory) as lab:
            lab.is_service_manager = True
            killed = lab.daemon_of("n1")
            killed.signal(signal.SIGKILL)
            assert killed.wait(10.0) == -signal.SIGKILL
            lab.wait(SETTLE_S)
            assert lab.ended_daemons() == {"n1": -signal.SIGKILL}

    passes_in_world(check)
