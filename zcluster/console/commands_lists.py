"""The doors of the tables: registrations, calls, limits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from zcluster.console.asked import refusals, sockets
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
lost_option = click.option(
    "--lost", "is_lost", is_flag=True, help="Those that takeovers to this node did not bring back."
)

FILTERS = ("group", "node", "profile", "match")
Work = Callable[..., Any]


def listing(*filters: Work) -> Callable[[Work], click.Command]:
    """A command that shows a table of the data process; the function gets its socket, a Selection, and what is left."""

    def made(show: Work) -> click.Command:
        @wraps(show)
        def command(
            limit: int | None,
            is_count: bool,
            socket_path: Path,
            connect: str | None,
            key_path: Path,
            as_json: bool,
            **more: Any,
        ) -> None:
            rows = limit if limit is not None else (0 if as_json else SHOWN_ROWS)
            asked = {name: more.pop(name) for name in FILTERS if name in more}
            table = "lost" if more.get("is_lost") else show.__name__
            place = sockets(connect, key_path, socket_path, socket_path)
            with refusals(f"zcluster.{table}/1", as_json), place as found:
                sys.exit(show(found.data, Selection(**asked, limit=rows), is_count, as_json, **more))

        decorated: Work = command
        shared = (
            limit_option,
            count_option,
            data_socket_option,
            connect_option,
            reader_key_option,
            json_option,
        )
        for option in reversed((*filters, *shared)):
            decorated = option(decorated)
        return click.command()(decorated)

    return made


@listing(group_filter, node_filter, profile_filter, match_filter)
def registrations(data: Path, selection: Selection, is_count: bool, as_json: bool) -> int:
    """List the phones that the cluster knows, whoever holds their group."""
    return run_registrations(data, selection, is_count, as_json)


@listing(lost_option, group_filter, node_filter, profile_filter, match_filter)
def calls(data: Path, selection: Selection, is_count: bool, as_json: bool, *, is_lost: bool) -> int:
    """List the legs of calls that the cluster would bring back, or (--lost) those that it could not."""
    return run_calls(data, selection, is_lost, is_count, as_json)


@listing(node_filter, match_filter)
def limits(data: Path, selection: Selection, is_count: bool, as_json: bool) -> int:
    """List the limits that the cluster counts together, and each node's share."""
    return run_limits(data, selection, is_count, as_json)
