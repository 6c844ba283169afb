"""The status document of the local daemon, as values: what the outlets read of it.

What must hold: pure; a document of another version of the daemon is read as far as it is understood, never an
error: what is missing or of a strange form is None, "" or empty. Lists are bounded, whatever a document holds.
Times in milliseconds, as in the document (`zcluster.supervisor.status`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from zcluster.tools.outlet import StatusDocument

MOST_ITEMS = 256
MOST_COUNTERS = 1024
LONGEST_TEXT = 200
HOLDING = "HOLDING"
SERVING_STATES = ("SLAVE", "MASTER")


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """A peer on one link of ours. `silence_ms`: since it was heard there; `loss_per_mille` of the last beats.

    `round_trip_us`: as the kernel measured it; `behind_ms`: how much later its beats come than on the quickest link.
    """

    link: str
    is_heard: bool
    silence_ms: int | None
    loss_per_mille: int | None
    round_trip_us: int | None
    behind_ms: int | None


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node, this one included. `unready`: why it may not take a group over; `position` 1 is the primary slave."""

    name: str
    is_self: bool
    is_heard: bool
    is_voter: bool
    is_witness: bool
    state: str
    position: int | None
    unready: tuple[str, ...]
    generation: int | None
    version: str
    build: str
    clock_offset_ms: int | None
    links: tuple[LinkSeen, ...]


@dataclass(frozen=True, slots=True)
class GroupSeen:
    """A group. `holder` "" means that nobody answers for it; `phase` is that of our own tenure."""

    name: str
    holder: str
    counter: int | None
    since_ms: int | None
    phase: str


@dataclass(frozen=True, slots=True)
class OwnLink:
    """A link of this host."""

    name: str
    is_up: bool


@dataclass(frozen=True, slots=True)
class SwitchSeen:
    """The switch beside this node, and the data process that watches it."""

    is_known: bool
    problems: tuple[str, ...]
    is_watched: bool
    restarts: int | None


@dataclass(frozen=True, slots=True)
class FreezeSeen:
    """That nothing moves by itself. `left_ms` None: until it is thawed."""

    age_ms: int | None
    left_ms: int | None


@dataclass(frozen=True, slots=True)
class CopiesSeen:
    """How complete this node's copies of the others' records are, in percent by node."""

    is_ready: bool
    percents: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Warned:
    """A line that `zcluster status` shows. `code` "" where it has none."""

    level: str
    code: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The cluster as the local daemon sees it. `switch` and `copies` are None where no data process belongs.

    `freeze` is None while nobody forbids moves. `made_ms`: when it was so, by this host's monotonic clock.
    """

    node: str
    cluster: str
    cluster_id: str
    is_observing: bool
    version: str
    state: str
    up_ms: int | None
    made_ms: int | None
    generation: int | None
    quorum: int | None
    hears_majority: bool
    is_settled: bool
    is_forced: bool
    expected_nodes: int | None
    roster: tuple[str, ...]
    forgotten: tuple[str, ...]
    unadmitted: tuple[str, ...]
    slaves: tuple[str, ...]
    groups: tuple[GroupSeen, ...]
    nodes: tuple[NodeSeen, ...]
    links: tuple[OwnLink, ...]
    freeze: FreezeSeen | None
    switch: SwitchSeen | None
    tools_restarts: int | None
    copies: CopiesSeen | None
    warnings: tuple[Warned, ...]
    counters: Mapping[str, int] = field(default_factory=dict)

    @property
    def own(self) -> NodeSeen | None:
        """This node among the nodes."""
        return next((node for node in self.nodes if node.is_self), None)

    def group(self, name: str) -> GroupSeen | None:
        """The group of that name."""
        return next((group for group in self.groups if group.name == name), None)

    def is_open_here(self, group: GroupSeen) -> bool:
        """Does this node hold the group, with its gate open? An observing node opens nothing."""
        return not self.is_observing and group.holder == self.node and group.phase == HOLDING


def picture_of(document: StatusDocument) -> Picture:
    """What the document says."""
    whole = _Reading(document)
    switch, copies, tools = whole.part("switch"), whole.part("copies"), whole.part("tools")
    freeze = whole.part("freeze")
    return Picture(
        node=whole.text("node"),
        cluster=whole.text("cluster"),
        cluster_id=whole.text("cluster_id"),
        is_observing=whole.text("mode") == "observe",
        version=whole.text("version"),
        state=whole.text("state"),
        up_ms=whole.number("up_ms"),
        made_ms=whole.number("made_ms"),
        generation=whole.number("generation"),
        quorum=whole.number("quorum"),
        hears_majority=whole.flag("hears_majority"),
        is_settled=whole.flag("is_settled"),
        is_forced=whole.flag("is_forced"),
        expected_nodes=whole.number("expected_nodes"),
        roster=whole.texts("roster"),
        forgotten=whole.texts("forgotten"),
        unadmitted=whole.texts("unadmitted"),
        slaves=whole.texts("slaves"),
        groups=tuple(_group(part) for part in whole.parts("groups")),
        nodes=tuple(_node(part) for part in whole.parts("nodes")),
        links=tuple(OwnLink(part.text("name"), part.flag("is_up")) for part in whole.parts("links")),
        freeze=FreezeSeen(freeze.number("age_ms"), freeze.number("left_ms")) if freeze is not None else None,
        switch=_switch(switch) if switch is not None else None,
        tools_restarts=tools.number("restarts") if tools is not None else None,
        copies=_copies(copies) if copies is not None else None,
        warnings=tuple(Warned(part.text("level"), part.text("code")) for part in whole.parts("warnings")),
        counters=whole.numbers("counters"),
    )


def _group(part: _Reading) -> GroupSeen:
    return GroupSeen(
        name=part.text("name"),
        holder=part.text("holder"),
        counter=part.number("counter"),
        since_ms=part.number("since_ms"),
        phase=part.text("phase"),
    )


def _node(part: _Reading) -> NodeSeen:
    return NodeSeen(
        name=part.text("name"),
        is_self=part.flag("is_self"),
        is_heard=part.flag("is_heard"),
        is_voter=part.flag("is_voter"),
        is_witness=part.flag("is_witness"),
        state=part.text("state"),
        position=part.number("position"),
        unready=part.texts("unready"),
        generation=part.number("generation"),
        version=part.text("version"),
        build=part.text("build"),
        clock_offset_ms=part.number("clock_offset_ms"),
        links=tuple(
            LinkSeen(
                link.text("name"),
                link.flag("is_heard"),
                link.number("heard_ms"),
                link.number("loss_per_mille"),
                link.number("round_trip_us"),
                link.number("behind_ms"),
            )
            for link in part.parts("links")
        ),
    )


def _switch(part: _Reading) -> SwitchSeen:
    is_watched = part.number("pid") is not None
    return SwitchSeen(part.flag("is_known"), part.texts("problems"), is_watched, part.number("restarts"))


def _copies(part: _Reading) -> CopiesSeen:
    percents = ((node.text("name"), node.number("percent") or 0) for node in part.parts("nodes"))
    return CopiesSeen(part.flag("is_ready"), tuple(percents))


class _Reading:
    """One object of the document, read by kind."""

    def __init__(self, content: Mapping[str, object]) -> None:
        self._content = content

    def text(self, key: str) -> str:
        return _text(self._content.get(key))

    def number(self, key: str) -> int | None:
        value = self._content.get(key)
        return value if type(value) is int else None

    def flag(self, key: str) -> bool:
        return self._content.get(key) is True

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(_text(value) for value in self._list(key) if isinstance(value, str))

    def numbers(self, key: str) -> dict[str, int]:
        value = self._content.get(key)
        if not isinstance(value, Mapping):
            return {}
        found = {_text(word): number for word, number in value.items() if type(number) is int}
        return dict(list(found.items())[:MOST_COUNTERS])

    def part(self, key: str) -> _Reading | None:
        value = self._content.get(key)
        return _Reading(value) if isinstance(value, Mapping) else None

    def parts(self, key: str) -> Iterator[_Reading]:
        return (_Reading(value) for value in self._list(key) if isinstance(value, Mapping))

    def _list(self, key: str) -> list[object]:
        value = self._content.get(key)
        return value[:MOST_ITEMS] if isinstance(value, list) else []


def _text(value: object) -> str:
    """One printable line: names of peers and builds of switches come from other hosts."""
    if not isinstance(value, str):
        return ""
    return "".join(
        sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in value[:LONGEST_TEXT]
    )
