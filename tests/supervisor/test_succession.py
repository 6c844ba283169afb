"""What a life takes over of the last one, in a real kernel and on a real disk; the core's part is a reading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.adapters import wire as wires
from tests.adapters.test_gate import foreign
from zcluster.adapters import nftables
from zcluster.adapters.addresses import Addresses
from zcluster.adapters.durable import DurableFile
from zcluster.adapters.gate import Gate
from zcluster.adapters.gate_adoption import HALF
from zcluster.control.actions import PointGate
from zcluster.control.document import Document, Durable, Handover, Held
from zcluster.control.timing import PRESETS
from zcluster.supervisor.perform import Address, Doors, GroupPlace, Performer
from zcluster.supervisor.succession import NOT_AS_LEFT, TOO_LATE, Succession

pytestmark = pytest.mark.kernel

TIMING = PRESETS["standard"]
V4, V6 = ip_address("10.77.0.9"), ip_address("fd77::9")
OTHER = ip_address("10.77.0.10")
BLUE = GroupPlace("blue", "h0", (V4, V6), ())
GREEN = GroupPlace("green", "h0", (OTHER,), ())
LEFT = Durable(
    incarnation=50,
    document=Document("abc", 1, ("n1", "n2", "n3")),
    handover=Handover(50, 9_000, (Held("blue", 4),)),
)


class Silent:
    """A service network on which nobody listens."""

    def probe(self, interface: str, address: Address) -> bool:
        return True

    def announce(self, interface: str, address: Address) -> bool:
        return True


class Host:
    """A host whose last life left both groups open; what the file says is held is only blue."""

    def __init__(self, wire: wires.Wire, directory: Path) -> None:
        self.wire = wire
        self.file = DurableFile(directory)
        self.file.store(LEFT)
        self.now_ms = 7_000
        self.addresses = Addresses()
        last = Gate()
        last.install((V4, V6, OTHER), ["h0"])
        self.gate = Gate()
        for address in (V4, V6, OTHER):
            self.addresses.add("h0", address, 30)
        last.arm(HALF | 9, (V4, V6, OTHER), 20_000)
        last.point((V4, V6, OTHER), HALF | 9)
        last.shut()
        doors = Doors(
            gate=self.gate,
            addresses=self.addresses,
            neighbours=Silent(),
            send_beat=lambda beat, now_ms: None,
            store=self.file.store,
            submit_disk=lambda errand: bool(errand()) or True,
            submit_kernel=lambda errand: bool(errand()) or True,
            tell=lambda tell: None,
            answer_wish=lambda answer: None,
        )
        self.performer = Performer(doors, (BLUE, GREEN), (), ("h0",), self.clock)

    def clock(self) -> int:
        return self.now_ms

    def succeed(self, node: str = "n1") -> Succession:
        made = Succession(self.file, node, TIMING, 40, self.clock)
        made.stand(self.gate, self.addresses, (BLUE, GREEN), ["h0"])
        return made

    def open_addresses(self) -> list[str]:
        return [str(a) for a in (V4, OTHER) if self.wire.station.arp(str(a), "10.77.0.2", 0.03)]

    def present(self) -> set[Address]:
        return {one.address for one in self.addresses.present()} & {V4, V6, OTHER}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    wire = wires.build()
    with wire.host.inside():
        made = Host(wire, tmp_path)
        yield made
    made.gate.shut()
    made.addresses.close()
    wires.destroy(wire)


def test_what_was_left_on_purpose_stays_open_and_the_rest_is_closed(host: Host) -> None:
    assert host.open_addresses() == ["10.77.0.9", "10.77.0.10"]
    succession = host.succeed()
    assert host.open_addresses() == ["10.77.0.9"]
    assert host.present() == {V4, V6}
    durable, now_ms = succession.begin(host.performer)
    assert durable == replace(LEFT, incarnation=51)
    assert now_ms == 7_000
    assert succession.notices == []
    host.performer.perform(PointGate("blue", 0), now_ms)
    assert host.open_addresses() == ["10.77.0.9"]


def test_a_handover_is_off_the_disk_with_the_new_incarnation_before_anything_else(host: Host) -> None:
    succession = Succession(host.file, "n1", TIMING, 40, host.clock)
    stored = host.file.load().durable
    assert stored == replace(LEFT, incarnation=51, handover=None)
    assert succession.incarnation == 51


@pytest.mark.parametrize("reason", ["late", "no member", "another boot", "disk"])
def test_what_cannot_be_used_is_closed_as_after_a_crash(host: Host, tmp_path: Path, reason: str) -> None:
    if reason == "late":
        host.now_ms = 9_000 - TIMING.lease_ms + 1
    if reason == "another boot":
        host.file = DurableFile(tmp_path, "00000000-0000-0000-0000-000000000001")
    if reason == "disk":
        (tmp_path / "durable.new").mkdir()
    succession = host.succeed("n9" if reason == "no member" else "n1")
    assert host.open_addresses() == []
    assert host.present() == set()
    durable, _now_ms = succession.begin(host.performer)
    assert durable.handover is None
    assert durable.incarnation == (50 if reason in ("another boot", "disk") else 51)
    assert bool(succession.notices) == (reason != "another boot")


def test_a_start_that_takes_too_long_after_the_adoption_closes(host: Host) -> None:
    succession = host.succeed()
    host.now_ms = 8_900
    durable, now_ms = succession.begin(host.performer)
    assert (durable.handover, now_ms) == (None, 8_900)
    assert succession.notices == [TOO_LATE]
    assert host.open_addresses() == []
    assert host.present() == set()


def test_rules_that_another_tool_flushed_are_closed_and_open_again_by_the_core(host: Host) -> None:
    tables = [nftables.table(nftables.DELETE_TABLE, family, "zcluster") for family in (1, 3, 5)]
    foreign(host.wire, tables)
    succession = host.succeed()
    assert succession.notices == [NOT_AS_LEFT]
    assert host.open_addresses() == []
    durable, now_ms = succession.begin(host.performer)
    assert durable.handover == LEFT.handover
    host.performer.perform(PointGate("blue", 0), now_ms)
    assert host.open_addresses() == ["10.77.0.9"]


def test_a_flush_between_adoption_and_arming_closes(host: Host) -> None:
    succession = host.succeed()
    tables = [nftables.table(nftables.DELETE_TABLE, family, "zcluster") for family in (1, 3, 5)]
    foreign(host.wire, tables)
    durable, _now_ms = succession.begin(host.performer)
    assert durable.handover is None
    assert host.open_addresses() == []


def test_without_a_handover_everything_is_closed(host: Host) -> None:
    host.file.store(replace(LEFT, handover=None))
    succession = host.succeed()
    assert host.open_addresses() == []
    assert succession.begin(host.performer) == (replace(LEFT, handover=None), 7_000)
    assert succession.notices == []
