"""The cluster's file for the laboratory: the same text for every host, made from the plan.

What must hold: it is a file like any operator's, read by the real daemon with nothing overridden; the hosts of
the laboratory differ in their host names and addresses, as real ones do.
"""

from __future__ import annotations

from pathlib import Path

from zcluster.lab.host import RUN_DIRECTORY, STATE_DIRECTORY
from zcluster.lab.plan import LENGTH_V4, LENGTH_V6, NETWORK_PREFIX, GroupPlan, Network, Plan, SwitchKind
from zcluster.lab.switches import switch_section

_LINK_NAME = {Network.RING1: "ring1", Network.RING2: "ring2", Network.SERVICE: "service"}


def cluster_file(plan: Plan, key_file: Path, password_file: Path | None = None) -> str:
    """The TOML text; see conf/example.toml for what each key means. `password_file`: of the switch, if any."""
    lets_hold_several = plan.lets_hold_several
    if lets_hold_several is None:
        lets_hold_several = len(plan.groups) > plan.majority
    head = f"""\
[cluster]
name = "laboratory"
expected-nodes = {len(plan.nodes)}
preset = "{plan.preset}"
key-file = "{key_file}"
state-dir = "{STATE_DIRECTORY}"
run-dir = "{RUN_DIRECTORY}"
several-groups-per-node = {"true" if lets_hold_several else "false"}
survivor-claims = {"true" if _is_pair(plan) else "false"}
forget-after-s = {plan.forget_after_s}
recording = "{"on" if plan.is_recording else "off"}"
"""
    links = [_link(network) for network in Network]
    if _is_pair(plan):  # what a survivor knows its own cable by: the client answers as a router would
        links[-1] += f'reference = ["{plan.client.address(Network.SERVICE)}"]\n'
    groups = [
        _group(group, 100 * (len(plan.groups) - number), plan.switch)
        for number, group in enumerate(plan.groups)
    ]
    switch = [switch_section(password_file)] if password_file else []
    return "\n".join([head, *links, *groups, *switch, _tools(plan)])


def _tools(plan: Plan) -> str:
    if not plan.has_tools:  # a process less on each of many nodes of a small machine
        return "[tools]\nlisten = []\nswitch-events = false\n"
    service = _LINK_NAME[Network.SERVICE]
    return f'[tools]\nlisten = ["{service}", "loopback"]\nmetrics = "{service}"\n'


def _is_pair(plan: Plan) -> bool:
    return len(plan.nodes) == 2


def _link(network: Network) -> str:
    third = NETWORK_PREFIX[network].rsplit(".", 1)[1]
    return f"""\
[[link]]
name = "{_LINK_NAME[network]}"
role = "{"service" if network is Network.SERVICE else "cluster"}"
network = "{_network(network)}"
multicast = "239.77.{third}.1"
"""


def _group(group: GroupPlan, priority: int, switch: SwitchKind) -> str:
    profiles = "" if switch is SwitchKind.NONE else f'profiles = ["{group.profile}"]\n'
    return f"""\
[[group]]
name = "{group.name}"
addresses = ["{group.address_v4}/{LENGTH_V4}", "{group.address_v6}/{LENGTH_V6}"]
interface = "{_network(Network.SERVICE)}"
priority = {priority}
{profiles}"""


def _network(network: Network) -> str:
    return f"{NETWORK_PREFIX[network]}.0/{LENGTH_V4}"
