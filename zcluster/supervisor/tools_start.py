"""Whether this node has a tools process (docs/decisions/0500), and what kind of child it is.

What must hold: where neither the file nor the switch of this node wants one there is none, and it costs nothing.
"""

from __future__ import annotations

from zcluster.adapters.child_process import TOOLS_STANDING
from zcluster.config.configuration import OFF, Configuration
from zcluster.supervisor.child_start import ChildKind

WITH_SWITCH = "--with-switch"  # zcluster.tools.process knows it


def has_tools_process(configuration: Configuration, has_switch: bool) -> bool:
    """Whether somebody on this node is told anything. `has_switch`: it has a data process, so a switch of its own."""
    tools = configuration.tools
    has_hooks = bool(configuration.hooks) and not configuration.is_observing
    return bool(tools.listen) or tools.metrics != OFF or has_hooks or (has_switch and tools.switch_events)


def tools_process(has_switch: bool) -> ChildKind:
    """The kind of child that it is."""
    return ChildKind("zcluster.tools", TOOLS_STANDING, (WITH_SWITCH,) if has_switch else ())
