from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.console.pages import LINKS, group, node, page, silent, with_nodes
from zcluster.adapters.control_socket import ControlSocket
from zcluster.console import status
from zcluster.console.asked import Sockets
from zcluster.console.verdict import ExitStatus, complaints, judge
from zcluster.console.words import WIDTH


def here(path: Path) -> nullcontext[Sockets]:
    return nullcontext(Sockets(path, path))


WELL = """\
All 3 groups are held; 2 slaves stand ready.

GROUP  HOLDER  EPOCH  SINCE       ADDRESSES
blue   n1      7      2 h 13 min  10.20.0.10/24, fd20::10/64
green  n2      7      2 h 13 min  10.20.0.11/24, fd20::11/64
red    n3      7      2 h 13 min  10.20.0.12/24, fd20::12/64

NODE  STATE   SLAVE  HEARD ON     CONDITION
n1 *  MASTER  -      -            holds blue
n2    MASTER  -      hb1 hb2 lan  holds green
n3    MASTER  -      hb1 hb2 lan  holds red
n4    SLAVE   1st    hb1 hb2 lan  ready
n5    SLAVE   2nd    hb1 hb2 lan  ready

Seen by n1 (*) of office: 5 voters, generation 1, version 0.1.0, up 4 d 7 h."""

AT_THREE_IN_THE_MORNING = """\
Group green has no holder: no slave stands ready (n4: service reference silent):
mend that; then `zcluster why green`.

GROUP  HOLDER  EPOCH  SINCE       ADDRESSES
blue   n1      7      2 h 13 min  10.20.0.10/24, fd20::10/64
green  nobody  -      -           10.20.0.11/24, fd20::11/64
red    n3      7      2 h 13 min  10.20.0.12/24, fd20::12/64

NODE  STATE   SLAVE  HEARD ON     CONDITION
n1 *  MASTER  -      -            holds blue
n2    FAILED  -      no link      silent since 14.2 s
n3    MASTER  -      hb2          holds red; silent on hb1, lan
n4    SLAVE   1st    hb1 hb2 lan  not ready: service reference silent
n5    FAILED  -      no link      never heard

Not ready: `zcluster explain host-not-well`.

alarm: another tool removed the packet rules of n3 (`zcluster explain
  gate-lost`)

Seen by n1 (*) of office: 5 voters, generation 1, version 0.1.0, up 4 d 7 h."""

HALF_HEARD = [{"name": link, "is_heard": link == "hb2", "heard_ms": 9} for link in LINKS]


SWITCH = {"is_known": True, "problems": [], "pid": 4711, "restarts": 0}
COPIES = {"is_ready": True, "reason": "", "nodes": [{"name": f"n{at}", "percent": 100} for at in (2, 3)]}


def of_the_switch(switch: dict[str, Any], copies: dict[str, Any]) -> str:
    """The lines between the table of nodes and the footer."""
    lines = status.render(page(switch={**SWITCH, **switch}, copies={**COPIES, **copies}))
    first = next(at for at, line in enumerate(lines) if line.startswith("Switch:"))
    return "\n".join(lines[first:-2])


def filling(*percents: int) -> list[dict[str, Any]]:
    return [{"name": f"n{at}", "percent": percent} for at, percent in enumerate(percents, 2)]


@pytest.mark.parametrize(
    ("switch", "copies", "lines"),
    [
        ({}, {}, "Switch: well (data process 4711).\nCopies: complete of n2, n3."),
        (
            {"problems": ["switch profile sip1: not running", "switch paused: yes"], "restarts": 1},
            {"nodes": filling(100, 40)},
            "Switch: profile sip1: not running; paused: yes (data process 4711, begun anew 1\n"
            "time).\nCopies: complete of n2; filling of n3 40 %.",
        ),
        (
            {"is_known": False, "restarts": 3},
            {"is_ready": False, "nodes": filling(7, 40), "reason": "n2 7 %"},
            "Switch: not known yet (data process 4711, begun anew 3 times).\n"
            "Copies: filling of n2 7 %, n3 40 %; not enough to take over (n2 7 %).",
        ),
        (
            {"is_known": False, "pid": None},
            {"is_ready": False, "nodes": []},
            "Switch: not known yet; the data process does not run, and is being started.\n"
            "Copies: not enough to take over (nothing is known yet).",
        ),
        ({}, {"nodes": []}, "Switch: well (data process 4711).\nCopies: there is no other node."),
    ],
)
def test_the_switch_and_the_copies_have_a_line_each(
    switch: dict[str, Any], copies: dict[str, Any], lines: str
) -> None:
    assert of_the_switch(switch, copies) == lines


def test_without_a_switch_nothing_is_said_of_one() -> None:
    assert "\n".join(status.render(page(switch=None, copies=None))) == WELL


def test_a_well_cluster() -> None:
    assert "\n".join(status.render(page())) == WELL


def test_a_bad_night() -> None:
    nodes = with_nodes(
        silent("n2"),
        node("n3", holds=["red"], links=HALF_HEARD),
        node("n4", "SLAVE", position=1, unready=["service reference silent"]),
        silent("n5", None),
    )
    groups = [group("blue", 10, "n1"), group("green", 11, ""), group("red", 12, "n3")]
    text = "another tool removed the packet rules of n3"
    warnings = [{"level": "alarm", "code": "gate-lost", "text": text}]
    lines = status.render(page(nodes=nodes, groups=groups, warnings=warnings))
    assert "\n".join(lines) == AT_THREE_IN_THE_MORNING
    assert max(map(len, lines)) <= WIDTH


def test_a_page_shows_what_the_document_says() -> None:
    nodes = [
        *with_nodes(node("n5", "SLAVE", is_witness=True, unready=["not ready"])),
        node("n6", "STARTING", is_voter=False, unready=["not admitted"]),
    ]
    pins = [{"group": "blue", "node": "n1"}]
    text = "\n".join(
        status.render(
            page(nodes=nodes, unadmitted=["n6"], pins=pins, is_settled=False, is_forced=True, mode="observe")
        )
    )
    assert "not admitted: zcluster roster add n6" in text
    assert "n5    SLAVE     -      hb1 hb2 lan  witness; not ready: not ready" in text
    assert "Pinned: blue to n1." in text
    assert "generation 1, FORCED by an operator (not settled yet)" in " ".join(text.split())
    assert "WOULD HOLD" in text
    assert max(map(len, text.splitlines())) <= WIDTH


SENTENCES: list[tuple[dict[str, Any], ExitStatus, str]] = [
    ({}, ExitStatus.WELL, "All 3 groups are held; 2 slaves stand ready."),
    (
        {"nodes": with_nodes(silent("n5"))},
        ExitStatus.DEGRADED,
        "All 3 groups are held, but n5 is silent since 14.2 s: look at that host, then `zcluster why`.",
    ),
    (
        {"nodes": with_nodes(node("n4", "SLAVE", position=1, links=HALF_HEARD))},
        ExitStatus.DEGRADED,
        "All 3 groups are held, but n4 cannot be heard on link hb1: is its interface up (`zcluster status` there)? "
        "Else check its cables and switch (1 more below).",
    ),
    (
        {"nodes": page()["nodes"][:3], "groups": page()["groups"][:1], "expected_nodes": 3},
        ExitStatus.DEGRADED,
        "Group blue is held, but no slave stands ready: start one more node.",
    ),
    (
        {"nodes": page()["nodes"][:4]},
        ExitStatus.DEGRADED,
        "All 3 groups are held, but 1 expected node never came: start `zcluster run` there.",
    ),
    (
        {"is_forced": True, "generation": 4, "forgotten": ["n5"], "nodes": page()["nodes"][:4]},
        ExitStatus.DEGRADED,
        "All 3 groups are held, but THE ROSTER WAS FORCED without a majority (generation 4): make sure that the "
        "lost nodes are off, see `zcluster roster show` (1 more below).",
    ),
    (
        {
            "nodes": with_nodes(
                node(
                    "n5",
                    "SLAVE",
                    is_witness=True,
                    position=2,
                    links=[{"name": "hb1", "is_heard": False, "heard_ms": None}],
                )
            )
        },
        ExitStatus.WELL,
        "All 3 groups are held; 2 slaves stand ready.",
    ),
    (
        {"unadmitted": ["n6"]},
        ExitStatus.DEGRADED,
        "All 3 groups are held, but n6 is heard and not admitted: `zcluster roster add n6`, or stop it.",
    ),
    (
        {"pins": [{"group": "blue", "node": "n1"}, {"group": "red", "node": "n4"}]},
        ExitStatus.DEGRADED,
        "All 3 groups are held, but red is pinned to n4 and held by n3: it moves when n4 stands ready, "
        "or `zcluster unpin red`.",
    ),
    (
        {"mode": "observe"},
        ExitStatus.WELL,
        "Observing only, no address is touched; otherwise: all 3 groups are held; 2 slaves stand ready.",
    ),
    (
        {"links": [{"name": "hb1", "is_up": False, "interface": "eth0"}]},
        ExitStatus.DEGRADED,
        "All 3 groups are held, but link hb1 is down on this host: mend eth0 (`zcluster explain link-broken`).",
    ),
    (
        {"warnings": [{"level": "warning", "text": "n2 runs another file."}]},
        ExitStatus.DEGRADED,
        "All 3 groups are held, but n2 runs another file.",
    ),
    (
        {"warnings": [{"level": "notice", "text": "memory was not locked"}]},
        ExitStatus.WELL,
        "All 3 groups are held; 2 slaves stand ready.",
    ),
    (
        {"groups": [group("blue", 10, "")]},
        ExitStatus.UNHELD,
        "Group blue has no holder: n4 should take over at any moment; if this stays, run `zcluster why blue`.",
    ),
    (
        {
            "groups": [group("blue", 10, ""), group("red", 12, "")],
            "nodes": with_nodes(silent("n2"), silent("n3"), silent("n5")),
        },
        ExitStatus.UNHELD,
        "Groups blue and red have no holder: n1 hears 2 of 5 voters (itself included) and 3 must agree; "
        "start n2, n3 and n5, or mend the links, then `zcluster status` "
        "(lost for ever: `zcluster roster force --help`).",
    ),
    (
        {"cluster_id": "", "nodes": page()["nodes"][:2]},
        ExitStatus.UNHELD,
        "The cluster is not founded yet: n1 hears 2 of 5 nodes (n1 and n2); "
        "run `zcluster run` on the others, with the same file and key.",
    ),
    (
        {"cluster_id": "", "expected_nodes": 4},
        ExitStatus.UNHELD,
        "The cluster is not founded: 5 nodes (n1, n2, n3, n4 and n5) hear each other and the file expects 4; "
        "stop those too many, or correct `expected-nodes` in the file on every host.",
    ),
    (
        {"cluster_id": ""},
        ExitStatus.UNHELD,
        "The cluster is being founded by n1, n2, n3, n4 and n5; run `zcluster status` again in a second.",
    ),
]


@pytest.mark.parametrize(("changed", "exit_status", "sentence"), SENTENCES)
def test_the_first_sentence(changed: dict[str, Any], exit_status: ExitStatus, sentence: str) -> None:
    assert judge(page(**changed)) == (exit_status, sentence)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[ControlSocket, dict[str, Any]]]:
    """A control socket that answers every question with the dictionary."""
    server, answer, is_over = ControlSocket(tmp_path / "control.sock"), page(), threading.Event()

    def serve() -> None:
        while not is_over.wait(0.005):
            for request in server.receive():
                server.answer(request.client, answer)

    thread = threading.Thread(target=serve)
    thread.start()
    yield server, answer
    is_over.set()
    thread.join()
    server.close()


def test_the_command_prints_the_page(
    daemon: tuple[ControlSocket, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status.run(here(daemon[0].path), False) == 0
    assert capsys.readouterr().out == WELL + "\n"


def test_no_word_of_another_node_steers_the_terminal(
    daemon: tuple[ControlSocket, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """An alarm of the story is shown in the words of the node that told it."""
    steering = "\x1b]0;owned\x07\x9b2J\u202e"
    alarm = {"level": "alarm", "code": f"x{steering}", "text": f"gone {steering}", "node": "n2", "age_ms": 5}
    daemon[1]["warnings"] = [alarm]
    daemon[1]["nodes"][1]["state"] = f"MASTER{steering}"
    status.run(here(daemon[0].path), False)
    printed = capsys.readouterr().out
    assert "gone" in printed
    assert all(line.isprintable() for line in printed.split("\n"))


def test_the_command_prints_json_with_sentence_and_exit(
    daemon: tuple[ControlSocket, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    daemon[1]["groups"] = [group("blue", 10, "")]
    assert status.run(here(daemon[0].path), True) == 2
    printed = json.loads(capsys.readouterr().out)
    assert printed["schema"] == "zcluster.status/1"
    assert printed["exit"] == 2
    assert printed["sentence"].startswith("Group blue has no holder")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_daemon_that_is_not_there(
    tmp_path: Path, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status.run(here(tmp_path / "none.sock"), as_json) == 3
    printed = capsys.readouterr()
    assert "no daemon listens at" in (printed.out if as_json else printed.err)


def test_an_alarm_comes_before_a_cable_and_says_how_old_it_is() -> None:
    alarm = {
        "level": "alarm",
        "code": "address-conflict",
        "text": "n4: g3: a stranger also uses the address that we hold",
        "age_ms": 130_000,
    }
    links = [{"name": "ring1", "is_up": False, "interface": "eth1", "address": "", "is_service": False}]
    first, *rest = complaints(page(warnings=[alarm], links=links))
    assert first == f"{alarm['text']} (told 2 min 10 s ago): `zcluster explain address-conflict`"
    assert any("ring1 is down" in each for each in rest)


def test_what_is_more_below_stands_below_each_once_and_with_its_recipe() -> None:
    gate = {"level": "alarm", "code": "gate-lost", "text": "n1: our rules are gone", "age_ms": 130_000}
    proxy = {"level": "warning", "code": "proxy", "text": "a proxy answers.", "age_ms": None}
    store = {"level": "alarm", "code": "store-failed", "text": "n2: no disk", "age_ms": None}
    note = {"level": "notice", "code": "host", "text": "memory was not locked", "age_ms": None}
    lines = "\n".join(status.render(page(warnings=[store, gate, proxy, note])))
    assert lines.startswith(
        "All 3 groups are held, but n2: no disk: `zcluster explain store-failed` (2 more\nbelow).\n"
        "- n1: our rules are gone (told 2 min 10 s ago): `zcluster explain gate-lost`.\n"
        "- a proxy answers: `zcluster explain proxy`.\n\nGROUP"
    )
    assert lines.count("n2: no disk") == 1
    assert "notice: memory was not locked (`zcluster explain host`)" in lines


def test_a_link_that_is_down_here_is_no_silence_of_the_others() -> None:
    links = [{"name": "hb1", "is_up": False, "interface": "eth1", "address": "", "is_service": False}]
    nodes = [
        {**node, "links": [{**link, "is_heard": link["name"] != "hb1"} for link in node["links"]]}
        for node in page()["nodes"]
    ]
    lines = "\n".join(status.render(page(links=links, nodes=nodes)))
    assert "link hb1 is down on this host" in lines
    assert "silent on" not in lines
    assert "silent on hb1" in "\n".join(status.render(page(nodes=nodes)))
