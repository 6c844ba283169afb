"""Every metric that is read from the status document: its name, what it means, and where it stands in the document.

What must hold: pure; one table, from which the endpoint, the document (docs/metrics.md) and the tests of alert rules
and dashboard go. Names and units by Prometheus' conventions: base units, `_total` for what only grows, labels that are
bounded by the cluster's own size. What the daemon did not say has no sample: an absent number is honest, a zero is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from zcluster.tools.picture import NodeSeen, Picture

Sample = tuple[tuple[str, ...], float]
Rows = Callable[[Picture], Iterable[Sample]]
STATES = ("STARTING", "SLAVE", "MASTER", "MAINTENANCE", "STOPPING", "FAILED")
STREAMS = ("calls", "registrations", "limits")


class Kind(Enum):
    """What may be done with the numbers."""

    GAUGE = "gauge"
    COUNTER = "counter"
    UNKNOWN = "unknown"


class Family(NamedTuple):
    """One metric. `name` is without the `_total` of a counter; `rows` gives label values and a number each."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    rows: Rows

    @property
    def sample_name(self) -> str:
        """As it is asked for."""
        return f"{self.name}_total" if self.kind is Kind.COUNTER else self.name


def _gauge(name: str, help_text: str, rows: Rows, *labels: str) -> Family:
    return Family(f"zcluster_{name}", Kind.GAUGE, help_text, labels, rows)


def _counter(name: str, help_text: str, rows: Rows, *labels: str) -> Family:
    return Family(f"zcluster_{name}", Kind.COUNTER, help_text, labels, rows)


def _one(value: Callable[[Picture], float | None]) -> Rows:
    """The single sample of a metric without labels."""

    def rows(picture: Picture) -> Iterator[Sample]:
        found = value(picture)
        if found is not None:
            yield (), float(found)

    return rows


def _groups(value: Callable[[Picture, str], float | None]) -> Rows:
    def rows(picture: Picture) -> Iterator[Sample]:
        for group in picture.groups:
            found = value(picture, group.name)
            if found is not None:
                yield (group.name,), float(found)

    return rows


def _nodes(value: Callable[[NodeSeen], float | None], *, has_own: bool = True) -> Rows:
    def rows(picture: Picture) -> Iterator[Sample]:
        for node in picture.nodes:
            found = value(node) if has_own or not node.is_self else None
            if found is not None:
                yield (node.name,), float(found)

    return rows


def _seconds(value_ms: int | None) -> float | None:
    return value_ms / 1000 if value_ms is not None else None


def _counters(scale: float, **by_label: str) -> Rows:
    """Counters of the document, each under the value of the one label."""

    def rows(picture: Picture) -> Iterator[Sample]:
        for label, name in by_label.items():
            if name in picture.counters:
                yield (label,), picture.counters[name] * scale

    return rows


def _counter_alone(name: str, scale: float = 1.0) -> Rows:
    return _one(lambda picture: picture.counters[name] * scale if name in picture.counters else None)


def _is_held(picture: Picture, name: str) -> float:
    group = picture.group(name)
    return group is not None and bool(group.holder) and not picture.is_observing


def _is_open_here(picture: Picture, name: str) -> float:
    group = picture.group(name)
    return group is not None and picture.is_open_here(group)


def _epoch(picture: Picture, name: str) -> float | None:
    group = picture.group(name)
    return group.counter if group is not None else None


def _held_s(picture: Picture, name: str) -> float | None:
    group = picture.group(name)
    return _seconds(group.since_ms) if group is not None else None


def _holders(picture: Picture) -> Iterator[Sample]:
    for group in picture.groups:
        if group.holder:
            yield (group.name, group.holder), 1.0


def _states(picture: Picture) -> Iterator[Sample]:
    for state in STATES:
        yield (state,), float(picture.state == state)


def _node_info(picture: Picture) -> Iterator[Sample]:
    for node in picture.nodes:
        yield (node.name, node.state, node.version, node.build), 1.0


def _is_ready(node: NodeSeen) -> float:
    return node.is_heard and not node.unready and node.state in ("SLAVE", "MASTER")


def _links(value: Callable[[bool, int | None, int | None], float | None]) -> Rows:
    def rows(picture: Picture) -> Iterator[Sample]:
        for node in picture.nodes:
            for link in node.links:
                found = value(link.is_heard, link.silence_ms, link.loss_per_mille)
                if found is not None:
                    yield (node.name, link.link), float(found)

    return rows


def _own_links(picture: Picture) -> Iterator[Sample]:
    for link in picture.links:
        yield (link.name,), float(link.is_up)


def _copies(picture: Picture) -> Iterator[Sample]:
    for node, percent in picture.copies.percents if picture.copies is not None else ():
        yield (node,), percent / 100


def _records(picture: Picture) -> Iterator[Sample]:
    """Without the records that only say whose group is whose."""
    for stream in STREAMS:
        for whose in ("own", "copied"):
            count = picture.counters.get(f"data_{stream}_{whose}")
            if count is not None:
                claims = picture.counters.get(f"data_{stream}_{whose}_claims", 0)
                yield (stream, whose), float(max(count - claims, 0))


def _switch_well(picture: Picture) -> float | None:
    switch = picture.switch
    return None if switch is None else switch.is_known and switch.is_watched and not switch.problems


def _warnings(picture: Picture) -> Iterator[Sample]:
    counted: dict[tuple[str, str], int] = {}
    for warned in picture.warnings:
        key = (warned.level, warned.code)
        counted[key] = counted.get(key, 0) + 1
    yield from ((key, float(count)) for key, count in sorted(counted.items()))


FROM_STATUS: tuple[Family, ...] = (
    _gauge(
        "build_info",
        "Version of the local daemon; always 1.",
        lambda p: [((p.version,), 1.0)],
        "version",
    ),
    _gauge(
        "cluster_info",
        "Which cluster this node belongs to, and whether it acts or only observes; always 1.",
        lambda p: [((p.cluster, p.cluster_id, p.node, "observe" if p.is_observing else "active"), 1.0)],
        "cluster",
        "cluster_id",
        "node",
        "mode",
    ),
    _gauge("uptime_seconds", "How long the local daemon runs.", _one(lambda p: _seconds(p.up_ms))),
    _gauge("state", "State of this node: 1 for the one it is in.", _states, "state"),
    # ---- groups
    _gauge(
        "group_held", "Whether any node holds the group, as this node sees it.", _groups(_is_held), "group"
    ),
    _gauge(
        "group_held_here",
        "Whether this node holds the group with its gate open; the sum over all nodes is 1.",
        _groups(_is_open_here),
        "group",
    ),
    _gauge(
        "group_holder_info",
        "Who holds the group, as this node sees it; always 1, absent while nobody does.",
        _holders,
        "group",
        "holder",
    ),
    _gauge("group_epoch", "Counter of the group's epoch, while it is held.", _groups(_epoch), "group"),
    _gauge("group_held_seconds", "For how long the group has its holder.", _groups(_held_s), "group"),
    # ---- the cluster
    _gauge("nodes_expected", "Nodes that the file expects.", _one(lambda p: p.expected_nodes)),
    _gauge(
        "nodes_heard",
        "Nodes that are heard, this one included.",
        _one(lambda p: sum(n.is_heard for n in p.nodes)),
    ),
    _gauge("voters", "Nodes that may vote.", _one(lambda p: len(p.roster))),
    _gauge(
        "voters_heard",
        "Voters that are heard.",
        _one(lambda p: sum(n.is_heard and n.is_voter for n in p.nodes)),
    ),
    _gauge("quorum", "How many voters must agree.", _one(lambda p: p.quorum)),
    _gauge("majority_heard", "Whether this node hears a majority.", _one(lambda p: p.hears_majority)),
    _gauge("slaves_ready", "Slaves that stand ready.", _one(lambda p: len(p.slaves))),
    _gauge("generation", "Generation of the cluster document.", _one(lambda p: p.generation)),
    _gauge(
        "generation_settled",
        "Whether a majority has it on disk for long enough.",
        _one(lambda p: p.is_settled),
    ),
    _gauge("is_forced", "Whether the roster was made without a majority.", _one(lambda p: p.is_forced)),
    _gauge("is_frozen", "Whether an operator has forbidden moves.", _one(lambda p: p.is_frozen)),
    _gauge("is_observing", "Whether this node only observes.", _one(lambda p: p.is_observing)),
    _gauge(
        "nodes_forgotten",
        "Voters that were dead for so long that they have no vote.",
        _one(lambda p: len(p.forgotten)),
    ),
    _gauge("nodes_unadmitted", "Nodes that are heard and are no members.", _one(lambda p: len(p.unadmitted))),
    _gauge(
        "status_warnings",
        "Lines that `zcluster status` warns with, by level and code; `zcluster explain CODE` says what to do.",
        _warnings,
        "level",
        "code",
    ),
    # ---- nodes
    _gauge(
        "node_info",
        "State and versions of each node; always 1.",
        _node_info,
        "node",
        "state",
        "version",
        "build",
    ),
    _gauge("node_heard", "Whether the node is heard.", _nodes(lambda n: n.is_heard), "node"),
    _gauge("node_voter", "Whether the node may vote.", _nodes(lambda n: n.is_voter), "node"),
    _gauge(
        "node_ready",
        "Whether the node takes part and nothing keeps it from serving.",
        _nodes(_is_ready),
        "node",
    ),
    _gauge(
        "node_position",
        "Place among the slaves, 1 is the primary slave.",
        _nodes(lambda n: n.position),
        "node",
    ),
    _gauge(
        "node_clock_offset_seconds",
        "How far the node's wall clock is ahead of this host's.",
        _nodes(lambda n: _seconds(n.clock_offset_ms)),
        "node",
    ),
    # ---- links
    _gauge("link_up", "Whether this host's link is up.", _own_links, "link"),
    _gauge(
        "link_heard",
        "Whether the node is heard on the link.",
        _links(lambda heard, _, __: heard),
        "node",
        "link",
    ),
    _gauge(
        "link_loss_ratio",
        "Part of the node's last beats that was lost on the link, 0 to 1.",
        _links(lambda _, __, loss: loss / 1000 if loss is not None else None),
        "node",
        "link",
    ),
    _gauge(
        "link_silence_seconds",
        "Since when the node was not heard on the link.",
        _links(lambda _, silence_ms, __: _seconds(silence_ms)),
        "node",
        "link",
    ),
    # ---- the switch and what is copied of it
    _gauge(
        "switch_well",
        "Whether the switch beside this node is watched, known and without a problem.",
        _one(_switch_well),
    ),
    _gauge(
        "switch_problems",
        "Problems of the switch beside this node.",
        _one(lambda p: len(p.switch.problems) if p.switch is not None else None),
    ),
    _gauge(
        "switch_pulse_seconds",
        "Round trip of the last pulse through the switch.",
        _counter_alone("data_pulse_ms", 1e-3),
    ),
    _gauge(
        "switch_longest_pulse_seconds",
        "Longest round trip of a pulse since the data process began.",
        _counter_alone("data_longest_pulse_ms", 1e-3),
    ),
    _counter("switch_pulses_unsent", "Pulses that could not be sent.", _counter_alone("data_pulses_unsent")),
    _counter(
        "data_process_restarts",
        "How often the data process was started anew.",
        _one(lambda p: p.switch.restarts if p.switch is not None else None),
    ),
    _gauge(
        "copies_ready",
        "Whether this node's copies are complete enough to take over.",
        _one(lambda p: p.copies.is_ready if p.copies is not None else None),
    ),
    _gauge(
        "copy_completeness_ratio", "How complete the copy of the node's records is, 0 to 1.", _copies, "node"
    ),
    _gauge(
        "records",
        "Records that this node has: its own and its copies of others', by stream (calls are legs).",
        _records,
        "stream",
        "whose",
    ),
    _gauge("limit_clients", "Connections that ask for limits.", _counter_alone("data_limit_clients")),
    # ---- the processes
    _counter(
        "process_cpu_seconds",
        "Processor time of the daemon's processes.",
        _counters(1e-3, control="cpu_ms", data="data_cpu_ms"),
        "process",
    ),
    _counter(
        "loop_turns", "Turns of the loop.", _counters(1.0, control="turns", data="data_turns"), "process"
    ),
    _counter(
        "loop_busy_seconds",
        "Time that the loop was busy.",
        _counters(1e-6, control="busy_us", data="data_busy_us"),
        "process",
    ),
    _gauge(
        "loop_worst_turn_seconds",
        "Longest turn of the loop since it began.",
        _counters(1e-6, control="worst_turn_us", data="data_worst_turn_us"),
        "process",
    ),
    _gauge(
        "loop_worst_oversleep_seconds",
        "How late the loop was woken at worst since it began: the machine stood still.",
        _counters(1e-3, control="worst_oversleep_ms", data="data_worst_oversleep_ms"),
        "process",
    ),
    _gauge(
        "tick_worst_late_seconds",
        "How late a tick of the control core was at worst since the daemon began.",
        _counter_alone("worst_tick_late_ms", 1e-3),
    ),
)

# Counters of the document that stand in a metric of their own.
NAMED_COUNTERS = frozenset(
    {
        *(
            f"{prefix}{name}"
            for prefix in ("", "data_")
            for name in ("cpu_ms", "turns", "busy_us", "worst_turn_us")
        ),
        *("worst_oversleep_ms", "data_worst_oversleep_ms", "worst_tick_late_ms"),
        *("data_pulse_ms", "data_longest_pulse_ms", "data_pulses_unsent", "data_limit_clients"),
        *(
            f"data_{stream}_{whose}{part}"
            for stream in STREAMS
            for whose in ("own", "copied")
            for part in ("", "_claims")
        ),
    }
)


def _figures(picture: Picture) -> Iterator[Sample]:
    for name, number in sorted(picture.counters.items()):
        if name not in NAMED_COUNTERS:
            process = "data" if name.startswith("data_") and not name.startswith("data_child_") else "control"
            yield (process, name.removeprefix("data_") if process == "data" else name), float(number)


FIGURES = Family(
    "zcluster_figure",
    Kind.UNKNOWN,
    "Numbers of a process that have no metric of their own. For who looks for a fault: names may change.",
    ("process", "figure"),
    _figures,
)
