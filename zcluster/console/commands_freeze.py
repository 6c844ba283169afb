"""The doors of `zcluster freeze` and `zcluster thaw`: names, options and help."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zcluster.console.hints import Hinted
from zcluster.console.options import json_option, socket_option


@click.command(cls=Hinted, example="zcluster freeze --for 2h new firmware on the switches")
@click.argument("reason", nargs=-1, required=True)
@click.option(
    "--for", "span", metavar="TIME", default=None, help='Thaw by itself after "90s", "30m", "2h", "3d".'
)
@socket_option
@json_option
def freeze(reason: tuple[str, ...], span: str | None, socket_path: Path, as_json: bool) -> None:
    """Let nothing move by itself, on the whole cluster, and say why.

    Every group stays where it is, whatever fails, and no operator moves one either. A group whose holder dies is
    answered for by nobody until that host is back or you thaw.

    Exit status: 0 agreed by a majority, 1 refused, 3 the daemon is not reachable.
    """
    from zcluster.console.freeze import freeze as run

    sys.exit(run(socket_path, " ".join(reason), span, as_json))


@click.command()
@socket_option
@json_option
def thaw(socket_path: Path, as_json: bool) -> None:
    """End a freeze: what it held back happens at once.

    Exit status: 0 agreed by a majority, 1 refused, 3 the daemon is not reachable.
    """
    from zcluster.console.freeze import thaw as run

    sys.exit(run(socket_path, as_json))
