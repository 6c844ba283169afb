"""How the simulator starts the production core; tests start weakened ones in its place."""

from __future__ import annotations

from collections.abc import Mapping

from zcluster.control.document import Durable, Settings
from zcluster.control.node import Node
from zcluster.simulator.host import Core


def make_node(
    name: str,
    settings: Settings,
    durable: Durable,
    incarnation: int,
    macs: tuple[str, ...],
    links: Mapping[str, bool],
    now_ms: int,
) -> Core:
    """The production core."""
    return Node(name, settings, durable, incarnation, macs, links, now_ms)
