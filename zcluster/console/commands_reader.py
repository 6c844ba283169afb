"""The door of `zcluster reader-key`: names, options and help."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zcluster.console.options import config_option


@click.command("reader-key")
@click.argument("name", default="reader")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Write it there, mode 0600, instead of printing it.",
)
@config_option
def reader_key(name: str, out: Path | None, config: Path) -> None:
    """Make the key file of the reader NAME: it admits to the bus for tools, and cannot speak.

    The same name gives the same key on every host. A name that is taken out of [tools] readers is let in no more.
    """
    from zcluster.console.reader_key import run

    sys.exit(run(config, name, out))
