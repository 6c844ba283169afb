"""From the shared file to what the core needs of it.

What must hold: a pure function of the file, so that every host hands its core the same value. Addresses are
plain text in their canonical form, as the kernel and the neighbour sockets spell them.
"""

from __future__ import annotations

from zcluster.config.configuration import Configuration
from zcluster.control.document import GroupSettings, Settings, Site

DIGEST_CHARACTERS = 16


def settings_of(configuration: Configuration) -> Settings:
    """The core's settings. The digest is cut: it travels in every report and only tells files apart."""
    return Settings(
        cluster=configuration.name,
        expected_nodes=configuration.expected_nodes,
        timing=configuration.timing,
        groups=tuple(
            GroupSettings(
                name=group.name,
                addresses=tuple(str(address.ip) for address in group.addresses),
                service_link=group.link,
                priority=group.priority,
                allowed=group.allowed,
                preferred=group.preferred,
                apart_from=group.apart_from,
            )
            for group in configuration.groups
        ),
        cluster_links=tuple(link.name for link in configuration.cluster_links),
        service_links=tuple(link.name for link in configuration.service_links),
        referenced_links=tuple(link.name for link in configuration.service_links if link.reference),
        never_master=configuration.never_master,
        witnesses=configuration.witnesses,
        sites=tuple(Site(site.name, site.nodes) for site in configuration.sites),
        survivor_claims=configuration.survivor_claims,
        forget_after_ms=configuration.forget_after_s * 1000,
        several_groups=configuration.several_groups_per_node,
        failback=configuration.failback,
        digest=configuration.digest[:DIGEST_CHARACTERS],
    )
