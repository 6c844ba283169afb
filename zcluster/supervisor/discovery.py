"""Whom to ask on links without multicast: the peers of the file, addresses at once, DNS names as they resolve.

What must hold: a name server is never waited for in the loop, and one that is slow or gone costs nothing but news:
what a name last meant is used on. The list is the same on every host, so a node leaves itself out.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from zcluster.control.events import Event
from zcluster.control.units import LinkName
from zcluster.supervisor.side_thread import Errand, Sequel

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

LOOK_AGAIN_MS = 30_000
RETRY_MS = 2000
HASTY_MS = 1000
LARGEST_ADDRESSES = 128


@dataclass(frozen=True, slots=True)
class Listed:
    """One link without multicast: what the file lists, and where this host is on it."""

    link: LinkName
    network: Network
    own: Address
    peers: tuple[Address | str, ...]


def resolve(name: str, version: int) -> Sequence[str]:
    """The addresses of a name, in the system's way (hosts file, then DNS). Raises OSError. Blocks."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    found = socket.getaddrinfo(name, None, family, socket.SOCK_DGRAM)
    return [str(entry[4][0]) for entry in found]


def addresses_of(listed: Listed, meanings: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The addresses to ask, in the file's order, each once.

    `meanings`: what each name was resolved to. Of a name with addresses in several networks only those of the
    link's own count, if it has any.
    """
    found: dict[Address, None] = {}
    for peer in listed.peers:
        if isinstance(peer, str):
            meant = [ip_address(text) for text in meanings.get(peer, ())]
            meant = [address for address in meant if address.version == listed.network.version]
            here = [address for address in meant if address in listed.network]
            found.update(dict.fromkeys(here or meant))
        else:
            found[peer] = None
    found.pop(listed.own, None)
    return tuple(str(address) for address in list(found)[:LARGEST_ADDRESSES])


class Discovery:
    """Keeps the lists fresh; `tell(link, addresses)` is called in the loop whenever one changed. It is a chore.

    `submit` is that of a side thread of its own: a name server may take half a minute to say nothing.
    """

    def __init__(
        self,
        links: Sequence[Listed],
        tell: Callable[[LinkName, tuple[str, ...]], None],
        submit: Callable[[Errand], bool],
        clock: Callable[[], int],
        resolve: Resolve = resolve,
    ) -> None:
        self._links = tuple(links)
        self._tell = tell
        self._submit = submit
        self._clock = clock
        self._resolve = resolve
        self._names = tuple(
            dict.fromkeys(
                (peer, link.network.version) for link in links for peer in link.peers if isinstance(peer, str)
            )
        )
        self._meanings: dict[tuple[str, int], tuple[str, ...]] = {}
        self._told: dict[LinkName, tuple[str, ...]] = {}
        self._problems: dict[tuple[str, int], str] = {}
        self._is_looking = False
        self._looked_ms = 0
        self._due_ms: int | None = clock() if self._names else None
        self.counts: Counter[str] = Counter()
        self._tell_changes()

    def problems(self) -> tuple[str, ...]:
        """One sentence for each name that could not be resolved the last time."""
        return tuple(self._problems[name] for name in self._names if name in self._problems)

    def hasten(self) -> None:
        """Something about this host's networks changed: look soon, not in half a minute."""
        if self._due_ms is not None:
            self._due_ms = min(self._due_ms, max(self._clock(), self._looked_ms + HASTY_MS))

    def deadline(self) -> int | None:
        """When to look again; None while nothing is to be looked up, or a look is under way."""
        return None if self._is_looking else self._due_ms

    def run(self, now_ms: int) -> Sequence[Event]:
        """Have every name looked up, beside the loop."""
        self._looked_ms = now_ms
        self._due_ms = now_ms + RETRY_MS
        self._is_looking = self._submit(self._look)
        return ()

    def _look(self) -> Sequel:
        """In the side thread."""
        found: dict[tuple[str, int], tuple[str, ...] | str] = {}
        for name, version in self._names:
            try:
                found[name, version] = tuple(dict.fromkeys(self._resolve(name, version)))
            except (OSError, UnicodeError) as error:  # UnicodeError: what IDNA makes of an odd name
                found[name, version] = getattr(error, "strerror", None) or str(error)
        return partial(self._looked, found)

    def _looked(self, found: Mapping[tuple[str, int], tuple[str, ...] | str]) -> Sequence[Event]:
        self._is_looking = False
        for key, meaning in found.items():
            if isinstance(meaning, str):
                self.counts["names_unresolved"] += 1
                known = "its last addresses are used on" if key in self._meanings else "nobody is asked there"
                self._problems[key] = f"{key[0]} cannot be resolved: {meaning}; {known}"
            else:
                self._problems.pop(key, None)
                self._meanings[key] = meaning
        self._due_ms = self._clock() + (RETRY_MS if self._problems else LOOK_AGAIN_MS)
        self._tell_changes()
        return ()

    def _tell_changes(self) -> None:
        for link in self._links:
            meanings = {
                name: meaning
                for (name, version), meaning in self._meanings.items()
                if version == link.network.version
            }
            addresses = addresses_of(link, meanings)
            if addresses != self._told.get(link.link, ()):
                self._told[link.link] = addresses
                self._tell(link.link, addresses)
