"""Every metric that is read from the status document: its name, what it means, and where it stands in the document.

What must hold: pure; one table, from which the endpoint, the document (docs/metrics.md) and the tests of alert rules
and dashboard go. Names and units by Prometheus' conventions: base units, `_total` for what only grows, labels that are
bounded by the cluster's own size. What the daemon did not say has no sample: an absent number is honest, a zero is not.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from zcluster.tools import metrics_readings as read
from zcluster.tools.metrics_readings import Rows


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
    _gauge(
        "uptime_seconds", "How long the local daemon runs.", read.alone(lambda p: read.thousandths(p.up_ms))
    ),
    _gauge("state", "State of this node: 1 for the one it is in.", read.states, "state"),
    # ---- groups
    _gauge(
        "group_held",
        "Whether any node holds the group, as this node sees it.",
        read.groups(read.is_held),
        "group",
    ),
    _gauge(
        "group_held_here",
        "Whether this node holds the group with its gate open; the sum over all nodes is 1.",
        read.groups(read.is_open_here),
        "group",
    ),
    _gauge(
        "group_holder_info",
        "Who holds the group, as this node sees it; always 1, absent while nobody does.",
        read.holders,
        "group",
        "holder",
    ),
    _gauge(
        "group_epoch", "Counter of the group's epoch, while it is held.", read.groups(read.epoch), "group"
    ),
    _gauge("group_held_seconds", "For how long the group has its holder.", read.groups(read.held_s), "group"),
    # ---- the cluster
    _gauge("nodes_expected", "Nodes that the file expects.", read.alone(lambda p: p.expected_nodes)),
    _gauge(
        "nodes_heard",
        "Nodes that are heard, this one included.",
        read.alone(lambda p: sum(n.is_heard for n in p.nodes)),
    ),
    _gauge("voters", "Nodes that may vote.", read.alone(lambda p: len(p.roster))),
    _gauge(
        "voters_heard",
        "Voters that are heard.",
        read.alone(lambda p: sum(n.is_heard and n.is_voter for n in p.nodes)),
    ),
    _gauge("quorum", "How many voters must agree.", read.alone(lambda p: p.quorum)),
    _gauge("majority_heard", "Whether this node hears a majority.", read.alone(lambda p: p.hears_majority)),
    _gauge("slaves_ready", "Slaves that stand ready.", read.alone(lambda p: len(p.slaves))),
    _gauge("generation", "Generation of the cluster document.", read.alone(lambda p: p.generation)),
    _gauge(
        "generation_settled",
        "Whether a majority has it on disk for long enough.",
        read.alone(lambda p: p.is_settled),
    ),
    _gauge("is_forced", "Whether the roster was made without a majority.", read.alone(lambda p: p.is_forced)),
    _gauge(
        "is_frozen", "Whether an operator has forbidden moves.", read.alone(lambda p: p.freeze is not None)
    ),
    _gauge(
        "freeze_seconds",
        "For how long moves are forbidden; absent while they are not.",
        read.alone(lambda p: read.thousandths(p.freeze.age_ms) if p.freeze is not None else None),
    ),
    _gauge("is_observing", "Whether this node only observes.", read.alone(lambda p: p.is_observing)),
    _gauge(
        "nodes_forgotten",
        "Voters that were dead for so long that they have no vote.",
        read.alone(lambda p: len(p.forgotten)),
    ),
    _gauge(
        "nodes_unadmitted",
        "Nodes that are heard and are no members.",
        read.alone(lambda p: len(p.unadmitted)),
    ),
    _gauge(
        "status_warnings",
        "Lines that `zcluster status` warns with, by level and code; `zcluster explain CODE` says what to do.",
        read.warnings,
        "level",
        "code",
    ),
    # ---- nodes
    _gauge(
        "node_info",
        "State and versions of each node; always 1.",
        read.node_info,
        "node",
        "state",
        "version",
        "build",
    ),
    _gauge("node_heard", "Whether the node is heard.", read.nodes(lambda n: n.is_heard), "node"),
    _gauge("node_voter", "Whether the node may vote.", read.nodes(lambda n: n.is_voter), "node"),
    _gauge(
        "node_ready",
        "Whether the node takes part and nothing keeps it from serving.",
        read.nodes(read.is_ready),
        "node",
    ),
    _gauge(
        "node_position",
        "Place among the slaves, 1 is the primary slave.",
        read.nodes(lambda n: n.position),
        "node",
    ),
    _gauge(
        "node_clock_offset_seconds",
        "How far the node's wall clock is ahead of this host's.",
        read.nodes(lambda n: read.thousandths(n.clock_offset_ms)),
        "node",
    ),
    # ---- links
    _gauge("link_up", "Whether this host's link is up.", read.own_links, "link"),
    _gauge(
        "link_heard",
        "Whether the node is heard on the link.",
        read.links(lambda link: link.is_heard),
        "node",
        "link",
    ),
    _gauge(
        "link_loss_ratio",
        "Part of the node's last beats that was lost on the link, 0 to 1.",
        read.links(lambda link: read.thousandths(link.loss_per_mille)),
        "node",
        "link",
    ),
    _gauge(
        "link_silence_seconds",
        "Since when the node was not heard on the link.",
        read.links(lambda link: read.thousandths(link.silence_ms)),
        "node",
        "link",
    ),
    _gauge(
        "link_round_trip_seconds",
        "Shortest way to the node and back on the link, of some minutes.",
        read.links(lambda link: link.round_trip_us / 1e6 if link.round_trip_us is not None else None),
        "node",
        "link",
    ),
    _gauge(
        "link_behind_seconds",
        "How much later the node's beats come on the link than on the quickest one.",
        read.links(lambda link: read.thousandths(link.behind_ms)),
        "node",
        "link",
    ),
    # ---- the switch and what is copied of it
    _gauge(
        "switch_well",
        "Whether the switch beside this node is watched, known and without a problem.",
        read.alone(read.switch_well),
    ),
    _gauge(
        "switch_problems",
        "Problems of the switch beside this node.",
        read.alone(lambda p: len(p.switch.problems) if p.switch is not None else None),
    ),
    _gauge(
        "switch_pulse_seconds",
        "Round trip of the last pulse through the switch.",
        read.counter_alone("data_pulse_ms", 1e-3),
    ),
    _gauge(
        "switch_longest_pulse_seconds",
        "Longest round trip of a pulse since the data process began.",
        read.counter_alone("data_longest_pulse_ms", 1e-3),
    ),
    _counter(
        "switch_pulses_unsent", "Pulses that could not be sent.", read.counter_alone("data_pulses_unsent")
    ),
    _counter(
        "data_process_restarts",
        "How often the data process was started anew.",
        read.alone(lambda p: p.switch.restarts if p.switch is not None else None),
    ),
    _counter(
        "tools_process_restarts",
        "How often the tools process was started anew.",
        read.alone(lambda p: p.tools_restarts),
    ),
    _gauge(
        "copies_ready",
        "Whether this node's copies are complete enough to take over.",
        read.alone(lambda p: p.copies.is_ready if p.copies is not None else None),
    ),
    _gauge(
        "copy_completeness_ratio",
        "How complete the copy of the node's records is, 0 to 1.",
        read.copies,
        "node",
    ),
    _gauge(
        "records",
        "Records that this node has: its own and its copies of others', by stream (calls are legs).",
        read.records,
        "stream",
        "whose",
    ),
    _gauge("limit_clients", "Connections that ask for limits.", read.counter_alone("data_limit_clients")),
    # ---- the processes
    _counter(
        "process_cpu_seconds",
        "Processor time of the daemon's processes.",
        read.counters(1e-3, control="cpu_ms", data="data_cpu_ms"),
        "process",
    ),
    _counter(
        "loop_turns", "Turns of the loop.", read.counters(1.0, control="turns", data="data_turns"), "process"
    ),
    _counter(
        "loop_busy_seconds",
        "Time that the loop was busy.",
        read.counters(1e-6, control="busy_us", data="data_busy_us"),
        "process",
    ),
    _gauge(
        "loop_worst_turn_seconds",
        "Longest turn of the loop since it began.",
        read.counters(1e-6, control="worst_turn_us", data="data_worst_turn_us"),
        "process",
    ),
    _gauge(
        "loop_worst_oversleep_seconds",
        "How late the loop was woken at worst since it began: the machine stood still.",
        read.counters(1e-3, control="worst_oversleep_ms", data="data_worst_oversleep_ms"),
        "process",
    ),
    _gauge(
        "tick_worst_late_seconds",
        "How late a tick of the control core was at worst since the daemon began.",
        read.counter_alone("worst_tick_late_ms", 1e-3),
    ),
)

FIGURES = Family(
    "zcluster_figure",
    Kind.UNKNOWN,
    "Numbers of a process that have no metric of their own. For who looks for a fault: names may change.",
    ("process", "figure"),
    read.figures,
)
