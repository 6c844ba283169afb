"""`zcluster keygen`: make the cluster's secret and say what to do with it."""

from __future__ import annotations

from pathlib import Path

import click

from zcluster.config.keyfile import write_key


def run(path: Path, force: bool = False) -> int:
    """Write a new key at `path` and return 0; KeyFileError when one is there and `force` is not given."""
    write_key(path, replace=force)
    click.echo(f"A new cluster key stands in {path}, readable by its owner alone.")
    click.echo("Copy the same file, with mode 0600, to every host of the cluster; nobody else may have it.")
    return 0
