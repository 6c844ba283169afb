"""What a node says of itself: its status, its figures, one line for the service manager, how it starts and stalls.

What must hold: reads every part and changes none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from zcluster.adapters.bus import Bus
from zcluster.adapters.control_socket import ControlSocket
from zcluster.config.configuration import Configuration
from zcluster.control.actions import Tell
from zcluster.control.durations import duration
from zcluster.control.node import Node
from zcluster.control.view import view
from zcluster.supervisor.chronicle import Chronicle, wall_ms
from zcluster.supervisor.data_child import DataChild
from zcluster.supervisor.differences import Warned
from zcluster.supervisor.discovery import Discovery
from zcluster.supervisor.following import Following
from zcluster.supervisor.ground import Ground
from zcluster.supervisor.loop import Loop, monotonic_ms
from zcluster.supervisor.perform import Performer
from zcluster.supervisor.places import link_facts
from zcluster.supervisor.round_trips import RoundTrips
from zcluster.supervisor.status import Surroundings, status_of
from zcluster.supervisor.tools_child import ToolsChild
from zcluster.supervisor.transport import ALL_LINKS, Transport
from zcluster.wire.reader import BeatReader


@dataclass(frozen=True, slots=True)
class Own:
    """This life: `started_ms` on the monotonic clock; `notices` of its start."""

    version: str
    incarnation: int
    started_ms: int
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """Who is asked. `recorded`: counts of the recorder, if there is one; `data`, `tools` None without that process."""

    node: Node
    loop: Loop
    reader: BeatReader
    bus: Bus
    transport: Transport
    discovery: Discovery
    control: ControlSocket
    performer: Performer
    chronicle: Chronicle
    recorded: Mapping[str, int]
    following: Following
    data: DataChild | None
    tools: ToolsChild | None
    round_trips: RoundTrips


class Account:
    """Of one running node."""

    def __init__(self, configuration: Configuration, ground: Ground, own: Own, parts: Parts) -> None:
        self.own = own
        self._configuration = configuration
        self._ground = ground
        self._parts = parts

    def one_line(self) -> str:
        """For the service manager's own status."""
        situation = self._parts.node.situation
        holds = ", ".join(self._parts.node.holder.holds()) or "nothing"
        return f"{situation.name}: {situation.state}, holds {holds}"

    def beginning(self) -> str:
        """The first line of a life."""
        name = self._parts.node.situation.name
        return f"zcluster {self.own.version} starts as {name} of {self._configuration.name}"

    def status(self) -> dict[str, object]:
        """The status document (`zcluster.supervisor.status`)."""
        parts, own, now_ms = self._parts, self.own, monotonic_ms()
        seen = view(parts.node, now_ms)
        around = Surroundings(
            version=own.version,
            incarnation=own.incarnation,
            up_ms=now_ms - own.started_ms,
            made_ms=now_ms,
            wall_ms=wall_ms(),
            silence_ms=parts.node.situation.timing.silence_ms,
            forget_after_ms=parts.node.situation.settings.forget_after_ms,
            is_observing=self._configuration.is_observing,
            links=link_facts(self._configuration, self._ground.identity),
            notices=own.notices,
            warnings=(
                *link_warnings(
                    parts.transport.problems(),
                    {local.link.name: local.interface for local in self._ground.identity.links},
                    dict(seen.own_links),
                ),
                *(Warned("warning", "peer-unresolved", text) for text in parts.discovery.problems()),
            ),
            counters=self._counters(),
            data=parts.data.facts() if parts.data is not None else None,
            tools=parts.tools.facts() if parts.tools is not None else None,
            clock_offsets=parts.reader.clocks.offsets(),
            round_trips_us=parts.round_trips.of([node.name for node in seen.nodes if node.is_alive], now_ms),
            behind_ms=parts.transport.lateness.known(),
        )
        return status_of(seen, around, parts.chronicle.story)

    def _counters(self) -> dict[str, int]:
        parts, figures = self._parts, self._parts.loop.figures
        found = {
            "turns": figures.turns,
            "events": figures.events,
            "ticks": figures.ticks,
            "busy_us": figures.busy_us,
            "worst_turn_us": figures.worst_turn_us,
            "worst_tick_late_ms": figures.worst_tick_late_ms,
            "worst_oversleep_ms": figures.worst_oversleep_ms,
            "floods": figures.floods,
            "cpu_ms": time.process_time_ns() // 1_000_000,
            "control_clients_dropped": parts.control.dropped_clients,
            "followers": len(parts.following),
            "neighbour_frames_malformed": self._ground.neighbours.malformed,
        }
        for prefix, counts in (
            ("beats_", parts.reader.counts),
            ("bus_", parts.bus.counts),
            ("", parts.transport.counts),
            ("", parts.discovery.counts),
            ("", parts.performer.counts),
            ("", parts.chronicle.counts),
            ("recording_", parts.recorded),
            ("followers_", parts.following.counts),
            ("tools_child_", parts.tools.counts if parts.tools is not None else {}),
            ("data_child_", parts.data.counts if parts.data is not None else {}),
            ("data_", parts.data.figures if parts.data is not None else {}),
        ):
            found.update((prefix + word, count) for word, count in sorted(counts.items()))
        return found


def tell_start(tell: Callable[[Tell], None], account: Account, damage: str) -> None:
    """For the story: that it starts, what was wrong with its memory ("" for nothing), and what the host lacks."""
    own = account.own
    facts = {"incarnation": own.incarnation, "version": own.version}
    tell(Tell("notice", "started", account.beginning(), facts))
    if damage:
        tell(Tell("alarm", "memory-damaged", damage, {}))
    for notice in own.notices:
        tell(Tell("warning", "host", notice, {}))


def link_warnings(
    problems: Mapping[str, str], interfaces: Mapping[str, str], ups: Mapping[str, bool]
) -> list[Warned]:
    """Of links that cannot be used here; all three by the link's name. Each word is said once."""
    found = []
    for name, problem in problems.items():
        if name == ALL_LINKS:
            found.append(Warned("warning", "beats-unsendable", f"link {name}: {problem}"))
            continue
        interface = interfaces.get(name, "")
        place = f"link {name} (interface {interface})" if interface else f"link {name}"
        why = problem.removeprefix(f"{interface}: ").removeprefix(f"{name}: ")
        text = f"{place}: {why}" if ups.get(name, True) else f"{place} is down"
        found.append(Warned("warning", "link-broken", text))
    return found


def stall_teller(name: str, tell: Callable[[Tell], None]) -> Callable[[int, int], None]:
    """For the story: a node that stood still knows it best itself. Takes milliseconds overslept and busy."""

    def told(overslept_ms: int, busy_ms: int) -> None:
        if overslept_ms >= busy_ms:
            text = f"{name} was not given a processor for {duration(overslept_ms)}"
        else:
            text = f"{name} was busy, or interrupted at work, for {duration(busy_ms)}"
        tell(Tell("warning", "stalled", text, {"overslept_ms": overslept_ms, "busy_ms": busy_ms}))

    return told
