"""The tools process itself, `python -m zcluster.tools`, behind a small daemon."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.config.texts import GOOD
from tests.tools.bus_stage import PATIENCE_S, Reader, free_ports, received
from tests.tools.small_daemon import NODE, SmallDaemon, told
from zcluster.config.keyfile import load_key, write_key
from zcluster.supervisor.tools_start import tools_process
from zcluster.wire.keys import derive, reader_pair


class Stage:
    """The process, its daemon (turned in a thread of its own), and a reader of its bus."""

    def __init__(self, directory: Path) -> None:
        key, port = directory / "cluster.key", free_ports()
        write_key(key)
        file = directory / "zcluster.toml"
        head = GOOD.replace("expected-nodes = 3", f'expected-nodes = 3\nkey-file = "{key}"')
        file.write_text(f"{head}[tools]\nport = {port}\n")
        self.daemon = SmallDaemon(directory)
        self.here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = tools_process(has_switch=False).arguments(file, NODE, directory, there.fileno())
        self.process = subprocess.Popen(words, pass_fds=(there.fileno(),))
        there.close()
        secret = load_key(key)
        self.reader = Reader(port, reader_pair(secret, "reader"), derive(secret).server.public)
        self._lock = threading.Lock()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def do(self, action: Callable[[], object]) -> None:
        with self._lock:
            action()

    def _run(self) -> None:
        while not self._is_over:
            self.do(self.daemon.turn)
            time.sleep(0.005)

    def close(self) -> None:
        self.reader.close()
        self.process.kill()
        self.process.wait()
        self._is_over = True
        self._thread.join()
        self.daemon.close()
        self.here.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_it_hands_on_says_that_it_lives_and_ends_with_its_daemon(stage: Stage) -> None:
    stage.here.settimeout(PATIENCE_S)
    assert stage.here.recv(64) == b"turning"
    with stage.reader.subscriber("zc1.event.", "zc1.heartbeat.") as subscriber:
        received(subscriber)
        stage.do(lambda: stage.daemon.tell(told(1)))
        while not (message := received(subscriber))[0].startswith("zc1.event."):
            pass
        assert message[1]["record"] == told(1).plain()
        answer = stage.reader.ask(ask="snapshot")
        assert [event["number"] for event in answer["events"]] == [1]

        stage.do(lambda: stage.daemon.tell(told(2)))
        stage.here.close()
        while not (message := received(subscriber))[0].startswith("zc1.event."):
            pass
        assert message[1]["record"]["number"] == 2, "what was told last is still handed on"
    assert stage.process.wait(PATIENCE_S) == 0


@contextmanager
def started(file: Path, *, has_switch: bool = False) -> Iterator[subprocess.Popen[str]]:
    """The process alone; it is told to end when the block is left."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = tools_process(has_switch).arguments(file, NODE, file.parent, there.fileno())
    with subprocess.Popen(words, pass_fds=(there.fileno(),), stderr=subprocess.PIPE, text=True) as process:
        there.close()
        yield process
        here.close()


def test_a_file_that_cannot_be_used_ends_it_with_a_reason(tmp_path: Path) -> None:
    with started(tmp_path / "none.toml", has_switch=True) as process:
        assert isinstance(process.args, tuple | list)
        assert (process.args[0], process.args[-1]) == (sys.executable, "--with-switch")
        _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    (line,) = [each for each in told.splitlines() if "tools-failed" in each]
    assert f" {NODE} tools-failed: the tools process cannot run: " in line
    assert "none.toml" in line


def test_what_it_says_of_itself_has_the_format_that_the_file_wants(tmp_path: Path) -> None:
    file = tmp_path / "zcluster.toml"
    head = GOOD.replace("expected-nodes = 3", f'expected-nodes = 3\nkey-file = "{tmp_path / "none.key"}"')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        tools = f'[tools]\nlisten = []\nmetrics = "loopback"\nmetrics-port = {port}\n'
        file.write_text(f'{head}{tools}[log]\nformat = "json"\n')
        with started(file) as process:
            assert process.stderr is not None
            line = json.loads(process.stderr.readline())
    assert process.returncode == 0
    assert (line["level"], line["code"], line["node"]) == ("warning", "tools-not-listening", NODE)
    assert line["text"].startswith("metrics: ")
    assert str(port) in line["text"]

    file.write_text(f'{head}[tools]\n[log]\nformat = "json"\n')
    with started(file) as process:
        _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    line = json.loads(told)
    assert (line["code"], line["level"]) == ("tools-failed", "warning")
    assert "none.key" in line["text"]
