"""The timing of a cluster: a preset, single values over it, and whether the result holds together.

What must hold: what could let two nodes answer for one address is an error; what could only cost availability
is a warning. Together the two are exactly what `Timing.faults` objects to.
"""

from __future__ import annotations

from dataclasses import replace

from zcluster.config.fault import Fault
from zcluster.config.schema import TimingTable
from zcluster.control.timing import Timing, preset_timing

BEATS_IN_A_LEASE = 4


def timing_of(preset: str, nodes: int, table: TimingTable) -> Timing:
    """The preset's durations for so many expected nodes, with the table's over them.

    What depends on a replaced value and is not given itself follows it: the grant is lease and margin, and the
    probes keep their distance from the end of the lease.
    """
    basis = preset_timing(preset, nodes)
    given = table.model_dump(exclude_none=True)
    lease_ms = given.get("lease_ms", basis.lease_ms)
    shift_ms = lease_ms - basis.lease_ms
    follows = {
        "grant_ms": lease_ms + given.get("margin_ms", basis.margin_ms),
        "first_probe_ms": basis.first_probe_ms + shift_ms,
        "second_probe_ms": basis.second_probe_ms + shift_ms,
    }
    return replace(basis, **(follows | given))


def unsafe(timing: Timing) -> tuple[Fault, ...]:
    """What breaks the promise that one address never has two holders."""
    found = []
    least_grant_ms = timing.lease_ms + timing.margin_ms
    if timing.grant_ms < least_grant_ms:
        found.append(
            Fault(
                ("timing", "grant-ms"),
                f"a grant of {timing.grant_ms} ms ends before the lease of {timing.lease_ms} ms and its margin of "
                f"{timing.margin_ms} ms: two nodes could hold one address",
                f"set it to at least {least_grant_ms}, or leave it out: then it follows the lease",
            )
        )
    if timing.margin_ms < timing.least_margin_ms:
        found.append(
            Fault(
                ("timing", "margin-ms"),
                f"a margin of {timing.margin_ms} ms covers neither the clocks' drift over a grant of "
                f"{timing.grant_ms} ms nor a tick of the scheduler and the send queue",
                f"set it to at least {timing.least_margin_ms}",
            )
        )
    return tuple(found)


def dangerous(timing: Timing) -> tuple[Fault, ...]:
    """What is safe and will still hurt: outages that need not be, or takeovers that come late."""
    found = []
    if timing.grant_ms >= timing.silence_ms:
        found.append(
            Fault(
                ("timing", "silence-ms"),
                f"a lease of {timing.lease_ms} ms does not fit a silence of {timing.silence_ms} ms: voters have "
                f"promised for {timing.grant_ms} ms and must refuse the claim that comes after the silence",
                f"set silence-ms above {timing.grant_ms}, or shorten lease-ms",
            )
        )
    if timing.lease_ms < BEATS_IN_A_LEASE * timing.beat_ms:
        found.append(
            Fault(
                ("timing", "lease-ms"),
                f"a lease of {timing.lease_ms} ms holds fewer than {BEATS_IN_A_LEASE} beats of {timing.beat_ms} ms: "
                "a lost datagram or two closes a healthy master",
                f"set lease-ms to at least {BEATS_IN_A_LEASE * timing.beat_ms}, or shorten beat-ms",
            )
        )
    if not timing.lease_ms < timing.first_probe_ms <= timing.second_probe_ms:
        found.append(
            Fault(
                ("timing", "first-probe-ms"),
                f"probes at {timing.first_probe_ms} and {timing.second_probe_ms} ms do not both come after the lease "
                f"of {timing.lease_ms} ms, in this order: the old holder may still answer them rightly",
                "leave first-probe-ms and second-probe-ms out: then they follow the lease",
            )
        )
    return tuple(found)
