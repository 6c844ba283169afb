"""Every duration of the ownership protocol in one value, and the three presets.

What must hold between them (`Timing.faults()` says which does not): a voter's grant outlives the
holder's lease by the margin; grants end before silence does, so that voters are free when a claim
comes; the margin covers clock drift, one scheduler tick and the send queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

DRIFT_PER_MILLE = 2
SCHEDULER_TICK_MS = 4
SEND_QUEUE_MS = 2
LONG_GRANT_MS = 3000
LONG_LEASE_MS = 2800
# Every node hears every other one, on every link: what that costs grows with the square of the nodes.
MULTITUDE_NODES = 16


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in milliseconds. `timer_b_ms` of -1 waits for the operator."""

    beat_ms: int
    silence_ms: int
    lease_ms: int
    margin_ms: int
    grant_ms: int
    first_probe_ms: int
    second_probe_ms: int
    probe_wait_ms: int
    rank_step_ms: int = 15
    claim_limit_ms: int = 80
    timer_a_ms: int = 1000
    timer_b_ms: int = -1

    @property
    def abstain_ms(self) -> int:
        """How long a started process grants nothing new: the longest grant it may have given before."""
        return self.grant_ms + self.margin_ms

    @property
    def least_margin_ms(self) -> int:
        """Twice the drift of a grant, one scheduler tick and the send queue."""
        drift_ms = -(-2 * self.grant_ms * DRIFT_PER_MILLE // 1000)
        return drift_ms + SCHEDULER_TICK_MS + SEND_QUEUE_MS

    def faults(self) -> tuple[str, ...]:
        """The invariants that these durations break, each in a sentence; empty when they are safe."""
        found = []
        if min(self.beat_ms, self.lease_ms, self.grant_ms, self.silence_ms, self.rank_step_ms) < 1:
            found.append("beat, lease, grant, silence and rank step must be at least 1 ms")
        if self.grant_ms < self.lease_ms + self.margin_ms:
            found.append("grant must be at least lease + margin, or two nodes could hold one address")
        if self.margin_ms < self.least_margin_ms:
            found.append(f"margin must be at least {self.least_margin_ms} ms for this grant")
        if self.grant_ms >= self.silence_ms:
            found.append("grant must be shorter than silence, or voters are not free when a claim comes")
        if self.lease_ms < 4 * self.beat_ms:
            found.append("lease must be at least four beats, or one lost beat closes a healthy master")
        if not self.lease_ms < self.first_probe_ms <= self.second_probe_ms:
            found.append("probes must come after the lease has ended, the second not before the first")
        return tuple(found)


PRESETS: Mapping[str, Timing] = MappingProxyType(
    {
        "standard": Timing(
            beat_ms=20,
            silence_ms=200,
            lease_ms=140,
            margin_ms=30,
            grant_ms=170,
            first_probe_ms=160,
            second_probe_ms=178,
            probe_wait_ms=12,
        ),
        "fast": Timing(
            beat_ms=10,
            silence_ms=100,
            lease_ms=76,
            margin_ms=14,
            grant_ms=90,
            first_probe_ms=85,
            second_probe_ms=91,
            probe_wait_ms=6,
            rank_step_ms=10,
            claim_limit_ms=50,
        ),
        "patient": Timing(
            beat_ms=100,
            silence_ms=1500,
            lease_ms=1200,
            margin_ms=100,
            grant_ms=1300,
            first_probe_ms=1320,
            second_probe_ms=1420,
            probe_wait_ms=40,
            rank_step_ms=60,
            claim_limit_ms=400,
            timer_a_ms=4000,
        ),
    }
)

# Four beats fit a lease, and grants end a beat and a tick before silence does: a node may look once a beat.
_MULTITUDES: Mapping[str, Timing] = MappingProxyType(
    {
        "standard": replace(
            PRESETS["standard"],
            beat_ms=38,
            silence_ms=228,
            lease_ms=152,
            grant_ms=182,
            first_probe_ms=172,
            second_probe_ms=195,
        )
    }
)


def preset_timing(preset: str, nodes: int) -> Timing:
    """The durations of a preset in a cluster of so many expected nodes."""
    return _MULTITUDES.get(preset, PRESETS[preset]) if nodes >= MULTITUDE_NODES else PRESETS[preset]
