"""The door of `zcluster explain`: names, options and help."""

from __future__ import annotations

import sys

import click

from zcluster.console.options import json_option


@click.command()
@click.argument("code", default="")
@json_option
def explain(code: str, as_json: bool) -> None:
    """Say what CODE means, and what to do about it; without CODE list all of them.

    Codes are the words that log lines, `zcluster watch`, `zcluster why --json` and the warnings of `zcluster status`
    are known by. It asks no daemon.
    """
    from zcluster.console.explain import run

    sys.exit(run(code, as_json))
