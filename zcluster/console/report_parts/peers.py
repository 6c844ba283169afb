"""Where other nodes may be asked, and with which key: over the bus for tools, as any reader of it.

What must hold: the reader's key is made in memory from the cluster's and written nowhere; a place that does not
answer costs a bounded wait, side by side with the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, NamedTuple

from zcluster.client import Client, Credential
from zcluster.config.configuration import LOOPBACK, Configuration, Link
from zcluster.config.keyfile import load_service_key
from zcluster.errors import ZclusterError
from zcluster.wire.keys import derive, reader_pair

Address = IPv4Address | IPv6Address
Answer = Mapping[str, Any]

ANSWER_LIMIT_S = 4.0
LARGEST_PLACES = 64
AT_ONCE = 16
_ESTABLISHED = "01"
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


class Answers(NamedTuple):
    """What one place said; `problem` is "" where it answered. `node`: who it is, "" unknown."""

    place: str
    node: str
    status: Answer
    why: Answer
    problem: str


def ask_all(places: Sequence[str], credential: Credential) -> list[Answers]:
    """Each place asked for status and story, in their order."""
    wanted = list(dict.fromkeys(places))[:LARGEST_PLACES]
    if not wanted:
        return []
    with ThreadPoolExecutor(min(len(wanted), AT_ONCE)) as pool:
        return list(pool.map(lambda place: _ask(place, credential), wanted))


def _ask(place: str, credential: Credential) -> Answers:
    try:
        with Client([place], credential) as client:
            status = client.ask("status", ANSWER_LIMIT_S)
            why = client.ask("why", ANSWER_LIMIT_S, group="")
    except ZclusterError as problem:
        return Answers(place, "", {}, {}, str(problem))
    node = status.get("node")
    return Answers(place, node if isinstance(node, str) else "", status, why, "")


def credential_of(configuration: Configuration) -> Credential:
    """The key of the file's first reader. Raises ZclusterError: no reader, or the cluster's key may not be read."""
    tools = configuration.tools
    if not tools.readers:
        raise ZclusterError("the file has no reader in [tools], so the other nodes let nobody ask")
    secret = load_service_key(configuration.key_file)
    server, pair = derive(secret).server, reader_pair(secret, tools.readers[0])
    return Credential(server.public, pair.public, pair.secret, tools.port)


def places_of(configuration: Configuration, tables: Iterable[Path] = _TABLES) -> list[str]:
    """Where the bus for tools of other nodes may be: on each link that it listens on, whoever our daemon is
    connected with, and the peers of the file. Raises ZclusterError where it listens on none.
    """
    tools = configuration.tools
    named = [name for name in tools.listen if name != LOOPBACK]
    if not named:
        raise ZclusterError(
            "the bus for tools listens on no network ([tools] listen), so no other node can be asked from here: "
            "make a report there too"
        )
    connected = list(_connected(tables))
    found: dict[str, None] = {}
    for link in (link for link in configuration.links if link.name in named):
        found.update(dict.fromkeys(map(_place, _on_link(link, connected))))
        found.update(dict.fromkeys(_place(peer) for peer in link.peers))
    return list(found)


def _on_link(link: Link, connected: Iterable[tuple[Address, int]]) -> Iterator[Address]:
    for address, port in connected:
        if address in link.network and port in (link.bus_port, link.data_port):
            yield address


def _place(peer: Address | str) -> str:
    return f"[{peer}]" if isinstance(peer, IPv6Address) else str(peer)


def _connected(tables: Iterable[Path]) -> Iterator[tuple[Address, int]]:
    """Address and port of the far end of every TCP connection of this host (proc_net_tcp.rst)."""
    for table in tables:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 3 and fields[3] == _ESTABLISHED:
                host, _, port = fields[2].partition(":")
                words = [int(host[at : at + 8], 16).to_bytes(4, "little") for at in range(0, len(host), 8)]
                address = ip_address(b"".join(words))
                mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
                yield mapped or address, int(port, 16)
