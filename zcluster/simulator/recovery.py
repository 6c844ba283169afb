"""What must hold again once the faults have stopped: L1 and L2 of DESIGN.md section 4, each within a stated bound.

L1: every group that can have a holder has exactly one. L2: with nodes enough, every group has a master of its own.
"""

from __future__ import annotations

from zcluster.control.document import Settings
from zcluster.control.timing import Timing
from zcluster.simulator.checkers import Ownership, Violation

LOOK_EVERY_MS = 10.0
SILENCES_TO_RECOVER = 6
TAKEOVER_SLACK_MS = 15
RELINQUISH_MS = 60_000


def holder_bound_ms(timing: Timing) -> int:
    """By when every group is held after the last fault (L1): a restart, its abstinence, timer A, a few silences."""
    return timing.timer_a_ms + timing.abstain_ms + SILENCES_TO_RECOVER * timing.silence_ms


def masters_bound_ms(timing: Timing) -> int:
    """By when every group has a master of its own (L2): a master relinquishes at most once a minute."""
    return holder_bound_ms(timing) + RELINQUISH_MS


def takeover_bound_ms(timing: Timing) -> int:
    """By when a dead host's group is answered for again in a calm network: silence, and the claim's round."""
    return timing.silence_ms + TAKEOVER_SLACK_MS


class Recovery:
    """Looks at the cluster again and again after the last fault, until it has been well for a while."""

    def __init__(self, settings: Settings, ownership: Ownership, hosts: int, began: float) -> None:
        self._settings = settings
        self._ownership = ownership
        self._hosts = hosts
        self._began = began
        self._held_since: float | None = None
        self._well_since: float | None = None
        self._calm_ms = 2.0 * settings.timing.silence_ms

    def look(self, now: float) -> bool:
        """True when all is well and has been so for two silences. A bound that has passed is a violation."""
        holders = {group.name: self._ownership.answering(group.name, now) for group in self._settings.groups}
        held = [answering[0] for answering in holders.values() if answering]
        is_held = len(held) >= self._groups_to_hold()
        is_well = is_held and len(set(held)) == min(len(held), self._hosts)
        self._held_since = _since(self._held_since, is_held, now)
        self._well_since = _since(self._well_since, is_well, now)
        timing = self._settings.timing
        self._judge("L1", self._held_since, holder_bound_ms(timing), now, holders)
        self._judge("L2", self._well_since, masters_bound_ms(timing), now, holders)
        return self._well_since is not None and now - self._well_since >= self._calm_ms

    def _groups_to_hold(self) -> int:
        groups = len(self._settings.groups)
        return groups if self._settings.several_groups else min(groups, self._hosts)

    def _judge(
        self, rule: str, since: float | None, bound_ms: float, now: float, holders: dict[str, list[int]]
    ) -> None:
        late = now - self._began - bound_ms
        if late > 0 and (since is None or since - self._began > bound_ms):
            raise Violation(rule, f"{bound_ms:.0f} ms after the last fault the holders are {holders}")


def _since(before: float | None, is_so: bool, now: float) -> float | None:
    if not is_so:
        return None
    return now if before is None else before
