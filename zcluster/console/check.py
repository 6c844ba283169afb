"""`zcluster check`: all that is wrong, then all that is dangerous, then what such a cluster survives.

What must hold: everything is said in one run; the exit status is 0 when the file can be used and 1 when it
cannot, whatever the warnings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import click

from zcluster.config.check import Endurance, endurance, warnings
from zcluster.config.configuration import Configuration
from zcluster.config.fault import Fault
from zcluster.config.host import HostFacts, host_facts
from zcluster.config.load import Reading, read

SCHEMA = "zcluster.check/1"
EXIT_GOOD, EXIT_FAULTY = 0, 1
WIDTH = 100
SHOWN_LIMITS = 8


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
        "schema": SCHEMA,
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
            "successive_losses_survived": survived.losses_in_turn,
            "mode": str(configuration.mode),
            "switch": str(configuration.switch.event_socket) if configuration.switch else None,
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
        *_words(_in_turn(configuration, survived)),
        *(_words(_pair(configuration)) if survived.nodes == 2 else ()),
        *(_words(_witnesses(configuration)) if configuration.witnesses else ()),
        *(_words(_switch(configuration)) if configuration.switch is not None else ()),
        *(_words(_limits(configuration)) if configuration.switch and configuration.limits else ()),
        *(_words(OBSERVING) if configuration.is_observing else ()),
        f"  digest   {configuration.digest[:16]} (the same on every host, or the files differ)",
    ]


OBSERVING = (
    "observe  nothing of any host is touched: the nodes decide among themselves and say "
    "what they would have done"
)


def _words(text: str) -> list[str]:
    """A paragraph whose first word is its head, as the lines above it."""
    return wrap(text, WIDTH, initial_indent="  ", subsequent_indent=" " * 11)


def _in_turn(configuration: Configuration, survived: Endurance) -> str:
    after = _span(configuration.forget_after_s)
    if survived.losses_in_turn > survived.losses:
        least = survived.nodes - survived.losses_in_turn
        return (
            f"in turn  {survived.losses_in_turn} of {survived.nodes}, down to {least}: a node that is dead for "
            f"{after} loses its vote, one at a time and never below three voters, and has it back when it returns"
        )
    if survived.losses == 0:
        return "in turn  no loss either: nobody is forgotten below three voters"
    return (
        f"in turn  no more than at once: with {survived.nodes} voters nobody is forgotten, so a lost node "
        "keeps its vote until it is back"
    )


def _pair(configuration: Configuration) -> str:
    if configuration.survivor_claims:
        return (
            "two      protected: a crash of either node or of its software, a stop, a move, a cut of the cluster "
            "links (the service network still carries beats). Not protected: a cut of every network between two "
            "nodes that both still reach a reference address; then both answer, each on its side, until it heals, "
            "and the lower epoch closes. Epochs are unique there, but not ordered"
        )
    return (
        "two      protected: a stop and a move, which hand over in good order; never two holders. Not protected: "
        "the loss of either node or of every link, which closes the groups of both until they hear each other"
    )


def _witnesses(configuration: Configuration) -> str:
    carriers = endurance(configuration).masters_possible
    return (
        f"witness  {', '.join(configuration.witnesses)}: votes and never carries traffic, so that "
        f"{_counted(carriers, 'other')} may lose {_counted(endurance(configuration).losses, 'node')} and still decide"
    )


def _switch(configuration: Configuration) -> str:
    """What moves with each group beside its addresses."""
    assert configuration.switch is not None
    moved = [
        f"{', '.join(group.profiles)} with {group.name}" for group in configuration.groups if group.profiles
    ]
    plain = [group.name for group in configuration.groups if not group.profiles]
    parts = [f"calls and registrations of {' and '.join(moved)}"] if moved else []
    parts += [f"nothing but addresses with {' and '.join(plain)}"] if plain else []
    return f"switch   {configuration.switch.event_socket} on each host; what moves: {'; '.join(parts)}"


def _limits(configuration: Configuration) -> str:
    """What all hosts keep to together, in the order of the file."""
    parts = []
    for limit in configuration.limits[:SHOWN_LIMITS]:
        numbers = [f"{_counted(limit.rate, 'call')} a second"] if limit.rate is not None else []
        numbers += [f"{_counted(limit.sessions, 'call')} at a time"] if limit.sessions is not None else []
        parts.append(f"{limit.name}: {' and '.join(numbers)}")
    more = len(configuration.limits) - SHOWN_LIMITS
    parts += [f"{more} more"] if more > 0 else []
    return (
        f"limits   never passed by all hosts together, each of which has a share: {'; '.join(parts)}. "
        "Any other `limit hash` of the dialplan counts what all hosts use, and may be passed for a moment"
    )


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


def _span(seconds: int) -> str:
    return _counted(seconds // 60, "minute") if seconds % 60 == 0 else _counted(seconds, "second")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
