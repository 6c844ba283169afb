"""What the nodes that live should have in common and have not, and the other way round: for the status's warnings.

What must hold: pure; what is not known of a node is no difference; a clock that nobody could have told so exactly is
none either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zcluster.control.view import View

# Two seconds are one step of the sequence number that a re-INVITE is made with (sofia-sip, nta.c).
LARGEST_OFFSET_MS = 500


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning of the status document. `code`: see `zcluster.codes`. `age_ms`: of an alarm that was told, how long
    ago it was; None for what stands now.
    """

    level: str
    code: str
    text: str
    age_ms: int | None = None

    def plain(self) -> dict[str, object]:
        """As JSON-ready values."""
        return {"level": self.level, "code": self.code, "text": self.text, "age_ms": self.age_ms}


def differences(view: View, clock_offsets: Mapping[str, int]) -> list[Warned]:
    """Each as a sentence for an operator. `clock_offsets`: see `zcluster.wire.clocks`."""
    alive = [node for node in view.nodes if node.is_alive]
    builds = {node.name: node.build for node in alive if node.build}
    found = [
        Warned(
            "warning",
            "other-file",
            f"{node.name} runs another file: compare `sha256sum` of it on both hosts",
        )
        for node in view.nodes
        if not node.same_settings
    ]
    if len(set(builds.values())) > 1:
        text = (
            f"different builds of FreeSWITCH ({_pairs(builds)}): addresses move between them, calls do not; "
            "install the same one on every node"
        )
        found.append(Warned("warning", "different-builds", text))
    bearers: dict[str, list[str]] = {}
    for node in alive:
        if node.switchname:
            bearers.setdefault(node.switchname, []).append(node.name)
    found += [
        Warned(
            "warning",
            "same-switchname",
            f"the switches of {', '.join(names)} are all called {switchname}, so their calls and registrations "
            "cannot be told apart; give each its own switchname in switch.conf.xml",
        )
        for switchname, names in bearers.items()
        if len(names) > 1
    ]
    wrong = {
        node.name: f"{clock_offsets[node.name]:+d} ms"
        for node in alive
        if node.name != view.node and abs(clock_offsets.get(node.name, 0)) > LARGEST_OFFSET_MS
    }
    if wrong:
        text = (
            f"clocks differ from that of {view.node} ({_pairs(wrong)}): telephones may refuse re-INVITEs; "
            "run chrony or systemd-timesyncd on every host, with the same servers"
        )
        found.append(Warned("warning", "clock-difference", text))
    return found


def _pairs(told: Mapping[str, str]) -> str:
    return ", ".join(f"{node}: {text}" for node, text in told.items())
