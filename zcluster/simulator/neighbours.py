"""The service networks' neighbours: who answers an address probe, who hears an announcement, what references say.

A stranger uses one of our addresses for a while; a proxy answers for every address, the canary included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Protocol

from zcluster.control.document import Settings
from zcluster.control.events import AddressSeen, Event, ReferenceSeen
from zcluster.control.units import GroupName
from zcluster.simulator.mix import SERVICE_LINK
from zcluster.simulator.network import Network

CANARY = "10.9.0.254"
STRANGER_MAC = "02:00:00:00:ee:01"
PROXY_MAC = "02:00:00:00:ee:02"
ANSWER_MS = 0.8
SERVICE_NUMBER = 2


class Neighbour(Protocol):
    """A host on the service network."""

    index: int
    mac: str

    def answers(self, group: GroupName, /) -> bool: ...

    def deliver(self, event: Event, /) -> None: ...


class Neighbours:
    """Address messages on the one service network of a simulated cluster."""

    def __init__(
        self,
        settings: Settings,
        network: Network,
        hosts: tuple[Neighbour, ...],
        at: Callable[[float, Callable[[Any], None], Any], None],
        random: Random,
    ) -> None:
        self._addresses = {group.name: group.addresses for group in settings.groups}
        self._network = network
        self._hosts = hosts
        self._at = at
        self._random = random
        self.stranger_group: GroupName | None = None
        self.has_proxy = False
        self.unreferenced: set[int] = set()

    def heal(self) -> None:
        """Strangers and proxies leave, references answer."""
        self.stranger_group = None
        self.has_proxy = False
        self.unreferenced.clear()

    def probe(self, host: Neighbour, group: GroupName, now: float) -> None:
        """A probe reaches everybody after a moment; who answers then is seen a moment later."""
        if self._network.has_carrier(host.index, SERVICE_NUMBER):
            self._at(now + ANSWER_MS * self._random.random(), self._probed, (host, group, now))

    def announce(self, host: Neighbour, group: GroupName, now: float) -> None:
        """Gratuitous messages leave only through an open gate."""
        if host.answers(group):
            self._network.show(host.index, self._seen(group, host.mac), now)

    def ask_reference(self, host: Neighbour, now: float) -> None:
        """The reference answers a host whose service network works."""
        if host.index not in self.unreferenced and self._network.has_carrier(host.index, SERVICE_NUMBER):
            self._at(now + ANSWER_MS, host.deliver, ReferenceSeen(SERVICE_LINK))

    def _probed(self, argument: tuple[Neighbour, GroupName, float]) -> None:
        host, group, asked = argument
        for event in self._answers(host, group):
            self._at(asked + ANSWER_MS + ANSWER_MS * self._random.random(), host.deliver, event)

    def _answers(self, host: Neighbour, group: GroupName) -> Iterator[AddressSeen]:
        serves = self._network.serves
        for other in self._hosts:
            hears = serves(host.index, other.index) and serves(other.index, host.index)
            if other is not host and hears and other.answers(group):
                yield from self._seen(group, other.mac)
        if group == self.stranger_group:
            yield from self._seen(group, STRANGER_MAC)
        if self.has_proxy:
            yield from self._seen(group, PROXY_MAC)
            yield AddressSeen(CANARY, PROXY_MAC, is_canary=True)

    def _seen(self, group: GroupName, mac: str) -> list[AddressSeen]:
        return [AddressSeen(address, mac) for address in self._addresses[group]]
