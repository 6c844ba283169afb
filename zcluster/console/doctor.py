"""`zcluster doctor`: looks at this host and its switch as a takeover would find them, and says what mends each fault.

What must hold: it runs on a host without root, without a switch, without a daemon or with a broken file, and says
what it could not look at; the exit status is 1 when there is an error, whatever else there is; it changes nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from zcluster.adapters.control_socket import ask as ask_daemon
from zcluster.adapters.links import Links, macs
from zcluster.adapters.realtime import prepare
from zcluster.config.configuration import Configuration
from zcluster.config.host import HostFacts, host_facts
from zcluster.config.identity import Identity
from zcluster.config.load import read
from zcluster.console.doctor_checks import (
    cluster,
    core_database,
    file,
    host,
    inbound_acl,
    network,
    questions,
    stalls,
    switch,
)
from zcluster.console.doctor_checks.access import daemon_person
from zcluster.console.doctor_checks.finding import Finding, Level, good, unknown
from zcluster.console.words import counted, paragraph
from zcluster.control.timing import PRESETS
from zcluster.errors import ControlSocketError, KernelRefused

SCHEMA = "zcluster.doctor/1"
EXIT_GOOD, EXIT_FAULTY = 0, 1
DEFAULT_PRESET = "standard"

Status = Mapping[str, Any]


def run(path: Path, socket_path: Path, node_name: str | None, stall_seconds: int, as_json: bool) -> int:
    """Look at everything, print it, and return the exit status: 1 when there is an error."""
    found = examine(path, socket_path, node_name, stall_seconds)
    click.echo(as_data(found) if as_json else as_words(found))
    return EXIT_FAULTY if any(one.level is Level.ERROR for one in found) else EXIT_GOOD


def examine(path: Path, socket_path: Path, node_name: str | None, stall_seconds: int = 0) -> list[Finding]:
    """Every finding, in the order in which they are read."""
    reading = read(path)
    configuration = reading.configuration
    facts = host_facts(configuration) if configuration else None
    found = file.findings(path, reading, facts)
    if configuration is None:
        found += host.findings(host.look(None))
    else:
        found += _local(configuration, facts, node_name)
        status = _status(socket_path)
        found += _switch(configuration, status)
        found += _cluster(status, configuration.switch is not None)
    if stall_seconds:
        found.append(_stalls(configuration, stall_seconds))
    return found


def as_words(found: Sequence[Finding]) -> str:
    """For an operator: a paragraph for each finding, what mends it below, a verdict at the end."""
    lines: list[str] = []
    for one in found:
        lines += paragraph(f"{one.level.value}: {one.subject}: {one.words}", "  ")
        lines += paragraph(f"  -> {one.mend}", "     ") if one.mend else []
    return "\n".join([*lines, "", *paragraph(verdict(found))])


def as_data(found: Sequence[Finding]) -> str:
    """For a tool: one JSON object."""
    counts = Counter(one.level for one in found)
    rows = [
        {"subject": one.subject, "level": one.level.value, "words": one.words, "mend": one.mend}
        for one in found
    ]
    return json.dumps(
        {
            "schema": SCHEMA,
            "errors": counts[Level.ERROR],
            "warnings": counts[Level.WARNING],
            "unknown": counts[Level.UNKNOWN],
            "findings": rows,
        },
        indent=2,
    )


def verdict(found: Sequence[Finding]) -> str:
    """One sentence."""
    counts = Counter(one.level for one in found)
    parts = []
    if counts[Level.ERROR]:
        parts.append(counted(counts[Level.ERROR], "error"))
    if counts[Level.WARNING]:
        parts.append(counted(counts[Level.WARNING], "warning"))
    unseen = counts[Level.UNKNOWN]
    rest = f"; {counted(unseen, 'thing')} could not be looked at" if unseen else ""
    return f"{' and '.join(parts) or 'nothing wrong'} found{rest}."


def _local(configuration: Configuration, facts: HostFacts | None, node_name: str | None) -> list[Finding]:
    identity = file.identity_of(configuration, node_name)
    is_real_time_permitted = facts.real_time_permitted if facts else None
    seen = host.look(is_real_time_permitted)
    if isinstance(identity, Finding):
        return [identity, *host.findings(seen)]
    canaries = network.canaries_of(configuration, identity)
    found = [good("node", f"this host is {identity.node} of {configuration.name}")]
    found += host.findings(seen, canaries)
    if canaries:
        found += network.findings(network.look(canaries, _own_macs(identity)), canaries)
    return found


def _own_macs(identity: Identity) -> tuple[str, ...]:
    try:
        links = Links()
    except KernelRefused:
        return ()
    try:
        present = links.present()
    finally:
        links.close()
    interfaces = [local.interface for local in identity.links]
    names = dict.fromkeys(interfaces + [local.interface for local in identity.groups])
    return tuple(dict.fromkeys(mac for name in names for mac in macs(present, name)))


def _switch(configuration: Configuration, status: Status | str) -> list[Finding]:
    if configuration.switch is None:
        words = "the file has no [switch]: addresses move, and calls end with their host"
        return [good("switch", words)]
    profiles = tuple(profile for group in configuration.groups for profile in group.profiles)
    answers = questions.ask(configuration.switch, profiles)
    admitted = inbound_acl.questions_after(answers, configuration)
    if admitted and not answers.problem:
        answers.texts.update(questions.ask_these(configuration.switch, admitted).texts)
    return [
        *switch.findings(answers, configuration, configuration.switch),
        *inbound_acl.findings(answers, configuration),
        *core_database.findings(configuration.switch, answers, daemon_person(_data_pid(status))),
    ]


def _data_pid(status: Status | str) -> int | None:
    told = status.get("switch") if not isinstance(status, str) else None
    pid = told.get("pid") if isinstance(told, Mapping) else None
    return pid if isinstance(pid, int) else None


def _status(socket_path: Path) -> Status | str:
    """What the daemon of this host says, or why it cannot be asked."""
    try:
        return ask_daemon(socket_path, {"ask": "status"})
    except ControlSocketError as problem:
        return str(problem)


def _cluster(status: Status | str, has_switch: bool) -> list[Finding]:
    if isinstance(status, str):
        return [unknown("daemon", f"the other nodes were not looked at: {status}")]
    return cluster.findings(status, has_switch)


def _stalls(configuration: Configuration | None, seconds: int) -> Finding:
    """Last, for it changes how this process runs: as the daemon does."""
    standing = prepare()
    seen = stalls.measure(seconds, standing.has_real_time)
    if configuration is None:
        return stalls.finding(seen, DEFAULT_PRESET, PRESETS[DEFAULT_PRESET])
    return stalls.finding(seen, configuration.preset, configuration.timing)
