"""The command line's door: names, options and help of every subcommand, and nothing else.

What must hold: start-up is light. A subcommand's implementation is imported when it is called, so that
`zcluster status` never pays for pydantic, rich or pyroute2. Every error of ours ends in one readable line and
exit status 1 (3 when the local daemon cannot be asked); anything else is a defect and keeps its trace.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import ClassVar

import click

from zcluster.console.asked import exit_status, refusals, sockets
from zcluster.console.hints import Hinted
from zcluster.console.options import (
    CONFIG_PATH,
    CONFIG_VARIABLE,
    config_option,
    connect_option,
    data_socket_option,
    json_option,
    reader_key_option,
    socket_option,
)
from zcluster.errors import ZclusterError


class LazyGroup(click.Group):
    """A click group whose named subgroups are imported only when they are used.

    `lazy_commands` maps a command's name to (module, attribute, one line of help).
    """

    lazy_commands: ClassVar[dict[str, tuple[str, str, str]]] = {
        "calls": (
            "zcluster.console.commands_lists",
            "calls",
            "List the legs of calls that the cluster would bring back, or (--lost) those that it could not.",
        ),
        "limits": (
            "zcluster.console.commands_lists",
            "limits",
            "List the limits that the cluster counts together, and each node's share.",
        ),
        "registrations": (
            "zcluster.console.commands_lists",
            "registrations",
            "List the phones that the cluster knows, whoever holds their group.",
        ),
        "roster": (
            "zcluster.console.commands_roster",
            "roster",
            "Show who may vote, and change it.",
        ),
        "lab": (
            "zcluster.lab.commands",
            "lab",
            "Build a cluster of namespaces on this machine and break it.",
        ),
        "init": (
            "zcluster.console.commands_init",
            "init",
            "Propose the cluster's file from this host's networks and its switch's running profiles.",
        ),
        "report": (
            "zcluster.console.commands_report",
            "report",
            "Gather the evidence of this host and its cluster in one archive, without keys.",
        ),
        "top": (
            "zcluster.console.commands_top",
            "top",
            "Show the cluster live: groups, nodes, streams, and what happens.",
        ),
        "freeze": (
            "zcluster.console.commands_freeze",
            "freeze",
            "Let nothing move by itself, on the whole cluster, and say why.",
        ),
        "thaw": (
            "zcluster.console.commands_freeze",
            "thaw",
            "End a freeze: what it held back happens at once.",
        ),
        "explain": (
            "zcluster.console.commands_explain",
            "explain",
            "Say what a code of the log, the story or the status means, and what to do.",
        ),
        "reader-key": (
            "zcluster.console.commands_reader",
            "reader_key",
            "Make a key with which a program may read what happens, and change nothing.",
        ),
        "watch": (
            "zcluster.console.commands_watch",
            "watch",
            "Follow what happens in the cluster, as it happens.",
        ),
    }

    def list_commands(self, context: click.Context) -> list[str]:
        """Names of all commands, the unloaded ones included."""
        return sorted([*super().list_commands(context), *self.lazy_commands])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name; an unloaded one is imported now."""
        if name not in self.lazy_commands:
            return super().get_command(context, name)
        module, attribute, _ = self.lazy_commands[name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing the lazy ones."""
        rows: list[tuple[str, str]] = []
        for name in self.list_commands(context):
            if name in self.lazy_commands:
                rows.append((name, self.lazy_commands[name][2]))
            elif (command := super().get_command(context, name)) is not None:
                rows.append((name, command.get_short_help_str(90)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="zcluster")
def commands() -> None:
    """Floating addresses that stay up: masters carry traffic, slaves stand ready."""


@commands.command()
@config_option
@click.option("--node", "node_name", default=None, help="This node's name, instead of the host's name.")
def run(config: Path, node_name: str | None) -> None:
    """Run this host's node in the foreground, until it is told to stop."""
    from zcluster.supervisor.hurry import hurry

    hurry(config)
    from zcluster.supervisor.daemon import run as run_daemon

    sys.exit(run_daemon(config, node_name=node_name))


@commands.command()
@click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False), default=CONFIG_PATH, envvar=CONFIG_VARIABLE
)
@json_option
def check(file: Path, as_json: bool) -> None:
    """Say everything that is wrong or dangerous in FILE, and what the cluster survives."""
    from zcluster.console.check import run as run_check

    sys.exit(run_check(file, as_json))


@commands.command()
@config_option
@socket_option
@click.option("--node", "node_name", default=None, help="This node's name, instead of the host's name.")
@click.option(
    "--stalls",
    "stall_seconds",
    type=click.IntRange(0, 3600),
    default=0,
    metavar="SECONDS",
    help="Also measure for so long how this machine stands still, and which preset that allows.",
)
@json_option
def doctor(config: Path, socket_path: Path, node_name: str | None, stall_seconds: int, as_json: bool) -> None:
    """Look at this host and its switch, and say what mends each fault.

    Exit status: 0 no error, 1 an error.
    """
    from zcluster.console.doctor import run as run_doctor

    sys.exit(run_doctor(config, socket_path, node_name, stall_seconds, as_json))


@commands.command(cls=Hinted, example="zcluster keygen /etc/zcluster/cluster.key")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace a key that is already there.")
def keygen(path: Path, force: bool) -> None:
    """Make the cluster's secret key at PATH; copy the same file to every host."""
    from zcluster.console.keygen import run as run_keygen

    sys.exit(run_keygen(path, force=force))


@commands.command(
    cls=Hinted, hint="status is of the whole cluster; of one group or node: `zcluster why {extra}`"
)
@socket_option
@connect_option
@reader_key_option
@json_option
def status(socket_path: Path, connect: str | None, key_path: Path, as_json: bool) -> None:
    """Say how the cluster is, in one sentence and a table.

    Exit status: 0 well, 1 degraded, 2 a group without a holder, 3 the daemon is not reachable.
    """
    from zcluster.console.status import run as run_status

    sys.exit(run_status(sockets(connect, key_path, socket_path), as_json))


@commands.command(
    cls=Hinted,
    hint="name the node behind --to: `zcluster move {group} --to {extra}`",
    example="zcluster move sip1 --to pbx2",
)
@click.argument("group")
@click.option("--to", "node_name", default=None, help="The node to move to; without it, the primary slave.")
@socket_option
@json_option
def move(group: str, node_name: str | None, socket_path: Path, as_json: bool) -> None:
    """Move GROUP to another node now, without an outage worth the name."""
    from zcluster.console.move import run as run_move

    sys.exit(run_move(socket_path, group, node_name, as_json))


@commands.command(cls=Hinted, example="zcluster pin sip1 pbx2")
@click.argument("group")
@click.argument("node_name", metavar="NODE")
@socket_option
@json_option
def pin(group: str, node_name: str, socket_path: Path, as_json: bool) -> None:
    """Keep GROUP on NODE whenever that one stands ready, over restarts too.

    Exit status: 0 agreed by a majority, 1 refused, 3 the daemon is not reachable.
    """
    from zcluster.console.pin import run as run_pin

    sys.exit(run_pin(socket_path, group, node_name, as_json))


@commands.command(cls=Hinted, example="zcluster unpin sip1")
@click.argument("group")
@socket_option
@json_option
def unpin(group: str, socket_path: Path, as_json: bool) -> None:
    """End the pin of GROUP; it stays where it is.

    Exit status: 0 agreed by a majority, 1 refused, 3 the daemon is not reachable.
    """
    from zcluster.console.pin import run as run_pin

    sys.exit(run_pin(socket_path, group, "", as_json))


@commands.command("clear-faults")
@data_socket_option
@json_option
def clear_faults(socket_path: Path, as_json: bool) -> None:
    """Say that the local switch is well again after a failure condition of the file was met."""
    from zcluster.console.clear import run as run_clear

    sys.exit(run_clear(socket_path, as_json))


@commands.command("restart-daemon")
@socket_option
@json_option
def restart_daemon(socket_path: Path, as_json: bool) -> None:
    """Restart the local daemon so that nothing moves, as after an upgrade.

    Exit status: 0 it restarts now, 1 refused (nothing was restarted), 3 the daemon is not reachable.
    """
    from zcluster.console.restart import run as run_restart

    sys.exit(run_restart(socket_path, as_json))


@commands.command()
@click.argument("group", required=False)
@socket_option
@connect_option
@reader_key_option
@json_option
def why(group: str | None, socket_path: Path, connect: str | None, key_path: Path, as_json: bool) -> None:
    """Tell the story of each change of holder, of GROUP or of all groups."""
    from zcluster.console.why import SCHEMA
    from zcluster.console.why import run as run_why

    with refusals(SCHEMA, as_json), sockets(connect, key_path, socket_path) as found:
        sys.exit(run_why(found.control, group, as_json))


@commands.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True))
@click.option("--until", default=None, metavar="TIME", help='Stop there: "15:04:05.678", or ISO 8601.')
@click.option("--story", is_flag=True, help="Tell what happened and what was decided, with times.")
def replay(file: Path, until: str | None, story: bool) -> None:
    """Play a node's recording again (FILE, or the state directory): does the core decide the same?

    Exit status: 0 every decision reproduced, 1 not; then the first difference is shown.
    """
    from zcluster.console.replay import run as run_replay

    sys.exit(run_replay(file, until, story))


@commands.command()
@click.option(
    "--seeds", type=click.IntRange(min=1), default=100, show_default=True, help="How many seeds to run."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=None, help="Start at this seed (alone, run only it)."
)
@click.option("--nodes", type=click.IntRange(2, 7), default=None, help="Fix the number of nodes.")
@click.option("--json", "as_json", is_flag=True, help="The last line is one JSON object.")
@click.option(
    "--exhaustive", is_flag=True, help="Instead: every course of 3 nodes and 1 group, --depth beats deep."
)
@click.option(
    "--depth", type=click.IntRange(1, 200), default=10, show_default=True, help="With --exhaustive."
)
@click.option(
    "--faults",
    type=click.IntRange(0, 5),
    default=2,
    show_default=True,
    help="With --exhaustive: deviations at most.",
)
@click.option(
    "--from",
    "recording",
    type=click.Path(path_type=Path, exists=True),
    default=None,
    help="Instead: go on from where a node's recording ends, its peers restarted.",
)
@click.pass_context
def simulate(
    context: click.Context,
    seeds: int,
    seed: int | None,
    nodes: int | None,
    as_json: bool,
    exhaustive: bool,
    depth: int,
    faults: int,
    recording: Path | None,
) -> None:
    """Run the real control core through seeded misfortune; exit 1 if an invariant breaks."""
    if exhaustive:
        from zcluster.simulator.exhaustive_command import run as run_exhaustive

        sys.exit(run_exhaustive(depth, faults, as_json))
    alone = seed is not None and context.get_parameter_source("seeds") is click.core.ParameterSource.DEFAULT
    wanted = range(seed or 0, (seed or 0) + (1 if alone else seeds))
    if recording is not None:
        from zcluster.simulator.continuation_command import run as run_continuation

        sys.exit(run_continuation(recording, wanted, as_json))
    from zcluster.simulator.command import run as run_simulator

    sys.exit(run_simulator(len(wanted), seed, as_json, nodes=nodes))


def main() -> None:
    """Run the command line; an error of ours becomes readable lines and an exit status."""
    try:
        commands()
    except ZclusterError as error:
        from zcluster.console.words import printable

        # Another node's words may be in it, of which nothing may steer the terminal.
        text = "\n".join(map(printable, str(error).split("\n")))
        click.echo(f"zcluster: {text}", err=True)
        sys.exit(exit_status(error))
