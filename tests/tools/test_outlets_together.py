"""The real tools process beside a small daemon: its endpoint and its hooks, over its own death."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.config.texts import GOOD
from tests.tools.canned import status
from tests.tools.small_daemon import NODE, SmallDaemon, told

LIMIT_S = 120


class CannedDaemon(SmallDaemon):
    """With the laboratory's status: n1 is in it, and holds g1 here."""

    def status(self) -> Mapping[str, object]:
        self.statuses += 1
        groups = [{"name": "g1", "holder": NODE, "counter": 3, "since_ms": 5, "phase": "HOLDING"}]
        nodes = [{"name": NODE, "is_self": True, "is_heard": True, "is_voter": True, "state": "MASTER"}]
        return status(node=NODE, incarnation=self.incarnation, groups=groups, nodes=nodes)


class Place:
    """A directory with a file, a daemon that has its turns in a thread, and a tools process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.told = directory / "told"
        program = directory / "hook.sh"
        program.write_text(f'#!/bin/sh\necho "$ZCLUSTER_KEY $ZCLUSTER_CODE" >> {self.told}\n')
        program.chmod(0o755)
        (directory / "zcluster.toml").write_text(
            GOOD + f'[tools]\nlisten = []\nmetrics = "loopback"\nmetrics-port = {self.port}\n'
            f'[[hook]]\nname = "log"\ncommand = ["{program}"]\n'
        )
        self.daemon: CannedDaemon | None = CannedDaemon(directory)
        self.wishes: list[Callable[[CannedDaemon], None]] = []
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.start()

    def start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel = ours
        words = ("--fd", str(theirs.fileno()), "--config", str(self.directory / "zcluster.toml"))
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "zcluster.tools",
                *words,
                "--node",
                NODE,
                "--run-dir",
                str(self.directory),
            ],
            pass_fds=[theirs.fileno()],
            stderr=subprocess.PIPE,
        )
        theirs.close()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.finish()

    def finish(self) -> bytes:
        self.channel.close()
        _, said = self.process.communicate(timeout=LIMIT_S)
        return said

    def _run(self) -> None:
        while not self._is_over:
            while self.wishes and self.daemon is not None:
                self.wishes.pop(0)(self.daemon)
            if self.daemon is not None:
                self.daemon.turn()
            time.sleep(0.005)

    def tell(self, *numbers: int) -> None:
        for number in numbers:
            self.wishes.append(lambda daemon, number=number: daemon.tell(told(number)))  # type: ignore[misc]

    def end_daemon(self) -> None:
        def end(daemon: CannedDaemon) -> None:
            self.daemon = None
            daemon.close()

        self.wishes.append(end)

    def ask(self, path: str) -> tuple[int, str]:
        """The answer; status 0 while nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except ConnectionError:
            return 0, ""
        finally:
            connection.close()

    def lines(self) -> list[str]:
        return self.told.read_text().splitlines() if self.told.exists() else []

    def close(self) -> None:
        self._is_over = True
        self._thread.join(LIMIT_S)
        if self.daemon is not None:
            self.daemon.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def placed(directory: Path) -> Iterator[Place]:
    place = Place(directory)
    try:
        yield place
        assert place.finish() == b""
        assert place.process.returncode == 0
    finally:
        if place.process.poll() is None:
            place.process.kill()
            place.process.wait(LIMIT_S)
        place.close()


def eventually(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
def test_what_happens_is_counted_and_told_once_and_its_death_loses_nothing(tmp_path: Path) -> None:
    with placed(tmp_path) as place:
        eventually(lambda: place.ask("/master/g1") == (200, "n1 holds g1, epoch 3\n"))
        place.tell(1, 2)
        eventually(lambda: len(place.lines()) == 2)
        _, text = place.ask("/metrics")
        assert "zcluster_up 1.0" in text
        assert 'zcluster_takeovers_total{cause="other",group="g1"} 2.0' in text
        assert 'zcluster_figure{figure="hooks_log_told",process="tools"} 2.0' in text
        assert 'zcluster_tools_dropped_total{queue="hooks_log"} 0.0' in text
        eventually(lambda: (tmp_path / "tools.place").exists())

        place.kill()
        place.tell(3)
        place.start()
        place.tell(4)
        eventually(lambda: len(place.lines()) >= 4)
        assert list(dict.fromkeys(place.lines())) == [f"n1/7000/{number} takeover" for number in (1, 2, 3, 4)]
        eventually(lambda: place.ask("/master/g1")[0] == 200)

        place.end_daemon()
        eventually(lambda: place.ask("/master/g1")[0] == 503)
        assert place.ask("/healthz")[0] == 503
        _, text = place.ask("/metrics")
        assert "zcluster_up 0.0" in text
        assert "zcluster_group_held" not in text
        assert json.loads((tmp_path / "tools.place").read_text())[0] == 7000
        assert os.listdir(tmp_path / "hooks") == ["log.jsonl"]
