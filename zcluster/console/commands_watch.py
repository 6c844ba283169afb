"""The door of `zcluster watch`: names, options and help."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zcluster.adapters.journal import LEVELS
from zcluster.console.asked import refusals, sockets
from zcluster.console.options import (
    connect_option,
    json_option,
    reader_key_option,
    second_socket_option,
    socket_option,
)
from zcluster.console.watch.events import SCHEMA, STORY, STREAMS


@click.command()
@click.argument("streams", metavar="[STREAM]...", type=click.Choice(STREAMS), nargs=-1)
@click.option("--from-start", is_flag=True, help="Begin with the status, and with what the daemon remembers.")
@json_option
@click.option("--count", type=click.IntRange(min=1), default=None, help="End after so many events.")
@click.option("--level", type=click.Choice(LEVELS), default=LEVELS[0], help="Records of at least this level.")
@click.option("--group", default="", help="Of the story, only what this group or no group is named in.")
@socket_option
@second_socket_option
@connect_option
@reader_key_option
def watch(
    streams: tuple[str, ...],
    from_start: bool,
    as_json: bool,
    count: int | None,
    level: str,
    group: str,
    socket_path: Path,
    data_path: Path,
    connect: str | None,
    key_path: Path,
) -> None:
    """Follow what happens in the cluster until Ctrl-C, over restarts of the daemon.

    STREAM: story (everything that any node tells; what you get without one), status (its sentence whenever it
    changes), registrations, calls, limits (their counts whenever they change, asked every two seconds).
    """
    from zcluster.console.watch.command import Wish, run

    wanted = tuple(dict.fromkeys(streams)) or (STORY,)
    wish = Wish(wanted, from_start, as_json, count or 0, level, group)
    with refusals(SCHEMA, as_json), sockets(connect, key_path, socket_path, data_path) as found:
        sys.exit(run(*found, wish))
