"""The keeper of the tools process, with a real loop, a real pair and real children."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.config.texts import GOOD, accepted
from tests.supervisor.test_data_child import Node
from zcluster.adapters.child_process import TOOLS_STANDING, ChildProcess, spawn
from zcluster.errors import KernelRefused
from zcluster.supervisor import tools_child
from zcluster.supervisor.child_start import ChildDoors
from zcluster.supervisor.loop import Loop
from zcluster.supervisor.restarts import BACKOFF_MS, GOOD_LIFE_MS, Restarts
from zcluster.supervisor.side_thread import SideThread
from zcluster.supervisor.tools_child import ToolsChild
from zcluster.supervisor.tools_start import has_tools_process

LIMIT_S = 30.0
LIVES = "while other.recv(9): pass"


class Stage:
    """A node with its loop and the keeper of a child that runs `script`."""

    def __init__(self, script: str = LIVES) -> None:
        self.node = Node()
        self.script = script
        self.children: list[ChildProcess] = []
        self.thread = SideThread("test-tools")
        doors = ChildDoors(
            self.start, self.thread.submit, lambda fd, intake: self.loop.watch(fd, intake),
            lambda fd: self.loop.forget(fd), self.node.told.append,
        )  # fmt: skip
        self.tools = ToolsChild(doors, self.node.clock)
        self.loop = Loop(self.node, self.node, (self.tools,), self.node.clock)
        self.loop.watch(self.thread.fileno(), self.thread.receive)

    def start(self, descriptor: int) -> ChildProcess:
        if self.node.is_refusing:
            raise KernelRefused("no more processes")
        words = f"import socket, sys\nother = socket.socket(fileno={descriptor})\n{self.script}"
        self.children.append(spawn((sys.executable, "-I", "-c", words), descriptor, standing=TOOLS_STANDING))
        return self.children[-1]

    def until(self, is_so: Callable[[], bool]) -> None:
        end_s = time.monotonic() + LIMIT_S
        while not is_so():
            assert time.monotonic() < end_s, (self.node.told, self.tools.counts)
            self.loop.turn()

    def close(self) -> None:
        self.tools.close()
        self.thread.stop()
        self.loop.close()
        for child in self.children:
            child.kill()
            assert child.reap(LIMIT_S), "no child outlives its test"


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


def test_it_is_started_and_ends_with_us(stage: Stage) -> None:
    stage.until(lambda: stage.tools.facts().pid is not None)
    assert stage.tools.facts().restarts == 0
    stage.tools.close()
    assert stage.children[0].reap(LIMIT_S) == "ended with status 0"
    assert stage.tools.deadline() is None, "and it is not begun anew"


def test_one_that_ends_is_begun_anew_and_it_is_told(stage: Stage) -> None:
    stage.until(lambda: bool(stage.children))
    stage.children[0].kill()
    stage.until(lambda: len(stage.children) == 2 and stage.tools.facts().pid is not None)
    (told,) = stage.node.told
    assert (told.level, told.code) == ("warning", "tools-ended")
    assert "was ended by SIGKILL" in told.text
    assert f"starts again in {BACKOFF_MS[0]} ms" in told.text
    assert stage.node.events == [], "the core hears nothing of it"
    assert stage.tools.facts().restarts == 1


def test_one_that_cannot_be_started_is_tried_again_later_each_time(stage: Stage) -> None:
    stage.node.is_refusing = True
    stage.until(lambda: stage.tools.counts["ended"] == 2)
    assert "no more processes" in stage.node.told[0].text
    stage.node.is_refusing = False
    stage.until(lambda: stage.tools.facts().pid is not None)


def test_one_that_says_nothing_more_for_long_is_ended(stage: Stage, tmp_path: Path) -> None:
    sign = tmp_path / "said"
    stage.script = f"other.send(b'turning')\nopen({str(sign)!r}, 'w')\nwhile True: pass"
    stage.until(sign.exists)
    for late_ms in (tools_child.LOOK_MS, tools_child.SILENT_LIMIT_MS):
        due_ms = stage.tools.deadline()
        stage.node.late_ms += late_ms
        stage.until(lambda due_ms=due_ms: stage.tools.deadline() != due_ms)  # type: ignore[misc]
    stage.until(lambda: len(stage.children) == 2)
    assert "SIGKILL" in stage.node.told[0].text


def test_one_that_starts_slowly_is_waited_for_and_not_for_ever(stage: Stage) -> None:
    stage.script = "while True: pass"
    stage.until(lambda: stage.tools.facts().pid is not None)
    due_ms = stage.tools.deadline()
    stage.node.late_ms += tools_child.SILENT_LIMIT_MS
    stage.until(lambda: stage.tools.deadline() != due_ms)
    assert stage.tools.facts().pid is not None
    assert stage.node.told == []
    stage.node.late_ms += tools_child.START_LIMIT_MS
    stage.until(lambda: len(stage.children) == 2)
    assert "SIGKILL" in stage.node.told[0].text


def test_one_that_says_something_now_and_then_is_left_alone(stage: Stage, tmp_path: Path) -> None:
    """What it said before is enough for three looks of five, however long it gets no processor then."""
    sign = tmp_path / "said"
    begin = f"for _ in range(160): other.send(b'turning')\nopen({str(sign)!r}, 'w')\n"
    stage.script = f"{begin}while True: other.send(b'turning')"
    stage.until(sign.exists)
    for _ in range(5):
        stage.node.late_ms += tools_child.LOOK_MS
        due_ms = stage.tools.deadline()
        while stage.tools.deadline() == due_ms:
            stage.loop.turn()
    assert stage.node.told == []


def test_restarts_come_later_each_time_and_are_told_now_and_then() -> None:
    restarts = Restarts()
    assert tuple(restarts.pause_ms(10) for _ in BACKOFF_MS) == BACKOFF_MS
    told = []
    for _ in range(30):
        assert restarts.pause_ms(10) == BACKOFF_MS[-1]
        told.append(restarts.is_told)
    assert sum(told) == 2
    assert restarts.pause_ms(GOOD_LIFE_MS) == BACKOFF_MS[0]
    assert restarts.is_told


@pytest.mark.parametrize(
    ("lines", "has_switch", "has_one"),
    [
        ("", False, False),
        ("", True, True),
        ("[tools]\nlisten = []\n", False, False),
        ("[tools]\nlisten = []\nswitch-events = false\n", True, False),
        ("[tools]\n", False, True),
        ('[tools]\nlisten = []\nmetrics = "loopback"\n', False, True),
        ('[tools]\nlisten = []\n[[hook]]\nname = "page"\ncommand = ["/bin/true"]\n', False, True),
    ],
)
def test_who_has_one(lines: str, has_switch: bool, has_one: bool) -> None:
    assert has_tools_process(accepted(GOOD + lines), has_switch) is has_one
