"""What load balancers ask: does the daemon answer, may this node serve, does it hold a group now?

What must hold: pure; "yes" only where it is known to be true now. Everything that is unknown is "no".

    /healthz        the local daemon answers
    /readyz         this node takes part, hears a majority, and nothing keeps it from serving a group
    /master/GROUP   this node holds GROUP and its gate is open
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zcluster.tools.picture import HOLDING, SERVING_STATES, Picture

SCHEMA = "zcluster.health/1"
OK, NOT_FOUND, UNAVAILABLE = 200, 404, 503


@dataclass(frozen=True, slots=True)
class Verdict:
    """`status` as in HTTP; `text` is one line that says why; `facts` for who asks for JSON."""

    status: int
    text: str
    facts: Mapping[str, object] = field(default_factory=dict)

    def plain(self) -> dict[str, object]:
        """As JSON-ready values."""
        return {"schema": SCHEMA, "ok": self.status == OK, "text": self.text, **self.facts}


def alive(picture: Picture | None, reason: str) -> Verdict:
    """Does the daemon answer? `reason`: why there is no picture."""
    if picture is None:
        return Verdict(UNAVAILABLE, reason)
    return Verdict(OK, f"the daemon of {picture.node} answers", _who(picture))


def ready(picture: Picture | None, reason: str) -> Verdict:
    """May this node serve? Every reason why not is told."""
    if picture is None:
        return Verdict(UNAVAILABLE, reason)
    reasons = _unready(picture)
    facts = {**_who(picture), "reasons": reasons}
    if reasons:
        return Verdict(UNAVAILABLE, f"{picture.node} is not ready: {'; '.join(reasons)}", facts)
    return Verdict(OK, f"{picture.node} is ready ({picture.state})", facts)


def master(picture: Picture | None, reason: str, name: str) -> Verdict:
    """Does this node hold the group `name`, with its gate open?"""
    if picture is None:
        return Verdict(UNAVAILABLE, reason)
    group = picture.group(name)
    if group is None:
        return Verdict(NOT_FOUND, f"there is no group {name}", _who(picture))
    facts = {**_who(picture), "group": name, "holder": group.holder, "epoch": group.counter}
    if picture.is_open_here(group):
        return Verdict(OK, f"{picture.node} holds {name}, epoch {group.counter}", facts)
    return Verdict(UNAVAILABLE, _why_not_master(picture, name, group.holder, group.phase), facts)


def _why_not_master(picture: Picture, name: str, holder: str, phase: str) -> str:
    if picture.is_observing:
        return f"{picture.node} only observes, and holds nothing"
    if not holder:
        return f"nobody holds {name}"
    if holder != picture.node:
        return f"{holder} holds {name}"
    assert phase != HOLDING, "then it is open here"
    return f"{picture.node} does not hold {name} any more ({phase or 'UNKNOWN'})"


def _unready(picture: Picture) -> list[str]:
    own = picture.own
    reasons = []
    if picture.is_observing:
        reasons.append("it only observes")
    if own is None or picture.state not in SERVING_STATES:
        reasons.append(f"its state is {picture.state or 'UNKNOWN'}")
    if not picture.hears_majority:
        reasons.append("it does not hear a majority")
    if own is not None and own.is_witness:
        reasons.append("it is a witness")
    if own is not None:
        reasons.extend(own.unready)
    return reasons


def _who(picture: Picture) -> dict[str, object]:
    return {"node": picture.node, "state": picture.state}
