from __future__ import annotations

import errno
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.adapters.wire import (
    Wire,
    add_address,
    arp_frame,
    is_advertisement,
    neighbour_frame,
    set_link,
    solicited_node,
)
from zcluster.adapters import nftables
from zcluster.adapters.gate import Gate, GateLost
from zcluster.adapters.netlink import Refused, text
from zcluster.adapters.realtime import tick_ms

pytestmark = pytest.mark.kernel

V4, V6 = "10.77.0.9", "fd77::9"
BOTH = (ip_address(V4), ip_address(V6))
LONG_MS = 30_000
TICK_S = tick_ms() / 1000


@pytest.fixture
def gate(wire: Wire) -> Iterator[Gate]:
    """A closed gate on a host that has the addresses."""
    with wire.host.inside():
        add_address("h0", V4, 32)
        add_address("h0", V6, 128)
        made = Gate()
        made.install(BOTH, ["h0"])
    yield made
    made.shut()


def answers(wire: Wire) -> list[str]:
    """By which means the address is answered, as seen from the other side."""
    means: dict[str, Callable[[], bool]] = {
        "arp": lambda: wire.station.arp(V4, "10.77.0.2", 0.05) is not None,
        "solicitation": lambda: wire.station.solicit(V6, "fd77::2", 0.05) is not None,
        "duplicate detection": lambda: wire.station.solicit(V6, "::", 0.05) is not None,
        "ping 4": lambda: wire.station.ping(V4, 0.05),
        "ping 6": lambda: wire.station.ping(V6, 0.05),
    }
    return [name for name, ask in means.items() if ask()]


ALL = ["arp", "solicitation", "duplicate detection", "ping 4", "ping 6"]


def test_without_a_gate_everything_answers(wire: Wire) -> None:
    with wire.host.inside():
        add_address("h0", V4, 32)
        add_address("h0", V6, 128)
    assert answers(wire) == ALL


def test_a_fresh_gate_is_closed_and_a_pointed_one_open(wire: Wire, gate: Gate) -> None:
    assert answers(wire) == []
    gate.arm(1, BOTH, LONG_MS)
    assert answers(wire) == [], "armed alone opens nothing"
    gate.point(BOTH, 1)
    assert answers(wire) == ALL
    gate.close(BOTH)
    assert answers(wire) == []


def test_what_is_not_managed_passes_untouched(wire: Wire, gate: Gate) -> None:
    assert wire.station.arp("10.77.0.1", "10.77.0.2") == wire.port.mac
    assert wire.station.solicit("fd77::1", "fd77::2") == wire.port.mac
    assert wire.station.ping("10.77.0.1")
    assert wire.station.ping("fd77::1")


def test_each_address_is_gated_for_itself(wire: Wire, gate: Gate) -> None:
    gate.arm(1, BOTH, LONG_MS)
    gate.point(BOTH[:1], 1)
    assert answers(wire) == ["arp", "ping 4"]
    gate.point(BOTH[1:], 1)
    gate.close(BOTH[:1])
    assert answers(wire) == ["solicitation", "duplicate detection", "ping 6"]


@pytest.mark.parametrize("lease_ms", [76, 140])
def test_the_kernel_ends_the_lease_on_time(wire: Wire, gate: Gate, lease_ms: int) -> None:
    """Early by two ticks at most (the timeout is rounded down, and begins within a tick); late only by
    the lateness of the tick's own interrupt."""
    with wire.host.inside():
        speaker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    speaker.bind((V4, 5060))
    lasted_ms = []
    for slot in range(1, 16):
        time.sleep(0.0013 * slot % TICK_S)  # another phase of the tick each time
        armed_s = time.monotonic()
        gate.arm(slot, BOTH, lease_ms)
        gate.point(BOTH, slot)
        lasted_ms.append((last_passed_s(speaker, armed_s + lease_ms / 1000 + 0.03) - armed_s) * 1000)
    speaker.close()
    assert max(lasted_ms) <= lease_ms + TICK_S * 500, "spoke after the lease"
    assert max(lasted_ms) >= lease_ms - 2 * TICK_S * 1000 - 1, "the lease ended long before its time"


def last_passed_s(speaker: socket.socket, end_s: float) -> float:
    """When the last packet began that the gate let out."""
    passed_s = 0.0
    while (began_s := time.monotonic()) < end_s:
        try:
            speaker.sendto(b"audio", ("10.77.0.2", 5060))
            passed_s = began_s
        except PermissionError:
            pass
        time.sleep(0.0002)
    return passed_s


def test_a_late_acknowledgement_opens_nothing(wire: Wire, gate: Gate) -> None:
    gate.arm(1, BOTH, 40)
    time.sleep(0.06)
    gate.point(BOTH, 1)
    assert answers(wire) == []


def test_renewals_keep_the_address_answering(wire: Wire, gate: Gate) -> None:
    missed = 0
    for slot in range(1, 60):
        gate.arm(slot, BOTH, 60)
        gate.point(BOTH, slot)
        missed += not wire.station.ping(V4, 0.02)
        missed += not wire.station.ping(V6, 0.02)
        time.sleep(0.01)
    assert missed <= 1, "the first question may cost the other side's neighbour discovery"


def test_a_slot_is_never_armed_twice(gate: Gate) -> None:
    gate.arm(7, BOTH, LONG_MS)
    with pytest.raises(AssertionError):
        gate.arm(7, BOTH, LONG_MS)


def test_the_kernel_itself_refuses_to_arm_a_live_slot_again(gate: Gate) -> None:
    gate.arm(7, BOTH, LONG_MS)
    gate._newest[0] = 6  # even if our own count were wrong
    with pytest.raises(Refused) as refusal:
        gate.arm(7, BOTH, LONG_MS)
    assert refusal.value.number == errno.EEXIST


def test_what_was_armed_before_a_release_cannot_open_again(wire: Wire, gate: Gate) -> None:
    gate.arm(3, BOTH, LONG_MS)
    gate.point(BOTH, 3)
    gate.close(BOTH)
    with pytest.raises(AssertionError):
        gate.point(BOTH, 3)
    assert answers(wire) == []
    gate.arm(4, BOTH, LONG_MS)
    gate.point(BOTH, 4)
    assert answers(wire) == ALL


def test_installing_again_closes_in_one_step(wire: Wire, gate: Gate) -> None:
    gate.arm(1, BOTH, LONG_MS)
    gate.point(BOTH, 1)
    with wire.host.inside():
        successor = Gate()
        successor.install(BOTH, ["h0"])
    assert answers(wire) == []
    with pytest.raises(GateLost):
        gate.arm(2, BOTH, LONG_MS)
    assert answers(wire) == [], "a stale incarnation arms nothing"
    successor.shut()


def test_no_packet_slips_through_while_a_closed_gate_is_replaced(wire: Wire, gate: Gate) -> None:
    leaked: list[bytes] = []
    done = threading.Event()

    def flood() -> None:
        while not done.is_set():
            answer = wire.station.arp(V4, "10.77.0.2", 0.0005)
            if answer:
                leaked.append(answer)

    asker = threading.Thread(target=flood)
    asker.start()
    with wire.host.inside():
        for _count in range(40):
            gate.install(BOTH, ["h0"])
    done.set()
    asker.join()
    assert leaked == []


def test_a_flushed_ruleset_is_noticed_and_mended(wire: Wire, gate: Gate) -> None:
    gate.arm(1, BOTH, LONG_MS)
    gate.point(BOTH, 1)
    assert gate.is_intact()
    foreign(wire, [nftables.table(nftables.DELETE_TABLE, family, "zcluster") for family in (1, 3, 5)])
    assert not gate.is_intact()
    acts: tuple[Callable[[], None], ...] = (
        lambda: gate.arm(2, BOTH, LONG_MS),
        lambda: gate.point(BOTH, 1),
        lambda: gate.close(BOTH),
    )
    for act in acts:
        with pytest.raises(GateLost):
            act()
    with wire.host.inside():
        gate.install(BOTH, ["h0"])
    assert gate.is_intact()
    assert answers(wire) == []
    gate.arm(3, BOTH, LONG_MS)
    gate.point(BOTH, 3)
    assert answers(wire) == ALL


@pytest.mark.parametrize("harm", ["rules gone", "dormant", "not managed"])
def test_a_subtly_changed_ruleset_is_noticed_at_the_next_renewal(wire: Wire, gate: Gate, harm: str) -> None:
    """The sets still stand, so arming would succeed: only the generation gives it away."""
    gate.arm(1, BOTH, LONG_MS)
    messages = {
        "rules gone": nftables.request(8, 0, nftables.INET, text(1, "zcluster")),
        "dormant": nftables.request(
            nftables.NEW_TABLE, 0, nftables.INET, text(1, "zcluster"), nftables.number(2, 1)
        ),
        "not managed": nftables.elements(
            nftables.DELETE_ELEMENT,
            0,
            nftables.INET,
            "zcluster",
            "managed4",
            nftables.element(BOTH[0].packed),
        ),
    }
    foreign(wire, [messages[harm]])
    with pytest.raises(GateLost):
        gate.arm(2, BOTH, LONG_MS)


def test_other_tools_may_change_their_own_rules(wire: Wire, gate: Gate) -> None:
    gate.arm(1, BOTH, LONG_MS)
    for number in range(3):
        foreign(wire, [nftables.table(nftables.NEW_TABLE, nftables.IPV4, f"other{number}")])
        gate.arm(2 + number, BOTH, LONG_MS)
        gate.point(BOTH, 2 + number)
    assert gate.is_intact()
    assert answers(wire) == ALL


def foreign(wire: Wire, messages: list[bytes]) -> None:
    """What another tool does to the ruleset."""
    with wire.host.inside():
        other = nftables.Nftables()
    other.commit("another tool's change", nftables.batch_body(messages))
    other.close()


def test_a_closed_host_cannot_speak_for_the_address(wire: Wire, gate: Gate) -> None:
    """Neither by a bound socket nor, past the IP stack, by a packet socket; and an open one can."""
    assert gate.egress_supported
    assert gate.covered == ("h0",)
    assert spoken(wire) == []
    gate.arm(1, BOTH, LONG_MS)
    gate.point(BOTH, 1)
    assert spoken(wire) == ["gratuitous arp", "arp reply", "advertisement", "raw ip", "bound 4", "bound 6"]


def test_a_packet_socket_cannot_lie_its_way_out(wire: Wire, gate: Gate) -> None:
    """A frame of one protocol through a socket of another: the kernel's own label on it is wrong."""
    frames = [
        (0x0806, neighbour_frame(wire.port.mac, 136, V6, "ff02::1", V6, 0x20000000)),
        (0x0800, neighbour_frame(wire.port.mac, 136, "fd77::1", "ff02::1", V6, 0x20000000)),
        (0x86DD, arp_frame(wire.port.mac, 1, V4, V4)),
        (0x88CC, arp_frame(wire.port.mac, 2, V4, "10.77.0.2")),
        (0x88CC, wire.station.mac + wire.port.mac + b"\x08\0" + IP_HEADER + bytes(8)),
    ]
    for is_open in (False, True):
        if is_open:
            gate.arm(1, BOTH, LONG_MS)
            gate.point(BOTH, 1)
        for protocol, frame in frames:
            with wire.host.inside():
                liar = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
                liar.bind(("h0", protocol))
            wire.station.flush()
            try:
                liar.send(frame)
            except OSError as error:
                assert error.errno == errno.ENOBUFS  # noqa: PT017
            heard = wire.station.hear(lambda got, sent=frame: got[:42] == sent[:42], 0.05)  # type: ignore[misc]
            assert (heard is not None) == is_open, (hex(protocol), frame.hex())
            liar.close()


IP_HEADER = bytes.fromhex("4500001c00000000401100000a4d00090a4d0002")


def spoken(wire: Wire) -> list[str]:
    """What the other side hears when the host speaks for the address in every way we know."""
    mac = wire.port.mac
    frames = {
        "gratuitous arp": arp_frame(mac, 1, V4, V4),
        "arp reply": arp_frame(mac, 2, V4, "10.77.0.2"),
        "advertisement": neighbour_frame(mac, 136, V6, "ff02::1", V6, 0x20000000),
        "raw ip": wire.station.mac + mac + b"\x08\0" + IP_HEADER + bytes(8),
    }
    heard = []
    for name, frame in frames.items():
        wire.station.flush()
        try:
            wire.port.send(frame)
        except OSError as error:
            assert error.errno == errno.ENOBUFS  # noqa: PT017
        if wire.station.hear(lambda got, sent=frame: got[:42] == sent[:42], 0.05):  # type: ignore[misc]
            heard.append(name)
    for name, address, far in (("bound 4", V4, "10.77.0.2"), ("bound 6", V6, "fd77::2")):
        packed = ip_address(address).packed
        with wire.host.inside():
            speaker = socket.socket(socket.AF_INET if "." in address else socket.AF_INET6, socket.SOCK_DGRAM)
        speaker.bind((address, 5099))
        wire.station.flush()
        try:
            speaker.sendto(b"hello", (far, 9))
        except PermissionError:
            pass
        if wire.station.hear(lambda got, wanted=packed: wanted in got and b"hello" in got, 0.05):  # type: ignore[misc]
            heard.append(name)
        speaker.close()
    return heard


@pytest.mark.parametrize(("address", "far"), [(V4, "10.77.0.2"), (V6, "fd77::2")])
def test_a_non_local_sender_is_dropped(wire: Wire, address: str, far: str) -> None:
    """A switch bound to an address that its host does not have cannot send from it."""
    with wire.host.inside():
        gate = Gate()
        gate.install(BOTH, ["h0"])
        family = socket.AF_INET if "." in address else socket.AF_INET6
        sender = socket.socket(family, socket.SOCK_DGRAM)
    transparent = (socket.IPPROTO_IP, 19) if "." in address else (socket.IPPROTO_IPV6, 75)
    sender.setsockopt(*transparent, 1)
    sender.bind((address, 5060))
    with pytest.raises(PermissionError):
        sender.sendto(b"INVITE", (far, 5060))
    gate.arm(1, BOTH, LONG_MS)
    gate.point(BOTH, 1)
    sender.sendto(b"INVITE", (far, 5060))
    sender.close()
    gate.shut()


def test_a_closed_host_can_still_probe(wire: Wire, gate: Gate) -> None:
    wire.station.flush()
    wire.port.send(arp_frame(wire.port.mac, 1, "0.0.0.0", V4))
    assert wire.station.hear(lambda frame: frame[28:32] == bytes(4) and frame[38:42] == BOTH[0].packed)
    wire.port.send(neighbour_frame(wire.port.mac, 135, "::", solicited_node(V6), V6))
    assert wire.station.hear(lambda frame: frame[54:55] == b"\x87" and BOTH[1].packed in frame)
    assert not wire.station.hear(lambda frame: is_advertisement(frame, V6), 0.05)


def test_an_announcement_reaches_the_neighbour_table_of_a_closed_host(wire: Wire) -> None:
    """The new holder's gratuitous ARP must correct what a host without the address remembers."""
    with wire.other.inside():
        add_address("o0", V4, 32)
    with wire.host.inside():
        gate = Gate()
        gate.install(BOTH, ["h0"])
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        probe.sendto(b"?", (V4, 9))
        time.sleep(0.05)
        before = neighbour_of(V4)
        wire.station.send(arp_frame(b"\x02\0\0\0\0\x77", 1, V4, V4))
        time.sleep(0.05)
        after = neighbour_of(V4)
    probe.close()
    gate.shut()
    assert before == ":".join(f"{byte:02x}" for byte in wire.station.mac)
    assert after == "02:00:00:00:00:77"


def neighbour_of(address: str) -> str | None:
    """The MAC that the present namespace's kernel remembers for an address."""
    for line in Path("/proc/thread-self/net/arp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[0] == address:
            return fields[3]
    return None


def test_missing_interfaces_are_named(wire: Wire) -> None:
    with wire.host.inside():
        gate = Gate()
        gate.install(BOTH, ["h0", "absent0"])
        assert gate.covered == ("h0",)
        assert gate.missing == ("absent0",)
    gate.shut()


def test_without_an_interface_the_gate_stands_but_says_that_it_covers_no_packet_socket(wire: Wire) -> None:
    with wire.host.inside():
        gate = Gate()
        gate.install(BOTH, ["absent0"])
    assert not gate.egress_supported
    assert gate.covered == ()
    gate.arm(1, BOTH, LONG_MS)
    gate.shut()


def test_an_interface_that_goes_and_comes_is_covered_again_by_installing(wire: Wire, gate: Gate) -> None:
    with wire.host.inside():
        set_link("h0", False)
        set_link("h0", True)
        gate.arm(1, BOTH, LONG_MS)
        gate.install(BOTH, ["h0", "h1"])
    assert gate.covered == ("h0", "h1")


def test_expired_elements_are_freed(wire: Wire, gate: Gate) -> None:
    for slot in range(1, 301):
        gate.arm(slot, BOTH, 8)
        gate.point(BOTH, slot)
    time.sleep(1.6)
    with wire.host.inside():
        look = nftables.Nftables()
    for family in (nftables.INET, nftables.ARP, nftables.NETDEV):
        assert look.listed_elements(family, "zcluster", "armed") == []
    look.close()
    assert len(gate._batches._prepared) == 3, "one per lease, one for the first pointing, one for the others"


def test_removing_leaves_nothing(wire: Wire, gate: Gate) -> None:
    gate.remove()
    assert answers(wire) == ALL
    gate.remove()
    with pytest.raises(GateLost):
        gate.arm(1, BOTH, LONG_MS)


def test_many_addresses(wire: Wire) -> None:
    many = [ip_address(f"10.78.{high}.{low}") for high in range(4) for low in range(250)]
    many += [ip_address(f"fd78::{number:x}") for number in range(1, 1001)]
    with wire.host.inside():
        gate = Gate()
        gate.install(many, ["h0"])
    gate.arm(1, many, LONG_MS)
    gate.point(many, 1)
    gate.point(many, 1)
    gate.close(many)
    gate.shut()


def test_it_works_for_an_unprivileged_user() -> None:
    """In a user namespace of its own, without any privilege outside."""
    script = "\n".join(
        (
            "import sys; sys.path.insert(0, sys.argv[1])",
            "from tests.adapters import wire as wires",
            "from tests.adapters import test_gate as tests",
            "from zcluster.adapters.gate import Gate",
            "wire = wires.build()",
            "with wire.host.inside():",
            "    wires.add_address('h0', tests.V4, 32); wires.add_address('h0', tests.V6, 128)",
            "    gate = Gate(); gate.install(tests.BOTH, ['h0'])",
            "assert tests.answers(wire) == []",
            "gate.arm(1, tests.BOTH, 30000); gate.point(tests.BOTH, 1)",
            "assert tests.answers(wire) == tests.ALL",
            "assert gate.egress_supported",
            "print('fine')",
        )
    )
    root = str(Path(__file__).parents[2])
    command = ["unshare", "-U", "-r", "-n", sys.executable, "-c", script, root]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "fine\n", done.stderr
