"""What the nodes that live should have in common and have not, and the other way round: for the status.

What must hold: pure; what is not known of a node is no difference; a clock that nobody could have told so exactly is
none either.
"""

from __future__ import annotations

from collections.abc import Mapping

from zcluster.control.view import View

# Two seconds are one step of the sequence number that a re-INVITE is made with (sofia-sip, nta.c).
LARGEST_OFFSET_MS = 500


def differences(view: View, clock_offsets: Mapping[str, int]) -> list[str]:
    """Each as a sentence for an operator. `clock_offsets`: see `zcluster.wire.clocks`."""
    alive = [node for node in view.nodes if node.is_alive]
    builds = {node.name: node.build for node in alive if node.build}
    found = []
    if len(set(builds.values())) > 1:
        found.append(
            f"different builds of FreeSWITCH ({_pairs(builds)}): addresses move between them, calls do not; "
            "install the same one on every node"
        )
    bearers: dict[str, list[str]] = {}
    for node in alive:
        if node.switchname:
            bearers.setdefault(node.switchname, []).append(node.name)
    found += [
        f"the switches of {', '.join(names)} are all called {switchname}, so their calls and registrations cannot be "
        "told apart; give each its own switchname in switch.conf.xml"
        for switchname, names in bearers.items()
        if len(names) > 1
    ]
    wrong = {
        node.name: f"{clock_offsets[node.name]:+d} ms"
        for node in alive
        if node.name != view.node and abs(clock_offsets.get(node.name, 0)) > LARGEST_OFFSET_MS
    }
    if wrong:
        found.append(
            f"clocks differ from that of {view.node} ({_pairs(wrong)}): telephones may refuse re-INVITEs; "
            "run chrony or systemd-timesyncd on every host, with the same servers"
        )
    return found


def _pairs(told: Mapping[str, str]) -> str:
    return ", ".join(f"{node}: {text}" for node, text in told.items())
