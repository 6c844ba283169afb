"""Cores that are not ours: they do what a test wrote down, so that the simulator itself can be tested."""

from __future__ import annotations

from collections.abc import Mapping

from tests.sim.beats import beat
from zcluster.control.actions import Action, ArmGate, OpenAddresses, PointGate, SendBeat
from zcluster.control.document import Durable, Settings
from zcluster.control.events import Event, Tick
from zcluster.control.messages import Claim
from zcluster.simulator.host import Core

BEAT_MS = 20


class Puppet:
    """Answers each event with the next written list; remembers what it was given, and when."""

    def __init__(self, script: list[list[Action]], every_ms: int = 10_000) -> None:
        self.script = script
        self.every_ms = every_ms
        self.given: list[tuple[Event, int]] = []
        self._due_ms = 0

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        self.given.append((event, now_ms))
        self._due_ms = now_ms + self.every_ms
        return self.script.pop(0) if self.script else []

    def deadline(self) -> int:
        return self._due_ms


class Idle:
    """Never does anything."""

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        return []

    def deadline(self) -> int:
        return 1 << 60


class Hasty:
    """Asks for a tick again and again."""

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        return []

    def deadline(self) -> int:
        return 0


class Greedy:
    """Opens every group at once and asks nobody."""

    def __init__(self, name: str, settings: Settings, now_ms: int) -> None:
        self._name = name
        self._groups = tuple(group.name for group in settings.groups)
        self._lease_ms = settings.timing.lease_ms
        self._sequence = 0
        self._due_ms = now_ms

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        if not isinstance(event, Tick):
            return []
        self._due_ms = now_ms + BEAT_MS
        self._sequence += 1
        claims = tuple(Claim(group, 1, True) for group in self._groups)
        actions: list[Action] = [
            ArmGate(self._sequence, self._groups, self._lease_ms),
            SendBeat(beat(self._name, self._sequence, *claims)),
        ]
        if self._sequence == 1:
            return [*actions, *(OpenAddresses(group, 1, 1) for group in self._groups)]
        return [*actions, *(PointGate(group, self._sequence) for group in self._groups)]

    def deadline(self) -> int:
        return self._due_ms


def make_idle(
    name: str,
    settings: Settings,
    durable: Durable,
    incarnation: int,
    macs: tuple[str, ...],
    links: Mapping[str, bool],
    now_ms: int,
) -> Core:
    return Idle()


def make_hasty(
    name: str,
    settings: Settings,
    durable: Durable,
    incarnation: int,
    macs: tuple[str, ...],
    links: Mapping[str, bool],
    now_ms: int,
) -> Core:
    return Hasty()


def make_greedy(
    name: str,
    settings: Settings,
    durable: Durable,
    incarnation: int,
    macs: tuple[str, ...],
    links: Mapping[str, bool],
    now_ms: int,
) -> Core:
    return Greedy(name, settings, now_ms)


def make_single_master(
    name: str,
    settings: Settings,
    durable: Durable,
    incarnation: int,
    macs: tuple[str, ...],
    links: Mapping[str, bool],
    now_ms: int,
) -> Core:
    """Only node1 is greedy: no rule of safety breaks as long as it lives."""
    return Greedy(name, settings, now_ms) if name == "node1" else Idle()
