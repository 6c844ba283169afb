"""The tools process: `python -m zcluster.tools --fd N --config FILE --node NAME --run-dir DIR [--with-switch]`.

Started by the control process, with one end of a packet pair as descriptor N: over it this process says now and then
that it lives, and is told nothing. What must hold: it ends when the other end closes (within `orphan.LIMIT_S`,
whatever it does) and at nothing else, so that what is told during an orderly stop is handed on too; it is an ordinary
process that gives way to others, and whose memory the kernel bounds, for it meets strangers.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from zcluster.adapters.control_socket import FILE_NAME as CONTROL_SOCKET
from zcluster.adapters.local_channel import LocalChannel
from zcluster.adapters.log import defect
from zcluster.adapters.orphan import end_with_the_other_side
from zcluster.config.configuration import Configuration
from zcluster.config.load import load
from zcluster.errors import ZclusterError
from zcluster.tools.assembly import Host, outlets_for
from zcluster.tools.feed import Feed
from zcluster.tools.loop import Loop, Part, monotonic_ms
from zcluster.tools.outlet import Outlet
from zcluster.tools.own_log import OwnLog, own_log
from zcluster.tools.place import PlaceFile
from zcluster.tools.ring import Ring

EXIT_WELL = 0
EXIT_REFUSED = 1
EXIT_DEFECT = 70  # EX_SOFTWARE of sysexits.h
LARGEST_MEMORY_BYTES = 512 << 20
LARGEST_PACKET_BYTES = 64
HEART_MS = 5000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the control process ends; the exit status."""
    wanted = _parsed(arguments)
    _be_ordinary()
    end_with_the_other_side(wanted.fd)
    channel = LocalChannel(socket.socket(fileno=wanted.fd))
    log = own_log("auto", wanted.node)
    try:
        configuration = load(wanted.config)
        log = own_log(configuration.log_format, wanted.node)
        with ExitStack() as stack:
            ToolsProcess(wanted, configuration, channel, stack, log).run()
    except ZclusterError as error:
        log.write("warning", "tools-failed", f"the tools process cannot run: {error}")
        return EXIT_REFUSED
    except Exception as error:
        # A defect. The control process starts us again.
        text = f"the tools process ends by a defect: {type(error).__name__}: {error}"
        log.write("warning", "tools-failed", text, defect(error))
        return EXIT_DEFECT
    return EXIT_WELL


class ToolsProcess:
    """The parts, wired. Raises ZclusterError for what must be mended before it can run."""

    def __init__(
        self,
        wanted: argparse.Namespace,
        configuration: Configuration,
        channel: LocalChannel,
        stack: ExitStack,
        log: OwnLog,
    ) -> None:
        self._channel = channel
        ring, run_dir = Ring(), wanted.run_dir
        host = Host(
            configuration, wanted.node, run_dir, _version(), ring, self.figures, wanted.with_switch, log
        )
        self._outlets: Mapping[str, Outlet] = outlets_for(host)
        for outlet in self._outlets.values():
            stack.callback(outlet.close)
        self._feed = Feed(run_dir / CONTROL_SOCKET, ring, PlaceFile(run_dir), tuple(self._outlets.values()))
        stack.callback(self._feed.close)
        parts: tuple[Part, ...] = (_Heart(channel), self._feed, *self._outlets.values())
        self._loop = Loop(channel.fileno(), parts, self._is_over)

    def run(self) -> None:
        """To the end, and what was told last is still handed on."""
        self._loop.run()
        self._feed.turn(monotonic_ms())
        for outlet in self._outlets.values():
            outlet.turn(monotonic_ms())

    def figures(self) -> Mapping[str, int]:
        """For the metrics."""
        return dict(self._figures())

    def _figures(self) -> Iterator[tuple[str, int]]:
        figures = self._loop.figures
        yield from (("turns", figures.turns), ("busy_us", figures.busy_us))
        yield "worst_turn_us", figures.worst_turn_us
        for name, counts in (
            ("feed", self._feed.counts()),
            *((name, outlet.counts()) for name, outlet in self._outlets.items()),
        ):
            yield from ((f"{name}_{word}", count) for word, count in sorted(counts.items()))

    def _is_over(self) -> bool:
        self._channel.receive(LARGEST_PACKET_BYTES, 1)
        return self._channel.is_over


class _Heart:
    """Tells the control process that the loop turns (`zcluster.supervisor.tools_child`)."""

    def __init__(self, channel: LocalChannel) -> None:
        self._channel = channel
        self._due_ms = 0

    def filenos(self) -> tuple[int, ...]:
        """Nothing is waited for."""
        return ()

    def deadline(self) -> int | None:
        """Now and then."""
        return self._due_ms

    def turn(self, now_ms: int) -> None:
        """Say it."""
        if now_ms >= self._due_ms:
            self._due_ms = now_ms + HEART_MS
            self._channel.send((b"turning",), "heart")


def _be_ordinary() -> None:
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    # Signals to the daemon often go to its whole group.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (LARGEST_MEMORY_BYTES, LARGEST_MEMORY_BYTES))


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="zcluster.tools", description="Started by `zcluster run` alone.")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--with-switch", action="store_true")
    return parser.parse_args(arguments)


def _version() -> str:
    try:
        return version("zcluster")
    except PackageNotFoundError:
        return "unknown"
