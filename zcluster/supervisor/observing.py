"""`mode = "observe"`: the cluster decides as always, and nothing of any host is touched (docs/decisions/0301).

What must hold: what stands here in the place of an adapter never reaches the kernel, except to read; it answers as a
kernel that does all that it is asked, so that the core decides as it would have; and what was said by an observing
node can never be taken for the word of one that acts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from zcluster.adapters.addresses import VALID_S, Addresses, Present
from zcluster.control.actions import Tell
from zcluster.control.document import Settings

Address = IPv4Address | IPv6Address
Teller = Callable[[Tell], None]

DIRECTORY_NAME = "observe"
NOTICE = "observing: no address, packet rule or setting of this host is touched, and nobody is probed"


def observed_place(state_dir: Path) -> Path:
    """Where an observing node keeps its memory: what it voted for there binds no node that acts."""
    return state_dir / DIRECTORY_NAME


def observed_settings(settings: Settings) -> Settings:
    """Nobody is asked by ARP, so the reference addresses say nothing: carrier and beats alone tell of the network."""
    return replace(settings, referenced_links=())


def observed_teller(tell: Teller) -> Teller:
    """Every word of the core, marked."""
    return lambda told: tell(replace(told, text=f"observing: {told.text}"))


class ObservedGate:
    """Where the packet rules would stand. `tell` is set before the first turn, and called in the loop alone."""

    egress_supported = True
    missing: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.tell: Teller = _unheard
        self._open: dict[Address, None] = {}

    def install(self, managed: Sequence[Address], interfaces: Sequence[str]) -> None:
        """Closed for all."""
        self.close(managed)

    def adopt(
        self, managed: Sequence[Address], interfaces: Sequence[str], kept: Collection[Address] = ()
    ) -> bool:
        """What the last life held goes on, as after a planned restart."""
        self._open = dict.fromkeys(address for address in managed if address in kept)
        return True

    def arm(self, slot: int, addresses: Sequence[Address], lease_ms: int) -> None:
        """Every arming succeeds."""

    def point(self, addresses: Sequence[Address], slot: int) -> None:
        """Says which addresses would have begun to answer here."""
        opened = [address for address in addresses if address not in self._open]
        if opened:
            self._open.update(dict.fromkeys(opened))
            self._say("would-have-opened", "would have begun to answer for", opened)

    def close(self, addresses: Sequence[Address]) -> None:
        """Says which addresses would have ceased to answer here."""
        closed = [address for address in addresses if address in self._open]
        for address in closed:
            del self._open[address]
        if closed:
            self._say("would-have-closed", "would have ceased to answer for", closed)

    def shut(self) -> None:
        """Nothing to give back."""

    def _say(self, code: str, text: str, addresses: Sequence[Address]) -> None:
        spelled = [str(address) for address in addresses]
        self.tell(Tell("notice", code, f"{text} {', '.join(spelled)}", {"addresses": spelled}))


class ObservedAddresses:
    """Where the addresses would come and go. Reads, and changes nothing."""

    def __init__(self) -> None:
        self._addresses = Addresses()

    def close(self) -> None:
        """Give the socket back."""
        self._addresses.close()

    def present(self) -> list[Present]:
        """What is on the interfaces now."""
        return self._addresses.present()

    def sweep(self, managed: Collection[Address]) -> tuple[Present, ...]:
        """Whoever holds them in production keeps them."""
        return ()

    def add(self, interface: str, address: Address, valid_s: int = VALID_S) -> None:
        """Every adding succeeds."""

    def remove(self, interface: str, address: Address) -> None:
        """Every removal succeeds."""


def _unheard(_told: Tell) -> None:
    """Before the first turn, nothing opens."""
