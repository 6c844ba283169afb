"""What the control process says, as what happened: each of its messages is a whole state, the cores want changes.

What must hold: pure; the same state twice changes nothing; a group with another ballot was lost in between.
"""

from __future__ import annotations

from dataclasses import dataclass

from zcluster.control.designation import matches
from zcluster.control.units import GroupName, NodeName
from zcluster.streams.events import PeerFailed, PeerHeard
from zcluster.telephony.events import GroupLapsed, GroupLost, GroupOpened, GroupWon, PeersChanged
from zcluster.wire.local_link import Groups, OwnGroup, PeerPlace, Peers

GroupEvent = GroupWon | GroupOpened | GroupLapsed | GroupLost


@dataclass(frozen=True, slots=True)
class PeersNews:
    """What became of the peers: for the streams, for the telephony core, and where they are now."""

    failed: tuple[PeerFailed, ...]
    heard: tuple[PeerHeard, ...]
    changed: PeersChanged | None
    places: tuple[PeerPlace, ...]


class News:
    """The last state of both. `are_peers_known`: whether any word of the peers came yet.

    `bystanders`: patterns of nodes that carry no traffic and have no switch (witnesses, never-master): they are no
    peers here, for nothing can be copied from them.
    """

    def __init__(self, bystanders: tuple[str, ...] = ()) -> None:
        self._bystanders = bystanders
        self.are_peers_known = False
        self._groups: dict[GroupName, OwnGroup] = {}
        self._peers = Peers()

    @property
    def alive(self) -> tuple[NodeName, ...]:
        """The nodes that live now, without this one."""
        return tuple(place.node for place in self._peers.peers)

    @property
    def groups(self) -> tuple[OwnGroup, ...]:
        """The groups that are ours."""
        return tuple(self._groups.values())

    def take_groups(self, news: Groups) -> list[GroupEvent]:
        """The losses first: who loses one and wins another must not hold both in between."""
        fresh = {own.group: own for own in news.own}
        known, self._groups = self._groups, fresh
        same = {name for name, own in fresh.items() if name in known and known[name].counter == own.counter}
        events: list[GroupEvent] = [GroupLost(name) for name in known if name not in same]
        for name, own in fresh.items():
            was_open = name in same and known[name].is_open
            if name not in same:
                events.append(GroupWon(name, own.counter))
            if own.is_open and not was_open:
                events.append(GroupOpened(name, own.counter))
            elif was_open and not own.is_open:
                events.append(GroupLapsed(name))
        return events

    def take_peers(self, news: Peers) -> PeersNews:
        """Who came, who went. The first word also tells of those who never came: nobody."""
        peers = tuple(place for place in news.peers if not matches(place.node, self._bystanders))
        news = Peers(peers, news.holders)
        before, after = set(self.alive), {place.node: place for place in peers}
        is_first = not self.are_peers_known
        had = (self.alive, self._peers.holders)
        self._peers, self.are_peers_known = news, True
        has_changed = is_first or had != (self.alive, news.holders)
        return PeersNews(
            failed=tuple(PeerFailed(node) for node in sorted(before - after.keys())),
            heard=tuple(PeerHeard(node) for node in after if node not in before),
            changed=PeersChanged(self.alive, news.holders) if has_changed else None,
            places=tuple(after.values()),
        )
