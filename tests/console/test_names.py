"""A group or a node that the cluster does not have is refused, not answered with nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.console.pages import page
from zcluster.adapters.control_socket import ControlSocket
from zcluster.cli import commands
from zcluster.console.names import nearest_first, refusal
from zcluster.errors import ControlSocketError, ZclusterError

RECORD = {"at_ms": 1, "node": "n1", "level": "notice", "code": "started", "text": "starts", "facts": {}}
GONE = {**RECORD, "text": "gone: closed", "facts": {"group": "gone"}}
BY: dict[str, dict[str, int]] = {"group": {}, "node": {}, "profile": {}}


class Daemon:
    """Both sockets of a node in one directory: the story names the group "gone", the lists are empty."""

    def __init__(self, directory: Path) -> None:
        self.control = ControlSocket(directory / "control.sock")
        self.data = ControlSocket(directory / "data.sock")
        self.asked: list[str] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._is_over.wait(0.005):
            for socket in (self.control, self.data):
                for request in socket.receive():
                    self.asked.append(str(request.body["ask"]))
                    socket.answer(request.client, self._answer(str(request.body["ask"])))

    def _answer(self, asked: str) -> dict[str, Any]:
        match asked:
            case "ping":
                return {"ok": True, "node": "n1", "version": "1"}
            case "status":
                return page()
            case "why":
                return {"schema": "zcluster.why/1", "ok": True, "node": "n1", "records": [RECORD, GONE]}
        empty = {"rows": [], "next": "", "total": 0, "by": BY}
        return {"schema": f"zcluster.{asked}/1", "ok": True, "node": "n1", **empty}

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        self.control.close()
        self.data.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    daemon.close()


def run(daemon: Daemon, *words: str) -> Result:
    path = daemon.control.path if words[0] in ("why", "watch") else daemon.data.path
    return CliRunner().invoke(commands, [*words, "--socket", str(path)])


def refused(result: Result) -> str:
    """The words of an error that ends the command line with 1 (`zcluster.cli.main`), not 3."""
    if isinstance(result.exception, SystemExit):  # --json
        assert result.exit_code == 1
        return str(json.loads(result.output)["error"])
    assert isinstance(result.exception, ZclusterError)
    assert not isinstance(result.exception, ControlSocketError)
    return str(result.exception)


@pytest.mark.parametrize(
    "words",
    [
        ("why", "bleu"),
        ("watch", "--group", "bleu", "--from-start", "--count", "1"),
        ("calls", "--group", "bleu"),
        ("calls", "--lost", "--group", "bleu"),
        ("calls", "--count", "--group", "bleu"),
        ("registrations", "--group", "bleu", "--json"),
    ],
)
def test_an_unknown_group_is_refused_with_the_nearest_first(daemon: Daemon, words: tuple[str, ...]) -> None:
    result = run(daemon, *words)
    assert refused(result).startswith("there is no group bleu; this cluster has blue, ")
    assert "--json" in words or result.stdout == ""


@pytest.mark.parametrize("name", ["calls", "registrations", "limits"])
def test_an_unknown_node_is_refused(daemon: Daemon, name: str) -> None:
    result = run(daemon, name, "--node", "n33")
    assert refused(result).startswith("there is no node n33; this cluster has n3, ")


@pytest.mark.parametrize(
    "words", [("why", "blue"), ("why",), ("why", "gone"), ("calls", "--node", "n2"), ("registrations",)]
)
def test_what_the_cluster_has_or_had_is_answered(daemon: Daemon, words: tuple[str, ...]) -> None:
    assert run(daemon, *words).exit_code == 0


def test_a_name_is_looked_up_only_where_nothing_was_found(daemon: Daemon) -> None:
    assert run(daemon, "why", "gone", "--json").exit_code == 0
    assert daemon.asked == ["why"]


def test_a_data_process_alone_still_answers(daemon: Daemon) -> None:
    daemon.control.path.unlink()
    assert run(daemon, "calls", "--group", "bleu").exit_code == 0


def test_the_nearest_come_first_and_none_steers_the_terminal() -> None:
    assert nearest_first("N2", ["n1", "n3", "n2"])[0] == "n2"
    assert sorted(nearest_first("x", ["n1", "n3"])) == ["n1", "n3"]
    text = refusal("node", "\x1b[2J", [f"n{number}" for number in range(30)])
    assert text.isprintable()
    assert text.endswith("and 20 more")
    assert refusal("group", "x", []) == "there is no group x; this cluster has none"
