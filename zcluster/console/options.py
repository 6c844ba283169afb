"""Options that several commands share, and where things are when nothing else is said.

What must hold: importing this loads nothing beyond click, so that a lazily loaded command starts light.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])

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


def socket_at(option: str, name: str, default: Path, variable: str, words: str) -> Callable[[_F], _F]:
    """An option for the place of a local socket, which `variable` of the environment may name too."""
    return click.option(
        option,
        name,
        type=click.Path(path_type=Path, dir_okay=False),
        default=default,
        show_default=True,
        envvar=variable,
        help=words,
    )


_DATA = (DATA_SOCKET_PATH, "ZCLUSTER_DATA_SOCKET", "The local data process's socket.")

socket_option = socket_at(
    "--socket", "socket_path", CONTROL_SOCKET_PATH, "ZCLUSTER_SOCKET", "The local daemon's control socket."
)
data_socket_option = socket_at("--socket", "socket_path", *_DATA)
second_socket_option = socket_at("--data-socket", "data_path", *_DATA)
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
