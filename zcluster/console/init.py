"""`zcluster init`: proposes the cluster's file from what this host and its switch look like.

What must hold: it changes nothing but the file that it writes, and replaces none that is there; what it writes
can be used (`zcluster check` finds warnings at most), and says what only the operator can decide.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import click

from zcluster.adapters.host_networks import default_gateways, interfaces
from zcluster.config.check import warnings
from zcluster.config.configuration import SocketAddress
from zcluster.config.host import host_facts
from zcluster.config.load import read_bytes
from zcluster.config.names import NAME_RULE, is_name
from zcluster.console.doctor_checks.network import look as look_at_network
from zcluster.console.init_parts.groups import propose
from zcluster.console.init_parts.networks import Address, LinkProposal, judge
from zcluster.console.init_parts.switch import SwitchSeen
from zcluster.console.init_parts.switch import look as look_at_switch
from zcluster.console.init_parts.text import Proposal, decisions, render
from zcluster.console.words import counted, listed, paragraph, printable
from zcluster.errors import StateFileError, ZclusterError

FILE_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator said. `out` is None for the terminal; `nodes` None where nothing was said."""

    out: Path | None
    nodes: int | None
    cluster: str
    event_socket: SocketAddress
    password_path: Path
    asks_switch: bool
    may_replace: bool


def wishes_of(
    out: Path | None,
    nodes: int | None,
    cluster: str,
    event_socket: str,
    password_path: Path,
    asks_switch: bool,
    may_replace: bool,
) -> Wishes:
    """What was typed, checked as the file's own values are. Raises ZclusterError."""
    if not is_name(cluster):
        raise ZclusterError(f"--name {cluster!r} cannot be a name: {NAME_RULE}")
    if not password_path.is_absolute():
        raise ZclusterError(f"--password-file {password_path}: write it from the root, beginning with '/'")
    host, _, port = event_socket.rpartition(":")
    try:
        where = SocketAddress(ip_address(host.strip("[]")), int(port))
    except ValueError:
        raise ZclusterError(f'--event-socket {event_socket}: write it as "127.0.0.1:8021"') from None
    return Wishes(out, nodes, cluster, where, password_path, asks_switch, may_replace)


def run(wishes: Wishes) -> int:
    """Look, write, and say what is to be done next; 0. Raises ZclusterError where there is nothing to propose."""
    if wishes.out is not None and wishes.out.exists() and not wishes.may_replace:
        raise StateFileError(
            f"{wishes.out}: there is a file already; --force replaces it, --out - only shows"
        )
    proposal = look(wishes)
    content = render(proposal)
    if wishes.out is None:
        click.echo(content, nl=False)
        return 0
    _write(wishes.out, content)
    click.echo("\n".join(as_words(wishes.out, proposal, content)))
    return 0


def look(wishes: Wishes) -> Proposal:
    """What this host and its switch are like."""
    password = wishes.password_path if wishes.password_path.exists() else None
    seen = SwitchSeen("--no-switch was given")
    if wishes.asks_switch:
        seen = look_at_switch(wishes.event_socket, password)
    present = interfaces()
    networks = judge(
        present, default_gateways(), {each.sip for each in seen.profiles if each.sip is not None}
    )
    if not networks.service:
        reasons = "; ".join(f"{left.interface}: {left.why}" for left in networks.left_out) or "there is none"
        raise ZclusterError(
            f"no interface of this host can carry a floating address ({reasons}); give one an address and a cable, "
            "or begin with conf/example.toml"
        )
    groups = propose(networks.service, present, seen.profiles, _taken)
    host = printable(socket.gethostname())
    return Proposal(
        host,
        wishes.cluster,
        wishes.nodes,
        networks,
        groups,
        seen,
        wishes.event_socket,
        password,
        wishes.password_path,
    )


def _taken(link: LinkProposal, addresses: Sequence[Address]) -> Collection[Address] | None:
    """Who has one of these addresses, asked of the network as a stranger would; None without the privilege."""
    seen = look_at_network({link.interface: addresses}, link.macs)
    return None if isinstance(seen, str) else {one.address for one in seen}


def as_words(path: Path, proposal: Proposal, content: str) -> list[str]:
    """What was written, what `zcluster check` will say, what is left to do."""
    reading = read_bytes(content.encode())
    assert reading.configuration is not None, f"a proposal that cannot be used: {reading.faults}"
    dangers = warnings(reading.configuration, host_facts(reading.configuration))
    groups = proposal.groups.groups
    profiles = [name for group in groups for name in group.profiles]
    moved = f" with {listed(profiles)}" if profiles else ""
    lines = paragraph(
        f"{path}: {counted(len(proposal.networks.links), 'link')}, {counted(len(groups), 'group')}{moved}."
    )
    lines += ["", "Still to decide:"]
    for number, todo in enumerate(decisions(proposal), 1):
        lines += paragraph(f"{number:2}. {todo}", "    ")
    lines += ["", *paragraph(f"`zcluster check {path}` has {counted(len(dangers), 'warning')} now.")]
    key = reading.configuration.key_file
    lines += paragraph(
        f"Then `zcluster keygen {key}`, both files to every host, and `zcluster doctor` there."
    )
    return [printable(line) for line in lines]


def _write(path: Path, content: str) -> None:
    """Whole or not at all; a file that is there was asked about before."""
    partial = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except FileNotFoundError:
        raise StateFileError(f"{path}: its folder does not exist; `mkdir -p {path.parent}` first") from None
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise StateFileError(
            f"{path}: {error.strerror}; give another place with --out, or --out - to look"
        ) from error
