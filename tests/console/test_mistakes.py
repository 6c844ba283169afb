"""What a tired person types, and what is said to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.console.pages import group, page
from tests.control.company import Company
from zcluster.adapters.control_socket import FILE_NAME, ControlSocket
from zcluster.cli import commands
from zcluster.console.calls import ask_elsewhere
from zcluster.console.clear import said
from zcluster.control.actions import AnswerWish
from zcluster.control.events import MoveAsked, PinAsked
from zcluster.control.units import NodeState


def typed(*words: str) -> Result:
    return CliRunner().invoke(commands, words)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("move", "g3", "n2"), "name the node behind --to: `zcluster move g3 --to n2`"),
        (("move", "g3", "to", "n2"), "name the node behind --to: `zcluster move g3 --to n2`"),
        (("status", "g1"), "status is of the whole cluster; of one group or node: `zcluster why g1`"),
    ],
)
def test_a_word_too_many(words: tuple[str, ...], hint: str) -> None:
    result = typed(*words)
    assert result.exit_code == 2
    assert hint in " ".join(result.output.split())


def test_other_usage_is_refused_as_ever() -> None:
    assert "Missing argument 'GROUP'" in typed("move").output
    assert "No such option" in typed("move", "g3", "--too", "n2").output


def test_a_group_is_no_code() -> None:
    said = " ".join(typed("explain", "g1").output.split())
    assert (
        "no code is called 'g1'. `zcluster explain` lists all of them; of a group `zcluster why GROUP`"
        in said
    )


@pytest.fixture
def company() -> Company:
    made = Company(name="a")
    made.start()
    made.wait(300)
    return made


def answer(company: Company, event: MoveAsked | PinAsked) -> AnswerWish:
    (found,) = [action for action in company.do(event) if isinstance(action, AnswerWish)]
    return found


def test_a_move_to_a_node_that_is_not_ready_says_why(company: Company) -> None:
    company.reports["b"] = company.reports["b"]._replace(unready=("switch: event socket closed",))
    company.reports["c"] = company.reports["c"]._replace(state=NodeState.STARTING)
    company.wait(100)
    assert answer(company, MoveAsked("1", "g1", "b")).text == (
        "b is not ready: switch: event socket closed; see `zcluster status`"
    )
    assert answer(company, MoveAsked("2", "g1", "c")).text.startswith(
        "c is not ready: its state is STARTING;"
    )


def test_a_pin_that_there_is_not_is_no_pin_that_ended(company: Company) -> None:
    found = answer(company, PinAsked("1", "g1", ""))
    assert (found.is_accepted, found.text) == (True, "g1 was not pinned")


@pytest.mark.parametrize(
    ("problems", "text"),
    [
        ([], "Nothing was to clear: no failure condition was met."),
        (["switch condition 1: HEARTBEAT was fired"], "Cleared: condition 1: HEARTBEAT was fired."),
        (
            ["switch: event socket closed", "switch profile sip1: not running"],
            "Nothing was to clear: no failure condition was met. Still wrong, until it is mended: event socket closed "
            "and profile sip1: not running (`zcluster explain switch-not-well`).",
        ),
    ],
)
def test_clear_faults_says_what_it_did(problems: list[str], text: str) -> None:
    assert said(problems) == text


class Daemon:
    """Both processes of a host: fixed answers, in a thread."""

    def __init__(self, directory: Path) -> None:
        self.status = page()
        self._answers: dict[str, Any] = {
            "lost": {"schema": "zcluster.lost/1", "ok": True, "node": "n4", "rows": [], "next": ""},
            "clear": {"ok": True, "text": "x"},
        }
        self.data_path = directory / "data.sock"
        self._sockets = [ControlSocket(directory / FILE_NAME), ControlSocket(self.data_path)]
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._is_over.wait(0.005):
            for socket in self._sockets:
                for request in socket.receive():
                    name = str(request.body["ask"])
                    socket.answer(request.client, self.status if name == "status" else self._answers[name])

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        for socket in self._sockets:
            socket.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.close()


def test_lost_calls_are_those_of_the_new_holder(daemon: Daemon) -> None:
    found = " ".join(
        typed("calls", "--lost", "--socket", str(daemon.data_path), "--group", "green").output.split()
    )
    assert found == (
        "0 legs (group green) could not be brought back by n4. n4 holds nothing of it: ask the new holder (n2)."
    )
    daemon.status["groups"] = [group("green", 11, "n4"), group("red", 12, "n1")]
    assert "ask the new holder" not in typed("calls", "--lost", "--socket", str(daemon.data_path)).output
    assert ask_elsewhere("n4", []) == []


def test_faults_are_cleared_with_an_account(daemon: Daemon) -> None:
    daemon.status["switch"] = {"problems": ["switch paused: the switch is paused (fsctl pause)"]}
    result = typed("clear-faults", "--socket", str(daemon.data_path))
    assert result.exit_code == 0
    assert "Nothing was to clear" in result.output
    assert "paused: the switch is paused" in " ".join(result.output.split())
