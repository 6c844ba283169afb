from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from zcluster.adapters.addresses import VALID_S
from zcluster.adapters.gate import GateLost as RulesLost
from zcluster.control import actions, events
from zcluster.control.document import Durable
from zcluster.control.events import Event
from zcluster.control.lease import long_slot_of
from zcluster.control.messages import Beat
from zcluster.errors import KernelRefused, StateFileError
from zcluster.supervisor.perform import (
    GATE_RETRY_MS,
    Address,
    Doors,
    GroupPlace,
    Performer,
    ReferencePlace,
)
from zcluster.supervisor.side_thread import Errand

LEASE_MS = 140
BLUE = GroupPlace(
    "blue",
    "lan0",
    (ip_address("10.20.0.10"), ip_address("fd20::10")),
    (ip_address("10.20.0.0"),),
)
GREEN = GroupPlace("green", "lan0", (ip_address("10.20.0.11"),), (ip_address("10.20.0.0"),))
REFERENCE = ReferencePlace("lan", "lan0", ip_address("10.20.0.254"))


class World:
    """Kernel, network and disk in one: writes down every call and refuses what it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.refused: dict[str, Exception] = {}
        self.errands: list[Errand] = []
        self.kernel_errands: list[Errand] = []
        self.is_disk_stuck = False
        self.is_kernel_stuck = False
        self.now_ms = 1000

    def note(self, call: str, *what: object) -> None:
        self.calls.append(" ".join([call, *map(str, what)]))
        for pattern, error in self.refused.items():
            if self.calls[-1].startswith(pattern):
                raise error

    def install(self, managed: Sequence[Address], interfaces: Sequence[str]) -> None:
        self.note("install", len(managed), *interfaces)

    def arm(self, slot: int, addresses: Sequence[Address], lease_ms: int) -> None:
        self.note("arm", slot, *addresses)

    def point(self, addresses: Sequence[Address], slot: int) -> None:
        self.note("point", slot, *addresses)

    def close(self, addresses: Sequence[Address]) -> None:
        self.note("close", *addresses)

    def add(self, interface: str, address: Address, valid_s: int = VALID_S) -> None:
        self.note("add", interface, address, *(() if valid_s == VALID_S else (f"for {valid_s} s",)))

    def remove(self, interface: str, address: Address) -> None:
        self.note("remove", interface, address)

    def probe(self, interface: str, address: Address) -> bool:
        self.note("probe", interface, address)
        return True

    def announce(self, interface: str, address: Address) -> bool:
        self.note("announce", interface, address)
        return True

    def send_beat(self, beat: Beat, now_ms: int) -> None:
        self.note("beat", beat.sequence)

    def store(self, durable: Durable) -> None:
        self.note("store", durable.ceiling)

    def submit_disk(self, errand: Errand) -> bool:
        self.errands.append(errand)
        return not self.is_disk_stuck

    def submit_kernel(self, errand: Errand) -> bool:
        if not self.is_kernel_stuck:
            self.kernel_errands.append(errand)
        return not self.is_kernel_stuck

    def work(self) -> list[Event]:
        """Let the kernel's thread run, and the loop take what follows."""
        found: list[Event] = []
        while self.kernel_errands:
            sequel = self.kernel_errands.pop(0)()
            found.extend(sequel() if sequel is not None else ())
        return found

    def tell(self, tell: actions.Tell) -> None:
        self.note("tell", tell.code)

    def answer_wish(self, answer: actions.AnswerWish) -> None:
        self.note("answer", answer.identity)

    def take(self) -> list[str]:
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def performer(world: World) -> Performer:
    doors = Doors(
        gate=world,
        addresses=world,
        neighbours=world,
        send_beat=world.send_beat,
        store=world.store,
        submit_disk=world.submit_disk,
        submit_kernel=world.submit_kernel,
        tell=world.tell,
        answer_wish=world.answer_wish,
    )
    return Performer(doors, (BLUE, GREEN), (REFERENCE,), ("lan0",), lambda: world.now_ms)


def end_of(errand: Errand) -> list[Event]:
    sequel = errand()
    assert sequel is not None
    return list(sequel())


OPENING = [
    "add lan0 10.20.0.10",
    "add lan0 fd20::10",
    "point 7 10.20.0.10 fd20::10",
    "announce lan0 10.20.0.10",
    "announce lan0 fd20::10",
]


def opened(world: World, performer: Performer, slot: int = 7) -> None:
    """Blue held since beat `slot`."""
    performer.perform(actions.ArmGate(slot, ("blue",), LEASE_MS), world.now_ms)
    assert performer.perform(actions.OpenAddresses("blue", 3, slot), world.now_ms) == ()
    assert world.work() == [events.Opened("blue", 3)]


def test_an_opening_adds_points_and_announces_in_this_order(world: World, performer: Performer) -> None:
    opened(world, performer)
    assert world.take() == ["arm 7 10.20.0.10 fd20::10", *OPENING]


def test_an_address_that_the_kernel_refuses_undoes_the_opening(world: World, performer: Performer) -> None:
    world.refused = {"add lan0 fd20": KernelRefused("no IPv6 on lan0")}
    performer.perform(actions.OpenAddresses("blue", 3, 7), 1000)
    assert world.work() == [events.Opened("blue", 3, "no IPv6 on lan0")]
    assert world.take() == [*OPENING[:2], "remove lan0 10.20.0.10"]
    assert performer.deadline() is None


def test_a_gate_that_cannot_be_pointed_undoes_the_opening(world: World, performer: Performer) -> None:
    world.refused = {"point": KernelRefused("no memory")}
    performer.perform(actions.OpenAddresses("blue", 3, 7), 1000)
    assert world.work() == [events.HealthChanged("gate", "no memory"), events.Opened("blue", 3, "no memory")]
    assert world.take()[3:] == ["remove lan0 10.20.0.10", "remove lan0 fd20::10"]


def test_closing_closes_the_gate_first_and_takes_the_addresses_away(
    world: World, performer: Performer
) -> None:
    opened(world, performer)
    world.take()
    assert performer.perform(actions.CloseAddresses("blue", 3), 1010) == (events.Closed("blue", 3),)
    assert world.work() == []
    assert world.take() == [
        "close 10.20.0.10 fd20::10",
        "remove lan0 10.20.0.10",
        "remove lan0 fd20::10",
    ]
    assert performer.deadline() is None


def test_an_unconfirmed_closing_is_never_called_closed(world: World, performer: Performer) -> None:
    opened(world, performer)
    world.refused = {"close": KernelRefused("busy")}
    world.take()
    assert performer.perform(actions.CloseAddresses("blue", 3), 1010) == (events.Closed("blue", 3, "busy"),)
    assert world.take() == ["close 10.20.0.10 fd20::10"]


def test_a_closing_counts_although_an_address_stays(world: World, performer: Performer) -> None:
    opened(world, performer)
    world.refused = {"remove": KernelRefused("odd")}
    assert performer.perform(actions.CloseAddresses("blue", 3), 1010) == (events.Closed("blue", 3),)
    world.work()
    assert performer.counts["address_removal_refused"] == 2


def test_lost_rules_are_put_back_closed_and_reported(world: World, performer: Performer) -> None:
    world.refused = {"arm 8": RulesLost("gone")}
    assert performer.perform(actions.ArmGate(8, ("blue",), LEASE_MS), 1000) == (events.GateLost(),)
    assert world.take() == ["arm 8 10.20.0.10 fd20::10", "install 3 lan0"]
    assert performer.perform(actions.ArmGate(9, ("blue",), LEASE_MS), 1020) == ()


def test_rules_lost_while_closing_are_closed_when_they_stand_again(
    world: World, performer: Performer
) -> None:
    world.refused = {"close": RulesLost("gone")}
    found = performer.perform(actions.CloseAddresses("blue", 3), 1000)
    assert found == (events.GateLost(), events.Closed("blue", 3))


def test_rules_that_cannot_be_put_back_leave_nothing_closed(world: World, performer: Performer) -> None:
    world.refused = {"close": RulesLost("gone"), "install": KernelRefused("no nft")}
    lost, health, closed = performer.perform(actions.CloseAddresses("blue", 3), 1000)
    assert lost == events.GateLost()
    assert isinstance(health, events.HealthChanged)
    assert isinstance(closed, events.Closed)
    assert "no nft" in closed.problem


def test_a_refusing_gate_is_a_fault_until_it_works_again(world: World, performer: Performer) -> None:
    world.refused = {"arm": KernelRefused("no memory")}
    arming = actions.ArmGate(8, ("blue",), LEASE_MS)
    assert performer.perform(arming, 1000) == (events.HealthChanged("gate", "no memory"),)
    world.refused = {}
    arming = actions.ArmGate(9, ("blue",), LEASE_MS)
    assert performer.perform(arming, 1020) == (events.HealthChanged("gate", ""),)


def test_announcements_are_repeated_only_while_the_lease_runs(world: World, performer: Performer) -> None:
    opened(world, performer)
    world.take()
    world.now_ms = 1100
    assert performer.deadline() == 1100
    performer.run(1100)
    assert world.take() == OPENING[3:]
    world.now_ms = 1300
    performer.run(1300)
    assert world.take() == [], "the lease of slot 7 ended at 1140"
    performer.perform(actions.ArmGate(20, ("blue",), LEASE_MS), 1300)
    performer.perform(actions.PointGate("blue", 20), 1300)
    world.take()
    performer.perform(actions.Announce("blue"), 1300)
    assert world.take() == OPENING[3:]


def test_renewals_reach_every_address_and_a_refusal_is_a_fault(world: World, performer: Performer) -> None:
    renewal = actions.RenewAddresses("blue")
    assert performer.perform(renewal, 1000) == ()
    assert world.take() == [], "renewing waits for a lock of the kernel: never in the loop"
    assert world.work() == []
    assert world.take() == ["add lan0 10.20.0.10", "add lan0 fd20::10"]
    world.refused = {"add": KernelRefused("no lan0")}
    performer.perform(renewal, 1500)
    assert world.work() == [events.HealthChanged("addresses of blue", "no lan0")]
    world.refused = {}
    performer.perform(renewal, 2000)
    assert world.work() == [events.HealthChanged("addresses of blue", "")]


def test_renewals_do_not_pile_up_behind_a_stuck_kernel(world: World, performer: Performer) -> None:
    for _ in range(5):
        performer.perform(actions.RenewAddresses("blue"), 1000)
    assert len(world.kernel_errands) == 1
    world.work()
    world.is_kernel_stuck = True
    performer.perform(actions.RenewAddresses("blue"), 1000)
    world.is_kernel_stuck = False
    performer.perform(actions.RenewAddresses("blue"), 1000)
    assert len(world.kernel_errands) == 1


def test_what_is_closed_before_its_addresses_came_stays_closed(world: World, performer: Performer) -> None:
    performer.perform(actions.OpenAddresses("blue", 3, 7), 1000)
    assert performer.perform(actions.CloseAddresses("blue", 3), 1001) == (events.Closed("blue", 3),)
    assert world.work() == []
    calls = [call.split()[0] for call in world.take()]
    assert calls == ["close", "add", "add", "remove", "remove"], "neither pointed nor announced"


def test_an_opening_that_the_kernel_has_no_time_for_is_refused(world: World, performer: Performer) -> None:
    world.is_kernel_stuck = True
    (refused,) = performer.perform(actions.OpenAddresses("blue", 3, 7), 1000)
    assert isinstance(refused, events.Opened)
    assert "does not keep up" in refused.problem


def test_questions_to_the_network_carry_the_canary_and_never_fail(world: World, performer: Performer) -> None:
    world.refused = {"probe lan0 fd20": KernelRefused("no IPv6")}
    assert performer.perform(actions.SendProbe("blue"), 1000) == ()
    assert performer.perform(actions.AskReference(), 1000) == ()
    probed = ["10.20.0.10", "fd20::10", "10.20.0.0", "10.20.0.254"]
    assert world.take() == [f"probe lan0 {address}" for address in probed]
    assert performer.counts["probes_unsent"] == 1


def test_storing_is_an_errand_whose_end_is_an_event(world: World, performer: Performer) -> None:
    assert performer.perform(actions.StoreDurable(4, Durable(ceiling=1000)), 1000) == ()
    assert world.take() == []
    assert end_of(world.errands.pop()) == [events.Stored(4)]
    world.refused = {"store": StateFileError("disk full")}
    performer.perform(actions.StoreDurable(5, Durable()), 1000)
    assert end_of(world.errands.pop()) == [events.StoreFailed(5, "disk full")]


def test_a_disk_that_stands_still_is_said_at_once(world: World, performer: Performer) -> None:
    world.is_disk_stuck = True
    (failed,) = performer.perform(actions.StoreDurable(4, Durable()), 1000)
    assert isinstance(failed, events.StoreFailed)


def test_the_rest_goes_to_its_door(world: World, performer: Performer) -> None:
    performer.perform(actions.Tell("info", "state", "text", {}), 1000)
    performer.perform(actions.AnswerWish("m1", True, "yes"), 1000)
    assert world.take() == ["tell state", "answer m1"]
    assert not performer.is_over
    performer.perform(actions.Exit(), 1000)
    assert performer.is_over


def test_a_planned_restart_ends_without_touching_anything(world: World, performer: Performer) -> None:
    opened(world, performer)
    performer.perform(actions.ArmGate(long_slot_of(8), ("blue",), 2800), 1000)
    performer.perform(actions.PointGate("blue", long_slot_of(8)), 1000)
    performer.perform(actions.RenewAddresses("blue", 2800), 1000)
    world.work()
    assert world.take()[-2:] == ["add lan0 10.20.0.10 for 3 s", "add lan0 fd20::10 for 3 s"]
    performer.perform(actions.Exit(keeps_open=True), 1010)
    assert performer.is_over
    assert performer.keeps_open
    assert world.take() == []
    assert world.work() == []


def test_an_ordinary_end_keeps_nothing_open(performer: Performer) -> None:
    performer.perform(actions.Exit(), 1010)
    assert performer.is_over
    assert not performer.keeps_open


def test_a_long_renewal_does_not_wait_behind_a_usual_one(world: World, performer: Performer) -> None:
    performer.perform(actions.RenewAddresses("green"), 1000)
    performer.perform(actions.RenewAddresses("green", 2800), 1000)
    assert world.work() == []
    assert world.take() == ["add lan0 10.20.0.11", "add lan0 10.20.0.11 for 3 s"]


def test_a_gate_that_cannot_be_shortened_is_closed_before_the_next_beat(
    world: World, performer: Performer
) -> None:
    opened(world, performer)
    performer.perform(actions.PointGate("blue", long_slot_of(8)), 1000)
    world.refused = {"point 9": KernelRefused("no memory")}
    world.take()
    performer.perform(actions.PointGate("blue", 9), 1000)
    assert world.take() == ["point 9 10.20.0.10 fd20::10", "install 3 lan0"]
    performer.perform(actions.PointGate("blue", 9), 1000)
    assert world.take() == ["point 9 10.20.0.10 fd20::10"], "from a usual element there is no hurry"


def test_a_gate_that_can_be_neither_shortened_nor_closed_ends_the_process(
    world: World, performer: Performer
) -> None:
    assert performer.take_over(("blue",), LEASE_MS)
    world.refused = {"point": KernelRefused("no memory"), "install": KernelRefused("no memory")}
    with pytest.raises(KernelRefused):
        performer.perform(actions.PointGate("blue", 0), 1000)


def test_the_next_life_arms_slot_0_and_goes_on_announcing(world: World, performer: Performer) -> None:
    assert performer.take_over(("blue",), LEASE_MS)
    performer.perform(actions.PointGate("blue", 0), 1010)
    assert world.take() == ["arm 0 10.20.0.10 fd20::10", "point 0 10.20.0.10 fd20::10"]
    world.now_ms = 1100
    assert performer.deadline() == 1100
    performer.run(1100)
    assert world.take() == OPENING[3:]


def test_what_cannot_be_taken_over_is_closed_as_after_a_crash(world: World, performer: Performer) -> None:
    world.refused = {"arm 0": KernelRefused("no memory")}
    assert not performer.take_over(("blue",), LEASE_MS)
    performer.abandon(("blue",))
    world.work()
    assert world.take()[1:] == ["install 3 lan0", "remove lan0 10.20.0.10", "remove lan0 fd20::10"]
    world.refused = {}
    assert performer.run(1200) == (events.HealthChanged("gate", ""),)
    assert performer.deadline() is None, "nothing is announced"


def test_a_gate_that_refused_is_tried_again_by_a_node_that_holds_nothing(
    world: World, performer: Performer
) -> None:
    world.refused = {"arm": KernelRefused("no memory"), "install": KernelRefused("no memory")}
    performer.perform(actions.ArmGate(8, ("blue",), LEASE_MS), 1000)
    assert performer.deadline() == 1000 + GATE_RETRY_MS
    world.now_ms = 1200
    assert performer.run(1200) == (events.HealthChanged("gate", "no memory"),)
    world.refused = {}
    world.now_ms = 1400
    assert performer.run(1400) == (events.HealthChanged("gate", ""),)
    assert performer.deadline() is None


def test_a_gate_that_refused_is_left_alone_while_something_is_open(
    world: World, performer: Performer
) -> None:
    opened(world, performer)
    performer.perform(actions.ArmGate(8, ("blue",), 2800), 1000)
    performer.perform(actions.PointGate("blue", 8), 1000)
    world.refused = {"arm 9": KernelRefused("no memory")}
    performer.perform(actions.ArmGate(9, ("blue",), LEASE_MS), 1000)
    for now_ms in (1200, 1400):
        assert performer.run(now_ms) == ()
    assert "install 3 lan0" not in world.take()
