"""The keeper of the data process, with a real loop, a real pair and real (fake) children."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.config.texts import GOOD, accepted
from tests.supervisor import fake_data_process
from zcluster.adapters.child_process import ChildProcess, spawn
from zcluster.config.load import load, read
from zcluster.control.actions import Action, Tell
from zcluster.control.events import Event, HealthChanged, Tick
from zcluster.errors import KernelRefused
from zcluster.supervisor import data_child
from zcluster.supervisor.child_start import ChildDoors, ChildStarter
from zcluster.supervisor.data_child import DataChild
from zcluster.supervisor.data_start import DATA_PROCESS, has_data_process
from zcluster.supervisor.loop import Loop, monotonic_ms
from zcluster.supervisor.settings import settings_of
from zcluster.supervisor.side_thread import SideThread
from zcluster.wire.local_link import Groups, OwnGroup, PeerPlace, Peers

LIMIT_S = 30.0


class Node:
    """A core that keeps the events, hands that are never over, and the news of the cluster; `late_ms` is added to the
    clock."""

    is_over = False

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.own: tuple[OwnGroup, ...] = ()
        self.alive: tuple[str, ...] = ("pbx2",)
        self.told: list[Tell] = []
        self.late_ms = 0
        self.is_refusing = False
        self.tick_ms = 0

    def clock(self) -> int:
        return monotonic_ms() + self.late_ms

    def handle(self, event: Event, now_ms: int) -> list[Action]:
        if isinstance(event, Tick):
            self.tick_ms = now_ms + 10
        else:
            self.events.append(event)
        return []

    def deadline(self) -> int:
        return self.tick_ms

    def perform(self, action: Action, now_ms: int) -> Sequence[Event]:
        return ()

    def groups(self) -> Groups:
        return Groups(self.own)

    def peers(self) -> Peers:
        return Peers(tuple(PeerPlace(name, 7, (("ring", "10.77.1.2"),)) for name in self.alive))

    def holds_nothing(self) -> bool:
        return not self.own

    def problems(self) -> dict[str, str]:
        """What the core was told and stands."""
        known = {event.subject: event.problem for event in self.events if isinstance(event, HealthChanged)}
        return {subject: problem for subject, problem in known.items() if problem}

    def echoes(self, code: str, fact: str) -> list[object]:
        return [told.facts[fact] for told in self.told if told.code == code]

    def codes(self) -> list[str]:
        return [told.code for told in self.told]


class Stage:
    """A node with its loop and the keeper of a child that behaves as it is told."""

    def __init__(self, behaviour: str) -> None:
        self.node = Node()
        self.behaviour = behaviour
        self.children: list[ChildProcess] = []
        self.thread = SideThread("test-data")
        doors = ChildDoors(
            self.start, self.thread.submit, lambda fd, intake: self.loop.watch(fd, intake),
            lambda fd: self.loop.forget(fd), self.node.told.append,
        )  # fmt: skip
        self.data = DataChild(doors, self.node, self.node.clock)
        self.loop = Loop(self.node, self.node, (self.data,), self.node.clock, after_turn=self.data.after_turn)
        self.loop.watch(self.thread.fileno(), self.thread.receive)

    def start(self, descriptor: int) -> ChildProcess:
        if self.node.is_refusing:
            raise KernelRefused("no more processes")
        command = (sys.executable, fake_data_process.__file__, str(descriptor), self.behaviour)
        self.children.append(spawn(command, descriptor))
        return self.children[-1]

    def until(self, is_so: Callable[[], bool]) -> None:
        end_s = time.monotonic() + LIMIT_S
        while not is_so():
            assert time.monotonic() < end_s, (self.node.told, self.node.problems(), self.data.counts)
            self.loop.turn()

    def close(self) -> None:
        self.data.close()
        self.thread.stop()
        self.loop.close()
        for child in self.children:
            child.kill()
            assert child.reap(LIMIT_S), "no child outlives its test"


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = Stage(getattr(request, "param", "echo"))
    yield stage
    stage.close()


def playing(behaviour: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("stage", [behaviour], indirect=True)


def test_it_is_told_everything_at_its_start_and_changes_in_the_turn_they_happen(stage: Stage) -> None:
    node = stage.node
    node.own = (OwnGroup("sip1", 7, False),)
    stage.until(lambda: bool(node.echoes("groups", "groups")) and bool(node.echoes("peers", "peers")))
    assert node.echoes("groups", "groups") == [("sip1 7 False",)]
    assert node.echoes("peers", "peers") == [("pbx2",)]
    node.own = (OwnGroup("sip1", 7, True),)
    stage.loop.turn()
    node.own = ()
    node.alive = ()
    stage.until(lambda: len(node.echoes("groups", "groups")) == 3 and len(node.echoes("peers", "peers")) == 2)
    assert node.echoes("groups", "groups")[1:] == [("sip1 7 True",), ()]
    assert node.echoes("peers", "peers")[1] == ()


def test_what_it_says_reaches_the_core_the_story_and_the_status(stage: Stage) -> None:
    stage.until(lambda: stage.data.facts().completeness is not None)
    stage.until(lambda: stage.node.problems() == {})
    facts = stage.data.facts()
    assert (facts.pid, facts.restarts, facts.is_settled) == (stage.children[0].pid, 0, True)
    assert stage.node.events[0] == HealthChanged(
        "copies", "the data process has not seen the switch and the other copies yet"
    )
    stage.until(lambda: stage.data.figures == {"alive": 1})


def test_a_dead_one_is_begun_anew_told_all_and_moves_nothing(stage: Stage) -> None:
    node = stage.node
    node.own = (OwnGroup("sip1", 7, True),)
    stage.until(lambda: len(node.echoes("groups", "groups")) == 1)
    stage.children[0].kill()
    stage.until(lambda: len(node.echoes("groups", "groups")) == 2)
    assert node.echoes("groups", "groups")[1] == ("sip1 7 True",)
    stage.until(lambda: node.echoes("peers", "peers")[-1:] == [("pbx2",)])
    assert node.events == []
    assert [told.text for told in node.told if told.code == "data-ended"] == [
        "the data process was ended by SIGKILL; no address moves, and it starts again in 200 ms"
    ]
    assert stage.data.facts().restarts == 1
    assert stage.children[0].pid != stage.children[1].pid


@playing("once")
def test_its_last_words_count_and_each_next_try_comes_later(stage: Stage) -> None:
    stage.until(lambda: stage.node.codes().count("data-ended") == 3)
    assert stage.node.codes().count("fake") == 3
    pauses = [told.text.split()[-2] for told in stage.node.told if told.code == "data-ended"]
    assert pauses == ["200", "500", "1000"]
    assert "ended with status 3" in stage.node.told[1].text


@pytest.mark.slow
def test_one_that_cannot_be_started_is_tried_again(stage: Stage) -> None:
    stage.node.is_refusing = True
    stage.until(lambda: stage.node.codes() == ["data-ended"])
    assert "no more processes" in stage.node.told[0].text
    assert stage.data.facts().pid is None
    stage.until(lambda: stage.node.problems() == {"copies": "the data process does not run"})
    stage.node.is_refusing = False
    stage.until(lambda: stage.node.problems() == {})


@playing("deaf")
def test_one_that_reads_nothing_keeps_the_newest_state_waiting_and_is_begun_anew(stage: Stage) -> None:
    node = stage.node
    stage.until(lambda: stage.data.figures == {"alive": 1})
    for number in range(20_000):
        node.own = (OwnGroup("sip1", number, True),)
        stage.data.after_turn(has_ticked=False)
    stage.until(lambda: (stage.data.deadline() or 0) <= node.clock() + data_child.FLUSH_MS)
    stage.loop.turn()
    node.late_ms += data_child.UNREAD_LIMIT_MS
    stage.behaviour = "echo"
    stage.until(lambda: bool(node.echoes("groups", "groups")))
    assert "data-abandoned" in node.codes()
    assert "has read nothing for 10 s" in next(t.text for t in node.told if t.code == "data-abandoned")
    assert node.echoes("groups", "groups") == [("sip1 19999 True",)]


@playing("mute")
def test_one_that_says_nothing_is_begun_anew(stage: Stage) -> None:
    stage.until(lambda: stage.data.facts().pid is not None)
    stage.behaviour = "echo"
    stage.node.late_ms += data_child.SILENT_LIMIT_MS
    stage.loop.turn()
    assert stage.data.facts().restarts == 0, "it may still be loading its modules"
    stage.node.late_ms += data_child.START_LIMIT_MS - data_child.SILENT_LIMIT_MS
    stage.until(lambda: stage.data.facts().restarts == 1)
    assert "has said nothing for 120 s" in stage.node.told[0].text
    stage.until(lambda: stage.node.problems() == {})


@pytest.mark.slow
def test_one_that_stands_still_is_begun_anew_sooner_than_one_that_never_spoke(stage: Stage) -> None:
    stage.until(lambda: stage.data.figures == {"alive": 1})
    pid = stage.data.facts().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    stage.node.late_ms += data_child.SILENT_LIMIT_MS
    stage.until(lambda: "data-abandoned" in stage.node.codes())
    assert "has said nothing for 30 s" in next(
        told.text for told in stage.node.told if told.code == "data-abandoned"
    )


@playing("babble")
def test_one_that_says_far_too_much_is_ended(stage: Stage) -> None:
    stage.until(lambda: "data-abandoned" in stage.node.codes())
    assert "says more than 2000 things in a second" in stage.node.told[0].text
    stage.behaviour = "echo"
    stage.until(lambda: stage.node.problems() == {})


@playing("noise")
def test_what_is_no_message_of_its_is_counted_and_dropped(stage: Stage) -> None:
    stage.until(lambda: stage.data.facts().completeness is not None)
    assert stage.data.counts["malformed"] == 3


@playing("closing")
def test_one_that_closes_its_end_and_goes_on_is_ended(stage: Stage) -> None:
    stage.until(lambda: stage.data.facts().pid is not None)
    stage.until(lambda: "data-ended" in stage.node.codes())
    assert "was ended by SIGKILL" in stage.node.told[0].text


def test_it_ends_with_the_node(stage: Stage) -> None:
    stage.until(lambda: bool(stage.node.echoes("peers", "peers")))
    stage.data.close()
    assert stage.children[0].reap() == "ended with status 0"
    assert stage.data.deadline() is None or stage.data.run(stage.node.clock()) == []


@playing("mute")
def test_one_that_does_not_end_when_asked_is_ended(stage: Stage) -> None:
    stage.until(lambda: stage.data.facts().pid is not None)
    stage.data.close()
    assert stage.children[0].reap() == "was ended by SIGKILL"


SWITCH = GOOD + "[switch]\n"


@pytest.mark.parametrize(
    ("text", "node", "has_one"),
    [
        (GOOD, "pbx1", False),
        (SWITCH, "pbx1", True),
        (SWITCH.replace("= 3", '= 3\nwitnesses = ["w*"]'), "w1", False),
        (SWITCH.replace("= 3", '= 3\nnever-master = ["pbx1"]'), "pbx1", False),
        (SWITCH.replace("= 3", '= 3\nmode = "observe"'), "pbx1", False),
    ],
)
def test_only_a_node_that_may_carry_traffic_beside_a_switch_has_one(
    text: str, node: str, has_one: bool
) -> None:
    configuration = accepted(text)
    assert has_data_process(configuration, settings_of(configuration), node) is has_one


def test_each_of_its_lives_reads_the_file_as_the_daemon_read_it(tmp_path: Path) -> None:
    path = tmp_path / "zcluster.toml"
    path.write_text(SWITCH)
    reading = read(path)
    assert reading.configuration is not None
    path.write_text("edited since")
    node = Node()
    with ExitStack() as stack:
        starter = ChildStarter(reading.content, "pbx1", reading.configuration.run_dir, 0, stack)
        doors = starter.doors(DATA_PROCESS, lambda: loop, node.told.append)
        data = DataChild(doors, node, node.clock)
        starter.closes(data.close)
        loop = Loop(node, node, (data,), node.clock, after_turn=data.after_turn)
        stack.callback(loop.close)
        starter.watch(loop)
        end_s = time.monotonic() + LIMIT_S
        while (pid := data.facts().pid) is None:
            assert time.monotonic() < end_s
            loop.turn()
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        file = Path(words[words.index("--config") + 1])
        assert file.parent == Path("/proc/self/fd")
        assert Path(f"/proc/{pid}/fd", file.name).read_text() == SWITCH
        assert load(file) == reading.configuration


def test_its_command_line(tmp_path: Path) -> None:
    assert DATA_PROCESS.arguments(Path("/etc/z.toml"), "pbx1", tmp_path, 9)[1:] == (
        *("-P", "-m", "zcluster.data", "--fd", "9"),
        *("--config", "/etc/z.toml", "--node", "pbx1", "--run-dir", str(tmp_path)),
    )
