"""A beat that does not fit its datagram: of a large cluster whose roster changes while somebody is behind."""

from __future__ import annotations

import random

from tests.wire.samples import ORDINARY_REPORT, WALL_MS
from zcluster.control.document import Acceptance, Document, Proposal
from zcluster.control.messages import Ack, Beat, Claim, Grant
from zcluster.control.units import Ballot, Pair

NODES, GROUPS = 64, 48
NAMES = tuple(f"telephone-exchange-{number:02d}" for number in range(NODES))
DOCUMENT = Document(f"{NAMES[0]}-1a20c7f8fc6", 3, NAMES)
CHANGE = Ballot(2, NAMES[1])


def crowded(sequence: int) -> Beat:
    """The beat of that number."""
    chance = random.Random(1)
    report = ORDINARY_REPORT._replace(
        cluster_id=DOCUMENT.cluster_id,
        claims=(Claim("group-1", 65, True),),
        grants=tuple(Grant(f"group-{n}", 65, NAMES[n], True) for n in range(GROUPS)),
        releases=(),
        asks=(),
        unready=(),
        founding=None,
        document=DOCUMENT,
        proposal=Proposal(4, CHANGE, DOCUMENT),
        acceptance=Acceptance(4, CHANGE, CHANGE, DOCUMENT),
        build="1.11.3-dev:5f0c82d1",
        switchname=NAMES[0],
    )
    acks = {
        name: Ack(
            WALL_MS + chance.randrange(10**9),
            chance.randrange(10**7),
            (Pair(f"group-{n}", 65),) if n < GROUPS else (),
        )
        for n, name in enumerate(NAMES)
        if n
    }
    return Beat(NAMES[0], WALL_MS, sequence, acks, report)
