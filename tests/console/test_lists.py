from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as some

from zcluster.adapters.control_socket import ControlSocket
from zcluster.cli import commands
from zcluster.console import calls, limits, registrations
from zcluster.console.lists import Listed, Selection, count, counts_page, width_of
from zcluster.console.words import WIDTH
from zcluster.errors import ControlSocketError

EVERYTHING = Selection()


def registration(user: str, **changed: Any) -> dict[str, Any]:
    plain = {
        "aor": f"{user}@pbx.example.com",
        "contact": f"<sip:{user}@10.3.4.5:5060;transport=udp>",
        "expires_in_s": 1742,
        "node": "n1",
        "group": "blue",
        "profile": "sip1",
        "transport": "udp",
        "via": "",
        "agent": "Yealink T46S",
        "is_cut": False,
    }
    return {**plain, **changed}


def call(number: int, **changed: Any) -> dict[str, Any]:
    plain = {
        "uuid": f"9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb{number:02d}",
        "caller": "1001",
        "callee": "+4930123456",
        "state": "answered",
        "direction": "inbound",
        "started_s": 1_790_000_000,
        "answered_s": 1_790_000_004,
        "group": "blue",
        "node": "n1",
        "profile": "sip1",
        "build": "1.11.3",
        "is_recovered": False,
        "is_recoverable": True,
        "is_orphan": False,
    }
    return {**plain, **changed}


PHONES = """\
3 registrations (group blue), as n2 knows them.

PHONE                 GROUP  HELD BY  EXPIRES     CONTACT
1000@pbx.example.com  blue   n1       29 min 2 s  <sip:1000@10.3.4.5:5060;transport=udp>
                                                  via 10.20.0.10
1001@pbx.example.com  blue   n1       cut off     <sip:1001@10.3.4.5:5060;transport=udp>
1002@pbx.example.com  blue   n1       now         <sip:1002@10.3.4.5:5060;transport=udp>

There are more: --limit 0 shows all, --count counts them."""


def test_the_page_of_registrations() -> None:
    rows = [
        registration("1002", expires_in_s=-3),
        registration("1001", is_cut=True),
        registration("1000", via="10.20.0.10"),
    ]
    page = registrations.render(Listed("n2", rows, True), Selection(group="blue"))
    assert page == PHONES.splitlines()


LEGS = """\
3 legs, as n2 knows them; 2 of them would live on elsewhere.

CALLER  CALLEE       STATE      SINCE       ON  GROUP
1001    +4930123456  recovered  1 min 40 s  n1  blue
  9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb03
1001    +4930123456  orphaned   1 min 40 s  n1  blue
  9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb04
?       +4930123456  ringing    -           n1  blue
  9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb05"""


def test_the_page_of_calls() -> None:
    rows = [
        call(5, caller="", state="ringing", started_s=0, is_recoverable=False),
        call(4, is_orphan=True),
        call(3, is_recovered=True),
    ]
    page = calls.render(Listed("n2", rows, False), EVERYTHING, 1_790_000_100)
    assert page == LEGS.splitlines()
    assert calls.render(Listed("n2", [], False), EVERYTHING, 0) == ["No calls that n2 knows of."]


def test_the_page_of_lost_calls_has_what_billing_needs() -> None:
    lost: dict[str, object] = {
        "uuid": "9b1deb4d",
        "caller": "1001",
        "callee": "1002",
        "started_s": 100,
        "reason": "it was ringing",
        "group": "blue",
        "node": "n1",
        "lost_s": 200,
    }
    page = calls.render_lost(Listed("n2", [lost], False), EVERYTHING, lambda at_s: f"at {at_s}")
    assert page[0] == "1 leg could not be brought back by n2."
    text = " ".join(" ".join(page).split())
    assert "at 200 1001 1002 it was ringing; began at 100 on n1 (blue), 9b1deb4d" in text


SHARES = """\
2 limits in use, as n2 counts them.

LIMIT              SESSIONS  OF WHICH
outbound_carrier1  9         n1 4 and 2 recovered, n2 1, 2 kept for calls that may yet be recovered
outbound_carrier2  0         -"""


def test_the_page_of_limits() -> None:
    rows = [
        {"name": "outbound_carrier2", "total": 0, "kept": 0, "nodes": {}},
        {
            "name": "outbound_carrier1",
            "total": 9,
            "kept": 2,
            "nodes": {"n2": {"sessions": 1, "recovered": 0}, "n1": {"sessions": 4, "recovered": 2}},
        },
    ]
    page = limits.render(Listed("n2", rows, False), EVERYTHING)
    assert " ".join(" ".join(page).split()) == " ".join(SHARES.split())


def test_counts() -> None:
    by = {"group": {"blue": 2, "red": 5}, "node": {"n1": 7}, "profile": {}}
    page = counts_page("registration", {"total": 7, "by": by}, Selection(match="10"))
    assert page == [
        '7 registrations (matching "10").',
        "",
        "GROUP  COUNT",
        "red    5",
        "blue   2",
        "",
        "NODE  COUNT",
        "n1    7",
    ]


@given(some.text(max_size=60), some.integers(min_value=3, max_value=30))
def test_a_cell_keeps_both_ends(text: str, most: int) -> None:
    cut = width_of(text, most)
    assert len(cut) == min(len(text), most)
    if len(text) > most:
        assert cut[0] == text[0]
        assert cut[-1] == text[-1]


# Every column at its widest, and the room that a table leaves its last one.
WIDEST_PAGE = 28 + 12 + 12 + len("29 min 2 s") + 4 * len("  ") + 20
NAMES = some.text(alphabet=some.characters(codec="utf-8"), max_size=40)


@given(some.lists(some.tuples(NAMES, NAMES, NAMES, NAMES), max_size=4))
def test_whatever_a_phone_says_of_itself_no_line_steers_the_terminal(texts: list[tuple[str, ...]]) -> None:
    rows = [registration("1", aor=aor, contact=c, node=node, group=g) for aor, c, node, g in texts]
    for line in registrations.render(Listed("n2", rows, False), EVERYTHING):
        assert line.isprintable()
        longest_word = max((len(word) for word in line.split(" ")), default=0)
        assert len(line) <= WIDEST_PAGE or longest_word >= 20


def test_everything_fits_a_terminal() -> None:
    user = "a.very.long.user.name.of.somebody"
    phones = [registration(user, node="node-with-a-long-name.example.com", group="group-with-a-long-name")]
    legs = [call(1, caller=user, callee=user, node="node-with-a-long-name.example.com", is_recovered=True)]
    pages = [
        *registrations.render(Listed("n2", phones, False), EVERYTHING),
        *calls.render(Listed("n2", legs, False), EVERYTHING, 1_790_400_000),
    ]
    # A contact is one word: it may be longer than its column, and is not cut.
    assert [line for line in pages if len(line) > WIDTH and "sip:" not in line] == []


@contextmanager
def answering(path: Path, rows: list[dict[str, Any]], name: str) -> Iterator[list[dict[str, Any]]]:
    """A data process with these rows, whatever is asked."""
    asked: list[dict[str, Any]] = []
    socket = ControlSocket(path)
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.wait(0.002):
            for request in socket.receive():
                body = dict(request.body)
                asked.append(body)
                begin, limit = int(str(body.get("from") or "0")), int(str(body.get("limit", 1)))
                part = rows[begin : begin + limit]
                place = str(begin + limit) if begin + limit < len(rows) else ""
                answer: dict[str, object] = {"schema": f"zcluster.{name}/1", "ok": True, "node": "n2"}
                if body.get("count"):
                    answer |= {"total": len(rows), "by": {"group": {"blue": len(rows)}}}
                else:
                    answer |= {"rows": part, "next": place}
                socket.answer(request.client, answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        is_over.set()
        thread.join()
        socket.close()


def called(path: Path, *words: str) -> Any:
    done = CliRunner().invoke(commands, [*words, "--socket", str(path)])
    assert done.exit_code == 0, done.output
    return done.output


def test_all_pages_are_fetched_for_a_program_and_some_rows_for_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "data.sock"
    rows = [registration(f"{number:04d}") for number in range(2500)]
    with answering(path, rows, "registrations") as asked:
        whole = json.loads(called(path, "registrations", "--json", "--group", "blue", "--match", "x"))
        assert len(whole["rows"]) == 2500
        assert whole["is_cut"] is False
        assert [body["from"] for body in asked] == ["", "1000", "2000"]
        assert {(body["group"], body["match"]) for body in asked} == {("blue", "x")}
        assert "There are more" in called(path, "registrations")
        assert "1500 registrations" in called(path, "registrations", "--limit", "1500")
        assert "2500 registrations." in called(path, "registrations", "--count")
        assert json.loads(called(path, "registrations", "--count", "--json"))["total"] == 2500


@pytest.mark.parametrize(
    ("words", "name", "rows", "expected"),
    [
        (("calls",), "calls", [call(1)], "1 leg, as n2 knows them; 1 of them"),
        (("calls", "--lost"), "lost", [], "0 legs could not be brought back by n2."),
        (("calls", "--lost", "--count"), "lost", [], "0 lost legs."),
        (("limits",), "limits", [], "0 limits in use, as n2 counts them."),
        (("limits", "--count"), "limits", [], "0 limits in use."),
    ],
)
def test_the_other_commands(
    tmp_path: Path, words: tuple[str, ...], name: str, rows: list[dict[str, Any]], expected: str
) -> None:
    path = tmp_path / "data.sock"
    with answering(path, rows, name):
        assert expected in called(path, *words)
        assert json.loads(called(path, *words, "--json"))["schema"] == f"zcluster.{name}/1"


def test_another_programs_socket_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "data.sock"
    with answering(path, [], "status"):
        done = CliRunner().invoke(commands, ["limits", "--socket", str(path)])
        assert "not a data process of this version" in str(done.exception)


def test_a_node_without_a_data_process_says_why(tmp_path: Path) -> None:
    (tmp_path / "control.sock").touch()
    with pytest.raises(ControlSocketError, match=r"\[switch\]"):
        count(tmp_path / "data.sock", "calls", EVERYTHING)
