"""What `[tools]` allows, and is dangerous or means nothing.

What must hold: as in `zcluster.config.check`.
"""

from __future__ import annotations

from collections.abc import Iterator

from zcluster.config.configuration import Configuration, LinkRole
from zcluster.config.fault import Fault


def tools_dangers(configuration: Configuration) -> Iterator[Fault]:
    """Warnings in the order of the section."""
    tools = configuration.tools
    if tools.listen and not tools.readers:
        yield Fault(
            ("tools", "readers"),
            "the bus for tools listens, and lets nobody in",
            'add a name, such as readers = ["ops"], or set listen = []',
        )
    for link in configuration.links:
        if link.name == tools.metrics and link.role is LinkRole.SERVICE:
            yield Fault(
                ("tools", "metrics"),
                f"{link.name} is the network that telephones see, and the metrics are there for everybody, unencrypted",
                'choose a link of the cluster alone, or "loopback" behind a proxy that asks for a password',
            )
