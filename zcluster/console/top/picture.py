"""What top shows, as typed rows read from the documents (`zcluster.supervisor.status`, `zcluster.data.questions`).

What must hold: pure; a document of any shape gives a picture, with what it does not say left out; every text in it
is clean (`reading.clean`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zcluster.console.top import reading
from zcluster.console.verdict import ExitStatus, complaints, judge, told_ago

Status = Mapping[str, Any]
UNREADABLE = (
    "This daemon's status cannot be judged by this version of zcluster: run `zcluster status` on its host."
)


@dataclass(frozen=True, slots=True)
class LinkCell:
    """A peer on one link. `behind_ms`: how much later its beats come here than on their quickest link."""

    name: str
    is_heard: bool
    heard_ms: int | None
    loss_per_mille: int | None
    round_trip_us: int | None
    behind_ms: int | None


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node as the asked one sees it. `position` 1 is the primary slave; `pulse_ms` is known of the asked one only."""

    name: str
    state: str
    is_self: bool
    is_heard: bool
    is_voter: bool
    is_witness: bool
    is_admitted: bool
    is_forgotten: bool
    position: int | None
    holds: tuple[str, ...]
    unready: tuple[str, ...]
    heard_ms: int | None
    generation: int | None
    version: str
    build: str
    switchname: str
    clock_offset_ms: int | None
    links: tuple[LinkCell, ...]
    pulse_ms: int | None = None

    @property
    def is_troubled(self) -> bool:
        """Whether an operator should look at it."""
        missed = any(
            not link.is_heard and not (self.is_witness and link.heard_ms is None) for link in self.links
        )
        return not self.is_heard or bool(self.unready) or missed or not self.is_admitted or self.is_forgotten


@dataclass(frozen=True, slots=True)
class GroupRow:
    """`holder` "" for nobody; `since_ms` None where unknown; `pinned_to` "" without a pin."""

    name: str
    holder: str
    counter: int | None
    since_ms: int | None
    addresses: tuple[str, ...]
    phase: str
    last_holder: str
    pinned_to: str

    @property
    def is_troubled(self) -> bool:
        """Whether nobody holds it, or not who should."""
        return not self.holder or self.pinned_to not in ("", self.holder)


@dataclass(frozen=True, slots=True)
class WarningRow:
    """`level`: "alarm", "warning" or "notice"; `code` for `zcluster explain`, "" where there is none.

    `told`: "told 2 min 10 s ago" of what may be over, "" of what stands.
    """

    level: str
    text: str
    code: str
    told: str


@dataclass(frozen=True, slots=True)
class OwnLink:
    """A link of the asked host."""

    name: str
    is_up: bool
    interface: str
    address: str


@dataclass(frozen=True, slots=True)
class Picture:
    """One status document. `trouble` is the verdict's exit status; `complaints` all that it complains of."""

    node: str
    cluster: str
    mode: str
    version: str
    up_ms: int
    generation: int
    is_settled: bool
    is_forced: bool
    quorum: int
    voters: int
    hears_majority: bool
    trouble: ExitStatus
    sentence: str
    complaints: tuple[str, ...]
    groups: tuple[GroupRow, ...]
    nodes: tuple[NodeRow, ...]
    links: tuple[OwnLink, ...]
    warnings: tuple[WarningRow, ...]
    is_frozen: bool
    switch: str
    copies: str

    def group(self, name: str) -> GroupRow | None:
        """The group of that name."""
        return next((group for group in self.groups if group.name == name), None)

    def peer(self, name: str) -> NodeRow | None:
        """The node of that name."""
        return next((node for node in self.nodes if node.name == name), None)

    @property
    def ready_slaves(self) -> tuple[NodeRow, ...]:
        """Who could take a group now, the primary slave first."""
        ready = [node for node in self.nodes if node.position and node.is_heard and not node.unready]
        return tuple(sorted(ready, key=lambda node: (node.position or 0, node.name)))


def picture_of(status: Status) -> Picture:
    """Read a status document."""
    trouble, sentence, found = _judged(status)
    return Picture(
        node=reading.text(status, "node"),
        cluster=reading.text(status, "cluster"),
        mode=reading.text(status, "mode"),
        version=reading.text(status, "version"),
        up_ms=reading.count(status, "up_ms"),
        generation=reading.count(status, "generation"),
        is_settled=reading.flag(status, "is_settled", True),
        is_forced=reading.flag(status, "is_forced"),
        quorum=reading.count(status, "quorum"),
        voters=len(reading.texts(status, "roster")),
        hears_majority=reading.flag(status, "hears_majority"),
        trouble=trouble,
        sentence=sentence,
        complaints=found,
        groups=_groups(status),
        nodes=_nodes(status),
        links=tuple(
            OwnLink(
                reading.text(link, "name"),
                reading.flag(link, "is_up"),
                reading.text(link, "interface"),
                reading.text(link, "address"),
            )
            for link in reading.rows(status, "links")
        ),
        warnings=tuple(
            WarningRow(
                reading.text(warning, "level") or "warning",
                reading.text(warning, "text"),
                reading.text(warning, "code"),
                told_ago({"age_ms": reading.number(warning, "age_ms")}),
            )
            for warning in reading.rows(status, "warnings")
        ),
        is_frozen=isinstance(status.get("freeze"), dict),
        switch=_switch(status),
        copies=_copies(status),
    )


def _judged(status: Status) -> tuple[ExitStatus, str, tuple[str, ...]]:
    """The verdict of `zcluster status`, which trusts the shape of the document."""
    try:
        verdict = judge(status)
        found = complaints(status) if status["cluster_id"] else []
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return ExitStatus.NOT_REACHABLE, UNREADABLE, ()
    return (
        verdict.exit_status,
        reading.clean(verdict.sentence, 2000),
        tuple(reading.clean(text) for text in found[: reading.LARGEST_ROWS]),
    )


def _groups(status: Status) -> tuple[GroupRow, ...]:
    pins = {reading.text(pin, "group"): reading.text(pin, "node") for pin in reading.rows(status, "pins")}
    return tuple(
        GroupRow(
            name=reading.text(group, "name"),
            holder=reading.text(group, "holder"),
            counter=reading.number(group, "counter"),
            since_ms=reading.number(group, "since_ms"),
            addresses=reading.texts(group, "addresses"),
            phase=reading.text(group, "phase"),
            last_holder=reading.text(group, "last_holder"),
            pinned_to=pins.get(reading.text(group, "name"), ""),
        )
        for group in reading.rows(status, "groups")
    )


def _nodes(status: Status) -> tuple[NodeRow, ...]:
    unadmitted, forgotten = reading.texts(status, "unadmitted"), reading.texts(status, "forgotten")
    pulse_ms = reading.number(reading.table(status, "counters"), "data_pulse_ms")
    found = []
    for node in reading.rows(status, "nodes"):
        name, is_self = reading.text(node, "name"), reading.flag(node, "is_self")
        found.append(
            NodeRow(
                name=name,
                state=reading.text(node, "state"),
                is_self=is_self,
                is_heard=reading.flag(node, "is_heard"),
                is_voter=reading.flag(node, "is_voter"),
                is_witness=reading.flag(node, "is_witness"),
                is_admitted=name not in unadmitted,
                is_forgotten=name in forgotten,
                position=reading.number(node, "position"),
                holds=reading.texts(node, "holds"),
                unready=reading.texts(node, "unready"),
                heard_ms=reading.number(node, "heard_ms"),
                generation=reading.number(node, "generation"),
                version=reading.text(node, "version"),
                build=reading.text(node, "build"),
                switchname=reading.text(node, "switchname"),
                clock_offset_ms=reading.number(node, "clock_offset_ms"),
                links=tuple(_link(link) for link in reading.rows(node, "links")),
                pulse_ms=pulse_ms if is_self else None,
            )
        )
    return tuple(found)


def _link(link: Mapping[str, Any]) -> LinkCell:
    return LinkCell(
        reading.text(link, "name"),
        reading.flag(link, "is_heard"),
        reading.number(link, "heard_ms"),
        reading.number(link, "loss_per_mille"),
        reading.number(link, "round_trip_us"),
        reading.number(link, "behind_ms"),
    )


def _switch(status: Status) -> str:
    """The switch of the asked host in a few words, "" where none belongs."""
    if not isinstance(status.get("switch"), dict):
        return ""
    switch = reading.table(status, "switch")
    problems = "; ".join(reading.texts(switch, "problems"))
    if problems:
        return problems
    if reading.number(switch, "pid") is None:
        return "the data process does not run"
    return "well" if reading.flag(switch, "is_known") else "not known yet"


def _copies(status: Status) -> str:
    """Why the copies of the asked host are not enough to take over, "" where they are, or none belong."""
    if not isinstance(status.get("copies"), dict):
        return ""
    copies = reading.table(status, "copies")
    if reading.flag(copies, "is_ready"):
        return ""
    return reading.text(copies, "reason") or "nothing is known of the copies yet"
