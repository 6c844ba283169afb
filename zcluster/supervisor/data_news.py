"""What the data process is told of the cluster: our groups, the nodes that live, and who holds what.

What must hold: read from the core and changing nothing there. A group is told as ours from the moment when a
majority granted it, before its addresses are open, and no longer once it is given up; its counter stays that of
the win while we hold it without a break, though the core may continue under a higher ballot.
"""

from __future__ import annotations

from collections.abc import Callable

from zcluster.control.node import Node
from zcluster.control.ownership import OPEN_PHASES, Phase, Tenure
from zcluster.control.units import GroupName, LinkName, NodeName
from zcluster.wire.bounds import MAX_NODES
from zcluster.wire.local_link import MOST_LINKS, Groups, OwnGroup, PeerPlace, Peers

OWN_PHASES = frozenset({Phase.PROBING, Phase.OPENING, *OPEN_PHASES})

PLACES_MS = 1000

Lives = tuple[tuple[NodeName, int], ...]
Holders = tuple[tuple[GroupName, NodeName], ...]
Places = Callable[[NodeName], tuple[tuple[LinkName, str], ...]]


class News:
    """Reads `node`; `places` says where a peer is reached on each link."""

    def __init__(self, node: Node, places: Places) -> None:
        self._node = node
        self._places = places
        self._won: dict[GroupName, tuple[Tenure, int]] = {}
        self._seen: tuple[Lives, Holders] = ((), ())
        self._placed_ms = -PLACES_MS
        self._peers = Peers()

    def holds_nothing(self) -> bool:
        """Whether this node neither holds nor claims any group."""
        return not self._node.holder.tenures

    def groups(self) -> Groups:
        """Every group that is ours now, in the order they came."""
        won: dict[GroupName, tuple[Tenure, int]] = {}
        for group, tenure in self._node.holder.tenures.items():
            if tenure.phase in OWN_PHASES:
                before = self._won.get(group)
                is_same = before is not None and before[0] is tenure
                won[group] = before if before is not None and is_same else (tenure, tenure.counter)
        self._won = won
        return Groups(
            tuple(
                OwnGroup(group, counter, tenure.phase is Phase.HOLDING)
                for group, (tenure, counter) in won.items()
            )
        )

    def peers(self) -> Peers:
        """The nodes that the core holds for living, by name, and the holder of each group that is open.

        Called in every tick: where nobody came or went, addresses are looked up only now and then.
        """
        s = self._node.situation
        alive = s.detector.alive(s.now_ms)
        lives = tuple([(peer.name, peer.incarnation) for peer in alive])
        holders = self._holders({name for name, _ in lives})
        if (lives, holders) == self._seen and s.now_ms < self._placed_ms + PLACES_MS:
            return self._peers
        self._seen = (lives, holders)
        self._placed_ms = s.now_ms
        self._peers = Peers(
            tuple(
                PeerPlace(name, incarnation, self._places(name)[:MOST_LINKS])
                for name, incarnation in sorted(lives)[:MAX_NODES]
            ),
            holders,
        )
        return self._peers

    def _holders(self, alive: set[NodeName]) -> Holders:
        found = []
        for group, watch in self._node.seeker.watches.items():
            tenure = self._node.holder.tenures.get(group)
            if tenure is not None:
                if tenure.phase in OPEN_PHASES:
                    found.append((group, self._node.situation.name))
            elif watch.holder_is_open and watch.holder in alive:
                found.append((group, watch.holder))
        return tuple(found)
