"""What must hold again once the faults have stopped: L1 and L2 of DESIGN.md section 4, each within a stated bound.

L1: every group that can have a holder has exactly one. L2: with nodes enough, every group has a master of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from zcluster.control.holding import STRANGER_PROBE_MS
from zcluster.control.moves import RELINQUISH_PAUSE_MS
from zcluster.control.timing import LONG_GRANT_MS, Timing
from zcluster.simulator.checkers import Ownership, Violation
from zcluster.simulator.mix import Mix

LOOK_EVERY_MS = 10.0
LONG_KINDS = frozenset({"planned-restart", "disk-lost"})
SILENCES_TO_RECOVER = 6
SWITCHOVER_MS = 50
TAKEOVER_SLACK_MS = 15


def holder_bound_ms(mix: Mix) -> int:
    """By when every group is held after the last fault (L1): a restart, its abstinence, timer A, a few silences;
    where a stranger used an address, the next question whether it still does; where a voter may be bound by a
    long grant, or have forgotten that it is, that grant.
    """
    timing = mix.settings.timing
    stranger_ms = STRANGER_PROBE_MS if "stranger" in mix.kinds else 0
    long_ms = LONG_GRANT_MS + timing.margin_ms if LONG_KINDS.intersection(mix.kinds) else 0
    return (
        timing.timer_a_ms
        + timing.abstain_ms
        + SILENCES_TO_RECOVER * timing.silence_ms
        + stranger_ms
        + long_ms
    )


def masters_bound_ms(mix: Mix) -> int:
    """By when every group has a master of its own (L2): a master of several gives one away once a minute."""
    return holder_bound_ms(mix) + (len(mix.settings.groups) - 1) * RELINQUISH_PAUSE_MS


def switchover_bound_ms(timing: Timing) -> int:
    """How long a group may be unheld while it is moved on purpose: where the claim overtakes the release on its way to
    the voters, they grant only the next beat.
    """
    return SWITCHOVER_MS + timing.beat_ms


def takeover_bound_ms(timing: Timing) -> int:
    """By when a dead host's group is answered for again in a calm network: silence, and the claim's round."""
    return timing.silence_ms + TAKEOVER_SLACK_MS


def reunion_bound_ms(timing: Timing) -> int:
    """How long both of a pair may still answer once they reach each other again: until the lower epoch hears of the
    higher, or, where it stands still, until its lease is over.
    """
    return 2 * timing.silence_ms


class Recovery:
    """Looks at the cluster again and again after the last fault, until it has been well for a while.

    `able` counts the nodes that may hold a group now; 0 where the roster has lost its majority. `starts` counts
    the processes that have started: the bounds run from the last start, which a planned restart, or an operator's
    stop, may leave until after the last fault.
    """

    def __init__(
        self,
        mix: Mix,
        ownership: Ownership,
        able: Callable[[], int],
        starts: Callable[[], int],
        began: float,
    ) -> None:
        self._mix = mix
        self._ownership = ownership
        self._able = able
        self._starts = starts
        self._started = -1
        self._hosts = -1
        self._held_by = self._well_by = self._unheld_since = began
        self._well_since: float | None = None
        self._calm_ms = 2.0 * mix.settings.timing.silence_ms

    def look(self, now: float) -> bool:
        """True when all is well and has been so for two silences. A bound that has passed is a violation."""
        self._count_hosts(now)
        groups = self._mix.settings.groups
        holders = {group.name: self._ownership.answering(group.name, now) for group in groups}
        held = [answering[0] for answering in holders.values() if answering]
        is_held = len(held) >= self._groups_to_hold()
        is_well = is_held and len(set(held)) >= min(len(held), self._hosts)
        if is_held:
            self._unheld_since = now
        self._well_since = (self._well_since or now) if is_well else None
        unheld_ms = now - self._unheld_since
        if now > self._held_by and unheld_ms > switchover_bound_ms(self._mix.settings.timing):
            raise Violation("L1", f"nobody held some group for the last {unheld_ms:.0f} ms: {holders}")
        if self._well_since is None and now > self._well_by:
            raise Violation("L2", f"long after the last fault the masters are {holders}")
        return self._well_since is not None and now - self._well_since >= self._calm_ms

    def _count_hosts(self, now: float) -> None:
        """A roster that has just changed, or a process that has just started, gives new hope, and a new bound."""
        hosts, started = self._able(), self._starts()
        if hosts != self._hosts or started != self._started:
            self._hosts, self._started = hosts, started
            self._held_by = now + holder_bound_ms(self._mix)
            self._well_by = now + masters_bound_ms(self._mix)

    def _groups_to_hold(self) -> int:
        settings = self._mix.settings
        groups = len(settings.groups)
        return groups if settings.several_groups and self._hosts else min(groups, self._hosts)
