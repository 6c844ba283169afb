"""What one node knows, as plain values for people and tools: names, numbers, tuples."""

from __future__ import annotations

from dataclasses import dataclass

from zcluster.control.designation import matches
from zcluster.control.document import Freeze, Pin
from zcluster.control.node import Node
from zcluster.control.units import NodeState


@dataclass(frozen=True, slots=True)
class LinkView:
    """A peer on one link. `heard_ms`: how long ago; `loss_per_mille` over the last beats."""

    link: str
    heard_ms: int
    loss_per_mille: int


@dataclass(frozen=True, slots=True)
class PeerView:
    """One node as this node sees it, itself included (without links). `position`: 1 is the primary
    slave, 0 none. `is_witness`: votes and never holds, by the file;
    `is_never_master`: never holds, by the file. `build`, `switchname`: as in its report.
    """

    name: str
    state: str
    is_alive: bool
    is_member: bool
    position: int
    holds: tuple[str, ...]
    unready: tuple[str, ...]
    heard_ms: int
    hears_us: bool
    incarnation: int
    generation: int
    version: str
    same_settings: bool
    links: tuple[LinkView, ...]
    is_witness: bool = False
    build: str = ""
    switchname: str = ""
    is_never_master: bool = False


@dataclass(frozen=True, slots=True)
class GroupView:
    """`holder` "" means that nobody answers for the group. `phase` is ours, "" where we only watch."""

    name: str
    holder: str
    epoch: int
    is_open: bool
    phase: str
    held_ms: int | None
    last_holder: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """The cluster as seen from one node. `is_settled`: a majority has had this generation on disk for a
    whole grant, so the next change may come; `is_forced`: an operator made it without a majority. `freeze`: what the
    document says of it, None where nothing is frozen.
    """

    node: str
    cluster: str
    cluster_id: str
    generation: int
    state: str
    roster: tuple[str, ...]
    quorum: int
    hears_majority: bool
    expected_nodes: int
    unready: tuple[str, ...]
    own_links: tuple[tuple[str, bool], ...]
    groups: tuple[GroupView, ...]
    nodes: tuple[PeerView, ...]
    slaves: tuple[str, ...]
    forgotten: tuple[str, ...] = ()
    pins: tuple[Pin, ...] = ()
    is_forced: bool = False
    is_settled: bool = False
    freeze: Freeze | None = None


def view(node: Node, now_ms: int) -> View:
    """Make the view. Costs some 100 µs: for people, not for every beat."""
    s = node.situation
    s.now_ms = now_ms
    candidates = s.candidates(node.holder.holds())
    slaves = node.seeker.designation({}, node.holder.holds(), {}).slaves
    members = {candidate.name for candidate in candidates}
    return View(
        node=s.name,
        cluster=s.settings.cluster,
        cluster_id=s.cluster_id,
        generation=s.document.generation if s.document else 0,
        state=str(s.state),
        roster=tuple(sorted(s.roster)),
        quorum=s.quorum,
        hears_majority=s.hears_majority(),
        expected_nodes=s.settings.expected_nodes,
        unready=s.unready,
        own_links=tuple(sorted(node.health.links.items())),
        groups=tuple(_group(node, name, now_ms) for name in s.groups),
        nodes=_nodes(node, slaves, members, now_ms),
        slaves=slaves,
        forgotten=s.document.forgotten if s.document else (),
        pins=s.pins,
        is_forced=s.document is not None and s.document.is_forced,
        is_settled=node.council.is_settled(),
        freeze=s.document.freeze if s.document else None,
    )


def _group(node: Node, name: str, now_ms: int) -> GroupView:
    s = node.situation
    addresses = s.groups[name].addresses
    watch = node.seeker.watches[name]
    tenure = node.holder.tenures.get(name)
    if tenure is not None:
        held_ms = now_ms - tenure.opened_ms if tenure.opened_ms else None
        claim = tenure.claim()
        is_open = claim.is_open and tenure.lease_end_ms > now_ms
        holder = s.name if claim.is_open else ""
        return GroupView(
            name, holder, tenure.counter, is_open, tenure.phase.name, held_ms, watch.last_holder, addresses
        )
    is_alive = s.detector.is_alive(watch.holder, now_ms)
    is_open = watch.holder_is_open and is_alive
    return GroupView(
        name,
        watch.holder if is_open else "",
        watch.counter if is_open else watch.opened_counter,
        is_open,
        "",
        None,
        watch.last_holder,
        addresses,
    )


def _nodes(node: Node, slaves: tuple[str, ...], members: set[str], now_ms: int) -> tuple[PeerView, ...]:
    s = node.situation
    own = PeerView(
        s.name,
        str(s.state),
        True,
        s.is_member,
        _position(slaves, s.name),
        node.holder.holds(),
        s.unready,
        0,
        True,
        s.incarnation,
        s.document.generation if s.document else 0,
        node.version,
        True,
        (),
        matches(s.name, s.settings.witnesses),
        s.build,
        s.switchname,
        matches(s.name, s.settings.never_master),
    )
    found = {s.name: own}
    for peer in s.detector.peers.values():
        report = peer.report
        is_alive = s.detector.is_alive(peer.name, now_ms)
        state = report.state if is_alive or report.state is NodeState.STOPPING else NodeState.FAILED
        found[peer.name] = PeerView(
            peer.name,
            str(state),
            is_alive,
            peer.name in s.roster,
            _position(slaves, peer.name),
            tuple(claim.group for claim in report.claims) if is_alive else (),
            report.unready,
            now_ms - peer.heard_ms,
            peer.hears_us,
            peer.incarnation,
            report.generation,
            report.version,
            report.settings_digest == s.settings.digest,
            tuple(
                LinkView(link, now_ms - record.heard_ms, record.loss_per_mille)
                for link, record in sorted(peer.links.items())
            ),
            matches(peer.name, s.settings.witnesses),
            report.build,
            report.switchname,
            matches(peer.name, s.settings.never_master),
        )
    for name in s.roster - found.keys():
        found[name] = PeerView(
            name,
            str(NodeState.UNKNOWN),
            False,
            True,
            0,
            (),
            (),
            -1,
            False,
            0,
            0,
            "",
            True,
            (),
            matches(name, s.settings.witnesses),
            is_never_master=matches(name, s.settings.never_master),
        )
    return tuple(found[name] for name in sorted(found))


def _position(slaves: tuple[str, ...], name: str) -> int:
    return slaves.index(name) + 1 if name in slaves else 0
