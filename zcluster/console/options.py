"""Options that several commands share, and where things are when nothing else is said.

What must hold: importing this loads nothing beyond click, so that a lazily loaded command starts light.
"""

from __future__ import annotations

from pathlib import Path

import click

CONFIG_PATH = Path("/etc/zcluster/zcluster.toml")
CONFIG_VARIABLE = "ZCLUSTER_CONFIG"
CONTROL_SOCKET_PATH = Path("/run/zcluster/control.sock")
DATA_SOCKET_PATH = Path("/run/zcluster/data.sock")
READER_KEY_PATH = Path("/etc/zcluster/reader.key")

config_option = click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=CONFIG_PATH,
    show_default=True,
    envvar=CONFIG_VARIABLE,
    help="The cluster's file, the same bytes on every host.",
)
socket_option = click.option(
    "--socket",
    "socket_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=CONTROL_SOCKET_PATH,
    show_default=True,
    envvar="ZCLUSTER_SOCKET",
    help="The local daemon's control socket.",
)
data_socket_option = click.option(
    "--socket",
    "socket_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DATA_SOCKET_PATH,
    show_default=True,
    envvar="ZCLUSTER_DATA_SOCKET",
    help="The local data process's socket.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")
connect_option = click.option(
    "--connect",
    metavar="HOST[:PORT]",
    default=None,
    help="Ask that host instead, over its bus for tools ([tools] of the cluster's file).",
)
reader_key_option = click.option(
    "--key",
    "key_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=READER_KEY_PATH,
    show_default=True,
    envvar="ZCLUSTER_READER_KEY",
    help="With --connect: what `zcluster reader-key` wrote.",
)
