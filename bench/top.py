"""What `zcluster top` costs: processor time and bytes to the terminal, 20 nodes, 16 groups, 4 frames a second.

    python -m bench.top [--seconds 20] [--interval 0.25] [--nodes 20] [--groups 16]

The daemon is `bench.canned_daemon` behind real sockets, and tells something every second, after 500 records; the
terminal is a pty that nobody draws. Processor time is what the scheduler counted (/proc/PID/task/*/schedstat),
from two seconds after the first frame on. Exit 1 when a size costs more than LIMIT_PERCENT of a core.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

LIMIT_PERCENT = 3.0
WARM_S = 2.0
FRAME = b"\x1b[?2026h"
SIZES = ((80, 24), (200, 60))
DAEMON = "from bench.canned_daemon import main; main()"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--interval", type=float, default=0.25)
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--groups", type=int, default=16)
    wanted = parser.parse_args()
    table = Table("size", "frames a second", "% of a core", "bytes a second", "clears")
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="zcluster-top-") as name:
        words = [sys.executable, "-c", DAEMON, "--dir", name, "--telling-ms", "1000", "--told", "500"]
        words += ["--nodes", str(wanted.nodes), "--groups", str(wanted.groups)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as daemon:
            assert daemon.stdout is not None
            daemon.stdout.readline()
            try:
                for width, height in SIZES:
                    percent, size, clears, frames = measure(
                        Path(name), width, height, wanted.seconds, wanted.interval
                    )
                    worst = max(worst, percent)
                    table.add_row(
                        f"{width}x{height}", f"{frames:.1f}", f"{percent:.2f}", f"{size:.0f}", str(clears)
                    )
            finally:
                daemon.kill()
    Console().print(table)
    return 1 if worst > LIMIT_PERCENT else 0


def measure(
    directory: Path, width: int, height: int, seconds: float, interval: float
) -> tuple[float, float, int, float]:
    """Percent of a core, bytes a second, screens cleared, frames with a change a second."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    words = [sys.executable, "-m", "zcluster", "top", "--socket", str(directory / "control.sock")]
    environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        [*words, "--interval", str(interval)], stdin=theirs, stdout=theirs, env=environment
    ) as top:
        os.close(theirs)
        started = b""
        while FRAME not in started:
            started = started[-len(FRAME) :] + drained(ours, 0.1)
        drained(ours, WARM_S)
        before, begun = used_ns(top.pid), time.monotonic()
        written = drained(ours, seconds)
        used, took = used_ns(top.pid) - before, time.monotonic() - begun
        os.write(ours, b"q")
        drained(ours, 0.2)
        top.wait(60)
    os.close(ours)
    frames = written.count(FRAME)
    return 100 * used / 1e9 / took, len(written) / took, written.count(b"\x1b[2J"), frames / took


def drained(descriptor: int, seconds: float) -> bytes:
    """What comes in so long."""
    found, until = bytearray(), time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        readable, _, _ = select.select([descriptor], [], [], left)
        try:
            found += os.read(descriptor, 1 << 16) if readable else b""
        except OSError:
            break  # the other side is gone
    return bytes(found)


def used_ns(pid: int) -> int:
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))


if __name__ == "__main__":
    sys.exit(main())
