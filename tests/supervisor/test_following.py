"""Followers over a real control socket; the loop is driven by hand, its clock is a number."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.examples import examples
from zcluster.adapters.control_socket import LARGEST_CLIENTS, ControlSocket
from zcluster.adapters.journal import Record, record_from
from zcluster.supervisor.following import (
    GATHER_MS,
    LARGEST_BATCH_BYTES,
    LARGEST_FOLLOWERS,
    LARGEST_RUN_LINES,
    LARGEST_UNSENT_BYTES,
    Following,
)
from zcluster.supervisor.questions import Questions
from zcluster.supervisor.story import LARGEST_RECORDS, Story

LIFE = 255
PATIENCE_S = 10.0


def record(number: int, text: str = "", **facts: object) -> Record:
    return Record(1_700_000_000_000, "n1", "info", "state", text, facts, LIFE, number)


class Follower:
    """A tool: what it has read, line by line."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(path))
        self._rest = b""
        self.lines: list[dict[str, Any]] = []

    def ask(self, **body: object) -> None:
        self.socket.sendall(json.dumps({"ask": "follow", **body}).encode() + b"\n")

    def read(self) -> None:
        """What is there now."""
        while select.select([self.socket], [], [], 0)[0] and (piece := self.socket.recv(1 << 16)):
            *lines, self._rest = (self._rest + piece).split(b"\n")
            self.lines.extend(map(json.loads, lines))

    @property
    def numbers(self) -> list[int]:
        return [line["number"] for line in self.lines if "record" in line]


class Daemon:
    """The daemon's side: socket, story, and the turns of its loop."""

    def __init__(self, directory: Path, told: int = 0) -> None:
        self.now_ms = 5000
        self.story = Story(record(number) for number in range(1, told + 1))
        self.socket = ControlSocket(directory / "control.sock")
        self.questions = Questions(self.socket, self.story, dict, "n1", LIFE, "0.1", lambda: self.now_ms)
        self.followers: list[Follower] = []
        self.following: Following = self.questions.following

    def turn(self) -> None:
        """One turn; the time goes on to what is due."""
        if select.select([self.socket], [], [], 0)[0]:
            assert self.questions.receive() == []
        due_ms = self.following.deadline()
        if due_ms is not None:
            self.now_ms = max(self.now_ms, due_ms)
            self.following.run(self.now_ms)

    def close(self) -> None:
        for follower in self.followers:
            follower.socket.close()
        self.socket.close()

    def until(self, is_so: Callable[[], bool], *followers: Follower) -> None:
        for _ in range(20_000):
            self.turn()
            for follower in followers:
                follower.read()
            if is_so():
                return
        raise AssertionError("it never came")

    def follower(self, **body: object) -> Follower:
        """One that has read the answer to its question."""
        follower = Follower(self.socket.path)
        self.followers.append(follower)
        follower.ask(**body)
        self.until(lambda: bool(follower.lines), follower)
        return follower


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path, told=3)
    yield daemon
    daemon.close()


def test_now_begins_with_what_comes(daemon: Daemon) -> None:
    follower = daemon.follower()
    assert follower.lines == [
        {
            "schema": "zcluster.follow/1",
            "ok": True,
            "node": "n1",
            "incarnation": LIFE,
            "number": 3,
            "lost": 0,
        }
    ]
    told = record(9, "blue: n1 holds epoch 4", group="blue", epoch=4)
    daemon.story.add(told)
    daemon.until(lambda: len(follower.lines) == 2, follower)
    assert follower.lines[1] == {"number": 4, "record": told.plain()}
    assert record_from(follower.lines[1]["record"]) == told


def test_start_begins_with_what_the_ring_has(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, told=LARGEST_RECORDS + 20)
    follower = daemon.follower(**{"from": "start"})
    daemon.until(lambda: len(follower.numbers) == LARGEST_RECORDS, follower)
    assert follower.lines[0]["lost"] == 0
    assert follower.numbers == list(range(21, LARGEST_RECORDS + 21))
    daemon.close()


@pytest.mark.parametrize(
    ("after", "incarnation", "lost", "first"),
    [(500, LIFE, 0, 501), (0, LIFE, 20, 21), (520, LIFE, 0, None), (500, LIFE - 1, 0, 21)],
)
def test_a_number_goes_on_behind_it(
    tmp_path: Path, after: int, incarnation: int, lost: int, first: int | None
) -> None:
    daemon = Daemon(tmp_path, told=LARGEST_RECORDS + 20)
    follower = daemon.follower(**{"from": after, "incarnation": incarnation})
    assert (follower.lines[0]["lost"], follower.lines[0]["number"]) == (lost, 520)
    daemon.story.add(record(9999))
    daemon.until(lambda: 521 in follower.numbers, follower)
    assert follower.numbers == list(range(first or 521, 522))
    daemon.close()


@pytest.mark.parametrize(
    "body",
    [
        {"from": "the beginning"},
        {"from": None},
        {"from": True, "incarnation": LIFE},
        {"from": -1, "incarnation": LIFE},
        {"from": 1.5, "incarnation": LIFE},
        {"from": 2**60, "incarnation": LIFE},
        {"from": 1},
        {"from": 1, "incarnation": "255"},
        {"from": 4, "incarnation": LIFE},
    ],
)
def test_other_beginnings_are_refused(daemon: Daemon, body: dict[str, object]) -> None:
    follower = daemon.follower(**body)
    assert follower.lines[0]["ok"] is False
    assert len(daemon.following) == 0


def test_one_connection_follows_once_and_may_ask_other_things(daemon: Daemon) -> None:
    follower = daemon.follower()
    follower.ask()
    follower.socket.sendall(b'{"ask": "ping"}\n')
    daemon.until(lambda: len(follower.lines) == 3, follower)
    assert "follows already" in follower.lines[1]["error"]
    assert follower.lines[2]["ok"] is True
    daemon.story.add(record(4))
    daemon.until(lambda: follower.numbers == [4], follower)


def test_thirty_two_hear_all_and_others_may_still_ask(daemon: Daemon) -> None:
    assert LARGEST_CLIENTS >= LARGEST_FOLLOWERS + 16
    followers = [daemon.follower(**{"from": "start"}) for _ in range(LARGEST_FOLLOWERS)]
    for number in range(4, 104):
        daemon.story.add(record(number))
        daemon.turn()
    daemon.until(lambda: all(len(follower.numbers) == 103 for follower in followers), *followers)
    assert all(follower.numbers == list(range(1, 104)) for follower in followers)
    one_more = daemon.follower()
    assert "follow already" in one_more.lines[0]["error"]
    assert daemon.following.counts["refused"] == 1
    followers[7].socket.close()
    daemon.until(lambda: daemon.follower().lines[0]["ok"])


def test_no_turn_tells_more_than_its_bound(daemon: Daemon) -> None:
    followers = [daemon.follower() for _ in range(4)]
    for number in range(4, 104):
        daemon.story.add(record(number))
    heard = 0
    for _ in range(400):
        daemon.turn()
        for follower in followers:
            follower.read()
        total = sum(len(follower.numbers) for follower in followers)
        assert total - heard <= LARGEST_RUN_LINES
        heard = total
    assert heard == 400


def test_what_is_told_waits_for_the_end_of_the_takeover(daemon: Daemon) -> None:
    daemon.follower()
    daemon.turn()
    assert daemon.following.deadline() is None
    daemon.story.add(record(4))
    assert daemon.following.deadline() == daemon.now_ms + GATHER_MS


def test_without_followers_nothing_is_ever_due(daemon: Daemon) -> None:
    daemon.story.add(record(4))
    assert daemon.following.deadline() is None


def test_one_that_stalls_costs_its_buffer_and_learns_what_it_missed(daemon: Daemon) -> None:
    stalled, other = daemon.follower(), daemon.follower()
    text = "x" * 4000
    for number in range(4, 2004):
        daemon.story.add(record(number, text))
        daemon.turn()
        other.read()
    daemon.until(lambda: len(other.numbers) == 2000, other)
    (unsent_bytes,) = [
        size
        for client in daemon.following._places
        if (size := daemon.socket.unsent_bytes(client)) is not None and size > 0
    ]
    assert LARGEST_UNSENT_BYTES <= unsent_bytes < LARGEST_UNSENT_BYTES + LARGEST_BATCH_BYTES + 16_384
    assert daemon.following.deadline() is None, "the loop must not turn for one that does not read"
    daemon.until(lambda: 2003 in stalled.numbers, stalled)
    assert other.numbers == list(range(4, 2004))
    place = 3
    for line in stalled.lines[1:]:
        place += line.get("lost", 1)
        assert line.get("number", place) == place
    lost = sum(line.get("lost", 0) for line in stalled.lines[1:])
    assert lost > 0
    assert lost + len(stalled.numbers) == 2000
    assert daemon.following.counts["lost"] == lost
    assert daemon.socket.dropped_clients == 0


def test_one_that_dies_is_forgotten(daemon: Daemon) -> None:
    dying, other = daemon.follower(), daemon.follower()
    for number in range(4, 404):
        daemon.story.add(record(number, "x" * 2000))
        daemon.turn()
        other.read()
    dying.socket.close()
    daemon.story.add(record(404))
    daemon.until(lambda: 404 in other.numbers, other)
    assert len(daemon.following) == 1
    assert other.numbers == list(range(4, 405))


@settings(max_examples=examples(40), deadline=None)
@given(some.lists(some.integers(0, 3), max_size=60), some.integers(0, 6000))
def test_whatever_a_follower_does_it_knows_every_number(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], size: int
) -> None:
    """Some told, some turns, some reading in any order; at the end each number was heard or told as lost."""
    daemon = Daemon(tmp_path_factory.mktemp("follow"))
    follower = daemon.follower()
    told = 0
    for step in steps:
        match step:
            case 0 | 1:
                for _ in range(1 + 200 * step):
                    told += 1
                    daemon.story.add(record(told, "x" * size))
            case 2:
                for _ in range(30):
                    daemon.turn()
            case 3:
                follower.read()
    told += 1
    daemon.story.add(record(told))
    daemon.until(lambda: told in follower.numbers, follower)
    place = 0
    for line in follower.lines[1:]:
        place += line.get("lost", 1)
        assert line.get("number", place) == place
    assert place == told
    daemon.close()
