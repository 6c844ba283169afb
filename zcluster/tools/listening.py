"""Where an outlet listens on this host: what the file calls a place, as addresses.

What must hold: never on an address that moves from host to host. A link's address is looked for when it is needed, for
it may come after the daemon; until then there is a reason in words.
"""

from __future__ import annotations

from typing import NamedTuple

from zcluster.adapters.addresses import Addresses
from zcluster.config.configuration import LOOPBACK, Configuration
from zcluster.errors import IdentityError

LOOPBACK_ADDRESS = "127.0.0.1"


class Endpoint(NamedTuple):
    """An address of this host as text, and a TCP port. Port 0 takes a free one."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def endpoint_of(configuration: Configuration, place: str, port: int) -> Endpoint:
    """The endpoint at `place`, LOOPBACK or the name of a link. Raises IdentityError or KernelRefused."""
    if place == LOOPBACK:
        return Endpoint(LOOPBACK_ADDRESS, port)
    network = configuration.link(place).network
    floating = {interface.ip for group in configuration.groups for interface in group.addresses}
    kernel = Addresses()
    try:
        present = [one.address for one in kernel.present() if not one.is_ours]
    finally:
        kernel.close()
    for address in present:
        if address in network and address not in floating:
            return Endpoint(str(address), port)
    raise IdentityError(f"no address of this host is in {network}, the network of {place}")
