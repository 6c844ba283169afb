"""Beats that say nothing, for tests of the network and the shell."""

from __future__ import annotations

from zcluster.control.messages import Beat, Claim, Report
from zcluster.control.units import NodeState


def report(*claims: Claim) -> Report:
    return Report(
        cluster_id="",
        generation=0,
        state=NodeState.SLAVE,
        claims=claims,
        grants=(),
        releases=(),
        asks=(),
        unready=(),
        macs=(),
        founding=None,
        document=None,
        version="",
        settings_digest="",
        floor=0,
        ceiling=0,
    )


def beat(node: str, sequence: int, *claims: Claim) -> Beat:
    return Beat(node, 1, sequence, {}, report(*claims))
