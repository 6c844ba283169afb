"""On from where a recording ends: the recorded node as it is, among peers of which only its words are known.

What it is: the recorded core itself, rebuilt by replay, with its kernel's gate and its disk as its own actions left
them; and every other member as a process that starts at that instant, with what it last reported (incarnation,
ceiling, document) on its disk. What it is not: the peers' true state, which is in their own recordings. What must
hold for every seed all the same: S1 and S2, for a peer may restart at any instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from zcluster.control import actions as act
from zcluster.control import events as happened
from zcluster.control.document import Durable, Settings
from zcluster.control.lease import SENT_BEATS_KEPT
from zcluster.control.messages import Claim
from zcluster.control.node import Node
from zcluster.control.ownership import OPEN_PHASES
from zcluster.errors import RecordingError
from zcluster.recording.replay import Played, Replay
from zcluster.simulator.host import Core
from zcluster.simulator.kernel import Kernel
from zcluster.simulator.mix import LINKS, SERVICE_LINK, Mix, draw
from zcluster.simulator.story import Story
from zcluster.simulator.world import Outcome, World

REMEMBERED_SLOTS = 64
FORGET_EVERY = 1000
SILENCES_OF_FAULTS = 15


@dataclass(slots=True)
class Ending:
    """What a recording leaves: the core, and what its own actions did to its host."""

    path: Path
    node: Node
    kernel: Kernel
    durable: Durable
    now_ms: int = 0
    steps: int = 0
    claims: dict[int, tuple[Claim, ...]] = field(default_factory=dict)
    macs: tuple[str, ...] = ()
    opening: dict[str, int] = field(default_factory=dict)
    storing: dict[int, Durable] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The members, and the recorded node if it is none."""
        situation = self.node.situation
        assert situation.document is not None
        return tuple(sorted({*situation.document.roster, situation.name}))


def ending(path: Path) -> Ending:
    """Replay a segment to its end; RecordingError where that cannot be continued."""
    replay = Replay(path)
    node = replay.node
    groups = tuple(node.situation.groups)
    kernel = Kernel(groups, Random("the recorded kernel"), 1.0)
    end = Ending(path, node, kernel, node.situation.stored, replay.header.now_ms)
    for tenure in node.holder.tenures.values():
        if tenure.phase in OPEN_PHASES:
            kernel.renew(tenure.group, float(end.now_ms))
    for played in replay.play():
        if played.difference:
            raise RecordingError(f"{path}: event {played.number} is decided otherwise; see zcluster replay")
        _take(end, played)
    if node.situation.document is None:
        raise RecordingError(f"{path} ends before the cluster was founded: there is nothing to go on from")
    kernel.shift(-float(end.now_ms))
    return end


def _take(end: Ending, played: Played) -> None:
    """What one step did to the host, as far as its actions and answers tell."""
    end.now_ms, end.steps = played.now_ms, end.steps + 1
    match played.event:
        case happened.Opened(group, _):
            end.opening.pop(group, None)
        case happened.Stored(number) if number in end.storing:
            end.durable = end.storing.pop(number)
        case happened.StoreFailed(number):
            end.storing.pop(number, None)
        case _:
            pass
    for action in played.actions:
        _perform(end, action, float(played.now_ms))
    if end.steps % FORGET_EVERY == 0:
        end.kernel.forget(REMEMBERED_SLOTS)


def _perform(end: Ending, action: act.Action, now: float) -> None:
    match action:
        case act.SendBeat(beat):
            end.macs = beat.report.macs
            end.claims[beat.sequence] = beat.report.claims
            end.claims.pop(beat.sequence - SENT_BEATS_KEPT, None)
        case act.ArmGate(slot, groups, lease_ms):
            end.kernel.arm(slot, groups, lease_ms, now)
        case act.PointGate(group, slot):
            end.kernel.point(group, slot, now, now)
        case act.OpenAddresses(group, counter, slot):
            end.kernel.open(group, slot, now, now)
            end.opening[group] = counter
        case act.CloseAddresses(group, _):
            end.kernel.close(group)
        case act.RenewAddresses(group, lifetime_ms):
            end.kernel.renew(group, now, lifetime_ms)
        case act.StoreDurable(number, durable):
            end.storing[number] = durable
        case _:
            pass


class Translated:
    """A core of the recorded settings, in a world whose links have the simulator's names."""

    def __init__(self, node: Node, settings: Settings) -> None:
        self._node = node
        self._names = translation(settings)

    def deadline(self) -> int:
        """The core's."""
        return self._node.deadline()

    def handle(self, event: happened.Event, now_ms: int) -> list[act.Action]:
        """The core's, once for each link that is meant."""
        return [action for one in self._said(event) for action in self._node.handle(one, now_ms)]

    def _said(self, event: happened.Event) -> list[happened.Event]:
        match event:
            case happened.BeatReceived(beat, link):
                first, *others = self._names[link]
                name = beat.node, beat.incarnation, beat.sequence
                copies = [happened.BeatRepeated(*name, other) for other in others]
                return [happened.BeatReceived(beat, first), *copies]
            case happened.BeatRepeated(_, _, _, link):
                return [event._replace(link=name) for name in self._names[link]]
            case happened.LinkChanged(link) | happened.ReferenceSeen(link):
                return [replace(event, link=name) for name in self._names[link]]
            case _:
                return [event]


def translation(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The recorded links that each simulated one stands for: every one is some recorded link."""
    found: dict[str, list[str]] = {link: [] for link in LINKS}
    clusters = [link for link in LINKS if link != SERVICE_LINK]
    for number, name in enumerate(settings.cluster_links):
        found[clusters[number % len(clusters)]].append(name)
    found[SERVICE_LINK] += settings.service_links
    any_link = (*settings.cluster_links, *settings.service_links)[:1]
    return {link: tuple(names) or any_link for link, names in found.items()}


def go_on(seed: int, path: Path, is_told: bool = False) -> Outcome:
    """One seed from the end of that segment; RecordingError."""
    end = ending(path)
    situation = end.node.situation
    world = World(
        _mix(seed, situation.settings, len(end.names)),
        _factory(situation.settings),
        story=Story() if is_told else None,
        members={name: _memory(end, name) for name in end.names},
    )
    host = world.hosts[end.names.index(situation.name)]
    host.mac = next(iter(end.macs), host.mac)
    host.adopt(
        Translated(end.node, situation.settings), situation.incarnation, end.now_ms, end.kernel, end.claims
    )
    for number in sorted(end.storing):
        host.disk.content = end.storing[number]
        host.deliver(happened.Stored(number))
    for group, counter in end.opening.items():
        host.deliver(happened.Opened(group, counter))
    return world.run()


def _mix(seed: int, settings: Settings, nodes: int) -> Mix:
    mix = draw(seed, nodes)
    return replace(
        mix,
        settings=settings,
        preset="recorded",
        is_calm=False,
        is_founded=True,
        kinds=mix.kinds or ("kill",),
        safety_ms=max(2500.0, float(SILENCES_OF_FAULTS * settings.timing.silence_ms)),
    )


def _factory(settings: Settings) -> Callable[..., Core]:
    names = translation(settings)

    def make_core(
        name: str,
        given: Settings,
        durable: Durable,
        incarnation: int,
        macs: tuple[str, ...],
        links: Mapping[str, bool],
        now_ms: int,
    ) -> Core:
        carriers = {real: is_up for link, is_up in links.items() for real in names[link]}
        return Translated(Node(name, given, durable, incarnation, macs, carriers, now_ms), settings)

    return make_core


def _memory(end: Ending, name: str) -> Durable:
    """What that member's disk holds, as far as the recorded node knows."""
    situation = end.node.situation
    if name == situation.name:
        return end.durable
    peer = situation.detector.peers.get(name)
    if peer is None:
        return Durable(incarnation=1, document=situation.document, is_amnesiac=True)
    return Durable(
        incarnation=peer.incarnation,
        ceiling=max(peer.report.ceiling, peer.report.floor),
        document=situation.document,
    )
