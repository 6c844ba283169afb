"""One data process put together.

What must hold: nothing here decides; it is the only place that knows every part. Everything is given back in
reverse order.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from zcluster.adapters.bus import BusKeys
from zcluster.adapters.control_socket import ControlSocket
from zcluster.adapters.core_db import CoreDb
from zcluster.adapters.local_channel import LocalChannel
from zcluster.adapters.stream_bus import StreamBus
from zcluster.adapters.stream_sockets import LinkAddress
from zcluster.data.bus_turns import BusTurns
from zcluster.data.control_link import ControlLink
from zcluster.data.copies import ReplicatedCopies
from zcluster.data.heart import CoreDbWish, Heart
from zcluster.data.limit_turns import LimitTurns
from zcluster.data.listing import Listing
from zcluster.data.loop import Loop, monotonic_ms
from zcluster.data.news import News
from zcluster.data.questions import FILE_NAME, Answers, Questions
from zcluster.data.readiness import Readiness
from zcluster.data.rows import row_makers
from zcluster.data.subscriptions import names_for, subclasses_for
from zcluster.data.switch import Switch
from zcluster.data.switch_turns import CoreDbTurns, SwitchTurns
from zcluster.streams.actions import Tell as StreamTell
from zcluster.streams.limits import StreamLimits
from zcluster.streams.replicator import Replicator
from zcluster.switch.wishes import Login
from zcluster.telephony.actions import Run, Tell
from zcluster.telephony.calls import Calls
from zcluster.telephony.events import Event, HealthCleared, Moment
from zcluster.telephony.limits import Limits
from zcluster.telephony.pulse import Pulse
from zcluster.telephony.registrations import Registrations
from zcluster.telephony.settings import TelephonySettings
from zcluster.telephony.system import Telephony
from zcluster.wire.local_link import Groups, Peers


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that was resolved from the file and this host. `limits_port` 0 takes a free one.

    `bystanders`: see News.
    """

    settings: TelephonySettings
    incarnation: int
    version: str
    switch_address: str
    switch_port: int
    login: Login
    core_db: Path
    limits_port: int
    run_dir: Path
    links: tuple[LinkAddress, ...]
    keys: BusKeys
    bystanders: tuple[str, ...] = ()
    streams: StreamLimits | None = None


def both_clocks() -> Moment:
    """Now."""
    return Moment(monotonic_ms(), time.time_ns() // 1_000_000)


class DataProcess:
    """The parts, wired. `loop` is ready to run; it ends when the control process does."""

    def __init__(self, plan: Plan, channel: LocalChannel, stack: ExitStack) -> None:
        """Raises ZclusterError for what is refused."""
        self._plan = plan
        node = plan.settings.node
        stack.callback(channel.close)
        self._news = News(plan.bystanders)
        self._readiness = Readiness(monotonic_ms())
        self._was_impatient = False
        self.link = ControlLink(channel, self._take_peers, self._take_groups, self._figures)

        self.bus = StreamBus(node, plan.keys, plan.links)
        stack.callback(self.bus.close)
        origin = f"{node}-{plan.incarnation:x}"
        self.switch = Switch(
            plan.switch_address,
            plan.switch_port,
            plan.login,
            origin,
            names_for(plan.settings),
            subclasses_for(plan.settings),
        )
        stack.callback(self.switch.close)
        self._core_db = CoreDb(plan.core_db)
        stack.callback(self._core_db.close)

        self.replicator = Replicator(node, plan.incarnation, secrets.token_bytes(32), plan.streams)
        copies = ReplicatedCopies(self.replicator)
        self._calls = Calls(plan.settings, copies)
        self._registrations = Registrations(plan.settings, copies)
        self._limits = Limits(plan.settings, copies, self._calls.recovered_limits)
        parts = Telephony((Pulse(plan.settings, copies), self._calls, self._registrations, self._limits))
        self.heart = Heart(self.replicator, parts, self, both_clocks)

        socket = ControlSocket(plan.run_dir / FILE_NAME)
        stack.callback(socket.close)
        listing = Listing(copies, row_makers(plan.settings, both_clocks), node, socket.answer)
        answers = Answers(self._calls.lost, self._limits.rows, self._streams, self._clear)
        self._limit_turns = LimitTurns(
            plan.limits_port, plan.login.password, self._limits.answer, self._tell_plainly
        )
        stack.callback(self._limit_turns.close)
        self._bus_turns = BusTurns(self.bus, lambda: self.heart)
        self.loop = Loop(
            urgent=(SwitchTurns(self.switch, self.heart, self.link.tell_identity), self.link),
            cores=self.heart,
            later=(
                self._limit_turns,
                Questions(socket, listing, answers, node, plan.version),
            ),
            bulk=(
                CoreDbTurns(self._core_db, self.heart, self._tell_plainly),
                self._bus_turns,
                listing,
            ),
            is_over=lambda: self.link.is_over,
        )
        stack.callback(self.loop.close)
        self._core_db.begin()
        self.bus.run(monotonic_ms())

    def begin(self) -> None:
        """Say how we begin: not ready, and with a switch that was not heard yet."""
        self.copies_changed()

    @property
    def limits_port(self) -> int:
        """Where mod_hash asks; 0 while nothing listens."""
        return self._limit_turns.port

    # -- the control process

    def _take_peers(self, peers: Peers) -> None:
        news = self._news.take_peers(peers)
        for failed in news.failed:
            self.heart.take_peer(failed)
        self._bus_turns.set_peers(news.places)
        for heard in news.heard:
            self.heart.take_peer(heard)
        if news.changed is not None:
            self.heart.take(news.changed)
        self.copies_changed()

    def _take_groups(self, groups: Groups) -> None:
        for event in self._news.take_groups(groups):
            self.heart.take(event)

    def copies_changed(self) -> None:
        """Say how complete the copies are."""
        alive = self._news.alive if self._news.are_peers_known else None
        judged = self._readiness.judge(alive, self.replicator.completeness(), monotonic_ms())
        if judged.is_ready and self._readiness.lacking and not self._was_impatient:
            lacking = ", ".join(self._readiness.lacking)
            text = f"ready without complete copies of {lacking}: waited for long enough"
            self._tell_plainly("warning", "copies-incomplete", text)
        self._was_impatient = judged.is_ready and bool(self._readiness.lacking)
        self.link.tell_completeness(judged)

    # -- hands of the cores

    def run(self, action: Run, now_ms: int) -> list[Event]:
        """Give the switch a command."""
        return self.switch.run(action, now_ms)

    def send_pulse(self, now_ms: int) -> None:
        """Send a pulse through the switch."""
        self.switch.send_pulse(now_ms)

    def submit(self, wish: CoreDbWish) -> None:
        """Have the switch's table changed."""
        self._core_db.submit(wish)

    def publish(self, stream: str, body: bytes) -> None:
        """Send to all nodes."""
        self.bus.publish(stream, body)

    def send(self, node: str, body: bytes) -> None:
        """Send to one node."""
        self.bus.send(node, body)

    def tell_health(self, subject: str, problem: str) -> None:
        """For the control process, at once."""
        self.link.tell_health(subject, problem)

    def tell(self, told: StreamTell | Tell) -> None:
        """For the journal."""
        self.link.tell(told.level, told.code, told.text, told.facts)

    def _tell_plainly(self, level: str, code: str, text: str) -> None:
        self.link.tell(level, code, text, {})

    # -- questions

    def _clear(self) -> None:
        self.heart.take(HealthCleared())

    def _streams(self) -> Mapping[str, object]:
        own = {
            name: {
                "records": tables.own.table.count,
                "claims": len(tables.own.table.claims),
                "sequence": tables.own.sequence,
                "is_whole": tables.own.is_whole,
            }
            for name, tables in self.replicator.tables.items()
        }
        # What an adopter has taken over stays with the orphan for a while, and counts no more.
        current = {name: set(tables.winners().values()) for name, tables in self.replicator.tables.items()}
        copies = [
            {
                "node": stream.node,
                "incarnation": stream.incarnation,
                "stream": stream.name,
                "records": copy.table.count,
                "claims": len(copy.table.claims),
                "sequence": copy.applied,
                "behind": copy.behind,
                "percent": copy.percent,
                "is_orphan": copy.is_orphan,
                "is_current": not copy.is_orphan or stream in current[stream.name],
            }
            for tables in self.replicator.tables.values()
            for stream, copy in tables.copies.items()
        ]
        return {
            "own": own,
            "copies": copies,
            "paths": self.bus.paths(),
            "links": self.bus.problems(),
            "figures": self._figures(),
        }

    def _figures(self) -> dict[str, int]:
        # Once a second is often enough for percents that grow.
        self.copies_changed()
        figures = self.loop.figures
        found = {
            "turns": figures.turns,
            "busy_us": figures.busy_us,
            "worst_turn_us": figures.worst_turn_us,
            "worst_oversleep_ms": figures.worst_oversleep_ms,
            "cpu_ms": time.process_time_ns() // 1_000_000,
            "pulses_unsent": self.switch.unsent_pulses,
            "pulse_ms": self.switch.pulse_ms,
            "longest_pulse_ms": self.switch.longest_pulse_ms,
            "limit_clients": self._limit_turns.clients,
        }
        for name, tables in self.replicator.tables.items():
            found[f"{name}_own"] = tables.own.table.count
            found[f"{name}_copied"] = sum(copy.table.count for copy in tables.copies.values())
            found[f"{name}_own_claims"] = len(tables.own.table.claims)
            found[f"{name}_copied_claims"] = sum(len(copy.table.claims) for copy in tables.copies.values())
        for prefix, counts in (
            ("bus_", self.bus.counts),
            ("streams_", self.replicator.counts),
            ("messages_", self.heart.counts),
            ("calls_", self._calls.counts),
            ("registrations_", self._registrations.counts),
            ("limits_", self._limits.counts),
            ("link_", self.link.counts),
        ):
            found.update((prefix + word, count) for word, count in sorted(counts.items()))
        return found
