"""The host's part of a report: versions, kernel, settings, interfaces, routes, neighbours, packet rules, log.

What must hold: it looks and changes nothing; every look is bounded in size and time; no shell is run.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from zcluster.adapters import host_networks
from zcluster.adapters.addresses import HOST_SETTINGS
from zcluster.console.report_parts.evidence import Piece, lines, piece
from zcluster.errors import ZclusterError

UNIT = "zcluster.service"
LARGEST_LOG_LINES = 5000
LARGEST_PROC_BYTES = 64 << 10
LOG_LIMIT_S = 20
_PROC_FILES = (
    "loadavg",
    "uptime",
    "meminfo",
    "pressure/cpu",
    "pressure/memory",
    "pressure/io",
    "net/dev",
    "net/snmp",
    "net/softnet_stat",
)
_CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


def pieces(since_s: int) -> Iterator[Piece]:
    """All of it; the log from `since_s` (wall clock) on."""
    yield piece("host/versions.txt", "zcluster, Python and the packages that it uses", _versions)
    yield piece(
        "host/kernel.txt", "kernel, load, memory, network counters, and the settings of ours", _kernel
    )
    yield piece("host/interfaces.txt", "interfaces and their addresses", _interfaces)
    yield piece("host/routes.txt", "routes", lambda: lines(host_networks.route_lines()))
    yield piece(
        "host/neighbours.txt", "who answered ARP lately", lambda: lines(host_networks.neighbour_lines())
    )
    yield piece(
        "host/packet-rules.txt",
        "packet filter: the sets of zcluster say which address is open here, and for how long",
        lambda: lines(host_networks.packet_rule_lines()),
    )
    yield piece("host/log.txt", f"the last lines of {UNIT} in the journal of systemd", lambda: _log(since_s))


def _versions() -> str:
    found = [f"python {platform.python_version()}", f"zcluster {_version('zcluster')}"]
    wanted = [line for line in requires("zcluster") or () if "extra ==" not in line]
    names = [line.split(";")[0].split(">")[0].split("=")[0].strip() for line in wanted]
    return lines([*found, *(f"{name} {_version(name)}" for name in names)])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _kernel() -> str:
    told = [" ".join(os.uname()), f"processors {os.cpu_count()}", f"user {os.geteuid()}"]
    told.append(f"time {time.strftime('%Y-%m-%dT%H:%M:%S%z')}")
    told += [f"clock source {_read(_CLOCK_SOURCE).strip()}"]
    told += [line for line in _read(Path("/etc/os-release")).splitlines() if line.startswith("PRETTY_NAME")]
    for name, wanted in HOST_SETTINGS:
        told.append(f"{name.replace('/', '.')} = {_read(Path('/proc/sys') / name).strip()} (wanted {wanted})")
    for name in _PROC_FILES:
        told += ["", f"/proc/{name}", _read(Path("/proc") / name).rstrip()]
    return lines(told)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_PROC_BYTES).decode("utf-8", "replace")
    except OSError as problem:
        return f"({problem.strerror})"


def _interfaces() -> str:
    return lines(host_networks.interface_lines(host_networks.interfaces()))


def _log(since_s: int) -> bytes:
    program = shutil.which("journalctl")
    if program is None:
        raise ZclusterError("journalctl is not on this host: look where the service's log goes")
    words = [program, f"--unit={UNIT}", f"--since=@{since_s}", f"--lines={LARGEST_LOG_LINES}"]
    words += ["--output=short-iso-precise", "--no-pager", "--quiet"]
    try:
        done = subprocess.run(words, capture_output=True, timeout=LOG_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ZclusterError(f"journalctl did not answer within {LOG_LIMIT_S} s") from None
    if done.returncode or not done.stdout.strip():
        said = done.stderr.decode("utf-8", "replace").strip()[:300]
        raise ZclusterError(said or f"the journal of systemd has no lines of {UNIT} since then")
    return done.stdout
