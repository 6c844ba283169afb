"""The door of `zcluster roster`: names, options and help."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zcluster.console.hints import Hinted
from zcluster.console.options import json_option, socket_option
from zcluster.console.roster import change, force, show


@click.group()
def roster() -> None:
    """Show who may vote, and change it.

    Exit status of each: 0 done, 1 refused, 3 the daemon is not reachable.
    """


@roster.command("show")
@socket_option
@json_option
def roster_show(socket_path: Path, as_json: bool) -> None:
    """Print the voters, the forgotten, and who is heard and not admitted."""
    sys.exit(show(socket_path, as_json))


@roster.command("add", cls=Hinted, example="zcluster roster add pbx4")
@click.argument("node_name", metavar="NODE")
@socket_option
@json_option
def roster_add(node_name: str, socket_path: Path, as_json: bool) -> None:
    """Admit NODE, which must be heard: it votes from then on."""
    sys.exit(change(socket_path, "add", node_name, as_json))


@roster.command("remove", cls=Hinted, example="zcluster roster remove pbx3")
@click.argument("node_name", metavar="NODE")
@socket_option
@json_option
def roster_remove(node_name: str, socket_path: Path, as_json: bool) -> None:
    """Take NODE out for good; it must hold no group."""
    sys.exit(change(socket_path, "remove", node_name, as_json))


@roster.command("force", cls=Hinted, example="zcluster roster force --lost pbx2 pbx3")
@click.option("--lost", metavar="NODE", required=True, multiple=True, help="A node that is dead for certain.")
@click.argument("others", metavar="[NODE]...", nargs=-1)
@click.option(
    "--yes-they-are-dead",
    "confirmations",
    count=True,
    help="For scripts: given twice, it stands for the two questions.",
)
@socket_option
@json_option
def roster_force(
    lost: tuple[str, ...], others: tuple[str, ...], confirmations: int, socket_path: Path, as_json: bool
) -> None:
    """Go on without lost nodes when the majority is gone for ever: --lost NODE NODE...

    The others take your word that these nodes are dead. If one is not, two hosts may answer for one address.
    """
    sys.exit(force(socket_path, (*lost, *others), confirmations, as_json))
