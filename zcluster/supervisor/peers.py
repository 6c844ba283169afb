"""Where each peer is reached on each link, learned from the beats that came from there.

Multicast finds peers; a switch that filters it (IGMP snooping without a querier) must not make a cluster deaf.
So every peer once heard is sent beats by unicast too: every beat while it is heard, but not by multicast, or
while what it acknowledges shows that ours reach it late; and now and then otherwise, which costs little and finds
it again when it comes back.
What must hold: pure; bounded; only authentic beats teach an address.
"""

from __future__ import annotations

from zcluster.control.units import LinkName, NodeName

LARGEST_PEERS = 256
UNICAST_EVERY_BEATS = 25
MULTICAST_LATELY_BEATS = 6
LIVING_MS = 2000
LATE_MS = 1000
LEAST_BUS_SILENCE_MS = 2000
BUS_SILENCE_BEATS = 40  # each link's bus carries only some of the beats
LONGEST_BUS_PATIENCES = 8
FORGET_AFTER_MS = 600_000


class _Way:
    """One peer on one link."""

    __slots__ = ("address", "bus_patience_ms", "bus_since_ms", "heard_ms", "multicast_ms")

    def __init__(self, address: str, now_ms: int, bus_silence_ms: int) -> None:
        self.address = address
        self.heard_ms = now_ms
        self.multicast_ms = 0
        self.bus_since_ms = now_ms
        self.bus_patience_ms = bus_silence_ms


class Peers:
    """The ways to all peers. `beat_ms` is the beat interval."""

    def __init__(self, beat_ms: int) -> None:
        self._lately_ms = MULTICAST_LATELY_BEATS * beat_ms
        self._bus_silence_ms = max(LEAST_BUS_SILENCE_MS, BUS_SILENCE_BEATS * beat_ms)
        self._ways: dict[LinkName, dict[NodeName, _Way]] = {}
        self._datagram_ms: dict[NodeName, int] = {}
        self._bus_ms: dict[tuple[NodeName, LinkName], int] = {}
        self._late_ms: dict[NodeName, int] = {}

    def heard(
        self, node: NodeName, link: LinkName, address: str, is_multicast: bool, now_ms: int
    ) -> str | None:
        """An authentic beat of `node` came from `address`, or from somewhere ("").

        Returns the address that this one replaces: "" for a peer new on this link, None where nothing is new.
        """
        ways = self._ways.setdefault(link, {})
        way = ways.get(node)
        replaced: str | None = None
        if way is None:
            if not address or len(ways) >= LARGEST_PEERS:
                return None
            way = ways[node] = _Way(address, now_ms, self._bus_silence_ms)
            replaced = ""
        elif address and way.address != address:
            replaced, way.address = way.address, address
        way.heard_ms = now_ms
        self._datagram_ms[node] = now_ms
        if is_multicast:
            way.multicast_ms = now_ms
        return replaced

    def heard_on_bus(self, node: NodeName, link: LinkName, now_ms: int) -> None:
        """An authentic beat of `node` came over the bus of that link."""
        self._bus_ms[node, link] = now_ms

    def hears_us_late(self, node: NodeName, now_ms: int) -> None:
        """The peer acknowledged a beat of ours that is older than datagrams would leave it."""
        self._late_ms[node] = now_ms

    def is_bus_needed(self, now_ms: int) -> bool:
        """Whether some living peer needs every beat on the bus: it is lately heard there and by no datagram, or
        what it acknowledges shows that ours reach it late.
        """
        living_ms, lately_ms = now_ms - LIVING_MS, now_ms - self._lately_ms
        self._late_ms = {
            node: late_ms for node, late_ms in self._late_ms.items() if late_ms > now_ms - LATE_MS
        }
        return bool(self._late_ms) or any(
            heard_ms > living_ms and self._datagram_ms.get(node, 0) < lately_ms
            for (node, _), heard_ms in self._bus_ms.items()
        )

    def deaf_on_bus(self, now_ms: int) -> list[tuple[LinkName, str]]:
        """The (link, address) pairs heard by datagrams now, and for long not over the bus, to begin anew with.

        libzmq gives an endpoint up for good after something malformed. A handshake takes its time on a busy
        host, so each further try waits twice as long, until the bus is heard again.
        """
        deaf = []
        for link, ways in self._ways.items():
            for node, way in ways.items():
                bus_ms = self._bus_ms.get((node, link), 0)
                if bus_ms > way.bus_since_ms:
                    way.bus_since_ms, way.bus_patience_ms = bus_ms, self._bus_silence_ms
                elif now_ms - way.heard_ms < LIVING_MS and now_ms - way.bus_since_ms > way.bus_patience_ms:
                    way.bus_since_ms = now_ms
                    longest_ms = LONGEST_BUS_PATIENCES * self._bus_silence_ms
                    way.bus_patience_ms = min(2 * way.bus_patience_ms, longest_ms)
                    deaf.append((link, way.address))
        return deaf

    def unicast(self, link: LinkName, sequence: int, now_ms: int) -> list[str]:
        """The addresses that should get this beat by unicast on that link."""
        ways = self._ways.get(link)
        if ways is None:
            return []
        if sequence % UNICAST_EVERY_BEATS == 0:
            return [way.address for way in ways.values()]
        living_ms, lately_ms = now_ms - LIVING_MS, now_ms - self._lately_ms
        return [
            way.address
            for node, way in ways.items()
            if (way.multicast_ms < lately_ms or node in self._late_ms) and way.heard_ms > living_ms
        ]

    def addresses(self, link: LinkName) -> list[str]:
        """Every known address on that link."""
        return [way.address for way in self._ways.get(link, {}).values()]

    def places(self, node: NodeName) -> tuple[tuple[LinkName, str], ...]:
        """Every link that `node` was heard on, and its address there; the links in the order they were learned."""
        return tuple((link, ways[node].address) for link, ways in self._ways.items() if node in ways)

    def forget_silent(self, now_ms: int) -> list[tuple[LinkName, str]]:
        """Drop the ways on which nothing came for ten minutes; the (link, address) pairs dropped."""
        dropped = []
        for link, ways in self._ways.items():
            for node, way in list(ways.items()):
                if now_ms - way.heard_ms > FORGET_AFTER_MS:
                    del ways[node]
                    self._bus_ms.pop((node, link), None)
                    self._datagram_ms.pop(node, None)
                    dropped.append((link, way.address))
        return dropped
