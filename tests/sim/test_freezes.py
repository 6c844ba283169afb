"""A frozen cluster in the simulator: what breaks it is noticed, and by which rule (docs/decisions/0520)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from zcluster.control.council import Council
from zcluster.control.document import Document, Durable, Freeze, Pin, Settings
from zcluster.control.node import Node
from zcluster.control.situation import Situation
from zcluster.simulator.campaign import play, tell
from zcluster.simulator.checkers import Violation
from zcluster.simulator.cores import make_node
from zcluster.simulator.freezes import Freezes
from zcluster.simulator.host import Core, CoreFactory
from zcluster.simulator.mix import FREEZING, draw
from zcluster.simulator.world import World

FIRST = 71_000_000
NAMES = ("node1", "node2", "node3")
FROZEN = Document(
    "id", 3, NAMES, freeze=Freeze("r", "w", "node1", 1, 0, (Pin("a", "node1"), Pin("b", "node2")), True)
)


class DeafSituation(Situation):
    """A core that knows the frozen document and does not care."""

    @property
    def freeze(self) -> Freeze | None:
        return None


class ForgetfulCouncil(Council):
    """Nobody writes down where each group is."""

    def _keep_house(self, document: Document) -> None:
        housekeeper, self.housekeeper = self.housekeeper, None
        super()._keep_house(document)
        self.housekeeper = housekeeper


def weakened(weaken: Callable[[Node], None]) -> CoreFactory:
    def make_core(
        name: str,
        settings: Settings,
        durable: Durable,
        incarnation: int,
        macs: tuple[str, ...],
        links: Mapping[str, bool],
        now_ms: int,
    ) -> Core:
        node = Node(name, settings, durable, incarnation, macs, links, now_ms)
        weaken(node)
        return node

    return make_core


def deaf(node: Node) -> None:
    node.situation.__class__ = DeafSituation


def deaf_node1(node: Node) -> None:
    if node.situation.name == "node1":
        node.situation.__class__ = DeafSituation


def forgetful(node: Node) -> None:
    node.council.__class__ = ForgetfulCouncil


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weaken", "rule", "seeds"),
    [(deaf, "F", 300), (deaf_node1, "F", 600), (forgetful, "LF", 300)],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_core_that_does_not_keep_to_a_freeze_is_noticed(
    weaken: Callable[[Node], None], rule: str, seeds: int
) -> None:
    for seed in range(FIRST, FIRST + seeds):
        if "freeze" in draw(seed).kinds and play(seed, weakened(weaken)).violation.startswith(f"{rule}: "):
            return
    pytest.fail(f"{seeds} seeds, and nothing was noticed")


def test_production_cores_keep_to_it_and_some_do_come_back_under_it() -> None:
    kept = thaws = 0
    for seed in range(FIRST, FIRST + 60):
        mix = draw(seed)
        if "freeze" not in mix.kinds:
            continue
        world = World(mix, make_node)
        outcome = world.run()
        assert not outcome.violation, tell(seed, make_node).story
        kept += world.freezes.counts["kept"]
        thaws += outcome.faults.get("freeze", 0)
    assert thaws > 0


def test_what_was_drawn_before_there_was_a_freeze_is_drawn_as_ever() -> None:
    for seed in range(200):
        before, now = draw(seed, freezes=False), draw(seed)
        assert not set(FREEZING) & set(before.kinds)
        assert (before.settings, before.gap_ms, before.safety_ms) == (now.settings, now.gap_ms, now.safety_ms)
        assert set(now.kinds) - set(before.kinds) <= {*now.kinds}


def settled(document: Document, hosts: tuple[int, ...], at: float = 0.0) -> Freezes:
    freezes = Freezes(NAMES, 170)
    for host in hosts:
        freezes.wrote(host, document, at)
    return freezes


def test_f_is_judged_by_the_newest_settled_document_and_the_hosts_own() -> None:
    older = Document("id", 2, NAMES)
    freezes = settled(FROZEN, (0, 1))
    freezes.began("a", 0, FROZEN, FROZEN.freeze, 500.0)
    freezes.began("b", 2, older, None, 100.0)  # not settled yet
    with pytest.raises(Violation, match="F: node3 answers for b, which generation 3 freezes on node2"):
        freezes.began("b", 2, older, None, 500.0)
    with pytest.raises(Violation, match="F: node3"):
        freezes.began("b", 2, FROZEN, FROZEN.freeze, 100.0)
    with pytest.raises(Violation, match="on nobody"):
        freezes.began("c", 2, FROZEN, FROZEN.freeze, 100.0)


def test_f_ends_with_the_thaw_that_the_host_knows_of_and_begins_with_firmness() -> None:
    assert FROZEN.freeze is not None
    freezes = settled(FROZEN, (0, 1, 2))
    thawed = FROZEN._replace(generation=4, freeze=None)
    freezes.began("b", 2, thawed, None, 500.0)
    loose = FROZEN._replace(generation=4, freeze=FROZEN.freeze._replace(is_firm=False))
    freezes.began("b", 0, loose, loose.freeze, 500.0)


def test_a_disk_that_was_replaced_counts_no_more() -> None:
    freezes = settled(FROZEN, (0, 1))
    assert freezes.settled(500.0) == FROZEN
    freezes.wrote(1, None, 500.0)
    assert freezes.settled(501.0) is None
