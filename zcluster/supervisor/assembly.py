"""One running node put together: adapters, core, loop.

What must hold: the order. The gate stands closed and a predecessor's addresses are gone before a socket for
beats is opened, except for what a planned restart left open (succession.py); what may be refused is asked for
early; everything is given back in reverse order. Nothing here decides; it is the only place that knows every
part.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from zcluster.adapters import realtime
from zcluster.adapters.bus import Bus, BusKeys
from zcluster.adapters.control_socket import ControlSocket
from zcluster.adapters.journal import Journal
from zcluster.adapters.log import open_log
from zcluster.config.configuration import Configuration
from zcluster.control.actions import AnswerWish, Tell
from zcluster.control.document import Freeze
from zcluster.control.events import Event
from zcluster.control.node import Node
from zcluster.control.units import NodeName
from zcluster.recording.beginning import Birth
from zcluster.recording.segments import SegmentWriter
from zcluster.supervisor.account import Account, Own, Parts, stall_teller, tell_start
from zcluster.supervisor.child_start import ChildStarter
from zcluster.supervisor.chronicle import Chronicle, wall_ms
from zcluster.supervisor.data_child import DataChild
from zcluster.supervisor.data_news import News
from zcluster.supervisor.data_start import DATA_PROCESS, has_data_process
from zcluster.supervisor.discovery import Discovery
from zcluster.supervisor.freeze_end import FreezeEnd
from zcluster.supervisor.gathering import Gathering
from zcluster.supervisor.ground import Ground, prepare_ground
from zcluster.supervisor.interfaces import Interfaces
from zcluster.supervisor.life import Life
from zcluster.supervisor.link_watch import LinkWatch
from zcluster.supervisor.loop import Loop, monotonic_ms
from zcluster.supervisor.observing import (
    ObservedGate,
    Teller,
    observed_settings,
    observed_teller,
)
from zcluster.supervisor.older_lives import OlderLives
from zcluster.supervisor.perform import Doors, Performer
from zcluster.supervisor.places import (
    gated_interfaces,
    link_place,
    listed_links,
)
from zcluster.supervisor.questions import Questions
from zcluster.supervisor.recorder import DIRECTORY_NAME, Recorder
from zcluster.supervisor.round_trips import RoundTrips
from zcluster.supervisor.service_manager import ServiceManager
from zcluster.supervisor.settings import settings_of
from zcluster.supervisor.side_thread import SideThread
from zcluster.supervisor.sightings import Sightings
from zcluster.supervisor.signals import ASKED_BY_SIGNAL, StopSignals
from zcluster.supervisor.story import LARGEST_RECORDS, Story
from zcluster.supervisor.tools_child import ToolsChild
from zcluster.supervisor.tools_start import has_tools_process, tools_process
from zcluster.supervisor.transport import Transport
from zcluster.wire.beacon import Envelope
from zcluster.wire.codec import BeatEncoder
from zcluster.wire.keys import WireKeys, derive, observing
from zcluster.wire.reader import BeatReader

SWITCH_INTERVAL_S = 0.0005  # how long a side thread may keep the interpreter from the loop
STALL_SHARE = 3  # of a lease: what is worth telling
SIDE_PRIORITY = realtime.DEFAULT_PRIORITY - 1


@contextmanager
def assemble(
    configuration: Configuration, secret: bytes, node_name: str | None, content: bytes | None = None
) -> Iterator[Running]:
    """Everything up to the first turn; closed behind the last. Raises ZclusterError for what is refused.

    `content`: the file's, which our children read for themselves; without it there are none.
    """
    with ExitStack() as stack:
        ground = prepare_ground(configuration, node_name, stack)
        used = observing(secret) if configuration.is_observing else secret
        yield _Assembly(configuration, ground, derive(used), stack, content)


class Running(Protocol):
    """A node ready to run. `keeps_open` after the loop's end: what it holds stays open for the next life."""

    loop: Loop

    @property
    def keeps_open(self) -> bool: ...


class _Assembly:
    """The parts of one node, wired. `loop` is ready to run."""

    def __init__(
        self,
        configuration: Configuration,
        ground: Ground,
        keys: WireKeys,
        stack: ExitStack,
        content: bytes | None,
    ) -> None:
        self._configuration = configuration
        self._ground = ground
        settings = settings_of(configuration)
        self._settings = observed_settings(settings) if configuration.is_observing else settings
        self._name = ground.identity.node
        self._version = _version()
        started_ms = monotonic_ms()

        succession = ground.succession
        self._incarnation = succession.incarnation
        self._journal = Journal(configuration.state_dir)
        self._log = open_log(configuration.log_format, sys.stderr, os.environ)
        self._disk = SideThread("zcluster-disk", SIDE_PRIORITY)
        self._kernel = SideThread("zcluster-kernel", SIDE_PRIORITY)
        stack.callback(self._log.close)
        stack.callback(self._journal.close)
        stack.callback(self._disk.stop)
        stack.callback(self._kernel.stop)
        has_data = has_data_process(configuration, self._settings, self._name)
        has_tools = has_tools_process(configuration, has_data)
        starter: ChildStarter | None = None
        if content is not None and (has_data or has_tools):
            starter = ChildStarter(content, self._name, configuration.run_dir, SIDE_PRIORITY, stack)

        self._reader = BeatReader((keys,), self._name, self._incarnation)
        self._bus = Bus(BusKeys(keys.server, keys.client))
        places = [link_place(local) for local in ground.identity.links]
        self._transport = Transport(
            self._name,
            places,
            self._reader,
            BeatEncoder(),
            Envelope((keys,)),
            self._bus,
            configuration.timing,
            self._kernel.submit,
        )
        stack.callback(self._transport.close)
        self._names = SideThread("zcluster-names", SIDE_PRIORITY)
        # Not waited for at the end: a name server may say nothing for half a minute.
        stack.callback(self._names.submit_end)
        self._discovery = Discovery(
            listed_links(ground.identity), self._transport.listed, self._names.submit, monotonic_ms
        )
        self._chronicle = Chronicle(
            self._name,
            self._incarnation,
            Story(self._journal.recent(LARGEST_RECORDS)),
            self._journal,
            self._disk,
            self._transport.publish_story,
            self._log,
        )
        self._interfaces = Interfaces(ground.links, places, ground.service_interfaces, ground.own_macs)
        self._sightings = Sightings(
            ground.own_macs,
            [address for group in ground.groups for address in group.addresses],
            [canary for group in ground.groups for canary in group.canaries],
            [(reference.link, reference.address) for reference in ground.references],
        )

        self._control = ControlSocket(configuration.control_socket)
        stack.callback(self._control.close)
        self._questions = Questions(
            self._control,
            self._chronicle.story,
            lambda: self._account.status(),
            self._name,
            self._incarnation,
            self._version,
            monotonic_ms,
        )
        self._performer = Performer(
            Doors(
                gate=ground.gate,
                addresses=ground.addresses,
                neighbours=ground.neighbours,
                send_beat=self._transport.send,
                store=succession.file.store,
                submit_disk=self._disk.submit,
                submit_kernel=self._kernel.submit,
                tell=self._teller(),
                answer_wish=self._answer,
            ),
            ground.groups,
            ground.references,
            gated_interfaces(ground.groups),
            monotonic_ms,
        )
        signals = StopSignals(monotonic_ms, self._give_up)
        stack.callback(signals.close)
        self._notices = [*ground.notices, *realtime.prepare().refusals]
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        durable, now_ms = succession.begin(self._performer)
        birth = Birth(
            self._name,
            self._settings,
            durable,
            self._incarnation,
            ground.own_macs,
            self._interfaces.carriers(),
            now_ms,
            self._version,
        )
        self._node = birth.node()
        core = self._listened(birth, stack)
        self._data = self._data_child(starter) if starter is not None and has_data else None
        self._tools = (
            self._tools_child(starter, has_data, stack) if starter is not None and has_tools else None
        )
        self._life = Life(ServiceManager(), lambda: self._account.one_line(), lambda: signals.is_stopping)
        stack.callback(self._life.close)
        self.loop = Loop(
            core,
            self._performer,
            (
                self._transport,
                self._discovery,
                self._performer,
                self._questions,
                self._questions.following,
                self._chronicle,
                signals,
                self._life,
                OlderLives(self._reader.take_older, self._is_alive, self._chronicle.tell, now_ms),
                LinkWatch(
                    [place.link for place in places],
                    configuration.timing.silence_ms,
                    self._node.situation.detector.alive,
                    self._chronicle.tell,
                    now_ms,
                ),
                FreezeEnd(self._freeze, self._living_offsets, wall_ms, now_ms),
                *((self._data,) if self._data is not None else ()),
                *((self._tools,) if self._tools is not None else ()),
            ),
            monotonic_ms,
            Gathering(self._node, configuration.timing),
            stall_teller(self._name, self._chronicle.tell),
            configuration.timing.lease_ms // STALL_SHARE,
            self._data.after_turn if self._data is not None else None,
        )
        stack.callback(self.loop.close)
        self.loop.watch(signals.fileno(), signals.receive)
        self.loop.watch(self._disk.fileno(), self._disk.receive)
        self.loop.watch(self._kernel.fileno(), self._kernel.receive)
        self.loop.watch(self._names.fileno(), self._names.receive)
        if starter is not None:
            starter.watch(self.loop)
        self.loop.watch(self._control.fileno(), self._questions.receive)
        self.loop.watch(ground.links.fileno(), self._receive_links)
        self.loop.watch(ground.neighbours.fileno(), self._receive_sightings)
        self._notices += succession.notices
        self._account = Account(
            configuration,
            ground,
            Own(self._version, self._incarnation, started_ms, tuple(self._notices)),
            Parts(
                self._node,
                self.loop,
                self._reader,
                self._bus,
                self._transport,
                self._discovery,
                self._control,
                self._performer,
                self._chronicle,
                self._recorded,
                self._questions.following,
                self._data,
                self._tools,
                RoundTrips({place.bus_port for place in places}, self._transport.places, self._names),
            ),
        )
        stack.callback(self._tell_the_last)
        tell_start(self._chronicle.tell, self._account, succession.damage)
        self._transport.attach(self.loop, monotonic_ms(), self._chronicle.hear)

    def _listened(self, birth: Birth, stack: ExitStack) -> Node | Recorder:
        """The core as the loop sees it: with an ear, where the file wants a recording."""
        self._recorded: Counter[str] = Counter()
        if not self._configuration.is_recording:
            return self._node
        writer = SegmentWriter(self._configuration.state_dir / DIRECTORY_NAME)
        recorder = Recorder(self._node, birth, writer, self._disk.submit, wall_ms)
        self._recorded = recorder.counts
        stack.callback(recorder.close)
        return recorder

    def _data_child(self, starter: ChildStarter) -> DataChild:
        """The keeper of the data process."""
        doors = starter.doors(DATA_PROCESS, lambda: self.loop, self._chronicle.tell)
        child = DataChild(doors, News(self._node, self._transport.places), monotonic_ms)
        starter.closes(child.close)
        return child

    def _tools_child(self, starter: ChildStarter, has_switch: bool, stack: ExitStack) -> ToolsChild:
        """The keeper of the tools process."""
        doors = starter.doors(tools_process(has_switch), lambda: self.loop, self._chronicle.tell)
        child = ToolsChild(doors, monotonic_ms)
        stack.callback(child.close)  # before the control socket, whose end would mean a daemon that is gone
        return child

    def _tell_the_last(self) -> None:
        """What the last turn told reaches who follows, as far as that takes it at once."""
        self._questions.following.run(monotonic_ms())

    # ---- intakes

    def _receive_links(self) -> list[Event]:
        self._discovery.hasten()
        return self._interfaces.receive(
            self._transport, self._ground.neighbours, self._performer, monotonic_ms()
        )

    def _receive_sightings(self) -> list[Event]:
        found = []
        for sighting in self._ground.neighbours.receive():
            event = self._sightings.event(sighting.address, sighting.mac, sighting.kind)
            if event is not None:
                found.append(event)
        return found

    @property
    def keeps_open(self) -> bool:
        """Whether this life ended for a planned restart."""
        return self._performer.keeps_open

    def _freeze(self) -> Freeze | None:
        document = self._node.situation.document
        return document.freeze if document is not None else None

    def _living_offsets(self) -> dict[NodeName, int]:
        offsets = self._reader.clocks.offsets()
        return {name: ahead_ms for name, ahead_ms in offsets.items() if self._is_alive(name)}

    def _is_alive(self, node: NodeName) -> bool:
        return self._node.situation.detector.is_alive(node, monotonic_ms())

    # ---- words

    def _teller(self) -> Teller:
        """Who hears the core."""
        gate = self._ground.gate
        if not isinstance(gate, ObservedGate):
            return self._chronicle.tell
        gate.tell = observed_teller(self._chronicle.tell)
        return gate.tell

    def _answer(self, answer: AnswerWish) -> None:
        if answer.identity == ASKED_BY_SIGNAL and not answer.is_accepted:
            self._chronicle.tell(Tell("warning", "restart-refused", answer.text, {}))
        self._questions.answer_wish(answer)

    def _give_up(self) -> None:
        text = "the orderly stop took too long; the kernel ends what is left of the leases"
        self._chronicle.tell(Tell("warning", "stop-cut-short", text, {}))
        self._performer.is_over = True


def _version() -> str:
    try:
        return version("zcluster")
    except PackageNotFoundError:
        return "unknown"
