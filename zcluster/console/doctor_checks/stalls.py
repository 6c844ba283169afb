"""How long this machine stands still, and which preset's leases outlive that.

What must hold: measured as the daemon runs, at its priority with its memory locked, by a loop that does nothing but
sleep; what is judged is the worst case seen, because one stall that is too long closes a healthy master.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass

from zcluster.console.doctor_checks.finding import Finding, error, good, warning
from zcluster.console.words import listed
from zcluster.control.timing import PRESETS, Timing

NAP_NS = 1_000_000
NANOSECONDS = 1_000_000_000
# Of what a lease leaves, a machine may use this share in a short look: the worst of a month is worse.
RESERVE = 2


@dataclass(frozen=True, slots=True)
class Stalls:
    """Oversleeping in milliseconds, over `seconds`."""

    seconds: float
    worst_ms: float
    p999_ms: float
    has_real_time: bool


def measure(
    seconds: float,
    has_real_time: bool,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> Stalls:
    """Nap again and again, and see how much too long each nap was."""
    began_ns = now_ns = clock_ns()
    until_ns = began_ns + round(seconds * NANOSECONDS)
    late_us = array("I")
    while now_ns < until_ns:
        sleep(NAP_NS / NANOSECONDS)
        woken_ns = clock_ns()
        late_us.append(min(max(woken_ns - now_ns - NAP_NS, 0) // 1000, 2**32 - 1))
        now_ns = woken_ns
    ordered = sorted(late_us) or [0]
    return Stalls(
        seconds=(now_ns - began_ns) / NANOSECONDS,
        worst_ms=ordered[-1] / 1000,
        p999_ms=ordered[min(len(ordered) * 999 // 1000, len(ordered) - 1)] / 1000,
        has_real_time=has_real_time,
    )


def room_ms(timing: Timing) -> int:
    """The longest stall that a lease outlives for certain: it was renewed up to two beats before."""
    return timing.lease_ms - 2 * timing.beat_ms


def allowed(worst_ms: float) -> tuple[str, ...]:
    """The presets that have room for such a stall with the reserve, the quickest first."""
    ordered = sorted(PRESETS, key=lambda name: PRESETS[name].silence_ms)
    return tuple(name for name in ordered if RESERVE * worst_ms <= room_ms(PRESETS[name]))


def finding(stalls: Stalls, preset: str, timing: Timing) -> Finding:
    """What it means for the timing that the file has."""
    names = allowed(stalls.worst_ms)
    permitted = f"that allows {listed(names)}" if names else "no preset allows that"
    ordinary = "" if stalls.has_real_time else ", without real-time priority"
    words = (
        f"in {stalls.seconds:.0f} s this machine stood still for {stalls.worst_ms:.1f} ms at worst, "
        f"{stalls.p999_ms:.1f} ms in 999 of 1000 naps or less{ordinary}: {permitted}"
    )
    room = room_ms(timing)
    if RESERVE * stalls.worst_ms <= room:
        return good("stalls", words)
    mend = f'set preset = "{names[0]}", ' if names else "find what stops this machine: "
    mend += "give the guest its own processors, look for power saving and for steal time"
    if stalls.worst_ms <= room:
        return warning("stalls", f"{words}; {preset} has room for {room} ms, too little reserve", mend)
    return error(
        "stalls", f"{words}; {preset} has room for {room} ms: a master would close for nothing", mend
    )
