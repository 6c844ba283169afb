"""`zcluster freeze` and `zcluster thaw` as they are typed, and what `zcluster status` says meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.console.pages import group, page, silent, with_nodes
from zcluster.adapters.control_socket import ControlSocket
from zcluster.cli import commands
from zcluster.console import freeze
from zcluster.console.verdict import ExitStatus, judge
from zcluster.control.events import FreezeAsked, ThawAsked
from zcluster.control.frozen import LONGEST_MS
from zcluster.errors import ControlSocketError, ZclusterError
from zcluster.supervisor.questions import Questions
from zcluster.supervisor.story import Story

FROZEN = {
    "reason": "switches are replaced",
    "who": "alice",
    "node": "n4",
    "since_ms": 1_790_000_000_000,
    "until_ms": None,
    "age_ms": 7_980_000,
    "left_ms": None,
    "is_firm": True,
    "holders": [
        {"group": "blue", "node": "n1"},
        {"group": "green", "node": "n2"},
        {"group": "red", "node": "n3"},
    ],
}
UNHELD = [group("blue", 10, "n1"), group("green", 11, ""), group("red", 12, "n3")]


def test_the_first_sentence_is_that_nothing_moves_and_how_to_end_it() -> None:
    verdict = judge(page(freeze=FROZEN))
    assert verdict.exit_status is ExitStatus.DEGRADED
    assert verdict.sentence == (
        "FROZEN by alice on n4 2 h 13 min ago (switches are replaced): nothing moves, whatever fails, until "
        "`zcluster thaw`. All 3 groups are held; 2 slaves stand ready."
    )


def test_a_freeze_with_an_end_says_how_long_it_lasts() -> None:
    sentence = judge(page(freeze={**FROZEN, "until_ms": 1, "left_ms": 2_820_000})).sentence
    assert "for 47 min 0 s more, or until `zcluster thaw`" in sentence


def test_a_group_without_a_holder_says_which_host_to_start() -> None:
    verdict = judge(page(freeze=FROZEN, groups=UNHELD, nodes=with_nodes(silent("n2"))))
    assert verdict.exit_status is ExitStatus.UNHELD
    assert verdict.sentence.startswith("FROZEN by alice")
    assert "Group green has no holder: frozen on n2, so start that, or `zcluster thaw`" in verdict.sentence


def test_a_group_that_nobody_held_says_so() -> None:
    verdict = judge(page(freeze={**FROZEN, "holders": []}, groups=UNHELD))
    assert "nobody held green when the cluster was frozen: `zcluster thaw`" in verdict.sentence


@pytest.mark.parametrize(
    ("text", "length_ms"), [("90s", 90_000), ("30m", 1_800_000), ("30 min", 1_800_000), ("30d", LONGEST_MS)]
)
def test_a_span_is_read(text: str, length_ms: int) -> None:
    assert freeze.span_ms(text) == length_ms


@pytest.mark.parametrize("text", ["", "2", "0s", "-1h", "2h30m", "31d", "999999d", "2 weeks", "１h\n"])
def test_what_is_no_span_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ZclusterError, match=r"2h|thirty days"):
        freeze.span_ms(text)


class Daemon(threading.Thread):
    """The control socket with real questions behind it; its core answers each wish with `text`."""

    def __init__(self, directory: Path, is_accepted: bool = True, text: str = "done") -> None:
        super().__init__(daemon=True)
        self.server = ControlSocket(directory / "control.sock")
        self.events: list[Any] = []
        self._verdict = (is_accepted, text)
        self._questions = Questions(
            self.server, Story(()), lambda: page(freeze=FROZEN), "n1", 1, "0.1", lambda: 0
        )
        self.is_over = threading.Event()

    def run(self) -> None:
        from zcluster.control.actions import AnswerWish

        while not self.is_over.wait(0.01):
            found: list[Any] = [*self._questions.receive()]
            for event in found:
                self.events.append(event)
                self._questions.answer_wish(AnswerWish(event.identity, *self._verdict))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    daemon.start()
    yield daemon
    daemon.is_over.set()
    daemon.join()
    daemon.server.close()


def test_a_freeze_is_asked_for_with_reason_name_and_end_and_status_follows(
    daemon: Daemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    assert freeze.freeze(daemon.server.path, "new core switch", "2h", as_json=False) == 0
    (event,) = daemon.events
    assert isinstance(event, FreezeAsked)
    assert (event.who, event.reason, event.until_ms - event.wall_ms) == (
        "alice",
        "new core switch",
        7_200_000,
    )
    out = capsys.readouterr().out
    assert out.startswith("done\n")
    assert "FROZEN by alice" in out


def test_words_of_a_reason_need_no_quotes(daemon: Daemon) -> None:
    words = ["freeze", "new", "core", "switch", "--for", "90s", "--json", "--socket", str(daemon.server.path)]
    result = CliRunner().invoke(commands, words)
    assert result.exit_code == 0, result.output
    assert daemon.events[0].reason == "new core switch"


def test_a_freeze_without_a_reason_is_no_command() -> None:
    assert CliRunner().invoke(commands, ["freeze"]).exit_code == 2


def test_a_thaw_is_asked_for(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert freeze.thaw(daemon.server.path, as_json=True) == 0
    (event,) = daemon.events
    assert isinstance(event, ThawAsked)
    assert json.loads(capsys.readouterr().out) == {
        "schema": "zcluster.answer/1",
        "ok": True,
        "text": "done",
    }


def test_a_refusal_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    daemon = Daemon(tmp_path, is_accepted=False, text="no majority")
    daemon.start()
    try:
        assert freeze.freeze(daemon.server.path, "x", None, as_json=True) == 1
        assert json.loads(capsys.readouterr().out) == {
            "schema": "zcluster.answer/1",
            "ok": False,
            "text": "no majority",
        }
        assert daemon.events[0].until_ms == 0
    finally:
        daemon.is_over.set()
        daemon.join()
        daemon.server.close()


@pytest.mark.parametrize(("reason", "span"), [("", None), ("bell\a", None), ("x" * 121, None), ("x", "soon")])
def test_what_cannot_be_is_refused_before_anybody_is_asked(
    tmp_path: Path, reason: str, span: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert freeze.freeze(tmp_path / "nobody.sock", reason, span, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
    with pytest.raises(ZclusterError) as caught:
        freeze.freeze(tmp_path / "nobody.sock", reason, span, as_json=False)
    assert not isinstance(caught.value, ControlSocketError)


def test_without_a_daemon_it_is_not_reachable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert freeze.thaw(tmp_path / "nobody.sock", as_json=True) == 3
    with pytest.raises(ControlSocketError):
        freeze.freeze(tmp_path / "nobody.sock", "x", None, as_json=False)


@pytest.mark.parametrize(
    "body",
    [
        {"ask": "freeze"},
        {"ask": "freeze", "reason": "x"},
        {"ask": "freeze", "reason": "x", "who": 3},
        {"ask": "freeze", "reason": "x", "who": "a", "for_ms": -1},
        {"ask": "freeze", "reason": "x", "who": "a", "for_ms": True},
        {"ask": "freeze", "reason": "x", "who": "a", "for_ms": LONGEST_MS + 1},
        {"ask": "freeze", "reason": "", "who": "a"},
        {"ask": "freeze", "reason": "\x1b[2J", "who": "a"},
        {"ask": "thaw"},
        {"ask": "thaw", "who": ["a"]},
    ],
)
def test_a_daemon_trusts_no_client(daemon: Daemon, body: dict[str, object]) -> None:
    from zcluster.adapters.control_socket import ask

    assert ask(daemon.server.path, body)["ok"] is False
    assert daemon.events == []
