from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zcluster.adapters.control_socket import ControlSocket
from zcluster.adapters.journal import Record
from zcluster.control.actions import AnswerWish
from zcluster.control.events import Event, MoveAsked, PinAsked, RestartAsked, RosterAsked
from zcluster.supervisor.questions import AGREEMENT_LIMIT_MS, ANSWER_LIMIT_MS, Questions
from zcluster.supervisor.story import Story

BLUE = Record(1, "n1", "info", "state", "text", {"group": "blue"})
RED = Record(2, "n1", "info", "state", "text", {"group": "red"})


class Asker:
    """The daemon's side and one client of it."""

    def __init__(self, directory: Path) -> None:
        self.server = ControlSocket(directory / "control.sock")
        status = {"schema": "zcluster.status/1"}
        self.questions = Questions(
            self.server, Story([BLUE, RED]), lambda: status, "n1", 255, "0.1", lambda: 5000
        )
        self.client = socket.socket(socket.AF_UNIX)
        self.client.settimeout(2)
        self.client.connect(str(self.server.path))

    def ask(self, body: object) -> list[Event]:
        self.client.sendall(json.dumps(body).encode() + b"\n")
        for _ in range(3):  # the connection, then the line
            if not select.select([self.server], [], [], 0.2)[0]:
                break
            if events := self.questions.receive():
                return events
        return []

    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.client.recv(1 << 16))
        return answer


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path)
    yield asker
    asker.client.close()
    asker.server.close()


def test_ping_status_and_why_are_answered_at_once(asker: Asker) -> None:
    asker.ask({"ask": "ping"})
    assert asker.answer() == {"ok": True, "node": "n1", "version": "0.1"}
    asker.ask({"ask": "status"})
    assert asker.answer() == {"schema": "zcluster.status/1"}
    asker.ask({"ask": "why", "group": "red"})
    assert [record["facts"] for record in asker.answer()["records"]] == [{"group": "red"}]
    asker.ask({"ask": "why"})
    assert len(asker.answer()["records"]) == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ask": "destroy"},
        {"ask": ["ping"]},
        {"ask": "why", "group": 7},
        {"ask": "move"},
        {"ask": "move", "group": "b", "to": 3},
        {"ask": "pin", "group": "b"},
        {"ask": "pin", "group": 3, "to": "n1"},
        {"ask": "roster", "verb": "show", "names": ["n1"]},
        {"ask": "roster", "verb": "add", "names": []},
        {"ask": "roster", "verb": "add", "names": "n1"},
        {"ask": "roster", "verb": ["add"], "names": ["n1"]},
        {"ask": "roster", "verb": "force", "names": ["n1", 2]},
        {"ask": "roster", "verb": "force", "names": ["n" * 64]},
        {"ask": "roster", "verb": "force", "names": [f"n{number}" for number in range(65)]},
    ],
)
def test_other_questions_are_refused(asker: Asker, body: object) -> None:
    assert asker.ask(body) == []
    assert asker.answer()["ok"] is False


def test_a_move_is_answered_when_the_core_answers(asker: Asker) -> None:
    (event,) = asker.ask({"ask": "move", "group": "blue", "to": "n2"})
    assert event == MoveAsked("n1-ff-1", "blue", "n2")
    asker.questions.answer_wish(AnswerWish("n1-ff-1", True, "blue is asked to move to n2"))
    assert asker.answer() == {"ok": True, "text": "blue is asked to move to n2"}
    assert asker.questions.deadline() is None


@pytest.mark.parametrize(
    ("body", "event"),
    [
        ({"ask": "pin", "group": "blue", "to": "n2"}, PinAsked("n1-ff-1", "blue", "n2")),
        ({"ask": "pin", "group": "blue", "to": ""}, PinAsked("n1-ff-1", "blue", "")),
        (
            {"ask": "roster", "verb": "force", "names": ["n2", "n3", "n2"]},
            RosterAsked("n1-ff-1", "force", ("n2", "n3")),
        ),
        ({"ask": "restart"}, RestartAsked("n1-ff-1")),
    ],
)
def test_other_wishes_are_events_too(asker: Asker, body: object, event: Event) -> None:
    assert asker.ask(body) == [event]
    asker.questions.answer_wish(AnswerWish("n1-ff-1", False, "no majority"))
    assert asker.answer() == {"ok": False, "text": "no majority"}


def test_a_majority_is_given_its_time(asker: Asker) -> None:
    asker.ask({"ask": "roster", "verb": "add", "names": ["n6"]})
    assert asker.questions.deadline() == 5000 + AGREEMENT_LIMIT_MS


def test_a_move_that_the_core_forgets_is_answered_at_the_bound(asker: Asker) -> None:
    asker.ask({"ask": "move", "group": "blue"})
    assert asker.questions.deadline() == 5000 + ANSWER_LIMIT_MS
    asker.questions.run(5000 + ANSWER_LIMIT_MS - 1)
    assert asker.questions.deadline() is not None
    asker.questions.run(5000 + ANSWER_LIMIT_MS)
    assert "did not decide" in asker.answer()["error"]
    asker.questions.answer_wish(AnswerWish("n1-ff-1", True, "late"))
