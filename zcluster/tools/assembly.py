"""The outlets that the file wants on this host.

What must hold: an outlet that the file does not want is not made, and costs nothing. What is wrong with one (an
address that is not there yet, a port that is taken) is the outlet's own to mend while it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from zcluster.config.configuration import OFF, Configuration
from zcluster.tools.bus import bus_outlet
from zcluster.tools.outlet import Outlet
from zcluster.tools.own_log import OwnLog
from zcluster.tools.ring import Ring
from zcluster.tools.switch_events import switch_events


@dataclass(frozen=True, slots=True)
class Host:
    """What outlets are made from.

    `figures`: numbers of the feed, the loop and every outlet, prefixed by its name. `has_switch`: this node watches a
    switch of its own, and may touch it. `log`: what outlets say of themselves.
    """

    configuration: Configuration
    node: str
    run_dir: Path
    version: str
    ring: Ring
    figures: Callable[[], Mapping[str, int]]
    has_switch: bool
    log: OwnLog


def outlets_for(host: Host) -> dict[str, Outlet]:
    """By name, in the order in which they are told. Raises ZclusterError for what must be mended first."""
    outlets: dict[str, Outlet] = {}
    if host.configuration.tools.listen:
        outlets["bus"] = bus_outlet(host.configuration, host.node, host.run_dir, host.ring, host.log)
    switch = host.configuration.switch
    if switch is not None and host.has_switch and host.configuration.tools.switch_events:
        outlets["switch"] = switch_events(switch, host.ring)
    if host.configuration.tools.metrics != OFF:
        # Loaded where it is wanted: the library behind it is a third of this process's start.
        from zcluster.tools.http import http_outlet

        outlets["metrics"] = http_outlet(host.configuration, host.node, host.figures, host.log)
    if host.configuration.hooks and not host.configuration.is_observing:
        from zcluster.tools.hooks import hooks_outlet

        outlets["hooks"] = hooks_outlet(host.configuration, host.node, host.run_dir, host.log)
    return outlets
