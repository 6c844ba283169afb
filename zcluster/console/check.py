"""`zcluster check`: all that is wrong, then all that is dangerous, then what such a cluster survives.

What must hold: everything is said in one run; the exit status is 0 when the file can be used and 1 when it
cannot, whatever the warnings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from zcluster.config.check import Endurance, endurance, warnings
from zcluster.config.configuration import Configuration
from zcluster.config.fault import Fault
from zcluster.config.host import HostFacts, host_facts
from zcluster.config.load import Reading, read

EXIT_GOOD, EXIT_FAULTY = 0, 1


def run(path: Path, as_json: bool) -> int:
    """Check the file for this host and print the verdict; 0 when it can be used, else 1."""
    reading = read(path)
    facts = host_facts(reading.configuration) if reading.configuration else None
    click.echo(as_data(path, reading, facts) if as_json else as_words(path, reading, facts))
    return EXIT_GOOD if reading.configuration else EXIT_FAULTY


def as_words(path: Path, reading: Reading, facts: HostFacts | None) -> str:
    """The verdict for an operator."""
    configuration = reading.configuration
    if configuration is None or facts is None:
        lines = [f"error: {fault.text(str(path))}" for fault in reading.faults]
        count = len(reading.faults)
        return "\n".join([*lines, "", f"{path} cannot be used: {_counted(count, 'error')}."])
    dangers = _dangers(reading, configuration, facts)
    lines = [f"warning: {danger.text(str(path))}" for danger in dangers]
    count = len(dangers)
    verdict = f"{path} can be used" + (f", with {_counted(count, 'warning')}." if count else ".")
    return "\n".join([*lines, *([""] if lines else []), verdict, *summary(configuration)])


def as_data(path: Path, reading: Reading, facts: HostFacts | None) -> str:
    """The verdict for a tool: one JSON object."""
    configuration = reading.configuration
    verdict: dict[str, object] = {
        "file": str(path),
        "usable": configuration is not None,
        "errors": _rows(reading.faults),
        "warnings": [],
        "summary": None,
    }
    if configuration is not None and facts is not None:
        survived = endurance(configuration)
        verdict["warnings"] = _rows(_dangers(reading, configuration, facts))
        verdict["summary"] = {
            "cluster": configuration.name,
            "preset": configuration.preset,
            "nodes": survived.nodes,
            "groups": survived.groups,
            "slaves": survived.slaves,
            "simultaneous_losses_survived": survived.losses,
            "simultaneous_losses_with_every_group_held": survived.losses_all_held,
            "digest": configuration.digest,
        }
    return json.dumps(verdict, indent=2)


def summary(configuration: Configuration) -> list[str]:
    """What the cluster is and what it survives, in a few lines."""
    survived = endurance(configuration)
    timing = configuration.timing
    return [
        f"  cluster  {configuration.name}: {_counted(survived.nodes, 'node')}, "
        f"{_counted(survived.groups, 'group')}, {_slaves(survived)}",
        f"  timing   {configuration.preset}: a beat every {timing.beat_ms} ms, a peer is silent after "
        f"{timing.silence_ms} ms, a lease lasts {timing.lease_ms} ms",
        f"  survives {_losses(survived)}",
        "  a node that is lost keeps its vote until it is back, so losses one after the other add up",
        f"  digest   {configuration.digest[:16]} (the same on every host, or the files differ)",
    ]


def _slaves(survived: Endurance) -> str:
    if survived.slaves < 0:
        return f"no slave, {-survived.slaves} more groups than nodes that may hold one"
    return _counted(survived.slaves, "slave")


def _losses(survived: Endurance) -> str:
    if survived.losses == 0:
        return "no loss: every node is needed for a majority"
    at_once = (
        "the loss of any one node"
        if survived.losses == 1
        else f"the loss of any {survived.losses} nodes at once"
    )
    rest = survived.nodes - survived.losses
    verdict = f"{at_once}: {rest} of {survived.nodes} still decide"
    if survived.losses_all_held == survived.losses:
        return f"{verdict}, and every group is held"
    if survived.losses_all_held == 0:
        return f"{verdict}, but there may be too few nodes for every group"
    return f"{verdict}; every group is held while no more than {survived.losses_all_held} are lost"


def _dangers(reading: Reading, configuration: Configuration, facts: HostFacts) -> list[Fault]:
    return [reading.placed(danger) for danger in warnings(configuration, facts)]


def _rows(faults: Sequence[Fault]) -> list[dict[str, object]]:
    return [
        {"key": fault.key, "line": fault.line or None, "wrong": fault.wrong, "mend": fault.mend}
        for fault in faults
    ]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
