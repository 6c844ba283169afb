from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from zcluster.control.actions import Action
from zcluster.control.events import Event
from zcluster.supervisor.life import Life
from zcluster.supervisor.loop import Loop
from zcluster.supervisor.service_manager import ServiceManager

BEAT_MS = 20
WATCHDOG_MS = 400


class Node:
    """A core that beats, a performer that does nothing, and a clock that stands still between two turns."""

    is_over = False

    def __init__(self) -> None:
        self.now_ms = 1000
        self.line = "n1: SLAVE, holds nothing"
        self.is_stopping = False
        self._deadline_ms = self.now_ms

    def clock(self) -> int:
        return self.now_ms

    def deadline(self) -> int:
        return self._deadline_ms

    def handle(self, _event: Event, now_ms: int) -> list[Action]:
        self._deadline_ms = now_ms + BEAT_MS
        return []

    def perform(self, _action: Action, _now_ms: int) -> Sequence[Event]:
        return ()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def heard(systemd: socket.socket) -> list[str]:
    found = []
    try:
        while True:
            found.append(systemd.recv(200).decode())
    except BlockingIOError:
        return found


def test_the_sign_of_life_is_the_loops_own(systemd: socket.socket, tmp_path: Path) -> None:
    node = Node()
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": str(WATCHDOG_MS * 1000)}
    life = Life(ServiceManager(environment), lambda: node.line, lambda: node.is_stopping)
    loop = Loop(node, node, (life,), node.clock)
    try:
        loop.turn()
        assert heard(systemd) == ["WATCHDOG=1", "READY=1\nSTATUS=n1: SLAVE, holds nothing"]

        signs = 0
        for _ in range(2 * WATCHDOG_MS // BEAT_MS):
            node.now_ms += BEAT_MS
            loop.turn()
            signs += heard(systemd).count("WATCHDOG=1")
        assert signs == 4, "twice within the time that systemd waits"

        node.now_ms += 5 * WATCHDOG_MS  # the loop hangs: nothing speaks for it
        assert heard(systemd) == []
        node.line, node.is_stopping = "n1: STOPPING, holds g1", True
        loop.turn()
        assert heard(systemd) == ["WATCHDOG=1", "STATUS=n1: STOPPING, holds g1", "STOPPING=1"]
    finally:
        loop.close()
        life.close()
