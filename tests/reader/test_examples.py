"""The examples as a reader of docs/bus.md runs them."""

from __future__ import annotations

import ast
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tools.bus_stage import GRAFANA, KEYS, PATIENCE_S, WITHDRAWN, BusStage
from tests.tools.small_daemon import INCARNATION, SmallDaemon, told
from zcluster.reader.credential import credential_text
from zcluster.wire.keys import CurvePair

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PYTHON = (sys.executable, str(EXAMPLES / "subscriber.py"))
NODE_MODULES = EXAMPLES.parent / ".venv" / "node" / "node_modules"
needs_node = pytest.mark.skipif(
    not NODE_MODULES.is_dir() and "CI" not in os.environ,
    reason="examples/package.json is not installed: .ci/packages",
)
EITHER = [PYTHON, pytest.param(("node", str(EXAMPLES / "subscriber.js")), marks=needs_node)]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[BusStage]:
    made = BusStage(tmp_path)
    yield made
    made.close()


class Running:
    """An example, and the records that it printed."""

    def __init__(
        self, command: tuple[str, ...], port: int, directory: Path, pair: CurvePair = GRAFANA
    ) -> None:
        file = directory / "grafana.reader"
        file.write_text(credential_text("pbx", "grafana", KEYS.server.public, pair, port))
        environment = {**os.environ, "NODE_PATH": str(NODE_MODULES)}
        self.process = subprocess.Popen(
            [*command, "127.0.0.1", str(file)], stdout=subprocess.PIPE, text=True, env=environment
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def records(self, count: int) -> list[dict[str, Any]]:
        """The next `count` of them."""
        return [json.loads(self._lines.get(timeout=PATIENCE_S)) for _ in range(count)]

    @property
    def is_silent(self) -> bool:
        """Whether it printed nothing more."""
        return self._lines.empty()

    def close(self) -> None:
        self.process.kill()
        self._reader.join(PATIENCE_S)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def running(*words: Any, **more: Any) -> Iterator[Running]:
    made = Running(*words, **more)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.slow
@pytest.mark.parametrize("command", EITHER)
def test_it_prints_every_event_in_order_and_once(
    command: tuple[str, ...], stage: BusStage, tmp_path: Path
) -> None:
    stage.tell(told(1), told(2))
    stage.until(lambda: stage.ring.newest == 2)
    with running(command, stage.port, tmp_path) as example:
        assert [record["number"] for record in example.records(2)] == [1, 2], "what the node still knows"
        publish = stage.bus.publish
        stage.tell(*(told(number) for number in range(3, 10)))
        assert [record["number"] for record in example.records(7)] == list(range(3, 10))
        stage.do(lambda: setattr(stage.bus, "publish", lambda *_: None))
        stage.tell(*(told(number) for number in range(10, 20)))  # nothing of this is published
        stage.do(lambda: setattr(stage.bus, "publish", publish))
        assert [record["number"] for record in example.records(10)] == list(range(10, 20))
        stage.end_daemon()
        daemon = SmallDaemon(tmp_path, INCARNATION + 1)
        daemon.tell(told(19))
        daemon.tell(told(1, "started", incarnation=INCARNATION + 1))
        stage.begin_daemon(daemon)
        (last,) = example.records(1)
        assert (last["code"], last["incarnation"]) == ("started", INCARNATION + 1)
        assert example.is_silent
    assert last == told(1, "started", incarnation=INCARNATION + 1).plain()


def test_it_is_short_and_needs_two_packages() -> None:
    text = (EXAMPLES / "subscriber.py").read_text()
    assert len(text.splitlines()) < 30
    imported = {
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert imported - set(sys.stdlib_module_names) == {"msgpack", "zmq"}


def test_a_key_that_is_not_admitted_hears_nothing(stage: BusStage, tmp_path: Path) -> None:
    stage.tell(told(1))
    with running(PYTHON, stage.port, tmp_path, pair=WITHDRAWN) as example:
        stage.until(lambda: stage.bus.counts["refused"] >= 1)
        assert example.is_silent
