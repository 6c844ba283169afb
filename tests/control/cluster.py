"""Several real cores in one calm room: every beat arrives 0.3 ms later, every disk takes 5 ms."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import replace

from zcluster.control import actions as act
from zcluster.control.actions import Action, Tell
from zcluster.control.document import Durable, GroupSettings, Settings
from zcluster.control.events import (
    BeatReceived,
    Closed,
    Event,
    Opened,
    ReferenceSeen,
    Stored,
    Tick,
)
from zcluster.control.node import Node
from zcluster.control.timing import PRESETS

LINKS = {"ring": True, "svc": True}
BEAT_DELAY_MS = 0.3
DISK_DELAY_MS = 5.0
KERNEL_DELAY_MS = 0.1


def settings(nodes: int, groups: int, **changes: object) -> Settings:
    made = Settings(
        cluster="test",
        expected_nodes=nodes,
        timing=PRESETS["standard"],
        groups=tuple(
            GroupSettings(f"g{n}", (f"10.0.0.{n}",), "svc", priority=100 - n) for n in range(1, groups + 1)
        ),
        cluster_links=("ring",),
        service_links=("svc",),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


class Cluster:
    """Nodes by name. `cut` holds pairs (from, to) that hear nothing; `referenced`: who gets
    answers from the reference address. `stuck`: whose disk finishes nothing."""

    def __init__(self, conf: Settings, names: Iterable[str]) -> None:
        self.conf = conf
        self.now_ms = 0.0
        self.nodes: dict[str, Node] = {}
        self.disks: dict[str, Durable] = {}
        self.cut: set[tuple[str, str]] = set()
        self.referenced: set[str] = set()
        self.stuck: set[str] = set()
        self.told: list[tuple[int, str, Tell]] = []
        self.answers: dict[str, act.AnswerWish] = {}
        self.open: dict[str, set[str]] = {}
        self.exited: set[str] = set()
        self.planned: dict[str, float] = {}
        self._heap: list[tuple[float, int, str, int, Event]] = []
        self._order = 0
        self._lives: dict[str, int] = {}
        for name in names:
            self.boot(name)

    def boot(self, name: str, durable: Durable | None = None) -> None:
        """Start a node with what its disk holds (or `durable`)."""
        disk = durable if durable is not None else self.disks.get(name, Durable())
        incarnation = max(disk.incarnation + 1, 1000 + int(self.now_ms))
        if disk.handover is not None:
            self.disks[name] = replace(disk, incarnation=incarnation, handover=None)
            disk = replace(disk, incarnation=incarnation)
        else:
            self.disks[name] = disk
            self.open[name] = set()
        self._lives[name] = self._lives.get(name, 0) + 1
        self.exited.discard(name)
        mac = f"02:00:00:00:00:{len(self._lives):02x}"
        node = Node(name, self.conf, disk, incarnation, (mac,), LINKS, int(self.now_ms))
        self.nodes[name] = node
        self.do(name, Tick())

    def kill(self, name: str) -> None:
        """The host is gone, with all that was open."""
        self.nodes.pop(name, None)
        self._lives[name] += 1
        self.open[name] = set()

    def do(self, name: str, event: Event) -> list[Action]:
        """Hand one event to one node now and perform what it wants."""
        node = self.nodes[name]
        actions = node.handle(event, int(self.now_ms))
        for action in actions:
            self._perform(name, action)
        if name in self.nodes:
            self._push(max(float(node.deadline()), self.now_ms), name, Tick())
        return actions

    def _perform(self, name: str, action: Action) -> None:
        match action:
            case act.SendBeat(beat):
                for other in self.nodes:
                    if other != name and (name, other) not in self.cut:
                        self._push(self.now_ms + BEAT_DELAY_MS, other, BeatReceived(beat, "ring"))
            case act.StoreDurable(number, durable) if name not in self.stuck:
                self.disks[name] = durable
                self._push(self.now_ms + DISK_DELAY_MS, name, Stored(number))
            case act.OpenAddresses(group, counter, _):
                self.open[name].add(group)
                self._push(self.now_ms + KERNEL_DELAY_MS, name, Opened(group, counter))
            case act.CloseAddresses(group, counter):
                self.open[name].discard(group)
                self._push(self.now_ms + KERNEL_DELAY_MS, name, Closed(group, counter))
            case act.AskReference() if name in self.referenced:
                self._push(self.now_ms + 1.0, name, ReferenceSeen("svc"))
            case act.Tell():
                self.told.append((int(self.now_ms), name, action))
            case act.AnswerWish(identity):
                self.answers[identity] = action
            case act.Exit(keeps_open):
                self.exited.add(name)
                if not keeps_open:
                    self.open[name] = set()
                del self.nodes[name]
                self._lives[name] += 1
            case _:
                pass

    def _push(self, at_ms: float, name: str, event: Event) -> None:
        self._order += 1
        if type(event) is Tick:
            planned = self.planned.get(name)
            if planned == at_ms:
                return
            self.planned[name] = at_ms
        heapq.heappush(self._heap, (at_ms, self._order, name, self._lives[name], event))

    def wait(self, span_ms: float) -> None:
        """Let time pass."""
        end_ms = self.now_ms + span_ms
        while self._heap and self._heap[0][0] <= end_ms:
            at_ms, _, name, life, event = heapq.heappop(self._heap)
            self.now_ms = at_ms
            node = self.nodes.get(name)
            if node is None or life != self._lives[name]:
                continue
            if type(event) is Tick:
                self.planned.pop(name, None)
                if at_ms < node.deadline():
                    self._push(float(node.deadline()), name, Tick())
                    continue
            self.do(name, event)
        self.now_ms = end_ms

    def holders(self) -> dict[str, str]:
        """Who has each group's addresses open; fails where two have."""
        found: dict[str, str] = {}
        for name, groups in self.open.items():
            for group in groups:
                assert group not in found, f"{group} is open on {found[group]} and {name}"
                found[group] = name
        return found

    def codes(self, code: str) -> list[tuple[int, str, Tell]]:
        return [entry for entry in self.told if entry[2].code == code]

    def roster(self, name: str) -> tuple[str, ...]:
        document = self.nodes[name].situation.document
        return document.roster if document is not None else ()
