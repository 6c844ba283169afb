"""The part of the world that faults and checkers may touch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from zcluster.simulator.host import Host
from zcluster.simulator.neighbours import Neighbours
from zcluster.simulator.network import Network


class Stage(Protocol):
    """Hosts, network and time."""

    now: float
    hosts: tuple[Host, ...]
    group_names: tuple[str, ...]
    network: Network
    neighbours: Neighbours

    def at(self, when: float, call: Callable[[Any], None], argument: Any) -> None: ...

    def say(self, who: str, text: str) -> None: ...
