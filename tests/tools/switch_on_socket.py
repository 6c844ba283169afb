"""The laboratory's fake switch behind an event socket, and a tool that listens there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from zcluster.lab.fake_switch.core_db import CoreDatabase
from zcluster.lab.fake_switch.outputs import Now
from zcluster.lab.fake_switch.settings import SwitchPlan
from zcluster.lab.fake_switch.switch import FakeSwitch
from zcluster.switch.client import EslClient
from zcluster.switch.frames import Event
from zcluster.switch.notices import Happened, Opened
from zcluster.switch.server import EslServer
from zcluster.switch.session import ApiAsked, Asking, EventSent
from zcluster.switch.wishes import Login, Wishes
from zcluster.tools.loop import monotonic_ms
from zcluster.tools.switch_events import SwitchEvents

PASSWORD = "secret"
PATIENCE_S = 20


class SwitchOnSocket:
    """`listens`: whether it is there at all; `answers`: whether it takes anything."""

    def __init__(self, directory: Path, subclasses: tuple[str, ...]) -> None:
        self._directory = directory
        self._lives = 0
        self.port = _free_port()
        self.answers = True
        self.refused: tuple[str, ...] = ()
        self.asked: list[str] = []
        self.heard: list[Event] = []
        self.is_listening = False
        wishes = Wishes("listener", subclasses=subclasses, hears_log=False)
        self.listener = EslClient("127.0.0.1", self.port, Login(PASSWORD), wishes)
        self.server: EslServer | None = None
        self.begin()

    def begin(self) -> None:
        """A new life of the switch."""
        self._lives += 1
        plan = SwitchPlan(
            switchname="n1",
            profiles=(),
            event_socket=("127.0.0.1", self.port),
            password=PASSWORD,
            core_db=str(self._directory / f"core{self._lives}.db"),
            carrier=("127.0.0.1", 9),
        )
        self.server = EslServer("127.0.0.1", self.port, PASSWORD)
        database = CoreDatabase(plan.core_db, plan.row_lag_ms)
        self.switch = FakeSwitch(plan, database, "vm", Random(self._lives), _now())

    def end(self) -> None:
        """It is gone."""
        if self.server is not None:
            self.server.close()
            self.server = None
        self.is_listening = False

    def turn(self) -> None:
        """Everything that is due, on both sides."""
        if self.server is not None and self.answers:
            for asking in self.server.receive(monotonic_ms()):
                self._obey(asking)
            for event in self.switch.advance(_now())[1]:
                self.server.publish(event)
        for notice in self.listener.receive(monotonic_ms()):
            if isinstance(notice, Opened):
                self.is_listening = True
            elif isinstance(notice, Happened) and notice.event.subclass.startswith("zcluster::"):
                self.heard.append(notice.event)

    def _obey(self, asking: Asking) -> None:
        match asking:
            case EventSent(event=event):
                self.switch.send_event(event, _now())
            case ApiAsked(client=client, command=command):
                self.asked.append(command)
                outputs: list[str] = ["-ERR no\n"] if command.startswith(self.refused or ("\0",)) else []
                if not outputs:
                    self.switch.ask(command, outputs.append, _now())
                assert self.server is not None
                for each in self.server.answer(client, outputs[0]):
                    self._obey(each)

    def until_with(self, outlet: SwitchEvents) -> Callable[[Callable[[], bool]], None]:
        """What turns the switch and the outlet until something is so."""

        def until(is_so: Callable[[], bool]) -> None:
            end = time.monotonic() + PATIENCE_S
            while not is_so():
                assert time.monotonic() < end, f"it did not happen: {outlet.counts()}"
                self.turn()
                outlet.turn(monotonic_ms())
                time.sleep(0.001)

        return until

    def read(self, words: str) -> str:
        """What `fs_cli` shows for these words: the alias in front, looked up as FreeSWITCH does."""
        first, *others = words.split(" ")
        outputs: list[str] = []
        command = self.switch.state.aliases.get(first, first)
        self.switch.ask(" ".join((command, *others)), outputs.append, _now())
        return outputs[0]


@contextmanager
def stage(directory: Path, subclasses: tuple[str, ...]) -> Iterator[SwitchOnSocket]:
    """A switch for as long as it is needed."""
    switch = SwitchOnSocket(directory, subclasses)
    try:
        yield switch
    finally:
        switch.listener.close()
        switch.end()


def _now() -> Now:
    return Now(monotonic_ms(), time.time_ns() // 1000)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port
