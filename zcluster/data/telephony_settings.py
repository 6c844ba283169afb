"""From the cluster's file to what the telephony core of one node needs of it.

What must hold: a pure function of the file and the node's name. Addresses are plain text in their canonical
form, without the length of a prefix.
"""

from __future__ import annotations

from zcluster.config.configuration import Configuration
from zcluster.control.units import NodeName
from zcluster.telephony.settings import Condition, GroupSettings, TelephonySettings


def telephony_settings_of(configuration: Configuration, node: NodeName) -> TelephonySettings:
    """The settings of `node`. The file must have a [switch]."""
    switch = configuration.switch
    assert switch is not None, "without [switch] there is no data process"
    return TelephonySettings(
        node=node,
        groups=tuple(
            GroupSettings(
                name=group.name,
                profiles=group.profiles,
                addresses=tuple(str(address.ip) for address in group.addresses),
            )
            for group in configuration.groups
        ),
        pulse_ms=switch.pulse_ms,
        pulse_limit_ms=switch.pulse_limit_ms,
        conditions=tuple(Condition(condition.event, condition.match) for condition in switch.conditions),
        batch_calls=switch.batch_calls,
        rates={limit.name: limit.rate for limit in configuration.limits if limit.rate is not None},
        strict_limits={
            limit.name: limit.sessions for limit in configuration.limits if limit.sessions is not None
        },
        limits_port=switch.limits_port,
    )
