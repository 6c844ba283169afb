"""`zcluster watch` as a process of its own, against control sockets that answer as a daemon's do."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.console.pages import page
from zcluster.adapters.control_socket import ControlSocket
from zcluster.adapters.journal import Record
from zcluster.console.watch.command import Wish, run
from zcluster.console.watch.events import (
    CALLS,
    STORY,
    STREAMS,
    Connected,
    Counted,
    Disconnected,
    Event,
    Happened,
    Judged,
    Missed,
    plain,
)
from zcluster.console.watch.pages import Style, lines
from zcluster.console.watch.polls import Counts, Verdicts
from zcluster.console.words import WIDTH
from zcluster.errors import ControlSocketError
from zcluster.supervisor.questions import Questions
from zcluster.supervisor.story import Story

PATIENCE_S = 30.0
PLAIN = Style(is_wrapped=False, is_coloured=False)
PAGE = Style(is_wrapped=True, is_coloured=False)


def record(number: int, code: str = "state", **facts: object) -> Record:
    text = f"text {number}\x1b[2J"
    return Record(1_700_000_000_000 + number, "n1", "info", code, text, facts, 7, number)


class Daemon:
    """A daemon's control socket in a thread; what it tells and how it is may be changed from the test."""

    def __init__(self, directory: Path, incarnation: int = 7, told: tuple[Record, ...] = ()) -> None:
        self.story = Story(told)
        self.document: Mapping[str, Any] = page()
        self._wishes: list[Record] = []
        self._is_over = False
        self._ready = threading.Event()
        self._arguments = (directory / "control.sock", incarnation)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    def _run(self) -> None:
        path, incarnation = self._arguments
        self.socket = ControlSocket(path)
        questions = Questions(
            self.socket,
            self.story,
            lambda: self.document,
            "n1",
            incarnation,
            "0.1",
            lambda: time.monotonic_ns() // 1_000_000,
        )
        self._ready.set()
        while not self._is_over:
            if select.select([self.socket], [], [], 0.01)[0]:
                questions.receive()
            while self._wishes:
                self.story.add(self._wishes.pop(0))
            due_ms = questions.following.deadline()
            if due_ms is not None:
                questions.following.run(due_ms)
        self.socket.close()

    def tell(self, told: Record) -> None:
        self._wishes.append(told)

    def stop(self) -> None:
        self._is_over = True
        self._thread.join()


class Watcher:
    """The command, and what it printed."""

    def __init__(self, directory: Path, *words: str) -> None:
        sockets = ("--socket", str(directory / "control.sock"), "--data-socket", str(directory / "data.sock"))
        self.process = subprocess.Popen(
            # A background job's children ignore SIGINT, unless somebody takes that back.
            ["env", "--default-signal=INT", sys.executable, "-m", "zcluster", "watch", *words, *sockets],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self._out = self.process.stdout.fileno()
        self._read = b""

    def line(self) -> str:
        while b"\n" not in self._read:
            assert select.select([self._out], [], [], PATIENCE_S)[0], "no line came"
            piece = os.read(self._out, 1 << 16)
            assert piece, "it ended"
            self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def errors(self) -> str:
        """What it complained of, at its end."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def rest(self) -> tuple[int, str, str]:
        """Exit status, output and complaints of one that ends by itself."""
        out, errors = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out.decode(), errors.decode()

    def object(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.line())
        return found

    def until(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while not is_it(found := self.object()):
            pass
        return found

    def end(self, by: int = signal.SIGINT) -> int:
        self.process.send_signal(by)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path, told=(record(1), record(2, group="blue"), record(3, group="red")))
    yield daemon
    daemon.stop()


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Callable[..., Watcher]]:
    started: list[Watcher] = []

    def start(*words: str) -> Watcher:
        started.append(Watcher(tmp_path, *words))
        return started[-1]

    yield start
    for watcher in started:
        watcher.process.kill()
        watcher.process.communicate()


def test_from_start_a_snapshot_then_the_ring_then_what_comes(
    daemon: Daemon, watching: Callable[..., Watcher]
) -> None:
    watcher = watching("--from-start", "--json")
    found = [watcher.object() for _ in range(5)]
    by_event = {line["event"]: line for line in found}
    assert {line["schema"] for line in found} == {"zcluster.watch/1"}
    assert by_event["snapshot"]["status"]["schema"] == "zcluster.status/1"
    assert by_event["snapshot"]["sentence"].startswith("All 3 groups are held")
    assert [line["number"] for line in found if line["event"] == "record"] == [1, 2, 3]
    daemon.tell(record(4))
    assert watcher.object()["record"] == record(4).plain()
    assert watcher.end() == 0
    assert watcher.errors() == ""


def test_without_it_only_what_comes_in_one_printable_line(
    daemon: Daemon, watching: Callable[..., Watcher]
) -> None:
    watcher = watching()
    assert "following the story as n1 hears it" in watcher.line()
    daemon.tell(record(4))
    line = watcher.line()
    assert line.isprintable()
    assert line.endswith(" info    n1 state: text 4 [2J")


def test_filters_and_an_end(daemon: Daemon, watching: Callable[..., Watcher]) -> None:
    watcher = watching("story", "--from-start", "--group", "red", "--count", "3", "--json")
    status, out, errors = watcher.rest()
    found = [json.loads(line) for line in out.splitlines()]
    assert [line["number"] for line in found if line["event"] == "record"] == [1, 3]
    assert (status, errors) == (0, "")


def test_over_a_restart_of_the_daemon_nothing_twice_and_nothing_left_out(
    tmp_path: Path, watching: Callable[..., Watcher]
) -> None:
    first = Daemon(tmp_path, told=(record(1), record(2)))
    watcher = watching("--json")
    assert watcher.object()["event"] == "connected"
    first.tell(record(3))
    assert watcher.object()["number"] == 3
    first.stop()
    assert watcher.object()["event"] == "disconnected"
    # Its last word, which no follower heard any more, and the first of its next life.
    last_word, beginning = record(4), record(1, "started")._replace(incarnation=8)
    second = Daemon(tmp_path, 8, (record(1), record(2), record(3), last_word, beginning))
    again = watcher.object()
    assert (again["event"], again["incarnation"]) == ("connected", 8)
    assert "zcluster why" in again["text"]
    assert watcher.object()["record"] == last_word.plain()
    assert watcher.object()["record"] == beginning.plain()
    second.tell(beginning._replace(number=2))
    assert watcher.object()["number"] == 6
    second.stop()


def test_a_reader_that_goes_away_ends_it_quietly(daemon: Daemon, watching: Callable[..., Watcher]) -> None:
    watcher = watching("--from-start")
    watcher.line()
    assert watcher.process.stdout is not None
    watcher.process.stdout.close()
    for number in range(10, 400):
        daemon.tell(record(number))
    assert watcher.process.wait(PATIENCE_S) == 0
    assert watcher.errors() == ""


@pytest.mark.slow
def test_the_verdict_is_told_when_it_changes(daemon: Daemon, watching: Callable[..., Watcher]) -> None:
    watcher = watching("status", "--json")
    assert watcher.object()["exit_status"] == 0
    daemon.document = {**page(), "is_forced": True}
    changed = watcher.object()
    assert (changed["event"], changed["exit_status"]) == ("verdict", 1)
    daemon.stop()
    gone = watcher.object()
    assert gone["exit_status"] == 3


def test_without_a_daemon_it_says_so_and_ends_with_three(watching: Callable[..., Watcher]) -> None:
    status, _, errors = watching().rest()
    assert (status, "no daemon listens" in errors) == (3, True)


@pytest.mark.parametrize("stream", STREAMS)
def test_without_a_daemon_no_stream_begins(stream: str, tmp_path: Path) -> None:
    with pytest.raises(ControlSocketError, match="no daemon listens"):
        run(tmp_path / "control.sock", tmp_path / "data.sock", Wish((stream,)))


def test_a_node_without_a_data_process_says_why(daemon: Daemon, tmp_path: Path) -> None:
    with pytest.raises(ControlSocketError, match="has no data process"):
        run(tmp_path / "control.sock", tmp_path / "data.sock", Wish((CALLS,)))


def test_on_a_terminal_it_is_wrapped_and_coloured(daemon: Daemon, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "zcluster", "watch", "--from-start", "--count", "4"]
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": ""}
    process = subprocess.Popen(
        [*command, "--socket", str(tmp_path / "control.sock")], stdout=theirs, env=environment
    )
    assert process.wait(PATIENCE_S) == 0
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 1 << 16):
            seen += piece
    except OSError:
        pass  # the other side of a pseudo-terminal is closed
    os.close(ours)
    assert b"\x1b[2minfo\x1b[0m" in seen
    assert b"\x1b[2J" not in seen


# ---- values and words


EVENTS: list[Event] = [
    Happened(3, record(3)),
    Missed(7),
    Judged(2, "Group blue has no holder: ..."),
    Judged(0, "Group blue is held.", {"schema": "zcluster.status/1"}),
    Counted(CALLS, 3, 2, {"group": {"blue": 3}}),
    Connected(STORY, "n1", 7, "following"),
    Disconnected(CALLS, "no data process"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_is_a_json_line_and_a_line_for_people(event: Event) -> None:
    found = json.loads(json.dumps(plain(event, 5)))
    assert list(found)[:4] == ["schema", "stream", "event", "at_ms"]
    (line,) = lines(event, 5, str, PLAIN)
    assert line.split()[1] in ("info", "notice", "warning", "alarm")


@given(some.text(), some.text(max_size=30))
def test_no_line_is_wider_than_the_page_and_none_steers_the_terminal(text: str, node: str) -> None:
    words = " ".join(word[:40] for word in text.split())
    event = Happened(1, Record(1, node[:12], "alarm", "code", words, {}))
    for line in lines(event, 1, lambda _: "2026-11-26 19:00:00.000", PAGE):
        assert line.isprintable()
        assert len(line) <= WIDTH


def test_the_passing_of_time_is_no_change_of_the_verdict() -> None:
    verdicts = Verdicts(is_whole=False, is_repeated=True)
    document = page()

    def silent(heard_ms: int) -> dict[str, Any]:
        nodes = [
            {**node, "is_heard": False, "heard_ms": heard_ms} if node["name"] == "n3" else node
            for node in document["nodes"]
        ]
        return {**document, "nodes": nodes}

    assert len(verdicts.heard(silent(4200))) == 1
    assert verdicts.heard(silent(5300)) == []
    assert verdicts.heard(silent(90_000)) == []
    assert len(verdicts.heard(document)) == 1


def test_counts_are_told_when_they_change() -> None:
    counts = Counts(CALLS)
    answer = {"schema": "zcluster.calls/1", "total": 2, "by": {"group": {"blue": 2}}}
    assert counts.heard(answer) == [Counted(CALLS, 2, None, {"group": {"blue": 2}})]
    assert counts.heard(answer) == []
    assert counts.heard({**answer, "total": 3}) == [Counted(CALLS, 3, 2, {"group": {"blue": 2}})]
    assert len(counts.unheard("gone")) == 1
    assert counts.unheard("gone") == []
    assert counts.heard({**answer, "total": 3}) == []
    assert len(counts.unheard("gone")) == 1


def test_limits_are_counted_in_sessions() -> None:
    rows = [{"name": "inbound_a", "total": 4}, {"name": "outbound_b", "total": 1}]
    (event,) = Counts("limits").heard({"schema": "zcluster.limits/1", "rows": rows, "next": ""})
    (line,) = lines(event, 1, str, PLAIN)
    assert line == "1 info    limits: 5 limited sessions (inbound_a 4, outbound_b 1)"
