"""`--connect`: another host's bus read by the commands of this one, with real sockets all the way."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.bus_stage import GRAFANA, KEYS, PATIENCE_S, WITHDRAWN, BusStage, free_ports
from tests.tools.small_daemon import INCARNATION, NODE, SmallDaemon, told
from zcluster.adapters.control_client import ControlClient
from zcluster.adapters.control_socket import ask
from zcluster.cli import commands
from zcluster.console.remote import sockets_at
from zcluster.errors import BusError, ControlSocketError
from zcluster.reader.credential import credential_text
from zcluster.wire.keys import CurvePair


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[BusStage]:
    made = BusStage(tmp_path)
    yield made
    made.close()


def key_file(tmp_path: Path, port: int, pair: CurvePair = GRAFANA) -> Path:
    file = tmp_path / "reader.key"
    file.write_text(credential_text("pbx", "grafana", KEYS.server.public, pair, port))
    return file


@pytest.fixture
def key(stage: BusStage, tmp_path: Path) -> Path:
    return key_file(tmp_path, stage.port)


class Follower:
    """A client of the socket, as watch and top are."""

    def __init__(self, path: Path, **place: object) -> None:
        self.client = ControlClient(path, {"ask": "follow", **place})
        self.lines: list[dict[str, object]] = []

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def until(self, count: int) -> list[int]:
        """The numbers once there are `count` lines."""
        end = time.monotonic() + PATIENCE_S
        while len(self.lines) < count and not self.client.problem:
            assert time.monotonic() < end, self.lines
            self.lines += [dict(line) for line in self.client.lines()]
            time.sleep(0.005)
        return [number for line in self.lines[1:] if isinstance(number := line.get("number"), int)]


def test_questions_are_answered_as_by_the_daemon_itself(stage: BusStage, key: Path) -> None:
    with sockets_at("127.0.0.1", key) as found:
        assert ask(found.control, {"ask": "status"})["node"] == NODE
        assert "no data process" in str(ask(found.data, {"ask": "calls", "group": "", "limit": 5})["error"])
        refused = ask(found.control, {"ask": "move", "group": "g1", "to": ""})
        assert (refused["ok"], "only read" in str(refused["error"])) == (False, True)
        assert found.control.stat().st_mode & 0o777 == 0o600
        assert found.control.parent.stat().st_mode & 0o777 == 0o700
    assert not found.control.parent.exists()
    asked = {str(question["ask"]) for question in stage.do(lambda: list(stage.daemon.questions))}
    assert asked == {"follow", "status", "ping"}


def test_the_story_is_followed_with_its_numbers_and_gone_on_with(stage: BusStage, key: Path) -> None:
    stage.tell(told(1), told(2))
    stage.until(lambda: stage.ring.newest == 2)
    with (
        sockets_at("127.0.0.1", key) as found,
        Follower(found.control, **{"from": "start"}) as follower,
        Follower(found.control, **{"from": "now"}) as fresh,
    ):
        assert follower.until(3) == [1, 2]
        assert follower.lines[0] == {
            "schema": "zcluster.follow/1",
            "ok": True,
            "node": NODE,
            "incarnation": INCARNATION,
            "number": 2,
            "lost": 0,
        }
        fresh.until(1)
        for number in range(3, 30):
            stage.tell(told(number))
        assert follower.until(30) == list(range(1, 30))
        assert fresh.until(28) == list(range(3, 30))
        with Follower(found.control, **{"from": 20, "incarnation": INCARNATION}) as late:
            assert late.until(10) == list(range(21, 30))


def test_the_end_of_the_life_that_it_follows_ends_the_connection(
    tmp_path: Path, stage: BusStage, key: Path
) -> None:
    stage.tell(told(1))
    with sockets_at("127.0.0.1", key) as found:
        with Follower(found.control, **{"from": "start"}) as follower:
            follower.until(2)
            stage.end_daemon()
            daemon = SmallDaemon(tmp_path, INCARNATION + 1)
            daemon.tell(told(1, "started", incarnation=INCARNATION + 1))
            stage.begin_daemon(daemon)
            follower.until(99)
            assert "closed the connection" in follower.client.problem
        with Follower(found.control, **{"from": 1, "incarnation": INCARNATION}) as again:
            assert again.until(2) == [1]
            assert again.lines[0]["incarnation"] == INCARNATION + 1


@pytest.mark.slow
def test_who_does_not_answer_or_admit_is_told_at_once(tmp_path: Path, stage: BusStage) -> None:
    with (
        pytest.raises(ControlSocketError, match="not admitted"),
        sockets_at("127.0.0.1", key_file(tmp_path, stage.port, WITHDRAWN)),
    ):
        pass
    with (
        pytest.raises(ControlSocketError, match="no answer"),
        sockets_at(f"127.0.0.1:{free_ports()}", key_file(tmp_path, stage.port)),
    ):
        pass
    with pytest.raises(BusError, match="cannot be read"), sockets_at("127.0.0.1", tmp_path / "none"):
        pass


EXIT_NOT_REACHABLE = 3


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zcluster", *(str(word) for word in words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=4 * PATIENCE_S)


@pytest.mark.slow
def test_the_commands_themselves(stage: BusStage, key: Path) -> None:
    stage.tell(told(1), told(2))
    stage.until(lambda: stage.ring.newest == 2)
    where = ("--connect", "127.0.0.1", "--key", key)
    tries = (run("watch", "--from-start", "--json", "--count", 2, "story", *where) for _ in range(5))
    # A busy machine may take longer to answer than the command waits.
    watched = next((done for done in tries if done.returncode != EXIT_NOT_REACHABLE), None)
    assert watched is not None, "no answer, five times"
    assert watched.returncode == 0, watched.stderr
    assert "n1 tells 1" in watched.stdout
    refused = run("calls", *where)
    assert refused.returncode == 3
    assert "no data process" in refused.stderr
    silent = run("status", "--json", "--connect", f"127.0.0.1:{free_ports()}", "--key", key)
    assert silent.returncode == 3
    assert json.loads(silent.stdout)["exit"] == 3
    nobody = run("why", "--connect", f"127.0.0.1:{free_ports()}", "--key", key)
    assert (nobody.returncode, "no answer" in nobody.stderr) == (3, True)


@pytest.mark.parametrize("words", ["why", "calls", "calls --lost", "limits", "registrations", "watch"])
def test_where_nobody_can_be_asked_json_says_so_in_json(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        commands([*words.split(), "--json", "--socket", str(tmp_path / "none.sock")])
    said = json.loads(capsys.readouterr().out)
    table = "lost" if "--lost" in words else words
    assert (ended.value.code, said["ok"], said["schema"]) == (3, False, f"zcluster.{table}/1")
    assert "no daemon" in said["error"]
