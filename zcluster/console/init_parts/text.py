"""The proposed file as text, with what was found and what is still to decide in its comments.

What must hold: pure; whatever the host or its switch said is one printable line, and only what the file's own
rules accept stands outside a comment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from textwrap import wrap

from zcluster.config.configuration import SocketAddress
from zcluster.console.init_parts.groups import GroupProposal, Groups
from zcluster.console.init_parts.networks import LinkProposal, Networks
from zcluster.console.init_parts.switch import SwitchSeen
from zcluster.console.words import printable

WIDTH = 110
DEFAULT_NODES = 3
# conf/example.toml and docs use these: one third octet a link, the service network's last.
_RING_BYTE, _SERVICE_BYTE = 1, 9


@dataclass(frozen=True, slots=True)
class Proposal:
    """Everything that the file says. `nodes` is None where the operator did not say how many."""

    host: str
    cluster: str
    nodes: int | None
    networks: Networks
    groups: Groups
    switch: SwitchSeen
    event_socket: SocketAddress
    password_file: Path | None
    password_path: Path


def render(proposal: Proposal) -> str:
    """The whole file."""
    lines = [
        *_comment(
            f"Proposed by `zcluster init` from what it saw on {proposal.host}. Read it and decide what is listed here; "
            "then copy it, with the same bytes, to every host: a host finds itself in it by its name and addresses."
        ),
        "#",
        "# Still to decide:",
    ]
    for number, todo in enumerate(decisions(proposal), 1):
        lines += _comment(todo, f"{number:2}. ")
    lines += ["#", "# Every key: docs/configuration.md. An example with all of them: conf/example.toml.", ""]
    lines += _cluster(proposal)
    for link in proposal.networks.links:
        lines += ["", *_link(link)]
    lines += [""] if proposal.networks.left_out else []
    for left in proposal.networks.left_out:
        lines += _comment(f"Not a link: {left.interface}: {left.why}.")
    for group in proposal.groups.groups:
        lines += ["", *_group(group, len(proposal.networks.service) > 1)]
    lines += [""] if proposal.groups.aside else []
    for name, why in proposal.groups.aside:
        lines += _comment(f"In no group: the profile {name}: {why}. It stays with its host.")
    for name in proposal.switch.unnamed:
        lines += _comment(f"In no group: the profile {name}: its name cannot stand in this file; rename it.")
    lines += ["", *_switch(proposal)]
    return "\n".join(lines) + "\n"


def decisions(proposal: Proposal) -> list[str]:
    """What only the operator knows, the most important first."""
    found = [todo for group in proposal.groups.groups for todo in group.todo]
    if proposal.nodes is None:
        found.append(
            f"expected-nodes: how many hosts there will be, an odd number ({DEFAULT_NODES} was taken; "
            "`zcluster init --expected-nodes N` says it)"
        )
    elif proposal.nodes == 2:
        found.append("two nodes cannot tell a dead peer from a cut cable: add a witness (docs/operating.md)")
    if len(proposal.networks.links) == 1:
        found.append(
            "one network alone carries everything: give the hosts a second one, and add it as a [[link]]"
        )
    found += [
        f"{link.interface} has its address {link.own} for a time only (DHCP): give every host a fixed one"
        for link in proposal.networks.links
        if not link.is_own_lasting
    ]
    if proposal.switch.problem:
        found.append(
            f"the switch was not asked ({proposal.switch.problem}): is there a FreeSWITCH beside this node?"
        )
    elif proposal.password_file is None:
        found.append(
            "the event socket has the password that every FreeSWITCH is shipped with: change it, write it to "
            f"{proposal.password_path} (mode 0600), and name that file as password-file"
        )
    found.append(
        "the other hosts need an address in each of the networks below; `zcluster check` there says so"
    )
    return [printable(each) for each in found]


def _cluster(proposal: Proposal) -> Iterator[str]:
    yield "[cluster]"
    yield f'name = "{proposal.cluster}"'
    yield f"expected-nodes = {proposal.nodes or DEFAULT_NODES}"
    yield 'preset = "standard"  # `zcluster doctor --stalls 60` says whether this machine allows "fast"'
    yield 'key-file = "/etc/zcluster/cluster.key"  # `zcluster keygen` makes it; the same on every host'
    yield '# mode = "observe"  # touch nothing, only say what would be done: a good first week'


def _link(link: LinkProposal) -> Iterator[str]:
    yield from _comment(f"{link.interface}, here {link.own}: {link.why}.")
    yield "[[link]]"
    yield f'name = "{link.name}"'
    yield f'role = "{link.role}"'
    yield f'network = "{link.network}"'
    yield f'multicast = "{_multicast(link)}"  # where multicast does not pass: discovery = "unicast", peers = [...]'
    if link.role == "service" and link.gateway is not None:
        yield f'# reference = ["{link.gateway}"]  # the router: it answers whenever this network works for us'


def _multicast(link: LinkProposal) -> str:
    """Administratively scoped (RFC 2365, RFC 4291); another one on each link."""
    digits = "".join(letter for letter in link.name if letter.isdigit())
    number = int(digits or 1) - 1 + (_SERVICE_BYTE if link.role == "service" else _RING_BYTE)
    number += 10 if link.role == "cluster" and number >= _SERVICE_BYTE else 0
    return f"239.77.{number}.1" if isinstance(link.network, IPv4Network) else f"ff15::77:{number:x}"


def _group(group: GroupProposal, needs_place: bool) -> Iterator[str]:
    for note in group.notes:
        yield from _comment(note)
    for todo in group.todo:
        yield from _comment(f"DECIDE: {todo}.")
    yield "[[group]]"
    yield f'name = "{group.name}"'
    yield f'addresses = ["{group.address}"]'
    if needs_place:
        yield f'interface = "{group.link.network}"'
    if group.profiles:
        yield f"profiles = [{_listed(group.profiles)}]  # the same names and addresses on every host"


def _switch(proposal: Proposal) -> Iterator[str]:
    lines = [
        "[switch]",
        f'event-socket = "{proposal.event_socket}"',
        f'password-file = "{_toml(proposal.password_path)}"',
        f'core-db = "{_toml(proposal.switch.core_db)}"',
    ]
    if proposal.switch.problem:
        yield from _comment(
            f"The switch was not asked: {proposal.switch.problem}. Without [switch] addresses move,"
        )
        yield from _comment("and calls end with their host. With a FreeSWITCH on every host:")
        yield from (f"# {line}" for line in lines)
        return
    if not any(group.profiles for group in proposal.groups.groups):
        yield from _comment("Add profiles = [...] to a group: without them no call moves with any address.")
    for line in lines:
        is_missing = line.startswith("password-file") and proposal.password_file is None
        yield f"# {line}" if is_missing else line


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _toml(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def _comment(text: str, mark: str = "") -> list[str]:
    return wrap(
        printable(text),
        WIDTH,
        initial_indent=f"# {mark}",
        subsequent_indent="# " + " " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )
