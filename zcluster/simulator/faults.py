"""Every kind of fault a seed may draw, what it does to the world, and how it ends.

Each kind is one function: it does its harm, plans its own end, and returns what the story says of it. A kind that
finds nothing to harm returns "" and is not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from zcluster.control import actions as act
from zcluster.control.document import Durable
from zcluster.control.events import (
    FreezeAsked,
    FreezeOver,
    HealthChanged,
    LinkChanged,
    MoveAsked,
    PinAsked,
    RestartAsked,
    RosterAsked,
    StopAsked,
    ThawAsked,
)
from zcluster.control.units import majority
from zcluster.simulator.host import Host, document_of
from zcluster.simulator.mix import LINKS, SERVICE_LINK, WEIGHTS, Mix
from zcluster.simulator.neighbours import SERVICE_NUMBER
from zcluster.simulator.network import ALL_LINKS, Cut
from zcluster.simulator.stage import Stage

Fault = Callable[["Faults"], str]

STALLED_BEFORE: tuple[type[act.Action] | None, ...] = (
    None,
    None,
    act.ArmGate,
    act.SendBeat,
    act.SendBeat,
    act.PointGate,
    act.PointGate,
    act.OpenAddresses,
    act.CloseAddresses,
)


class Faults:
    """Draws faults of the mix's kinds until the safety phase ends, and counts them by kind."""

    def __init__(self, stage: Stage, mix: Mix, random: Random) -> None:
        self.stage = stage
        self.mix = mix
        self.random = random
        self.counts: Counter[str] = Counter()
        self.is_over = False
        self.asked = 0
        self._kinds = mix.kinds
        self._weights = [WEIGHTS[kind] for kind in mix.kinds]

    def begin(self, _: object = None) -> None:
        """Inject one fault, and plan the next."""
        if self.is_over or not self._kinds:
            return
        kind = self.random.choices(self._kinds, self._weights)[0]
        text = KINDS[kind](self)
        if text:
            self.counts[kind] += 1
            self.stage.say("fault", f"{kind}: {text}")
        self.after(self.random.uniform(0.1, 2.0) * self.mix.gap_ms, self.begin)

    def after(self, delay_ms: float, call: Callable[[object], None]) -> None:
        """Do something later, unless the safety phase is over by then."""
        self.stage.at(self.stage.now + delay_ms, self._unless_over, call)

    def _unless_over(self, call: Callable[[object], None]) -> None:
        if not self.is_over:
            call(None)

    def length_ms(self) -> float:
        """How long a fault lasts: around the timings' own lengths, where the edges are."""
        timing = self.mix.settings.timing
        around = self.random.choice(
            (timing.beat_ms, timing.margin_ms, timing.lease_ms, timing.grant_ms, timing.silence_ms)
        )
        return around * self.random.uniform(0.3, 3.0)

    def running(self) -> list[Host]:
        """The hosts with a process."""
        return [host for host in self.stage.hosts if host.core is not None]

    def some_host(self, hosts: list[Host] | None = None) -> Host | None:
        """A host with a process, a holder more often than another."""
        candidates = self.running() if hosts is None else hosts
        holders = [host for host in candidates if any(host.answers(name) for name in self.stage.group_names)]
        if holders and self.random.random() < 0.5:
            candidates = holders
        return self.random.choice(candidates) if candidates else None

    def cut(self, pairs: set[tuple[int, int]], links: int) -> str:
        """Cut those directions for a while."""
        if not pairs:
            return ""
        cut = Cut(frozenset(pairs), links)
        length_ms = self.length_ms()
        self.stage.network.cut(cut)
        self.after(length_ms, lambda _: self.stage.network.mend(cut))
        arrows = " ".join(f"{a + 1}>{b + 1}" for a, b in sorted(pairs))
        return f"{arrows} on links {links:03b} for {length_ms:.0f} ms"


def _sides(faults: Faults) -> tuple[set[int], set[int]]:
    everybody = range(len(faults.stage.hosts))
    one = set(faults.random.sample(everybody, faults.random.randint(1, len(everybody) - 1)))
    return one, set(everybody) - one


def partition(faults: Faults) -> str:
    one, other = _sides(faults)
    pairs = {(a, b) for a in one for b in other} | {(b, a) for a in one for b in other}
    return faults.cut(pairs, faults.random.choice((ALL_LINKS, ALL_LINKS, ALL_LINKS & ~(1 << SERVICE_NUMBER))))


def one_way(faults: Faults) -> str:
    one, other = _sides(faults)
    return faults.cut(
        {(a, b) for a in sorted(one) for b in sorted(other) if faults.random.random() < 0.9}, ALL_LINKS
    )


def partial(faults: Faults) -> str:
    hosts = range(len(faults.stage.hosts))
    share = faults.random.choice((0.2, 0.5))
    pairs = {(a, b) for a in hosts for b in hosts if a != b and faults.random.random() < share}
    return faults.cut(pairs, faults.random.choice((ALL_LINKS, faults.random.randint(1, ALL_LINKS))))


def _lose_carrier(faults: Faults, host: Host, link: int, length_ms: float) -> None:
    def change(is_up: bool) -> None:
        faults.stage.network.set_carrier(host.index, link, is_up)
        host.deliver(LinkChanged(LINKS[link], is_up))

    change(False)
    faults.after(length_ms, lambda _: change(True))


def flap(faults: Faults) -> str:
    host = faults.random.choice(faults.stage.hosts)
    link = faults.random.randrange(len(LINKS) - 1)
    times = faults.random.randint(1, 6)
    length_ms = faults.random.uniform(1, 120)
    for number in range(times):
        faults.after(number * 2 * length_ms, lambda _: _lose_carrier(faults, host, link, length_ms))
    return f"{host.name} {LINKS[link]} {times} times {length_ms:.0f} ms"


def service_carrier(faults: Faults) -> str:
    host = faults.some_host()
    if host is None or not faults.stage.network.has_carrier(host.index, SERVICE_NUMBER):
        return ""
    length_ms = faults.length_ms()
    _lose_carrier(faults, host, SERVICE_NUMBER, length_ms)
    return f"{host.name} {SERVICE_LINK} for {length_ms:.0f} ms"


def reference(faults: Faults) -> str:
    host = faults.random.choice(faults.stage.hosts)
    faults.stage.neighbours.unreferenced.add(host.index)
    faults.after(3 * faults.length_ms(), lambda _: faults.stage.neighbours.unreferenced.discard(host.index))
    return f"no reference answers {host.name}"


def pause(faults: Faults) -> str:
    host = faults.some_host()
    if host is None:
        return ""
    length_ms = faults.length_ms()
    host.pause(length_ms)
    return f"{host.name} stands still for {length_ms:.0f} ms"


def stall(faults: Faults) -> str:
    host = faults.some_host()
    if host is None:
        return ""
    kind = faults.random.choice(STALLED_BEFORE)
    host.stall = (kind, faults.length_ms(), faults.stage.now + 2 * faults.mix.settings.timing.silence_ms)
    return f"{host.name} will stand still before its next {kind.__name__ if kind else 'action'}"


def kill(faults: Faults) -> str:
    host = faults.some_host()
    if host is None:
        return ""
    host.kill()
    faults.after(faults.random.choice((2.0, 100.0, 600.0)) * faults.random.random(), host.boot)
    return f"{host.name}: its process is killed"


def host_death(faults: Faults) -> str:
    host = faults.some_host()
    if host is None:
        return ""
    host.lose_power()
    faults.after(faults.random.uniform(30, 900), host.boot)
    return f"{host.name} loses power"


def eclipse(faults: Faults) -> str:
    """A voter hears the holder, a third node hears neither. Just when it would claim, the voter starts anew, cut off
    from the holder, and hears the claim: only its abstinence protects the holder's lease.
    """
    stage, timing = faults.stage, faults.mix.settings.timing
    holders = [host for host in faults.running() if any(host.answers(name) for name in stage.group_names)]
    if not holders or len(faults.running()) < 3:
        return ""
    holder = faults.random.choice(holders)
    voter, blind = faults.random.sample([host for host in faults.running() if host is not holder], 2)
    h, v, b = holder.index, voter.index, blind.index
    rest = {host.index for host in stage.hosts} - {h, v, b}
    before = Cut(
        frozenset({(v, b), (h, b), (b, h)} | {(o, b) for o in rest} | {(b, o) for o in rest}), ALL_LINKS
    )
    after = Cut(frozenset({(h, v), (v, h), (h, b), (b, h)}), ALL_LINKS)
    stage.network.cut(before)

    def turn(_: object) -> None:
        stage.network.mend(before)
        stage.network.cut(after)
        faults.after(timing.silence_ms, lambda _: stage.network.mend(after))
        voter.kill()
        faults.after(3 * faults.random.random(), voter.boot)

    faults.after(timing.silence_ms * faults.random.uniform(0.9, 2.0), turn)
    return f"{blind.name} hears nobody; later {voter.name} starts anew and hears it, but not {holder.name}"


def power_all(faults: Faults) -> str:
    for host in faults.stage.hosts:
        host.lose_power()
        faults.after(faults.random.uniform(1, 600), host.boot)
    return "every host loses power"


def never_back(faults: Faults) -> str:
    hosts = faults.stage.hosts
    lost = sum(host.is_gone for host in hosts)
    host = faults.some_host()
    lost += faults.counts["disk-lost"]
    least = 1 if faults.mix.settings.survivor_claims else majority(len(hosts))
    if host is None or len(hosts) - lost - 1 < least or not faults.mix.is_founded:
        return ""
    host.lose_power()
    host.is_gone = True
    return f"{host.name} loses power for ever"


def move(faults: Faults) -> str:
    host = faults.some_host()
    if host is None:
        return ""
    faults.asked += 1
    target = faults.random.choice(("", *(other.name for other in faults.stage.hosts)))
    group = faults.random.choice(faults.stage.group_names)
    host.deliver(MoveAsked(f"move{faults.asked}", group, target))
    return f"{host.name} is asked to move {group} to {target or 'the primary slave'}"


def stop(faults: Faults) -> str:
    host = faults.some_host()
    if host is None:
        return ""
    host.deliver(StopAsked())

    def start_again(_: object) -> None:
        host.kill()
        host.boot()

    faults.after(faults.random.uniform(100, 900), start_again)
    return f"{host.name} is asked to stop"


def health(faults: Faults) -> str:
    host = faults.some_host()
    if host is None:
        return ""
    host.deliver(HealthChanged("switch", "its event socket closed"))
    faults.after(faults.length_ms(), lambda _: host.deliver(HealthChanged("switch", "")))
    return f"{host.name}: its switch dies"


def planned_restart(faults: Faults) -> str:
    host = faults.some_host()
    if host is None:
        return ""
    faults.asked += 1
    host.deliver(RestartAsked(f"restart{faults.asked}"))
    return f"{host.name} is asked to restart its daemon"


def pin(faults: Faults) -> str:
    host = faults.some_host()
    if host is None:
        return ""
    faults.asked += 1
    group = faults.random.choice(faults.stage.group_names)
    target = faults.random.choice(("", *(other.name for other in faults.stage.hosts)))
    host.deliver(PinAsked(f"pin{faults.asked}", group, target))
    return f"{host.name} is asked to pin {group} to {target or 'nothing'}"


def roster(faults: Faults) -> str:
    host = faults.some_host()
    if host is None:
        return ""
    faults.asked += 1
    verb = faults.random.choice(("add", "remove"))
    name = faults.random.choice(faults.stage.hosts).name
    host.deliver(RosterAsked(f"roster{faults.asked}", verb, (name,)))
    return f"{host.name} is asked to {verb} {name}"


def disk_lost(faults: Faults) -> str:
    """Once a seed, and only where a majority of memories is left."""
    hosts = faults.stage.hosts
    lost = sum(host.is_gone for host in hosts)
    host = faults.some_host()
    if host is None or not faults.mix.is_founded or faults.counts["disk-lost"]:
        return ""
    if len(hosts) - lost - 1 < majority(len(hosts)):
        return ""
    host.lose_power()
    host.disk.content = Durable()
    host.look_at_disk()
    host.wall_ms = max(
        host.wall_ms, host.incarnation + 1 - faults.stage.now
    )  # not with a clock set back as well
    faults.after(faults.random.uniform(30, 900), host.boot)
    return f"{host.name} loses power, and its disk is replaced by an empty one"


def slow_disk(faults: Faults) -> str:
    host = faults.random.choice(faults.stage.hosts)
    host.disk.slow_until = faults.stage.now + faults.random.uniform(200, 2000)
    return f"{host.name}: its disk is slow"


def disk_full(faults: Faults) -> str:
    host = faults.random.choice(faults.stage.hosts)
    host.disk.failing_until = faults.stage.now + faults.random.uniform(100, 1500)
    return f"{host.name}: its disk is full"


def kernel_refuses(faults: Faults) -> str:
    host = faults.random.choice(faults.stage.hosts)
    host.refuses_until = faults.stage.now + faults.random.uniform(20, 600)
    return f"{host.name}: its kernel refuses some calls"


def gate_lost(faults: Faults) -> str:
    host = faults.some_host()
    if host is None:
        return ""
    host.lose_gate()
    return f"{host.name}: another tool flushes the rules"


def stranger(faults: Faults) -> str:
    if faults.stage.neighbours.stranger_group is not None:
        return ""
    group = faults.random.choice(faults.stage.group_names)
    faults.stage.neighbours.stranger_group = group

    def leave(_: object) -> None:
        faults.stage.neighbours.stranger_group = None

    faults.after(3 * faults.length_ms(), leave)
    return f"a stranger uses the addresses of {group}"


def proxy(faults: Faults) -> str:
    if faults.stage.neighbours.has_proxy:
        return ""
    faults.stage.neighbours.has_proxy = True
    return "a neighbour answers for every address"


def clock_step(faults: Faults) -> str:
    host = faults.random.choice(faults.stage.hosts)
    if host.core is None and host.disk.content == Durable():
        return ""  # a replaced disk and a clock set back are not one fault (docs/simulator.md)
    step_ms = faults.random.uniform(-1e7, 1e7)
    host.wall_ms += step_ms
    return f"{host.name}: its wall clock steps by {step_ms:.0f} ms"


def freeze(faults: Faults) -> str:
    host = faults.some_host()
    if host is None:
        return ""
    faults.asked += 1
    wall_ms = int(host.wall_ms + faults.stage.now)
    until_ms = faults.random.choice((0, wall_ms + 60_000))
    host.deliver(FreezeAsked(f"freeze{faults.asked}", "operator", "simulated", wall_ms, until_ms))
    return f"{host.name} is asked to freeze the cluster"


def thaw(faults: Faults) -> str:
    host = faults.some_host()
    if host is None:
        return ""
    faults.asked += 1
    host.deliver(ThawAsked(f"thaw{faults.asked}", "operator"))
    return f"{host.name} is asked to thaw the cluster"


def freeze_over(faults: Faults) -> str:
    """Wall clocks may be anywhere, so the time of a freeze may be over at any time, on any host."""
    host = faults.some_host()
    document = document_of(host) if host is not None else None
    if host is None or document is None or document.freeze is None or not document.freeze.until_ms:
        return ""
    host.deliver(FreezeOver(document.freeze.since_ms))
    return f"{host.name}: by its clocks the freeze is over"


KINDS: dict[str, Fault] = {
    "partition": partition,
    "one-way": one_way,
    "partial": partial,
    "flap": flap,
    "service-carrier": service_carrier,
    "reference": reference,
    "pause": pause,
    "stall": stall,
    "kill": kill,
    "host-death": host_death,
    "eclipse": eclipse,
    "power-all": power_all,
    "never-back": never_back,
    "move": move,
    "stop": stop,
    "health": health,
    "planned-restart": planned_restart,
    "pin": pin,
    "roster": roster,
    "disk-lost": disk_lost,
    "slow-disk": slow_disk,
    "disk-full": disk_full,
    "kernel-refuses": kernel_refuses,
    "gate-lost": gate_lost,
    "stranger": stranger,
    "proxy": proxy,
    "clock-step": clock_step,
    "freeze": freeze,
    "thaw": thaw,
    "freeze-over": freeze_over,
}
