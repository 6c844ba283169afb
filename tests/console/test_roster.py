from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.console.pages import node, page, silent, with_nodes
from zcluster.adapters.control_socket import ControlSocket
from zcluster.cli import commands
from zcluster.console.roster import as_data, render
from zcluster.console.verdict import complaints
from zcluster.console.words import WIDTH

CHANGED = page(
    generation=9,
    quorum=2,
    roster=["n1", "n2", "n3"],
    forgotten=["n4"],
    unadmitted=["n6"],
    pins=[{"group": "blue", "node": "n2"}],
    nodes=[
        *with_nodes(silent("n2", 2000), node("n3", is_witness=True), silent("n4"))[:4],
        node("n6", is_voter=False),
    ],
)
TABLE = """\
Generation 9 of n1-18c, settled: 3 voters, 2 of them decide.

NODE  VOTE              HEARD       GENERATION
n1    yes               itself      1
n2    yes               2.0 s ago   1
n3    yes, witness      yes         1
n4    no: forgotten     14.2 s ago  1
n6    no: not admitted  yes         1

blue is pinned to n2
n6 is heard and no member: zcluster roster add n6
n4 was dead for long: it votes again when it is back, or zcluster roster remove n4"""


class Daemon:
    """A control socket that keeps what it is asked and gives the answer it is told to give."""

    def __init__(self, path: Path) -> None:
        self.server = ControlSocket(path)
        self.asked: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"ok": True, "text": "done"}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._is_over.wait(0.005):
            for request in self.server.receive():
                self.asked.append(dict(request.body))
                self.server.answer(request.client, self.answer)

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        self.server.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "control.sock")
    yield daemon
    daemon.close()


def run(daemon: Daemon, *words: str) -> Result:
    return CliRunner().invoke(commands, [*words, "--socket", str(daemon.server.path)])


def test_the_roster_for_people_and_for_tools() -> None:
    lines = render(CHANGED)
    assert "\n".join(lines) == TABLE
    assert "FORCED" in "\n".join(render({**CHANGED, "is_forced": True}))
    assert "not settled yet" in "\n".join(render({**CHANGED, "is_settled": False}))
    data = json.loads(json.dumps(as_data(CHANGED)))
    assert (data["schema"], data["ok"], data["generation"]) == ("zcluster.roster/1", True, 9)
    assert (data["forgotten"], data["unadmitted"]) == (["n4"], ["n6"])
    assert [entry["name"] for entry in data["nodes"] if entry["is_witness"]] == ["n3"]
    assert render({**CHANGED, "cluster_id": ""}) == [
        "The cluster is not founded yet, so nobody votes: see `zcluster status`."
    ]


def test_show_asks_for_the_status(daemon: Daemon) -> None:
    daemon.answer = CHANGED
    done = run(daemon, "roster", "show")
    assert (done.exit_code, done.output) == (0, TABLE + "\n")
    assert json.loads(run(daemon, "roster", "show", "--json").output)["quorum"] == 2
    assert daemon.asked == [{"ask": "status"}] * 2
    daemon.answer = page(cluster_id="")
    assert run(daemon, "roster", "show").exit_code == 1


@pytest.mark.parametrize(
    ("words", "question"),
    [
        (("roster", "add", "n6"), {"ask": "roster", "verb": "add", "names": ["n6"]}),
        (("roster", "remove", "n4"), {"ask": "roster", "verb": "remove", "names": ["n4"]}),
        (("pin", "blue", "n2"), {"ask": "pin", "group": "blue", "to": "n2"}),
        (("unpin", "blue"), {"ask": "pin", "group": "blue", "to": ""}),
        (("restart-daemon",), {"ask": "restart"}),
        (("move", "blue", "--to", "n2"), {"ask": "move", "group": "blue", "to": "n2"}),
    ],
)
def test_each_wish_is_asked_and_its_answer_is_the_exit_status(
    daemon: Daemon, words: tuple[str, ...], question: dict[str, Any]
) -> None:
    done = run(daemon, *words)
    assert (done.exit_code, done.stdout) == (0, "done\n")
    daemon.answer = {"ok": False, "text": "no majority"}
    refused = run(daemon, *words)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "zcluster: no majority" in refused.stderr
    as_json = run(daemon, *words, "--json")
    answer = {"schema": "zcluster.answer/1", **daemon.answer}
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (1, answer)
    assert daemon.asked == [question] * 3


@pytest.mark.parametrize(
    "words", [["roster", "show"], ["roster", "add", "n6"], ["pin", "blue", "n2"], ["restart-daemon"]]
)
def test_a_daemon_that_cannot_be_asked_is_3(tmp_path: Path, words: list[str]) -> None:
    where = ["--socket", str(tmp_path / "none.sock")]
    command = [sys.executable, "-m", "zcluster", *words, *where]
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (plain.returncode, plain.stdout) == (3, "")
    assert "no daemon listens at" in plain.stderr
    as_json = CliRunner().invoke(commands, [*words, *where, "--json"])
    assert as_json.exit_code == 3
    assert json.loads(as_json.stdout)["ok"] is False


def test_a_script_must_say_twice_that_they_are_dead(daemon: Daemon) -> None:
    flag = "--yes-they-are-dead"
    for given in ([], [flag]):
        refused = run(daemon, "roster", "force", "--lost", "n2", "n3", *given)
        assert refused.exit_code == 1
        assert "nothing has changed" in refused.stderr
    assert daemon.asked == []
    done = run(daemon, "roster", "force", "--lost", "n2", "n3", flag, flag)
    assert done.exit_code == 0
    assert "two hosts may answer for the same address" in " ".join(done.stderr.split())
    assert max(map(len, done.stderr.splitlines())) <= WIDTH
    both = run(daemon, "roster", "force", "--lost", "n2", "--lost", "n3", flag, flag, "--json")
    assert json.loads(both.stdout) == {
        "schema": "zcluster.answer/1",
        "ok": True,
        "text": "done",
    }
    assert daemon.asked == [{"ask": "roster", "verb": "force", "names": ["n2", "n3"]}] * 2
    assert run(daemon, "roster", "force").exit_code == 2


@pytest.mark.parametrize(
    ("typed", "status"),
    [
        (["n2 n3", "they are dead"], 0),
        (["n2", ""], 1),
        (["n2 n3", "yes"], 1),
    ],
)
def test_a_terminal_is_asked_twice(daemon: Daemon, typed: list[str], status: int) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "zcluster", "roster", "force", "--lost", "n2", "n3"]
    command += ["--socket", str(daemon.server.path)]
    os.write(ours, "".join(line + "\n" for line in typed).encode())
    process = subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    out, err = process.communicate(timeout=20)
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, "Which nodes are dead?" in err) == (status, True)
    assert len(daemon.asked) == (status == 0)
    assert (out == "done\n") == (status == 0)


def test_a_name_from_the_network_steers_no_terminal(daemon: Daemon) -> None:
    daemon.answer = {"ok": False, "text": "\x1b[2Jgone"}
    assert "\x1b" not in run(daemon, "roster", "add", "n6").stderr


def forced(**changed: Any) -> str:
    nodes = [*with_nodes(silent("n2", 8000), node("n3"), silent("n4", 700_000), silent("n5", None))]
    out = {"roster": ["n1", "n3"], "forgotten": ["n2", "n4", "n5"], "is_forced": True, "nodes": nodes}
    return "\n".join(render(page(**{**out, "forget_after_ms": 600_000, **changed})))


def test_who_was_silent_for_less_than_it_takes_to_be_forgotten_was_forced_out() -> None:
    lines = forced()
    assert "n2 was forced out by an operator: it votes again when it is back" in lines
    assert "n4 was dead for long: it votes again" in lines
    assert "n5 was forced out by an operator, or dead for long: " in lines
    assert " no: forced out  8.0 s ago" in lines
    # The next generation is none of force, and n2 was forced out all the same.
    assert "n2 was forced out by an operator" in forced(is_forced=False)
    assert "n5 was dead for long" in forced(is_forced=False)


def test_the_roster_of_a_daemon_that_does_not_say_how_long_is_read() -> None:
    plain = {key: value for key, value in CHANGED.items() if key != "forget_after_ms"}
    assert "n4 was dead for long" in "\n".join(render(plain))


def test_status_too_says_who_was_forced_out() -> None:
    nodes = [*with_nodes(silent("n2", 8000, is_voter=False))]
    found = complaints(page(forgotten=["n2"], is_forced=True, forget_after_ms=600_000, nodes=nodes))
    assert any(each.startswith("n2 was forced out by an operator: start it") for each in found)
    assert not any("dead for so long" in each for each in found)
