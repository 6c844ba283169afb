"""The simulated shell: order of events and actions, pauses between any two of them, what survives what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.sim.beats import beat
from tests.sim.puppets import Puppet
from zcluster.control.actions import (
    Action,
    ArmGate,
    CloseAddresses,
    Exit,
    OpenAddresses,
    PointGate,
    SendBeat,
    StoreDurable,
)
from zcluster.control.document import Durable, Settings
from zcluster.control.events import Closed, Event, HealthChanged, Opened, Stored, Tick
from zcluster.control.messages import Claim
from zcluster.simulator.host import Core, Host
from zcluster.simulator.mix import draw
from zcluster.simulator.world import World

LEASE_MS = 140


class Stage:
    """A world whose first host runs a puppet; the others never start."""

    def __init__(self, *script: list[Action], every_ms: int = 10_000) -> None:
        self.puppets: list[Puppet] = []
        self.script = list(script)
        self.every_ms = every_ms
        mix = replace(draw(1, 3), is_calm=True, kinds=())
        self.world = World(mix, self.make)
        self.host: Host = self.world.hosts[0]
        self.host.tick_late_ms = 0.0
        self.group = self.world.group_names[0]

    def make(
        self,
        name: str,
        settings: Settings,
        durable: Durable,
        incarnation: int,
        macs: tuple[str, ...],
        links: Mapping[str, bool],
        now_ms: int,
    ) -> Core:
        self.puppets.append(Puppet(self.script, self.every_ms))
        return self.puppets[-1]

    def boot(self) -> None:
        """Start the process, and give its kernel a moment."""
        self.host.boot()
        self.run_to(self.world.now + 1.0)

    def run_to(self, now: float) -> None:
        self.world.run_until(now)

    def given(self, kind: type[Event]) -> list[Event]:
        return [event for event, _ in self.puppets[-1].given if isinstance(event, kind)]

    def opens(self, slot: int = 1) -> list[Action]:
        claim = Claim(self.group, 1, True)
        return [
            ArmGate(slot, (self.group,), LEASE_MS),
            SendBeat(beat("node1", slot, claim)),
            OpenAddresses(self.group, 1, slot),
        ]


def test_a_start_ticks_at_once() -> None:
    stage = Stage()
    stage.host.boot()
    assert [event for event, _ in stage.puppets[0].given] == [Tick()]


def test_the_kernels_answer_comes_back_as_an_event() -> None:
    stage = Stage()
    stage.script[:] = [stage.opens(), [CloseAddresses(stage.group, 1)]]
    stage.boot()
    kinds = [type(event) for event, _ in stage.puppets[0].given]
    assert kinds == [Tick, Opened, Closed]
    assert not stage.host.answers(stage.group)


def test_an_opened_group_answers_until_its_lease_ends() -> None:
    stage = Stage()
    stage.script[:] = [stage.opens()]
    stage.boot()
    assert stage.host.answers(stage.group)
    stage.run_to(LEASE_MS + 1)
    assert not stage.host.answers(stage.group)


def test_a_paused_process_gets_everything_afterwards_in_order_and_then_time() -> None:
    stage = Stage(every_ms=50)
    stage.host.boot()
    stage.host.pause(200.0)
    first, second = HealthChanged("x", "1"), HealthChanged("x", "2")
    stage.run_to(30.0)
    stage.host.deliver(first)
    stage.host.deliver(second)
    stage.run_to(199.0)
    assert len(stage.puppets[0].given) == 1
    stage.run_to(300.0)
    assert [event for event, _ in stage.puppets[0].given][:4] == [Tick(), first, second, Tick()]


def test_a_process_can_stand_still_between_two_actions_while_its_kernel_goes_on() -> None:
    stage = Stage()
    stage.script[:] = [stage.opens()]
    stage.host.stall = (OpenAddresses, 100.0, 1e9)
    stage.host.boot()
    assert not stage.host.answers(stage.group)
    stage.run_to(101.0)
    assert stage.host.answers(stage.group)
    stage.run_to(LEASE_MS + 1)
    assert not stage.host.answers(stage.group), "the lease ran from arming, not from opening"


def test_standing_still_for_a_lease_opens_nothing() -> None:
    stage = Stage()
    stage.script[:] = [stage.opens()]
    stage.host.stall = (OpenAddresses, LEASE_MS + 10.0, 1e9)
    stage.host.boot()
    stage.run_to(LEASE_MS + 20)
    assert len(stage.given(Opened)) == 1
    assert not stage.host.answers(stage.group)


def test_a_killed_process_leaves_its_kernel_and_its_successor_closes_it() -> None:
    stage = Stage()
    stage.script[:] = [stage.opens()]
    stage.boot()
    stage.host.kill()
    assert stage.host.answers(stage.group)
    stage.host.boot()
    assert not stage.host.answers(stage.group)
    assert len(stage.puppets) == 2


def test_a_host_without_power_answers_nothing_and_comes_back_with_another_clock() -> None:
    stage = Stage()
    stage.script[:] = [stage.opens()]
    stage.boot()
    stage.run_to(10.0)
    before_ms = stage.host.now_ms()
    stage.host.lose_power()
    assert not stage.host.answers(stage.group)
    stage.host.boot()
    assert stage.host.now_ms() != before_ms


def test_what_was_written_for_a_dead_process_is_not_told_to_the_next() -> None:
    stage = Stage()
    stage.script[:] = [[StoreDurable(1, Durable(ceiling=64))]]
    stage.host.boot()
    stage.host.kill()
    stage.host.boot()
    stage.run_to(500.0)
    assert not stage.given(Stored)


def test_each_life_has_a_higher_incarnation() -> None:
    stage = Stage()
    seen = []
    for _ in range(3):
        stage.host.boot()
        seen.append(stage.host.incarnation)
        stage.run_to(stage.world.now + 5)
        stage.host.kill()
    assert seen == sorted(set(seen))


def test_a_lost_gate_is_told_and_closed() -> None:
    stage = Stage()
    renewal = [*stage.opens(slot=2)[:2], PointGate(stage.group, 2)]
    stage.script[:] = [stage.opens(), [], renewal]
    stage.boot()
    stage.host.lose_gate()
    assert stage.host.answers(stage.group), "the core armed and pointed anew when it was told"
    stage.host.kernel.lose_gate()
    assert not stage.host.answers(stage.group)


def test_exit_ends_the_process() -> None:
    stage = Stage([Exit()])
    stage.host.boot()
    assert stage.host.core is None
