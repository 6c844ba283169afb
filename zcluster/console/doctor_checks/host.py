"""This host under the cluster: kernel settings, privileges, packet filter, clock.

What must hold: `look` changes nothing for good (a table of its own stands in the packet filter for a moment), and
`findings` is pure: from what was seen to what it means.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from zcluster.adapters.addresses import HOST_SETTINGS
from zcluster.adapters.gate import Gate
from zcluster.console.doctor_checks.finding import Finding, error, good, unknown, warning
from zcluster.errors import KernelRefused

NEEDED = {12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW", 23: "CAP_SYS_NICE"}
UNUSED_ADDRESS = ip_address("192.0.2.1")  # RFC 5737: nobody has it
OLDEST_GATED_KERNEL = (5, 16)
TABLE = "zcluster_doctor"

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 512  # more than struct timex has anywhere
_SCRIPT = "run `sysctl -w {}={}`; packaging/systemd/zcluster.sysctl.conf does it at boot (the Debian package brings it)"


@dataclass(frozen=True, slots=True)
class HostLook:
    """What was seen. None where it could not be seen.

    `settings`: (name below /proc/sys, wanted, found). `packet_filter`: "" when the gate's rules could be made,
    else the kernel's refusal. `forwarders`: interfaces on which this host answers ARP for others.
    """

    settings: tuple[tuple[str, str, str | None], ...]
    forwarders: tuple[str, ...]
    missing_capabilities: tuple[str, ...]
    packet_filter: str | None
    is_egress_gated: bool | None
    is_real_time_permitted: bool | None
    is_clock_synchronised: bool | None
    kernel: str


def look(is_real_time_permitted: bool | None, proc: Path = Path("/proc")) -> HostLook:
    """See what is to be seen with the privileges that this process has."""
    missing = missing_capabilities(_text(proc / "self/status") or "")
    refusal, is_gated = _try_gate() if "CAP_NET_ADMIN" not in missing else (None, None)
    return HostLook(
        settings=tuple((name, wanted, _text(proc / "sys" / name)) for name, wanted in HOST_SETTINGS),
        forwarders=_forwarders(proc / "sys/net/ipv4/conf"),
        missing_capabilities=missing,
        packet_filter=refusal,
        is_egress_gated=is_gated,
        is_real_time_permitted=is_real_time_permitted,
        is_clock_synchronised=_is_clock_synchronised(),
        kernel=os.uname().release,
    )


def findings(seen: HostLook, service_interfaces: Iterable[str] = ()) -> list[Finding]:
    """What it means for a node."""
    return [
        *_settings(seen),
        *_forwarding(seen, frozenset(service_interfaces)),
        _privileges(seen),
        _real_time(seen),
        _packet_filter(seen),
        _clock(seen),
    ]


def missing_capabilities(status: str) -> tuple[str, ...]:
    """Which of the daemon's capabilities a process does not have, from its /proc/PID/status."""
    line = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    effective = int(line[1], 16) if line else 0
    return tuple(name for bit, name in NEEDED.items() if not effective >> bit & 1)


def kernel_version(release: str) -> tuple[int, int]:
    """(5, 16) of "5.16.0-4-amd64"; (0, 0) of what is not so."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _settings(seen: HostLook) -> list[Finding]:
    found = []
    for name, wanted, value in seen.settings:
        option = name.replace("/", ".")
        if value is None:
            found.append(unknown("sysctl", f"{option} cannot be read on this kernel"))
        elif value != wanted:
            words = (
                f"{option} is {value} and must be {wanted}; the daemon sets it when it starts, where it may"
            )
            found.append(warning("sysctl", words, _SCRIPT.format(option, wanted)))
    if not found:
        found.append(good("sysctl", f"all {len(seen.settings)} settings of the network are as needed"))
    return found


def _forwarding(seen: HostLook, service: frozenset[str]) -> list[Finding]:
    return [
        error(
            "proxy ARP",
            f"this host answers ARP for others on {name}: it would draw the traffic of every floating address",
            f"run: sysctl -w net.ipv4.conf.{name}.proxy_arp=0",
        )
        for name in seen.forwarders
        if not service or name in service or name == "all"
    ]


def _privileges(seen: HostLook) -> Finding:
    if not seen.missing_capabilities:
        return good("privileges", "this user has all that the daemon needs")
    names = ", ".join(seen.missing_capabilities)
    return unknown(
        "privileges",
        f"run without {names}: a part of this host was not looked at, and a daemon run so would be refused",
        "run the doctor as root; the daemon gets its capabilities from packaging/systemd/zcluster.service",
    )


def _real_time(seen: HostLook) -> Finding:
    if seen.is_real_time_permitted is None:
        return unknown("real time", "whether real-time scheduling is permitted was not tried")
    if seen.is_real_time_permitted:
        return good("real time", "real-time scheduling is permitted")
    return warning(
        "real time",
        "real-time scheduling is refused to this user: beats will be late whenever the host is busy",
        "set LimitRTPRIO=10 or grant CAP_SYS_NICE; in a control group, look at cpu.rt_runtime_us",
    )


def _packet_filter(seen: HostLook) -> Finding:
    if seen.packet_filter is None:
        return unknown("packet filter", "not tried without CAP_NET_ADMIN", "run the doctor as root")
    if seen.packet_filter:
        return error(
            "packet filter",
            f"the kernel refuses the gate's rules: {seen.packet_filter}",
            "use a kernel with nf_tables (CONFIG_NF_TABLES, and its inet and arp families)",
        )
    if not seen.is_egress_gated:
        oldest = ".".join(map(str, OLDEST_GATED_KERNEL))
        is_old = kernel_version(seen.kernel) < OLDEST_GATED_KERNEL
        return warning(
            "packet filter",
            f"kernel {seen.kernel} has no egress hook: announcements rely on the daemon's own clock",
            f"use kernel {oldest} or newer" if is_old else "build the kernel with CONFIG_NETFILTER_EGRESS",
        )
    return good("packet filter", "the gate's rules can be made, those for packet sockets included")


def _clock(seen: HostLook) -> Finding:
    if seen.is_clock_synchronised is None:
        return unknown("clock", "the kernel does not tell whether the clock is synchronised")
    if seen.is_clock_synchronised:
        return good("clock", "the kernel's clock is synchronised")
    return warning(
        "clock",
        "the kernel's clock is not synchronised: after a takeover a telephone may refuse a re-INVITE whose "
        "sequence number, made of the time, goes backwards",
        "run chrony or systemd-timesyncd on every host",
    )


def _try_gate() -> tuple[str, bool | None]:
    try:
        gate = Gate(TABLE)
        try:
            gate.install([UNUSED_ADDRESS], ["lo"])
            is_gated = gate.egress_supported
        finally:
            with suppress(KernelRefused):
                gate.remove()
            gate.shut()
    except KernelRefused as refusal:
        return str(refusal), None
    return "", is_gated


def _forwarders(folder: Path) -> tuple[str, ...]:
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return ()
    return tuple(name for name in names if _text(folder / name / "proxy_arp") == "1")


def _is_clock_synchronised() -> bool | None:
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return state != _TIME_ERROR if state >= 0 else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
