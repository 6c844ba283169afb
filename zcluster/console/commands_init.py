"""The command `zcluster init`: its options, loaded when it is called.

What must hold: importing this loads nothing heavy beyond click.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zcluster.console.options import CONFIG_PATH

MOST_NODES = 64


@click.command()
@click.option(
    "--out",
    default=str(CONFIG_PATH),
    show_default=True,
    metavar="FILE",
    help='The file to write; "-" prints it and writes nothing.',
)
@click.option(
    "--expected-nodes",
    "nodes",
    type=click.IntRange(1, MOST_NODES),
    default=None,
    help="How many hosts there will be; an odd number.  [default: 3, and the file asks]",
)
@click.option("--name", "cluster", default="pbx", show_default=True, help="The cluster's name.")
@click.option(
    "--event-socket",
    default="127.0.0.1:8021",
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Where the switch of this host is asked.",
)
@click.option(
    "--password-file",
    "password_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("/etc/zcluster/event-socket.password"),
    show_default=True,
    help="The event socket's password, mode 0600; without that file the one that FreeSWITCH is shipped with.",
)
@click.option("--no-switch", is_flag=True, help="Ask no switch: addresses alone.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def init(
    out: str,
    nodes: int | None,
    cluster: str,
    event_socket: str,
    password_path: Path,
    no_switch: bool,
    force: bool,
) -> None:
    """Propose the cluster's file from this host's networks and its switch's running profiles.

    Exit status: 0 written, 1 refused (a file is there, or there is nothing to propose).
    """
    from zcluster.console.init import run, wishes_of

    where = None if out == "-" else Path(out)
    wishes = wishes_of(where, nodes, cluster, event_socket, password_path, not no_switch, force)
    sys.exit(run(wishes))
