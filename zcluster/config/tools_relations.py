"""What `[tools]` must be to the links and to the ports of everything else.

What must hold: as in `zcluster.config.relations`: what is good in a bad table takes part, and each fault is told once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from zcluster.config.configuration import LOOPBACK, OFF
from zcluster.config.fault import Fault, KeyPath
from zcluster.config.schema import LinkTable, SwitchTable, ToolsTable
from zcluster.config.switch_relations import LAST_PORT, data_port_of

Links = Mapping[int, LinkTable]


def faults_around_tools(
    tools: ToolsTable | None, switch: SwitchTable | None, links: Links, *, all_links_known: bool
) -> Iterator[Fault]:
    """Everything that disagrees; links are keyed by their place in the file, from 0."""
    if tools is None:
        return
    yield from _named_like_a_word(links)
    yield from _repeated(tools)
    if all_links_known:
        yield from _places(tools, [link.name for link in links.values()])
    yield from _own_ports(tools)
    yield from _taken_ports(tools, switch, links)


def _named_like_a_word(links: Links) -> Iterator[Fault]:
    for number, link in links.items():
        if link.has("name") and link.name in (LOOPBACK, OFF):
            yield Fault(
                ("link", number, "name"),
                f"{link.name!r} means something else in [tools]",
                "give it another name",
            )


def _repeated(tools: ToolsTable) -> Iterator[Fault]:
    for key, names in (
        ("listen", tools.listen if tools.has("listen") else ()),
        ("readers", tools.readers if tools.has("readers") else ()),
    ):
        for place, name in enumerate(names):
            if name in names[:place]:
                yield Fault(("tools", key, place), f"{name} stands here twice", "take one of them out")


def _places(tools: ToolsTable, names: Sequence[str]) -> Iterator[Fault]:
    known = ", ".join((LOOPBACK, *names))
    for place, name in enumerate(tools.listen if tools.has("listen") else ()):
        if name not in (LOOPBACK, *names):
            path: KeyPath = ("tools", "listen", place)
            yield Fault(path, f"there is no link {name!r}", f"write {known}, or [] for no bus")
    if tools.has("metrics") and tools.metrics not in (OFF, LOOPBACK, *names):
        yield Fault(("tools", "metrics"), f"there is no link {tools.metrics!r}", f"write {OFF}, {known}")


def _own_ports(tools: ToolsTable) -> Iterator[Fault]:
    if not tools.has("port"):
        return
    if tools.port + 1 > LAST_PORT:
        yield Fault(
            ("tools", "port"),
            f"{tools.port} and the port after it are needed, and there is none",
            "choose a lower one",
        )
    elif tools.has("metrics_port") and tools.metrics_port in (tools.port, tools.port + 1):
        yield Fault(
            ("tools", "metrics-port"),
            f"{tools.port} and the port after it belong to the bus for tools",
            f"choose {tools.port + 2}, or another port of the bus"
            if tools.port + 2 <= LAST_PORT
            else "choose others",
        )


def _taken_ports(tools: ToolsTable, switch: SwitchTable | None, links: Links) -> Iterator[Fault]:
    """A port is free or not on a host's address, and these stand on the same addresses."""
    for key, wanted, places in (
        ("port", (tools.port, tools.port + 1) if tools.has("port") else (), _listen(tools)),
        ("metrics-port", (tools.metrics_port,) if tools.has("metrics_port") else (), _metrics(tools)),
    ):
        for owner, ports, place in _owners(switch, links):
            taken = [port for port in wanted if port in ports]
            if taken and place in places:
                yield Fault(
                    ("tools", key),
                    f"{taken[0]} on {place} is the {owner}",
                    "choose one that nothing else has",
                )


def _listen(tools: ToolsTable) -> Sequence[str]:
    return tools.listen if tools.has("listen") else ()


def _metrics(tools: ToolsTable) -> Sequence[str]:
    return (tools.metrics,) if tools.has("metrics") else ()


def _owners(switch: SwitchTable | None, links: Links) -> Iterator[tuple[str, tuple[int, ...], str]]:
    """Who has which ports, and where."""
    for number, link in links.items():
        if link.has("name", "bus_port"):
            yield f"bus-port of link[{number}]", (link.bus_port,), link.name
        if link.has("name", "bus_port", "data_port") and switch is not None:
            first = data_port_of(link)
            yield f"data-port of link[{number}], or the port after it", (first, first + 1), link.name
    if switch is not None and switch.has("limits_port"):
        yield "limits-port of [switch]", (switch.limits_port,), LOOPBACK
    if switch is not None and switch.has("event_socket"):
        yield "event socket of the switch", (switch.event_socket.port,), LOOPBACK
