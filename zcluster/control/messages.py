"""The one message between control processes: the beat.

A beat is the record of liveness, claims, votes and renewals at once. Its bytes are the same on every
link and transport, so a receiver takes each sequence once. What changes with every beat (sequence and
acknowledgements) stands beside a `Report`, which changes seldom: receivers compare reports by identity
first, which is why senders and decoders keep the same object while nothing changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from zcluster.control.document import Acceptance, Document, Proposal
from zcluster.control.units import GroupName, NodeName, NodeState, Pair

PROTOCOL_MAJOR = 1
# 1: knows a frozen cluster document.
PROTOCOL_MINOR = 1


class Ack(NamedTuple):
    """What a node says of the newest beat that it processed from one peer.

    It names incarnation, sequence and pairs: only the pairs that this voter granted for that very beat.
    It is the vote and the renewal; without pairs it only says "I hear you". `is_long`: the long grant
    that the beat asked for is on this voter's disk.
    """

    incarnation: int
    sequence: int
    pairs: tuple[Pair, ...]
    is_long: bool = False


class Claim(NamedTuple):
    """A pair that the sender claims (`is_open` false) or holds with open addresses (true)."""

    group: GroupName
    counter: int
    is_open: bool


class Grant(NamedTuple):
    """The highest ballot that a voter granted for a group, and whether that grant still binds it."""

    group: GroupName
    counter: int
    holder: NodeName
    is_live: bool


class Release(NamedTuple):
    """The kernel confirmed that the addresses are closed; this ballot is dead for ever.

    `successor` is the ready node that should claim at once, or "" where nobody is. `cause` is
    "health", "operator", "stop" or "relinquish".
    """

    group: GroupName
    counter: int
    successor: NodeName
    cause: str


class Ask(NamedTuple):
    """An operator's wish, carried to the holder: move `group` to `target` ("" for the primary slave)."""

    identity: str
    group: GroupName
    target: NodeName


class FoundingView(NamedTuple):
    """What an unfounded node proposes: the members it hears both ways, and the cluster's id to be."""

    cluster_id: str
    names: tuple[NodeName, ...]
    is_accepted: bool


class Report(NamedTuple):
    """The slowly changing part of a beat.

    `unready` holds the reasons why this node could not take a group now (empty: ready). `macs` are all
    hardware addresses of the node, as "aa:bb:cc:dd:ee:ff". `document` is attached only while some peer
    is behind. `floor`: this voter may have granted, in an earlier life, any counter up to it, so it
    grants none of them again; holders below it take a higher ballot in time. `ceiling`: it grants none
    above this either, before the disk knows of more. `stored_generation`: the document's, on disk.
    `proposal`, `acceptance`: the change of the document that is under way. `is_amnesiac`: this member
    came without memory and binds itself to no document before the next one. `asks_long`: the sender is
    about to restart its daemon and wants long grants for what it holds. `continues`: the incarnation whose
    holdings this one took over in such a restart, 0 for none. `build`, `switchname`: of the switch beside the node,
    "" where none was seen yet; calls move only between switches of equal builds. `minor`: the sender's
    PROTOCOL_MINOR.
    """

    cluster_id: str
    generation: int
    state: NodeState
    claims: tuple[Claim, ...]
    grants: tuple[Grant, ...]
    releases: tuple[Release, ...]
    asks: tuple[Ask, ...]
    unready: tuple[str, ...]
    macs: tuple[str, ...]
    founding: FoundingView | None
    document: Document | None
    version: str
    settings_digest: str
    floor: int
    ceiling: int
    stored_generation: int = 0
    proposal: Proposal | None = None
    acceptance: Acceptance | None = None
    is_amnesiac: bool = False
    asks_long: bool = False
    continues: int = 0
    build: str = ""
    switchname: str = ""
    minor: int = 0


class Beat(NamedTuple):
    """One beat. (node, incarnation, sequence) names it; `acks` is keyed by the peer acknowledged."""

    node: NodeName
    incarnation: int
    sequence: int
    acks: Mapping[NodeName, Ack]
    report: Report
