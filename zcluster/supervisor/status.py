"""The status document, schema "zcluster.status/1": what `zcluster status --json` and tools read.

    schema, ok          "zcluster.status/1", true
    node, cluster       who answers, of which cluster
    cluster_id          "" until the cluster is founded
    mode                "active", or "observe": holders below are those that would be
    generation, roster  of the cluster document; `quorum` of the roster must agree, `hears_majority` now
    is_settled          a majority has had this generation on disk for a whole grant: the next change may come
    is_forced           an operator made this generation without a majority
    forgotten[]         members that were dead for long (`forget_after_ms`), or forced out: no vote until they are back
    unadmitted[]        nodes that are heard and are no members
    pins[]              group, node: what operators pinned
    freeze              null, or: reason, who, node (where), by (who@node), since_ms and until_ms (since 1970; until
                        null: until thawed), age_ms, left_ms (null likewise; by this host's clock), is_firm (nothing
                        was moving any more when holders were written down), holders[]: group, node
    state, version, incarnation, up_ms, expected_nodes
    made_ms             when this was made, by the monotonic clock of this host: how old it is, for who reads it later
    groups[]            name, addresses, holder ("" for nobody), counter (its epoch's, null without holder),
                        since_ms (how long, null where unknown), phase (of our own tenure, or "")
    nodes[]             name, is_self, is_heard, is_voter, is_witness, is_never_master (by the file), state,
                        position (1: primary slave; null),
                        holds[], unready[] (reasons), heard_ms (how long ago; null for never), hears_us,
                        generation, version, build and switchname of its switch ("" where none was seen),
                        clock_offset_ms (how far its wall clock is ahead of this host's; one that seems behind may
                        be so by the few ms of a beat's way; null where unknown, and of this host),
                        links[]: name, is_heard, heard_ms, loss_per_mille, round_trip_us (the shortest of
                        some minutes, as the kernel measured it), behind_ms (how much later its beats come than on
                        the quickest link); null where unknown
    links[]             of this host: name, is_up, interface, address, is_service
    slaves[]            names in their order
    switch              null where no data process belongs, else is_known (it was seen since the data process
                        started), problems[] (texts), pid of the data process (null while there is none), restarts
    tools               null where no tools process belongs, else its pid (null while there is none), restarts
    copies              null without a data process, else is_ready (enough to take over), reason, nodes[]: name, percent
    warnings[]          level ("notice": worth knowing, nothing is wrong; "warning", "alarm"), text, code: what
                        `zcluster explain` knows it by, and age_ms: how long ago an alarm was told (null: it
                        stands now)
    counters            numbers of the loop, the wire and the queues; for tools, may gain keys

What must hold: pure, plain JSON values only; a key once published keeps its meaning within the schema's number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from zcluster.adapters.journal import Record
from zcluster.control.document import Freeze
from zcluster.control.view import GroupView, PeerView, View
from zcluster.supervisor.data_words import DataFacts
from zcluster.supervisor.differences import Warned, differences
from zcluster.supervisor.story import Story
from zcluster.supervisor.tools_child import ToolsFacts

SCHEMA = "zcluster.status/1"
ALARM_SHOWN_MS = 10 * 60_000
LEAST_LINK_SILENCE_MS = 1000


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """A link of the file as it is on this host."""

    name: str
    interface: str
    address: str
    is_service: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the core does not know and a reader of the status wants to. Times in wall-clock milliseconds."""

    version: str
    incarnation: int
    up_ms: int
    wall_ms: int
    silence_ms: int
    is_observing: bool
    links: tuple[LinkFacts, ...]
    notices: tuple[str, ...]
    warnings: tuple[Warned, ...]
    counters: Mapping[str, int]
    data: DataFacts | None = None
    tools: ToolsFacts | None = None
    clock_offsets: Mapping[str, int] = field(default_factory=dict)
    made_ms: int = 0
    forget_after_ms: int = 600_000
    round_trips_us: Mapping[tuple[str, str], int] = field(default_factory=dict)
    behind_ms: Mapping[tuple[str, str], int] = field(default_factory=dict)


def status_of(view: View, around: Surroundings, story: Story) -> dict[str, object]:
    """The document for what the core sees now."""
    link_names = tuple(link.name for link in around.links)
    link_silence_ms = max(3 * around.silence_ms, LEAST_LINK_SILENCE_MS)
    offsets = {node.name: around.clock_offsets.get(node.name) for node in view.nodes if node.is_alive}
    own_up = dict(view.own_links)
    return {
        "schema": SCHEMA,
        "ok": True,
        "node": view.node,
        "cluster": view.cluster,
        "cluster_id": view.cluster_id,
        "mode": "observe" if around.is_observing else "active",
        "generation": view.generation,
        "roster": list(view.roster),
        "is_settled": view.is_settled,
        "is_forced": view.is_forced,
        "forgotten": list(view.forgotten),
        "forget_after_ms": around.forget_after_ms,
        "unadmitted": _unadmitted(view),
        "pins": [{"group": pin.group, "node": pin.node} for pin in view.pins],
        "freeze": _freeze(view.freeze, around.wall_ms),
        "quorum": view.quorum,
        "hears_majority": view.hears_majority,
        "state": view.state,
        "version": around.version,
        "incarnation": around.incarnation,
        "up_ms": around.up_ms,
        "made_ms": around.made_ms,
        "expected_nodes": view.expected_nodes,
        "groups": [_group(group, around, story) for group in view.groups],
        "nodes": [
            _node(node, view.node, link_names, link_silence_ms, offsets.get(node.name), around)
            for node in view.nodes
        ],
        "links": [
            {
                "name": link.name,
                "is_up": own_up.get(link.name, False),
                "interface": link.interface,
                "address": link.address,
                "is_service": link.is_service,
            }
            for link in around.links
        ],
        "slaves": list(view.slaves),
        "switch": _switch(around.data),
        "tools": asdict(around.tools) if around.tools is not None else None,
        "copies": _copies(around.data),
        "warnings": _warnings(view, around, story.alarms(around.wall_ms - ALARM_SHOWN_MS)),
        "counters": dict(around.counters),
    }


def _freeze(freeze: Freeze | None, wall_ms: int) -> dict[str, object] | None:
    if freeze is None:
        return None
    until_ms = freeze.until_ms or None
    return {
        "reason": freeze.reason,
        "who": freeze.who,
        "node": freeze.node,
        "by": f"{freeze.who}@{freeze.node}",
        "since_ms": freeze.since_ms,
        "until_ms": until_ms,
        "age_ms": max(wall_ms - freeze.since_ms, 0),
        "left_ms": max(until_ms - wall_ms, 0) if until_ms is not None else None,
        "is_firm": freeze.is_firm,
        "holders": [{"group": pin.group, "node": pin.node} for pin in freeze.holders],
    }


def _switch(data: DataFacts | None) -> dict[str, object] | None:
    if data is None:
        return None
    return {
        "is_known": data.is_settled,
        "problems": [f"{subject}: {problem}" for subject, problem in data.problems.items()],
        "pid": data.pid,
        "restarts": data.restarts,
    }


def _copies(data: DataFacts | None) -> dict[str, object] | None:
    if data is None:
        return None
    found = data.completeness
    return {
        "is_ready": found is not None and found.is_ready,
        "reason": found.reason if found is not None else "",
        "nodes": [{"name": node, "percent": percent} for node, percent in found.percents] if found else [],
    }


def _unadmitted(view: View) -> list[str]:
    """Who is heard, is no member, and will not become one by itself. Nobody is one before the founding."""
    if not view.cluster_id:
        return []
    known = {*view.roster, *view.forgotten, view.node}
    return [node.name for node in view.nodes if node.is_alive and node.name not in known]


def _group(group: GroupView, around: Surroundings, story: Story) -> dict[str, object]:
    is_held = bool(group.holder) and group.is_open
    since_ms = group.held_ms
    if is_held and since_ms is None:
        record = story.last_takeover(group.name, group.epoch)
        since_ms = max(around.wall_ms - record.at_ms, 0) if record is not None else None
    return {
        "name": group.name,
        "addresses": list(group.addresses),
        "holder": group.holder if is_held else "",
        "counter": group.epoch if is_held else None,
        "since_ms": since_ms if is_held else None,
        "phase": group.phase,
        "last_holder": group.last_holder,
    }


def _node(
    node: PeerView,
    own_name: str,
    links: Sequence[str],
    link_silence_ms: int,
    clock_offset_ms: int | None,
    around: Surroundings,
) -> dict[str, object]:
    records = {link.link: link for link in node.links}
    seen = []
    for name in links if node.name != own_name else ():
        record = records.get(name)
        seen.append(
            {
                "name": name,
                "is_heard": record is not None and node.is_alive and record.heard_ms <= link_silence_ms,
                "heard_ms": record.heard_ms if record is not None else None,
                "loss_per_mille": record.loss_per_mille if record is not None else None,
                "round_trip_us": around.round_trips_us.get((node.name, name)),
                "behind_ms": around.behind_ms.get((node.name, name)),
            }
        )
    return {
        "name": node.name,
        "is_self": node.name == own_name,
        "is_heard": node.is_alive,
        "is_voter": node.is_member,
        "is_witness": node.is_witness,
        "is_never_master": node.is_never_master,
        "state": node.state,
        "position": node.position or None,
        "holds": list(node.holds),
        "unready": list(node.unready),
        "heard_ms": node.heard_ms if node.heard_ms >= 0 else None,
        "hears_us": node.hears_us,
        "generation": node.generation,
        "version": node.version,
        "build": node.build,
        "switchname": node.switchname,
        "clock_offset_ms": clock_offset_ms,
        "links": seen,
    }


def _warnings(view: View, around: Surroundings, alarms: Sequence[Record]) -> list[dict[str, object]]:
    found = [
        *around.warnings,
        *(Warned("notice", "host", text) for text in around.notices),
        *differences(view, around.clock_offsets),
        *(
            Warned(
                record.level,
                record.code,
                f"{record.node}: {record.text}",
                max(around.wall_ms - record.at_ms, 0),
            )
            for record in alarms
        ),
    ]
    return [warned.plain() for warned in found]
