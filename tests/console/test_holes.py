"""Changes of holder that this host's memory lacks are named, with who has them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from tests.console.pages import group, page
from zcluster.console.holes import Held, Holes, held_now
from zcluster.console.status import render as render_status
from zcluster.console.why import render


def taken(epoch: int, giver: str, taker: str, name: str = "g1") -> dict[str, Any]:
    text = f"{name}: {taker} holds epoch {epoch} after {giver}"
    facts = {"group": name, "epoch": epoch, "from_node": giver, "to_node": taker}
    return {
        "at_ms": epoch,
        "node": taker,
        "level": "notice",
        "code": "takeover",
        "text": text,
        "facts": facts,
    }


def story(*records: dict[str, Any], now: dict[str, Held] | None = None, of: str = "g1") -> str:
    return " ".join(" ".join(render(records, of, str, now)).split())


def test_a_hole_between_two_changes() -> None:
    assert (
        "1 g1: n1 holds epoch 1 after g1: epoch 2 (n2) is not in this host's memory; ask n2 (`zcluster why g1` "
        "there) 3 g1: n3 holds epoch 3 after n2"
    ) in story(taken(1, "", "n1"), taken(3, "n2", "n3"))
    assert "one of the epochs 2 to 6 (n2) is" in story(taken(1, "", "n1"), taken(7, "n2", "n3"))


def test_a_whole_story_has_none() -> None:
    told = [taken(1, "", "n1"), taken(2, "n1", "n2"), taken(9, "n2", "n1"), taken(3, "n4", "n5", "g2")]
    assert "memory" not in story(*told, now={"g1": Held("n1", 9)})


def test_a_hole_at_the_end() -> None:
    known = [taken(1, "", "n1")]
    assert "g1: epoch 4 (n3) is not in this host's memory; ask n3" in story(*known, now={"g1": Held("n3", 4)})
    assert "g1: epoch 4 (n3) is not" in story(*known, now={"g1": Held("n3", 4)}, of="")
    assert "memory" not in story(*known, now={"g1": Held("n1", 4)})
    assert "g1: epoch 4 (n3) is not" in story(now={"g1": Held("n3", 4)})
    assert "memory" not in story(now={"g1": Held("n3", 4)}, of="")


def test_what_stands_now_is_that_of_the_status() -> None:
    groups = [group("g1", 10, "n1"), group("g2", 11, "")]
    assert held_now(page(groups=groups)) == {"g1": Held("n1", 7)}
    assert held_now({"ok": False, "error": "of another version"}) == {}


def test_a_group_held_since_nobody_knows_when() -> None:
    lines = render_status(page(groups=[group("g1", 10, "n1", since_ms=None), group("g2", 11, "")]))
    rows = [line.split()[:4] for line in lines if line.startswith("g")]
    assert rows == [["g1", "n1", "7", "?"], ["g2", "nobody", "-", "-"]]


values = some.none() | some.integers() | some.text(max_size=3) | some.lists(some.integers(), max_size=2)


@given(some.lists(some.dictionaries(some.sampled_from(["group", "epoch", "from_node", "to_node"]), values)))
def test_odd_facts_are_no_error(told: list[dict[str, Any]]) -> None:
    holes = Holes()
    for facts in told:
        assert isinstance(holes.before(facts), str)
    holes.after({"g1": Held("n1", 1)}, ["g1"])
