"""The command `zcluster report`: its options, loaded when it is called.

What must hold: importing this loads nothing heavy beyond click.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click

from zcluster.console.options import DATA_SOCKET_PATH, config_option, json_option, socket_option
from zcluster.errors import ZclusterError

DEFAULT_SINCE = "24h"
DEFAULT_RECORDING_MIB = 16


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="The archive to write.  [default: zcluster-report-HOST-TIME.tar.gz]",
)
@click.option(
    "--since",
    default=DEFAULT_SINCE,
    show_default=True,
    metavar="TIME",
    help='Journal and log from then on: "2h", "3d", "15:04" or ISO 8601.',
)
@click.option("--with-calls", is_flag=True, help="Lists of calls and phones too, with numbers of callers.")
@click.option(
    "--recording",
    "recording_mib",
    type=click.IntRange(0, 1024),
    default=DEFAULT_RECORDING_MIB,
    show_default=True,
    metavar="MIB",
    help="At most so much of a recording, the newest; 0 for none.",
)
@click.option(
    "--ask",
    "places",
    metavar="HOST",
    multiple=True,
    help="Where another node's bus for tools is; again for more.  [default: as far as they can be found]",
)
@click.option("--node", "node_name", default=None, help="This node's name, instead of the host's name.")
@config_option
@socket_option
@json_option
def report(
    out: Path | None,
    since: str,
    with_calls: bool,
    recording_mib: int,
    places: tuple[str, ...],
    node_name: str | None,
    config: Path,
    socket_path: Path,
    as_json: bool,
) -> None:
    """Gather the evidence of this host and its cluster in one archive, without keys.

    It also works when the daemon is dead, and its README says what it could not get. Exit status: 0 written, 1 not.
    """
    from zcluster.console.report import SCHEMA, run
    from zcluster.console.report_parts.node import Asked
    from zcluster.console.since import since_ms

    try:
        asked = Asked(
            config=config,
            socket=socket_path,
            data_socket=socket_path.with_name(DATA_SOCKET_PATH.name),
            node_name=node_name,
            since_ms=since_ms(since, time.time_ns() // 1_000_000),
            has_calls=with_calls,
            recording_bytes=recording_mib << 20,
            places=places,
        )
        status = run(asked, out, as_json)
    except ZclusterError as error:
        if not as_json:
            raise
        click.echo(json.dumps({"schema": SCHEMA, "ok": False, "error": str(error)}))
        status = 1
    sys.exit(status)
