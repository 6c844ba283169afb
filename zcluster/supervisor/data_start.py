"""Whether this node has a data process, and what kind of child it is.

What must hold: without [switch] in the file there is none, and nothing of this node changes. Neither has a node that
never carries traffic one, nor one that observes: it would touch a switch in production.
"""

from __future__ import annotations

from zcluster.adapters.child_process import DATA_STANDING
from zcluster.config.configuration import Configuration
from zcluster.control.designation import may_carry
from zcluster.control.document import Settings
from zcluster.control.units import NodeName
from zcluster.supervisor.child_start import ChildKind

DATA_PROCESS = ChildKind("zcluster.data", DATA_STANDING)


def has_data_process(configuration: Configuration, settings: Settings, node: NodeName) -> bool:
    """Whether `node` watches a switch."""
    return configuration.switch is not None and not configuration.is_observing and may_carry(settings, node)
