"""What must hold again once the faults have stopped: L1 and L2 of DESIGN.md section 4, each within a stated bound.

L1: every group that can have a holder has exactly one. L2: with nodes enough, every group has a master of its own.
"""

from __future__ import annotations

from zcluster.control.holding import STRANGER_PROBE_MS
from zcluster.control.node import RELINQUISH_PAUSE_MS
from zcluster.control.timing import Timing
from zcluster.simulator.checkers import Ownership, Violation
from zcluster.simulator.mix import Mix

LOOK_EVERY_MS = 10.0
SILENCES_TO_RECOVER = 6
SWITCHOVER_MS = 50.0
TAKEOVER_SLACK_MS = 15


def holder_bound_ms(mix: Mix) -> int:
    """By when every group is held after the last fault (L1): a restart, its abstinence, timer A, a few silences;
    where a stranger used an address, the next question whether it still does.
    """
    timing = mix.settings.timing
    stranger_ms = STRANGER_PROBE_MS if "stranger" in mix.kinds else 0
    return timing.timer_a_ms + timing.abstain_ms + SILENCES_TO_RECOVER * timing.silence_ms + stranger_ms


def masters_bound_ms(mix: Mix) -> int:
    """By when every group has a master of its own (L2): a master of several gives one away once a minute."""
    return holder_bound_ms(mix) + (len(mix.settings.groups) - 1) * RELINQUISH_PAUSE_MS


def takeover_bound_ms(timing: Timing) -> int:
    """By when a dead host's group is answered for again in a calm network: silence, and the claim's round."""
    return timing.silence_ms + TAKEOVER_SLACK_MS


class Recovery:
    """Looks at the cluster again and again after the last fault, until it has been well for a while."""

    def __init__(self, mix: Mix, ownership: Ownership, hosts: int, began: float) -> None:
        self._settings = mix.settings
        self._ownership = ownership
        self._hosts = hosts
        self._held_by = began + holder_bound_ms(mix)
        self._well_by = began + masters_bound_ms(mix)
        self._well_since: float | None = None
        self._unheld_since: float | None = began
        self._calm_ms = 2.0 * mix.settings.timing.silence_ms

    def look(self, now: float) -> bool:
        """True when all is well and has been so for two silences. A bound that has passed is a violation."""
        holders = {group.name: self._ownership.answering(group.name, now) for group in self._settings.groups}
        held = [answering[0] for answering in holders.values() if answering]
        is_held = len(held) >= self._groups_to_hold()
        is_well = is_held and len(set(held)) == min(len(held), self._hosts)
        self._unheld_since = _since(self._unheld_since, not is_held, now)
        self._well_since = _since(self._well_since, is_well, now)
        since = self._unheld_since
        if since is not None and now > self._held_by and now - since > SWITCHOVER_MS:
            raise Violation("L1", f"nobody held some group for the last {now - since:.0f} ms: {holders}")
        if self._well_since is None and now > self._well_by:
            raise Violation("L2", f"long after the last fault the masters are {holders}")
        return self._well_since is not None and now - self._well_since >= self._calm_ms

    def _groups_to_hold(self) -> int:
        groups = len(self._settings.groups)
        return groups if self._settings.several_groups else min(groups, self._hosts)


def _since(before: float | None, is_so: bool, now: float) -> float | None:
    if not is_so:
        return None
    return now if before is None else before
