"""The `zcluster lab` commands: options and help; what they do is imported when they are called."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from zcluster.lab.plan import MOST_NODES, Plan, SwitchKind, make_plan

FAULT_NAMES = (
    "kill-host",
    "cut-service",
    "cut-links",
    "kill-daemon",
    "stop-daemon",
    "isolate",
    "pause-host",
    "restart-daemon",
    "switchover",
    "power-all",
    "no-multicast",
    "flush-rules",
    "proxy-arp",
    "two-nodes",
    "add-node",
    "remove-node",
    "kill-switch",
    "stall-switch",
)
SWITCH_FAULTS = ("kill-switch", "stall-switch")
SWITCHES = ("none", "fake", "freeswitch")
MOST_CALLS = 1000
_Value = TypeVar("_Value", int, str)
PRESETS = ("standard", "fast", "patient")

_preset = click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default="standard",
    show_default=True,
    help="The cluster's timing.",
)
_keep = click.option("--keep", is_flag=True, help="Keep the directory with the logs and say where it is.")


def _switch(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option(
        "--freeswitch-prefix",
        "prefix",
        type=click.Path(path_type=Path),
        help="Where the real one is installed: what its configure was given as --prefix.",
    )(command)
    return click.option(
        "--switch",
        type=click.Choice(SWITCHES),
        default="none",
        show_default=True,
        help="What stands beside each daemon: `fake` imitates a FreeSWITCH, `freeswitch` is a real one.",
    )(command)


def _size(nodes: int, groups: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        command = click.option("--groups", type=click.IntRange(1, 20), default=groups, show_default=True)(
            command
        )
        return click.option("--nodes", type=click.IntRange(2, MOST_NODES), default=nodes, show_default=True)(
            command
        )

    return decorate


@click.group()
def lab() -> None:
    """Build a cluster of namespaces on this machine and break it."""


@lab.command()
@_preset
@_keep
@click.option("--plain", is_flag=True, help="Plain lines, also on a terminal.")
def demo(preset: str, keep: bool, plain: bool) -> None:
    """A narrated quarter of a minute: three masters, one slave, and a host that dies."""
    from zcluster.lab.demo import demo_plan, demo_work
    from zcluster.lab.world import run_in_world

    live = sys.stdout.isatty() and not plain
    sys.exit(run_in_world(lambda where: demo_work(demo_plan(preset), where, live=live), keep=keep))


@lab.command()
@_size(5, 3)
@_preset
@_switch
@_keep
def up(nodes: int, groups: int, preset: str, switch: str, prefix: Path | None, keep: bool) -> None:
    """Build a laboratory that stays until Ctrl-C, to be played with from other terminals."""
    from zcluster.lab.playground import up_work
    from zcluster.lab.world import run_in_world

    plan = _plan(nodes, groups, preset, switch, prefix)
    sys.exit(run_in_world(lambda where: up_work(plan, where), keep=keep))


@lab.command()
def status() -> None:
    """How the cluster of the running laboratory is, and who answers on the wire."""
    from zcluster.lab.playground import ask_laboratory

    sys.exit(ask_laboratory({"do": "status"}))


@lab.command()
@click.argument("fault", type=click.Choice(FAULT_NAMES))
@click.argument("node", default="")
def fault(fault: str, node: str) -> None:
    """Break NODE (by default the holder of the first group) in the running laboratory, and mend it."""
    from zcluster.lab.playground import ask_laboratory

    sys.exit(ask_laboratory({"do": "fault", "fault": fault, "node": node}))


@lab.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("node")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def shell(node: str, command: tuple[str, ...]) -> None:
    """A shell, or COMMAND, inside NODE (or `client`) of the running laboratory."""
    from zcluster.lab.shell import enter_host

    sys.exit(enter_host(node, command[1:] if command[:1] == ("--",) else command))


@lab.command()
@_size(5, 3)
@_preset
@click.option("--fault", "fault_name", type=click.Choice(FAULT_NAMES), required=True)
@click.option("--trials", type=click.IntRange(1, 1000), default=3, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Repeats the choices that chance makes.")
@_switch
@click.option(
    "--calls",
    type=click.IntRange(0, MOST_CALLS),
    default=0,
    show_default=True,
    help="Calls that stand when the fault comes (with sipp; they need a switch, and get the fake one).",
)
@click.option(
    "--others",
    type=click.IntRange(0, MOST_CALLS),
    default=0,
    show_default=True,
    help="Calls beside them through the other groups, which nothing may disturb.",
)
@click.option("--again", is_flag=True, help="The same calls meet the fault a second time: two lines a trial.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a trial.")
@_keep
@click.pass_context
def trial(
    context: click.Context,
    nodes: int,
    groups: int,
    preset: str,
    fault_name: str,
    trials: int,
    seed: int,
    switch: str,
    prefix: Path | None,
    calls: int,
    others: int,
    again: bool,
    as_json: bool,
    keep: bool,
) -> None:
    """Repeat a fault in one laboratory: a line a trial, and a summary on standard error.

    Exit status 1 if a trial could not be judged or an address was answered by two hosts at once.
    """
    from zcluster.lab.telephones import CallsWanted
    from zcluster.lab.trial import trial_work
    from zcluster.lab.world import run_in_world

    if fault_name == "two-nodes":
        nodes, groups = _unless_given(context, nodes=2, groups=1)
    if calls or fault_name in SWITCH_FAULTS:
        (switch,) = _unless_given(context, switch="fake" if prefix is None else "freeswitch")
        if switch == "none":
            raise click.UsageError("calls, and the faults of a switch, need one: --switch fake")
    if (others or again) and not calls:
        raise click.UsageError("--others and --again belong to --calls N")
    if others and groups == 1:
        raise click.UsageError("--others needs other groups: --groups 2 or more")
    plan = _plan(nodes, groups, preset, switch, prefix)
    wanted = CallsWanted(calls, others, again)
    sys.exit(
        run_in_world(
            lambda where: trial_work(plan, fault_name, trials, seed, as_json, where, wanted), keep=keep
        )
    )


def _plan(nodes: int, groups: int, preset: str, switch: str, prefix: Path | None) -> Plan:
    from zcluster.lab import neighbours
    from zcluster.lab.switches import check_prefix

    kind = SwitchKind(switch)
    if (kind is SwitchKind.FREESWITCH) != (prefix is not None):
        raise click.UsageError("--switch freeswitch and --freeswitch-prefix DIR belong together")
    if warning := neighbours.room_warning(nodes, neighbours.limits()):
        click.echo(f"zcluster: warning: {warning}", err=True)
    return make_plan(nodes, groups, preset, kind, None if prefix is None else check_prefix(prefix))


def _unless_given(context: click.Context, **defaults: _Value) -> list[_Value]:
    """Values of options: these, for those that the caller left out."""
    default = click.core.ParameterSource.DEFAULT
    return [
        value if context.get_parameter_source(name) is default else type(value)(context.params[name])
        for name, value in defaults.items()
    ]
