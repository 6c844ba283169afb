"""The outlets that the file wants on this host.

What must hold: an outlet that the file does not want is not made, and costs nothing. What is wrong with one (an
address that is not there yet, a port that is taken) is the outlet's own to mend while it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from zcluster.config.configuration import Configuration
from zcluster.tools.outlet import Outlet
from zcluster.tools.ring import Ring


@dataclass(frozen=True, slots=True)
class Host:
    """What outlets are made from. `figures`: numbers of the feed, the loop and every outlet, prefixed by its name."""

    configuration: Configuration
    node: str
    run_dir: Path
    version: str
    ring: Ring
    figures: Callable[[], Mapping[str, int]]


def outlets_for(host: Host) -> dict[str, Outlet]:
    """By name, in the order in which they are told. Raises ZclusterError for what must be mended first."""
    del host
    return {}
