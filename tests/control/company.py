"""One real node among peers that the test speaks for: events in, actions out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from zcluster.control.actions import (
    Action,
    CloseAddresses,
    OpenAddresses,
    SendBeat,
    StoreDurable,
    Tell,
)
from zcluster.control.document import Document, Durable, GroupSettings, Settings
from zcluster.control.events import BeatReceived, Closed, Event, Opened, Stored, Tick
from zcluster.control.messages import Ack, Ask, Beat, Claim, Grant, Release, Report
from zcluster.control.node import Node
from zcluster.control.timing import PRESETS
from zcluster.control.units import NodeState, Pair

A = TypeVar("A")

ROSTER = ("a", "b", "c", "d", "e")
LINKS = {"ring": True, "svc": True}
INCARNATION = 5000
EMPTY_REPORT = Report(
    cluster_id="a-1",
    generation=1,
    state=NodeState.SLAVE,
    claims=(),
    grants=(),
    releases=(),
    asks=(),
    unready=(),
    macs=(),
    founding=None,
    document=None,
    version="",
    settings_digest="",
    floor=0,
    ceiling=1000,
)


def settings(groups: int = 1, **changes: object) -> Settings:
    made = Settings(
        cluster="test",
        expected_nodes=len(ROSTER),
        timing=PRESETS["standard"],
        groups=tuple(
            GroupSettings(f"g{n}", (f"10.0.0.{n}",), "svc", priority=100 - n) for n in range(1, groups + 1)
        ),
        cluster_links=("ring",),
        service_links=("svc",),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


class Company:
    """The node under test is `name`; every other member of the roster is spoken for by `beat`.

    Time moves only by `wait`, in which the living peers beat every 20 ms and acknowledge what they are
    told to grant. `log` holds every action with its time.
    """

    def __init__(
        self,
        name: str = "e",
        conf: Settings | None = None,
        durable: Durable | None = None,
        opens: str = "",
        closes: str = "",
    ) -> None:
        self.name = name
        self.conf = conf or settings()
        document = Document("a-1", 1, ROSTER)
        self.node = Node(
            name,
            self.conf,
            durable or Durable(incarnation=1, ceiling=0, document=document),
            INCARNATION,
            ("02:00:00:00:00:0e",),
            LINKS,
            0,
        )
        self.now_ms = 0
        self.log: list[tuple[int, Action]] = []
        self.open_problem = opens
        self.close_problem = closes
        self.reports: dict[str, Report] = {peer: EMPTY_REPORT for peer in ROSTER if peer != name}
        self.living = set(self.reports)
        self.sequence = dict.fromkeys(self.reports, 0)
        self.grants_to_us = set(self.reports)
        self.newest: Beat | None = None
        self.do(Tick())

    # ---- events

    def do(self, event: Event) -> list[Action]:
        """Hand in one event, perform the actions as an obedient shell would."""
        actions = self.node.handle(event, self.now_ms)
        results: list[Event] = []
        for action in actions:
            self.log.append((self.now_ms, action))
            match action:
                case SendBeat(beat):
                    self.newest = beat
                case StoreDurable(number, _):
                    results.append(Stored(number))
                case OpenAddresses(group, counter, _):
                    results.append(Opened(group, counter, self.open_problem))
                case CloseAddresses(group, counter):
                    results.append(Closed(group, counter, self.close_problem))
                case _:
                    pass
        for result in results:
            self.do(result)
        return actions

    def beat(self, peer: str, link: str = "ring", is_confirming: bool = True) -> list[Action]:
        """The next beat of one peer, acknowledging our newest."""
        self.sequence[peer] += 1
        acks = {}
        if self.newest is not None and is_confirming:
            pairs: tuple[Pair, ...] = ()
            if peer in self.grants_to_us:
                pairs = tuple(Pair(c.group, c.counter) for c in self.newest.report.claims)
            acks[self.name] = Ack(INCARNATION, self.newest.sequence, pairs)
        beat = Beat(peer, 1 + ROSTER.index(peer), self.sequence[peer], acks, self.reports[peer])
        return self.do(BeatReceived(beat, link))

    def everybody_beats(self) -> None:
        for peer in sorted(self.living):
            self.beat(peer)

    def wait(self, span_ms: int) -> None:
        """Let time pass: beats of the living every 20 ms, ticks when they are due."""
        end_ms = self.now_ms + span_ms
        while self.now_ms < end_ms:
            self.now_ms += 1
            if self.now_ms % 20 == 7:
                self.everybody_beats()
            if self.now_ms >= self.node.deadline():
                self.do(Tick())

    def start(self) -> None:
        """Through STARTING, to a slave among peers."""
        self.wait(1100)
        assert self.node.situation.state in (NodeState.SLAVE, NodeState.MASTER)

    # ---- what peers say

    def holds(self, peer: str, group: str = "g1", counter: int = 7, is_open: bool = True) -> None:
        """From its next beat on, the peer lists the group."""
        report = self.reports[peer]
        grants = (Grant(group, counter, peer, True),)
        self.reports[peer] = report._replace(
            state=NodeState.MASTER, claims=(*report.claims, Claim(group, counter, is_open)), grants=grants
        )

    def releases(
        self, peer: str, successor: str, group: str = "g1", counter: int = 7, cause: str = "stop"
    ) -> None:
        """The peer closed the group and says so."""
        report = self.reports[peer]
        self.reports[peer] = report._replace(
            state=NodeState.SLAVE, claims=(), releases=(Release(group, counter, successor, cause),)
        )

    def asks(self, peer: str, group: str, target: str, identity: str = "x") -> None:
        """An operator's wish reached the peer."""
        self.reports[peer] = self.reports[peer]._replace(asks=(Ask(identity, group, target),))

    # ---- what the node did

    def done(self, kind: type[A], since_ms: int = -1) -> list[tuple[int, A]]:
        """All actions of one kind with their times."""
        return [(at, a) for at, a in self.log if isinstance(a, kind) and at >= since_ms]

    def told(self, code: str) -> list[Tell]:
        return [tell for _, tell in self.done(Tell) if tell.code == code]


def first(pairs: Iterable[tuple[int, A]]) -> tuple[int, A]:
    for pair in pairs:
        return pair
    raise AssertionError("nothing of that kind was done")
