"""One seed: the hosts, the order of all that happens, a safety phase full of faults and a phase of recovery.

True time is a float in ms. Everything that is drawn comes from generators seeded by the seed, so a seed is the
same story every time.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Any

from zcluster.control.document import Document, Durable
from zcluster.control.units import GroupName, majority
from zcluster.simulator.checkers import Ownership, Violation
from zcluster.simulator.faults import Faults
from zcluster.simulator.freezes import Freezes
from zcluster.simulator.host import CoreFactory, Host, document_of
from zcluster.simulator.kernel import GateMisused, Kernel
from zcluster.simulator.mix import PAIR, Mix
from zcluster.simulator.neighbours import Neighbours
from zcluster.simulator.network import Network
from zcluster.simulator.recovery import LOOK_EVERY_MS, Recovery, reunion_bound_ms, takeover_bound_ms
from zcluster.simulator.story import Story
from zcluster.simulator.thawing import Thawing

CLUSTER_ID = "5111u1a7ed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one seed. `violation` is empty when every invariant held."""

    seed: int
    faults: Mapping[str, int]
    virtual_ms: float
    openings: int
    takeovers: tuple[tuple[str, float], ...] = ()
    violation: str = ""
    story: str = ""


@dataclass(slots=True)
class _Death:
    """The one fault of a calm seed: when a host died and which of its groups nobody answers for yet."""

    began: float
    waiting: set[GroupName]
    took_ms: list[float] = field(default_factory=list)


class World:
    """Hosts, network, neighbours and the heap of what is to come. `members`: what their disks hold, by name."""

    def __init__(
        self,
        mix: Mix,
        make_core: CoreFactory,
        make_kernel: type[Kernel] = Kernel,
        story: Story | None = None,
        members: Mapping[str, Durable] | None = None,
    ) -> None:
        self.mix = mix
        self.settings = mix.settings
        self.make_core = make_core
        self.make_kernel = make_kernel
        self.story = story
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._order = 0
        self.group_names = tuple(group.name for group in mix.settings.groups)
        members = members or _members(mix)
        names = tuple(members)
        is_lenient = len(names) == PAIR and mix.settings.survivor_claims
        self.ownership = Ownership(self.group_names, names, self._may_both if is_lenient else None)
        self.freezes = Freezes(names, mix.settings.timing.grant_ms)
        draw = Random(f"world {mix.seed}")
        self.hosts = tuple(
            Host(self, index, name, Random(f"{name} {mix.seed}"), durable)
            for index, (name, durable) in enumerate(members.items())
        )
        self.network = Network(mix, self.hosts, self.at, Random(f"network {mix.seed}"), lambda: self.now)
        self.neighbours = Neighbours(mix.settings, self.network, self.hosts, self.at, draw)
        self.faults = Faults(self, mix, Random(f"faults {mix.seed}"))
        self._random = draw
        self._recovery: Recovery | None = None
        self._is_over = False
        self._death: _Death | None = None
        self._thawing = Thawing(self)

    # -- time

    def at(self, when: float, call: Callable[[Any], None], argument: Any) -> None:
        """Call that then."""
        self._order = order = self._order + 1
        heappush(self._heap, (when, order, call, argument))

    def say(self, who: str, text: str) -> None:
        """A line for the story, if one is told."""
        if self.story is not None:
            self.story.say(self.now, who, text)

    def run(self) -> Outcome:
        """Play the seed to its end or to its first violation."""
        violation = ""
        try:
            self._play()
        except Violation as broken:
            violation = str(broken)
        except GateMisused as broken:
            violation = f"GATE: {broken}"
        except Exception:
            violation = "DEFECT: " + traceback.format_exc(limit=-6)
        if violation:
            self.say("**", violation)
        return Outcome(
            seed=self.mix.seed,
            faults=self.faults.counts,
            virtual_ms=self.now,
            openings=self.ownership.openings,
            takeovers=tuple((self.mix.preset, took) for took in self._death.took_ms) if self._death else (),
            violation=violation,
            story=self.story.tail() if self.story is not None else "",
        )

    def _play(self) -> None:
        for host in self.hosts:
            host.tick_late_ms = self.mix.tick_late_ms
            host.slow_calls = self.mix.slow_calls
            self.at(self._random.uniform(0, 60), host.boot, None)
        if self.mix.is_calm:
            self._watch()
        else:
            self.at(self._random.uniform(0, self.settings.timing.timer_a_ms + 500), self.faults.begin, None)
            self.at(self.mix.safety_ms, self._stop_faults, None)
        self.run_until(float("inf"))

    def run_until(self, when: float) -> None:
        """Let everything happen that is due by then, or until the seed is over."""
        heap = self._heap
        while heap and heap[0][0] <= when and not self._is_over:
            self.now, _, call, argument = heappop(heap)
            call(argument)
        if when < float("inf"):
            self.now = when

    # -- the end of the faults

    def _stop_faults(self, _: object) -> None:
        self.say("**", "every fault stops")
        self.faults.is_over = True
        self.network.heal()
        self.neighbours.heal()
        for host in self.hosts:
            host.recover()
        self._watch()

    def _watch(self) -> None:
        self._recovery = Recovery(self.mix, self.ownership, self._able, self._starts, self.now)
        self.at(self.now + LOOK_EVERY_MS, self._look, self._recovery)

    def _starts(self) -> int:
        """How many processes have started so far, and how often the cluster was thawed since the last fault."""
        return sum(host.life for host in self.hosts) + self._thawing.thaws

    def _may_both(self, host: int, other: int, now: float) -> bool:
        """Whether two of a pair may answer for one group: they do not reach each other, or did not lately."""
        since = self.network.served_since(host, other)
        return since is None or (since > 0.0 and now - since < reunion_bound_ms(self.settings.timing))

    def _able(self) -> int:
        """How many nodes may hold a group by the newest document; 0 where its roster has lost its majority."""
        alive = [host for host in self.hosts if not host.is_gone]
        newest = self.newest()
        roster = newest.roster if newest is not None else tuple(host.name for host in self.hosts)
        members = [host.name for host in alive if host.name in roster]
        is_frozen = newest is not None and newest.freeze is not None
        if len(members) < majority(len(roster)) and (is_frozen or not self._goes_on_alone(roster)):
            return 0  # one of a pair that is left alone with a freeze can agree with nobody to end it
        return sum(name not in self.settings.never_master for name in members)

    def newest(self) -> Document | None:
        """The newest document on the disk of a host that is not gone, or in force there."""
        alive = [host for host in self.hosts if not host.is_gone]
        documents = [host.disk.content.document for host in alive] + [document_of(host) for host in alive]
        return max((d for d in documents if d is not None), key=lambda d: d.generation, default=None)

    def _goes_on_alone(self, roster: tuple[str, ...]) -> bool:
        return self.settings.survivor_claims and len(roster) == PAIR

    def _look(self, recovery: Recovery) -> None:
        if self._thawing.is_under_way() or not recovery.look(self.now):
            self.at(self.now + LOOK_EVERY_MS, self._look, recovery)
        elif self.mix.is_calm and self._death is None:
            self.at(self.now + self._random.uniform(0, 100), self._one_dies, None)
        else:
            self._is_over = True

    # -- the one death of a calm seed

    def _one_dies(self, _: object) -> None:
        if self.ownership.openings > len(self.group_names):
            raise Violation("L1", "a group moved although nothing had happened")
        holders = [host for host in self.hosts if any(host.answers(name) for name in self.group_names)]
        host = self._random.choice(holders)
        self._death = _Death(self.now, {name for name in self.group_names if host.answers(name)})
        self.faults.counts["calm-death"] += 1
        self.say("fault", f"calm-death: {host.name} loses power for ever, nothing else happens")
        host.lose_power()
        host.is_gone = True
        self.at(self.now + takeover_bound_ms(self.settings.timing), self._judge_death, self._death)

    def opened(self, group: GroupName, host: int) -> None:
        """A host began to answer for the group."""
        death = self._death
        if death is not None and group in death.waiting:
            death.waiting.discard(group)
            death.took_ms.append(self.now - death.began)

    def _judge_death(self, death: _Death) -> None:
        if death.waiting:
            bound = takeover_bound_ms(self.settings.timing)
            raise Violation("L1", f"{bound} ms after one death nobody answers for {sorted(death.waiting)}")
        self._watch()


def _members(mix: Mix) -> dict[str, Durable]:
    names = tuple(f"node{number}" for number in range(1, mix.settings.expected_nodes + 1))
    document = Document(CLUSTER_ID, 1, names) if mix.is_founded else None
    return dict.fromkeys(names, Durable(incarnation=1, document=document) if document else Durable())
