"""Run on time: scheduling class, locked memory, a quiet collector, and the clocks.

What must hold: nothing here raises; what was refused is returned in words that say what to change, and the
process runs on without it. Times are integer milliseconds, rounded down, of CLOCK_MONOTONIC: it never jumps,
and it stands still while the machine is suspended, which `suspended_ms` tells.

Sources: sched(7), mlockall(2), clock_gettime(2), BASELINES "how late is a 10 ms heartbeat".
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

DEFAULT_PRIORITY = 10  # above every ordinary task, below the kernel's own interrupt threads (50)

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK = 14
_CLOCK_MONOTONIC_COARSE = 6  # linux/time.h; its resolution is the kernel's tick
_NANOSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Standing:
    """What the kernel granted. `refusals`: one sentence for each thing it did not."""

    has_real_time: bool
    has_locked_memory: bool
    refusals: tuple[str, ...]


def prepare(priority: int = DEFAULT_PRIORITY, is_collecting: bool = True) -> Standing:
    """Ask for everything, once, when all modules are imported and before the first beat.

    `priority`: 1 to 99 of SCHED_RR, 0 to stay an ordinary process. `is_collecting`: whether the collector
    of cyclic garbage still runs afterwards (on the few objects made since). Side threads and children
    started later are ordinary again.
    """
    refusals = tuple(text for text in (_schedule(priority), _lock_memory()) if text)
    quiet_collector(is_collecting)
    return Standing(
        has_real_time=priority > 0 and not any(text.startswith("real-time") for text in refusals),
        has_locked_memory=not any(text.startswith("memory") for text in refusals),
        refusals=refusals,
    )


def quiet_collector(is_collecting: bool) -> None:
    """Take everything that exists out of the collector's sight, so that its passes stay short."""
    gc.collect()
    gc.freeze()
    if is_collecting:
        gc.enable()
    else:
        gc.disable()


def monotonic_ms() -> int:
    """Milliseconds of CLOCK_MONOTONIC, rounded down."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // _NANOSECONDS


def suspended_ms() -> int:
    """How long this host was suspended since it booted; a growth means that it has just slept."""
    awake_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - awake_ns) // _NANOSECONDS


def tick_ms() -> float:
    """The kernel's tick: the grain in which its timeouts, those of the gate among them, are kept."""
    return time.clock_getres(_CLOCK_MONOTONIC_COARSE) * 1000


def tick_lag_ms() -> float:
    """How far the kernel's tick is behind the true time: below two ticks as a rule.

    What is beyond that is how late the kernel ends a lease just now: another processor owns the tick and the
    hypervisor keeps it. The kernel itself bounds it to five ticks (kernel/time/tick-sched.c, stalled_jiffies).
    """
    coarse_ns = time.clock_gettime_ns(_CLOCK_MONOTONIC_COARSE)
    return (time.clock_gettime_ns(time.CLOCK_MONOTONIC) - coarse_ns) / _NANOSECONDS


def _schedule(priority: int) -> str:
    """Ask for SCHED_RR; the text of the refusal, or nothing."""
    if priority <= 0:
        return ""
    try:
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except OSError as error:
        mend = "set LimitRTPRIO= or grant CAP_SYS_NICE; in a control group, look at cpu.rt_runtime_us"
        return f"real-time scheduling (SCHED_RR {priority}) was refused: {error.strerror}; {mend}"
    return ""


def _lock_memory() -> str:
    """Ask for mlockall; the text of the refusal, or nothing.

    Pages are locked when first used (MCL_ONFAULT): without that, the unused stacks of side threads count.
    """
    mend = "set LimitMEMLOCK=infinity"
    if not (_raise_limit() or _may_lock_without_limit()):
        limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
        # under a finite limit a later allocation would fail where it now would only be slow
        return f"memory was not locked: the limit is {limit // 1024} KiB; {mend}"
    library = ctypes.CDLL(None, use_errno=True)
    for flags in (_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT, _MCL_CURRENT | _MCL_FUTURE):
        if library.mlockall(flags) == 0:
            return ""
        if ctypes.get_errno() != errno.EINVAL:  # EINVAL: a kernel before 4.4 does not know MCL_ONFAULT
            break
    return f"memory was not locked: {os.strerror(ctypes.get_errno())}; {mend}"


def _raise_limit() -> bool:
    """Whether the limit on locked memory is, or could be made, infinite."""
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (OSError, ValueError):
        return resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    return True


def _may_lock_without_limit() -> bool:
    """Whether CAP_IPC_LOCK is held in the first user namespace; only there it lifts the limit."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        (effective,) = (line.split()[1] for line in lines if line.startswith("CapEff:"))
        mapped = Path("/proc/self/uid_map").read_text().split()
    except (OSError, ValueError):
        return False
    return bool(int(effective, 16) >> _CAP_IPC_LOCK & 1) and mapped == ["0", "0", "4294967295"]
