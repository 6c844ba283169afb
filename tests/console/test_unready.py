"""A node that takes over nothing until somebody mends it is said in the first sentence, with what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.console.pages import LINKS, node, page, with_nodes
from zcluster.codes.catalogue import CATALOGUE, called
from zcluster.codes.unfit import ALIASES
from zcluster.console import explain
from zcluster.console.status import render
from zcluster.console.unready import codes
from zcluster.console.verdict import ExitStatus, complaints, judge
from zcluster.console.words import WIDTH

CLOSED = "switch: event socket closed"


def of(**changed: Any) -> tuple[ExitStatus, str]:
    """The verdict where n5 is as said, and n4 stands ready."""
    return judge(page(nodes=with_nodes(node("n5", **changed))))


def test_a_dead_switch_is_said_with_what_to_do() -> None:
    assert of(state="FAILED", unready=[CLOSED]) == (
        ExitStatus.DEGRADED,
        "All 3 groups are held and 1 slave stands ready, but n5 takes over nothing: its switch is not well "
        "(event socket closed): start FreeSWITCH on n5.",
    )


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            "switch profile sip1: not running",
            "its switch is not well (profile sip1: not running): `zcluster explain switch-not-well`",
        ),
        ("lan: no reference answers", "lan: no reference answers: `zcluster explain service-not-well`"),
        ("lan: no carrier", "lan: no carrier: `zcluster explain service-not-well`"),
        ("gate: Operation not permitted", "gate: Operation not permitted: `zcluster explain host-not-well`"),
    ],
)
def test_so_is_every_reason_that_stays(reason: str, words: str) -> None:
    status, sentence = of(state="FAILED", unready=["copies: n2 7 %", reason])
    assert status is ExitStatus.DEGRADED
    assert f"but n5 takes over nothing: {words}." in sentence


@pytest.mark.parametrize("reason", ["starting", "copies: n2 7 %", "may not vote yet", "stopping"])
def test_what_passes_is_no_complaint_while_another_stands_ready(reason: str) -> None:
    assert of(state="SLAVE", unready=[reason]) == (
        ExitStatus.WELL,
        "All 3 groups are held; 1 slave stands ready.",
    )
    both = with_nodes(node("n4", "SLAVE", unready=[reason]), node("n5", "SLAVE", unready=[reason]))
    assert "but no slave stands ready (n4: " in judge(page(nodes=both)).sentence


@pytest.mark.parametrize(
    "role", [{"is_witness": True}, {"is_never_master": True}, {"is_voter": False}, {"is_heard": False}]
)
def test_nothing_is_asked_of_who_takes_nothing_anyway(role: dict[str, bool]) -> None:
    assert "takes over nothing" not in of(state="FAILED", unready=[CLOSED], **role)[1]


def test_a_holder_that_is_not_well_is_said_too() -> None:
    assert "but n5 holds red all the same: its switch" in of(holds=["red"], unready=[CLOSED])[1]


def test_reasons_lead_to_recipes() -> None:
    assert codes([CLOSED, "switch paused: x", "copies: y", "lan: no carrier", "z"]) == [
        "switch-not-well",
        "service-not-well",
        "host-not-well",
    ]


def test_the_status_leads_to_the_recipe_of_every_node_that_is_not_ready() -> None:
    nodes = with_nodes(
        node("n4", "SLAVE", unready=["copies: n2 7 %"]),
        node("n5", "FAILED", unready=[CLOSED, "lan: no carrier"]),
    )
    text = " ".join(" ".join(render(page(nodes=nodes))).split())
    assert "Not ready: `zcluster explain switch-not-well`, `zcluster explain service-not-well`." in text
    assert "Not ready" not in "\n".join(render(page()))


@pytest.mark.parametrize("word", ["not-ready", "Not ready", "FAILED", "failed", "not_ready"])
def test_so_do_the_words_of_the_condition(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.run(word, as_json=False) == 0
    out = capsys.readouterr().out
    assert all(f"\n{code}  (" in out for code in ("switch-not-well", "service-not-well", "host-not-well"))
    assert max(map(len, out.splitlines())) <= WIDTH
    assert explain.run(word, as_json=True) == 0
    assert len(json.loads(capsys.readouterr().out)["codes"]) >= 3


def test_every_alias_leads_to_codes() -> None:
    for word, names in ALIASES.items():
        assert word not in CATALOGUE
        assert [code.name for code in called(word)] == list(names)


def test_a_slave_that_is_silent_on_a_link_is_ready_all_the_same() -> None:
    half = [{"name": link, "is_heard": link != "hb1", "heard_ms": 9} for link in LINKS]
    lines = render(page(nodes=with_nodes(node("n4", "SLAVE", position=1, links=half))))
    assert any(line.endswith("  ready; silent on hb1") for line in lines)


def test_a_link_that_is_down_here_is_one_complaint() -> None:
    down = [{"name": "hb1", "is_up": False, "interface": "eth0"}]
    half = [{"name": link, "is_heard": link != "hb1", "heard_ms": 9} for link in LINKS]
    nodes = [{**each, "links": half} for each in page()["nodes"]]
    broken = {"level": "warning", "code": "link-broken", "text": "link hb1 (interface eth0) is down"}
    other = {"level": "warning", "code": "link-broken", "text": "link hb12 (interface eth9): cannot send"}
    assert len(complaints(page(links=down, nodes=nodes, warnings=[broken]))) == 1
    assert len(complaints(page(links=down, nodes=nodes, warnings=[broken, other]))) == 2
