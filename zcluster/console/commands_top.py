"""The `zcluster top` command: options and help; what it does is imported when it is called."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zcluster.console.asked import NO_WISHES, sockets
from zcluster.console.options import DATA_SOCKET_PATH, connect_option, reader_key_option, socket_option

LEAST_WIDTH, MOST_WIDTH = 20, 1000
LEAST_HEIGHT, MOST_HEIGHT = 5, 1000
LEAST_INTERVAL_S, MOST_INTERVAL_S = 0.1, 60.0


@click.command()
@socket_option
@connect_option
@reader_key_option
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(LEAST_INTERVAL_S, MOST_INTERVAL_S),
    default=0.5,
    show_default=True,
    metavar="SECONDS",
    help="Ask and draw so often; what happens is shown at once.",
)
@click.option("--once", "is_once", is_flag=True, help="Print one frame and end.")
@click.option("--width", type=click.IntRange(LEAST_WIDTH, MOST_WIDTH), default=None, help="Of the one frame.")
@click.option(
    "--height", type=click.IntRange(LEAST_HEIGHT, MOST_HEIGHT), default=None, help="Of the one frame."
)
def top(
    socket_path: Path,
    connect: str | None,
    key_path: Path,
    interval_s: float,
    is_once: bool,
    width: int | None,
    height: int | None,
) -> None:
    """Show the cluster live: groups, nodes, streams and what happens; ? lists the keys.

    Exit status with --once, or where there is no terminal: that of `zcluster status`.
    """
    from zcluster.console.top.local_source import LocalSource
    from zcluster.console.top.run import is_live_possible, live, once

    interval_ms = int(interval_s * 1000)
    with sockets(connect, key_path, socket_path, socket_path.with_name(DATA_SOCKET_PATH.name)) as found:
        source = LocalSource(*found, interval_ms)
        source.refusal = NO_WISHES if connect is not None else ""
        if is_once or not is_live_possible():
            sys.exit(once(source, width, height, click.echo))
        sys.exit(live(source, interval_ms))
