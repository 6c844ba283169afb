"""What the telephony core needs of the cluster's file. The same on every node, but for `node`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zcluster.control.units import GroupName, NodeName


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """A group as the switch sees it: the SIP profiles that live on its addresses, and those addresses.

    `addresses` are without a prefix length, as the file lists them.
    """

    name: GroupName
    profiles: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """An event of the switch that means it is broken: every header must match (the original's <condition>).

    `event` is an event name ("HEARTBEAT") or the subclass of a CUSTOM one ("sofia::gateway_state"). `headers`:
    name to exact value.
    """

    event: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TelephonySettings:
    """Of one node. Times in milliseconds. `rates`: allowed in one second cluster-wide, by "realm_resource".

    `strict_limits`: sessions, by the same name and with the dialplan's number, of limits without overshoot.
    `limits_port`: where mod_hash asks for the others' numbers, on 127.0.0.1.
    """

    node: NodeName
    groups: tuple[GroupSettings, ...]
    pulse_ms: int = 50
    pulse_limit_ms: int = 500
    conditions: tuple[Condition, ...] = ()
    batch_calls: int = 50
    rates: Mapping[str, int] = field(default_factory=dict)
    strict_limits: Mapping[str, int] = field(default_factory=dict)
    limits_port: int = 8022

    def group_of_profile(self, profile: str) -> GroupName:
        """The group whose profile this is, "" for a profile of no group."""
        for group in self.groups:
            if profile in group.profiles:
                return group.name
        return ""

    def group(self, name: GroupName) -> GroupSettings:
        """Raises KeyError."""
        for group in self.groups:
            if group.name == name:
                return group
        raise KeyError(name)
