"""Two nodes: a majority of both, or a survivor that may go on alone (docs/decisions/0202)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from zcluster.control.document import Durable, Settings
from zcluster.control.holding import Holder
from zcluster.control.node import Node
from zcluster.control.ownership import Tenure
from zcluster.simulator.campaign import play, tell
from zcluster.simulator.checkers import Ownership, Violation
from zcluster.simulator.cores import make_node
from zcluster.simulator.host import Core, CoreFactory
from zcluster.simulator.mix import draw
from zcluster.simulator.world import World

PAIR = 2
# Each broke S1 before a survivor's own vote waited for a tick, or before both had to grant what neither holds.
ONCE_BROKEN = (31, 37, 45, 48, 57, 58, 88, 160, 234, 238, 272, 293)


class ImpatientHolder(Holder):
    """Its own vote opens before it has looked at what came while it may have stood still."""

    def vote_for_own(self, sequence: int) -> None:
        super().vote_for_own(sequence)
        self._count_own_votes()


class LonelyHolder(Holder):
    """Claims alone although it hears the other one."""

    def _quorum(self, tenure: Tenure) -> int:
        return self._s.lease_quorum()


def weakened(holder: type[Holder]) -> CoreFactory:
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
        node.holder.__class__ = holder
        return node

    return make_core


@pytest.mark.parametrize("seed", ONCE_BROKEN)
def test_a_seed_that_once_broke(seed: int) -> None:
    outcome = tell(seed, make_node, PAIR, freezes=False)
    assert not outcome.violation, f"{outcome.violation}\n{outcome.story}"


def test_what_a_full_disk_refused_a_proposer_is_written_when_it_has_room() -> None:
    """LF: a thaw held back the freeze's firmness for ten seconds, since its own node never tried to write it again."""
    outcome = tell(73000505, make_node, PAIR)
    assert not outcome.violation, f"{outcome.violation}\n{outcome.story}"


@pytest.mark.slow
@pytest.mark.parametrize("holder", [ImpatientHolder, LonelyHolder])
def test_a_removed_rule_is_noticed(holder: type[Holder]) -> None:
    for seed in range(300):
        if play(seed, weakened(holder), PAIR).violation.startswith("S1"):
            return
    pytest.fail("300 seeds, and nothing was noticed")


def test_both_kinds_of_pairs_are_drawn() -> None:
    drawn = [draw(seed, PAIR).settings for seed in range(60)]
    assert all(settings.expected_nodes == PAIR for settings in drawn)
    assert {settings.survivor_claims for settings in drawn} == {True, False}
    assert all(settings.referenced_links for settings in drawn if settings.survivor_claims)


@pytest.mark.slow
def test_both_do_answer_while_they_cannot_reach_each_other() -> None:
    """What is excused does happen, and never to a pair that asks for both votes."""
    overlaps = {True: 0, False: 0}
    for seed in range(120):
        world = World(draw(seed, PAIR), make_node)
        assert not world.run().violation
        overlaps[world.settings.survivor_claims] += world.ownership.overlaps
    assert overlaps[True] > 0
    assert overlaps[False] == 0


def test_an_overlap_is_excused_only_by_the_network() -> None:
    is_cut = True
    ownership = Ownership(("a",), ("node1", "node2"), lambda host, other, now: is_cut)
    ownership.answers("a", 0, 2, 1, 100.0, 0.0)
    assert ownership.answers("a", 1, 1, 1, 100.0, 10.0), "another epoch, and a lower one at that"
    is_cut = False
    with pytest.raises(Violation, match="S1"):
        ownership.answers("a", 1, 1, 1, 120.0, 20.0)


def test_an_epoch_of_a_pair_is_still_opened_by_one_process_only() -> None:
    ownership = Ownership(("a",), ("node1", "node2"), lambda host, other, now: True)
    ownership.answers("a", 0, 2, 1, 100.0, 0.0)
    ownership.closed("a", 0)
    with pytest.raises(Violation, match="S2"):
        ownership.answers("a", 0, 2, 7, 200.0, 110.0)
