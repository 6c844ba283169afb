"""The doors of the tables: registrations, calls, limits."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zcluster.console.asked import sockets
from zcluster.console.calls import run as run_calls
from zcluster.console.limits import run as run_limits
from zcluster.console.lists import Selection
from zcluster.console.options import connect_option, data_socket_option, json_option, reader_key_option
from zcluster.console.registrations import run as run_registrations

SHOWN_ROWS = 200

group_filter = click.option("--group", default="", help="Only of this group.")
node_filter = click.option("--node", default="", help="Only what this node holds.")
profile_filter = click.option("--profile", default="", help="Only of this SIP profile.")
match_filter = click.option("--match", default="", metavar="TEXT", help="Only with this text anywhere.")
count_option = click.option("--count", "is_count", is_flag=True, help="Count instead of listing.")
limit_option = click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=None,
    help="So many rows at most, 0 for all.  [default: 200; all with --json]",
)


@click.command()
@group_filter
@node_filter
@profile_filter
@match_filter
@limit_option
@count_option
@data_socket_option
@connect_option
@reader_key_option
@json_option
def registrations(
    group: str,
    node: str,
    profile: str,
    match: str,
    limit: int | None,
    is_count: bool,
    socket_path: Path,
    connect: str | None,
    key_path: Path,
    as_json: bool,
) -> None:
    """List the phones that the cluster knows, whoever holds their group."""
    selection = Selection(group, node, profile, match, _rows(limit, as_json))
    with sockets(connect, key_path, socket_path, socket_path) as found:
        sys.exit(run_registrations(found.data, selection, is_count, as_json))


@click.command()
@click.option("--lost", "is_lost", is_flag=True, help="Those that takeovers to this node did not bring back.")
@group_filter
@node_filter
@profile_filter
@match_filter
@limit_option
@count_option
@data_socket_option
@connect_option
@reader_key_option
@json_option
def calls(
    is_lost: bool,
    group: str,
    node: str,
    profile: str,
    match: str,
    limit: int | None,
    is_count: bool,
    socket_path: Path,
    connect: str | None,
    key_path: Path,
    as_json: bool,
) -> None:
    """List the legs of calls that the cluster would bring back, or (--lost) those that it could not."""
    selection = Selection(group, node, profile, match, _rows(limit, as_json))
    with sockets(connect, key_path, socket_path, socket_path) as found:
        sys.exit(run_calls(found.data, selection, is_lost, is_count, as_json))


@click.command()
@node_filter
@match_filter
@limit_option
@count_option
@data_socket_option
@connect_option
@reader_key_option
@json_option
def limits(
    node: str,
    match: str,
    limit: int | None,
    is_count: bool,
    socket_path: Path,
    connect: str | None,
    key_path: Path,
    as_json: bool,
) -> None:
    """List the limits that the cluster counts together, and each node's share."""
    selection = Selection(node=node, match=match, limit=_rows(limit, as_json))
    with sockets(connect, key_path, socket_path, socket_path) as found:
        sys.exit(run_limits(found.data, selection, is_count, as_json))


def _rows(limit: int | None, as_json: bool) -> int:
    """How many rows are wanted, 0 for all: a terminal shows some, a program wants all."""
    return limit if limit is not None else (0 if as_json else SHOWN_ROWS)
