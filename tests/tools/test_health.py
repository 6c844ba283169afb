from __future__ import annotations

from typing import Any

import pytest

from tests.tools.canned import status, with_group, with_node
from zcluster.tools.health import alive, master, ready
from zcluster.tools.picture import picture_of

GONE = "no daemon listens"


def test_nothing_is_well_without_the_daemon() -> None:
    for verdict in (alive(None, GONE), ready(None, GONE), master(None, GONE, "g1"), master(None, GONE, "g9")):
        assert (verdict.status, verdict.text) == (503, GONE)
        assert verdict.plain()["ok"] is False


def test_the_daemon_answers() -> None:
    assert alive(picture_of(status(state="STARTING", hears_majority=False)), "").status == 200


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        (status(), ""),
        (status(state="SLAVE"), ""),
        (status(state="STARTING"), "its state is STARTING"),
        (status(state="STOPPING"), "its state is STOPPING"),
        (status(state="MAINTENANCE"), "its state is MAINTENANCE"),
        (status(state=""), "its state is UNKNOWN"),
        (status(nodes=[]), "its state is MASTER"),
        (status(hears_majority=False), "it does not hear a majority"),
        (with_node("n2", unready=["copies of n1 are incomplete"]), "copies of n1 are incomplete"),
        (with_node("n1", unready=["a peer's own affair"]), ""),
        (with_node("n2", is_witness=True), "it is a witness"),
        (status(mode="observe"), "it only observes"),
    ],
)
def test_who_may_serve(document: dict[str, Any], wrong: str) -> None:
    verdict = ready(picture_of(document), "")
    assert verdict.status == (503 if wrong else 200)
    assert wrong in verdict.text
    assert bool(verdict.facts["reasons"]) == bool(wrong)


@pytest.mark.parametrize(
    ("document", "code", "text"),
    [
        (status(), 200, "n2 holds g1, epoch 65"),
        (with_group("g1", holder="n3", phase=""), 503, "n3 holds g1"),
        (with_group("g1", holder="", phase=""), 503, "nobody holds g1"),
        (with_group("g1", phase="LAPSED"), 503, "n2 does not hold g1 any more (LAPSED)"),
        (with_group("g1", phase="CLOSING"), 503, "n2 does not hold g1 any more (CLOSING)"),
        (with_group("g1", phase=""), 503, "n2 does not hold g1 any more (UNKNOWN)"),
        (status(mode="observe"), 503, "n2 only observes, and holds nothing"),
        (status(groups=[]), 404, "there is no group g1"),
    ],
)
def test_who_holds_a_group(document: dict[str, Any], code: int, text: str) -> None:
    verdict = master(picture_of(document), "", "g1")
    assert (verdict.status, verdict.text) == (code, text)
