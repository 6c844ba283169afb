"""The observer: an ear on each host's port of the service bridge.

What must hold: it hears what a host sends even while the port is muted, so that a host which goes on using an
address in isolation is seen too. All ears share the kernel's clock; their order in time is the wire's.
"""

from __future__ import annotations

from collections.abc import Sequence

from zcluster.errors import LabError
from zcluster.lab.capture import Capture
from zcluster.lab.plan import Network
from zcluster.lab.verdict import Sighting

# At two probes an address every 2 ms, three groups on one host fill this in five seconds; it is read at every
# tenth of one.
_FRAMES = 16_384


class Observer:
    """All ears. Lives in the laboratory's own network namespace; one owner, one thread."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = tuple(addresses)
        self._captures: dict[str, Capture] = {}
        self._sightings: list[Sighting] = []
        self._latest: dict[str, Sighting] = {}

    def listen(self, host: str) -> None:
        """Listen to a host that has just been plugged in. Raises LabError where packet rings are refused."""
        try:
            self._captures[host] = Capture(Network.SERVICE.port(host), self._addresses, _FRAMES)
        except OSError as error:
            raise LabError(f"cannot listen on the port of {host}: {error}") from error

    def forget(self, host: str) -> None:
        """Read what a host sent and stop listening to it, before its cable is taken away."""
        self.collect()
        self._captures.pop(host).close()

    def close(self) -> None:
        """Stop listening to everybody."""
        for capture in self._captures.values():
            capture.close()
        self._captures.clear()

    def collect(self) -> None:
        """Read all rings. Call it at least once a second while probes run."""
        for host, capture in self._captures.items():
            for use in capture.read():
                seen = Sighting(use.when_ns, host, use.address, use.kind)
                self._sightings.append(seen)
                latest = self._latest.get(use.address)
                if latest is None or latest.when_ns <= use.when_ns:
                    self._latest[use.address] = seen

    def sightings(self) -> list[Sighting]:
        """Everything seen since the last `start_over`. Raises LabError if something may have been missed."""
        self.collect()
        for host, capture in self._captures.items():
            if dropped := capture.dropped():
                raise LabError(f"{dropped} frames of {host} found no room: this trial cannot be judged")
        return self._sightings

    def latest(self, address: str) -> Sighting | None:
        """Who used an address last, as far as `collect` has read."""
        return self._latest.get(address)

    def start_over(self) -> None:
        """Forget all sightings, but for who used each address last."""
        self.collect()
        self._sightings = []
