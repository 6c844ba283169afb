"""Each rule of DESIGN.md section 4 that the small model shows to be needed, removed, breaks S1 or S2 here too.

With the armed ring, counting the lease from sending is a second line of defence: what fails is the gate with
relative timeouts, whose renewal comes late, and the more so when its lease is counted from receipt.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.sim.weakened import CarelessVoter, CredulousPeer, eager_voter, weakened
from zcluster.simulator.campaign import play
from zcluster.simulator.host import CoreFactory
from zcluster.simulator.kernel import FromReceiptKernel, Kernel, RelativeKernel


@dataclass(frozen=True)
class Removed:
    """A rule removed, and within how many seeds the simulator must notice."""

    rule: str
    make_core: CoreFactory
    within_seeds: int
    make_kernel: type[Kernel] = Kernel


REMOVED = (
    Removed("an acknowledgement names the pair", weakened(make_voter=CarelessVoter), 200),
    Removed("an older sequence changes nothing", weakened(make_peer=CredulousPeer), 300),
    Removed("the ceiling of ballots is kept on disk", weakened(forgets_ceiling=True), 200),
    Removed("a started process abstains", weakened(make_voter=eager_voter), 1500),
    Removed("slots are armed before the beat is sent", weakened(), 300, RelativeKernel),
    Removed("the lease is counted from sending", weakened(), 300, FromReceiptKernel),
)


@pytest.mark.slow
@pytest.mark.parametrize("removed", REMOVED, ids=lambda removed: removed.rule)
def test_a_removed_rule_is_noticed(removed: Removed) -> None:
    for seed in range(removed.within_seeds):
        violation = play(seed, removed.make_core, make_kernel=removed.make_kernel).violation
        if violation[:2] in ("S1", "S2"):
            return
    pytest.fail(f"{removed.within_seeds} seeds without '{removed.rule}' and nothing was noticed")


def test_the_doors_alone_change_nothing() -> None:
    for seed in range(12):
        assert not play(seed, weakened()).violation
