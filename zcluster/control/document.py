"""The cluster document: who may vote, what operators pinned and froze; and the settings of the shared file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from zcluster.control.timing import Timing
from zcluster.control.units import Ballot, GroupName, NodeName


class Pin(NamedTuple):
    """An operator's word: this group belongs on this node whenever the node stands ready."""

    group: GroupName
    node: NodeName


class Freeze(NamedTuple):
    """An operator's word that nothing moves by itself (docs/decisions/0520). Times are milliseconds since 1970.

    `who` gave it on `node` at `since_ms`, which together name it; `until_ms` is its end, 0 for none but a thaw.
    `holders`: on which node each group stays; a group without one gets no holder. `is_firm`: no change of holder
    was under way any more when `holders` was written down, so these nodes may take their groups again.
    """

    reason: str
    who: str
    node: NodeName
    since_ms: int
    until_ms: int = 0
    holders: tuple[Pin, ...] = ()
    is_firm: bool = False

    def holder_of(self, group: GroupName) -> NodeName:
        """The node that the group stays on, "" for none."""
        return next((pin.node for pin in self.holders if pin.group == group), "")


class Document(NamedTuple):
    """What a majority agreed on. `generation` only grows; `roster` is sorted.

    `forgotten`: members that were dead for long and lost their vote; they get it back when they return.
    `is_forced`: an operator made this generation without a majority.
    """

    cluster_id: str
    generation: int
    roster: tuple[NodeName, ...]
    forgotten: tuple[NodeName, ...] = ()
    pins: tuple[Pin, ...] = ()
    is_forced: bool = False
    freeze: Freeze | None = None

    def row(self) -> tuple[object, ...]:
        """As it is written down and sent: an older version reads what is not frozen, word for word."""
        return tuple(self) if self.freeze is not None else tuple(self)[:-1]


class Acceptance(NamedTuple):
    """What one voter has bound itself to for the document of `generation` (one after the one in force).

    `accepted` is the ballot of `value`; (0, "") and None where nothing was accepted.
    """

    generation: int
    promised: Ballot
    accepted: Ballot
    value: Document | None


class Proposal(NamedTuple):
    """Somebody wants to decide the document of `generation`: first a question (`value` None)."""

    generation: int
    ballot: Ballot
    value: Document | None


class Site(NamedTuple):
    """A place whose nodes share their fate; `nodes` are patterns of names."""

    name: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """One group of the shared file. Higher `priority` keeps its holder when nodes run out.

    `allowed`, `preferred`: patterns of node names. `apart_from`: groups whose holders should stand at
    another site.
    """

    name: GroupName
    addresses: tuple[str, ...]
    service_link: str
    priority: int = 100
    allowed: tuple[str, ...] = ("*",)
    preferred: tuple[str, ...] = ()
    apart_from: tuple[GroupName, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the core needs of the shared file: the same value on every host.

    `referenced_links` are the service links with reference addresses to ask. `witnesses`: patterns of
    nodes that vote and never hold. `survivor_claims`: of two nodes without a witness, one may claim alone
    (DESIGN 4.8).
    """

    cluster: str
    expected_nodes: int
    timing: Timing
    groups: tuple[GroupSettings, ...]
    cluster_links: tuple[str, ...]
    service_links: tuple[str, ...]
    referenced_links: tuple[str, ...] = ()
    never_master: tuple[str, ...] = ()
    witnesses: tuple[str, ...] = ()
    sites: tuple[Site, ...] = ()
    survivor_claims: bool = False
    several_groups: bool = False
    failback: bool = False
    forget_after_ms: int = 600_000
    digest: str = ""


class LongGrant(NamedTuple):
    """A promise of LONG_GRANT_MS to a holder whose daemon restarts on purpose."""

    group: GroupName
    counter: int
    holder: NodeName
    incarnation: int


class Held(NamedTuple):
    """One group with open addresses, and its ballot's counter."""

    group: GroupName
    counter: int


class Handover(NamedTuple):
    """What a life left open on purpose. `until_ms`: the end of its long lease on the host's monotonic
    clock, which goes on across a restart of the process; the shell drops a handover of another boot.
    """

    incarnation: int
    until_ms: int
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Durable:
    """What a node remembers over power cuts: nothing here is on the takeover path.

    `ceiling`: every ballot counter that this node ever used is below or equal to it. `accepted`: the
    founding that this node agreed to, before it was complete. `incarnation`: that of the last start.
    `acceptance`: what this voter bound itself to for the next document. `acceptor_from`: a node that
    came without memory binds itself only for documents from this generation on. `is_amnesiac`: it does
    not know yet which ballots it granted in the life that its disk forgot. `long_grants`: promises that
    outlive a restart of this voter. `handover`: what the last life left open for the next one.
    """

    incarnation: int = 0
    ceiling: int = 0
    accepted_id: str = ""
    accepted_names: tuple[NodeName, ...] = ()
    document: Document | None = None
    acceptance: Acceptance | None = None
    acceptor_from: int = 0
    is_amnesiac: bool = False
    long_grants: tuple[LongGrant, ...] = ()
    handover: Handover | None = None
