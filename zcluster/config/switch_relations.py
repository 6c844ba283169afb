"""What `[switch]`, the profiles of groups, limits and the ports of links must be to each other.

What must hold: as in `zcluster.config.relations`: what is good in a bad table takes part, and each fault is told
once, at the later of the two keys that disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zcluster.config.fault import Fault
from zcluster.config.names import SESSIONS_PER_SECOND, is_variable_name
from zcluster.config.schema import GroupTable, LimitTable, LinkTable, SwitchTable

LAST_PORT = 65535
# One pulse may be lost in the switch's own stutter; the second must have had its chance.
LEAST_PULSES_IN_LIMIT = 2


def data_port_of(link: LinkTable) -> int:
    """Where the streams of this link come out: as the file says, or the port after the bus."""
    return link.data_port if link.data_port is not None else link.bus_port + 1


def faults_around_switch(
    switch: SwitchTable | None,
    links: Mapping[int, LinkTable],
    groups: Mapping[int, GroupTable],
    limits: Mapping[int, LimitTable],
) -> Iterator[Fault]:
    """Everything that disagrees; the tables are keyed by their place in the file, from 0."""
    yield from _repeated_profiles(groups)
    yield from _repeated_limits(limits)
    for number, limit in limits.items():
        yield from _within_limit(number, limit)
    for number, link in links.items():
        yield from _ports(number, link, is_needed=switch is not None)
    if switch is not None:
        yield from _within_switch(switch)


def _repeated_profiles(groups: Mapping[int, GroupTable]) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for number, group in groups.items():
        for place, profile in enumerate(group.profiles if group.has("profiles") else ()):
            if profile in seen:
                yield Fault(
                    ("group", number, "profiles", place),
                    f"the profile {profile} already stands in {seen[profile]}",
                    "a profile lives on the addresses of one group, and is recovered with it",
                )
            seen.setdefault(profile, f"group[{number}]")


def _repeated_limits(limits: Mapping[int, LimitTable]) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for number, limit in limits.items():
        if not limit.has("name"):
            continue
        first = seen.setdefault(limit.name, number)
        if first != number:
            yield Fault(
                ("limit", number, "name"),
                f"{limit.name!r} is already limited by limit[{first}]",
                "write rate and sessions of one resource into one table",
            )


def _within_limit(number: int, limit: LimitTable) -> Iterator[Fault]:
    if not limit.has("name"):
        return
    if limit.has("rate", "sessions") and limit.rate is None and limit.sessions is None:
        yield Fault(
            ("limit", number),
            f"{limit.name!r} has no number to keep to",
            "add rate = 30, calls in one second, or sessions = 100, calls at a time, on all hosts together",
        )
    if limit.has("rate") and limit.rate is not None and not is_variable_name(limit.name):
        yield Fault(
            ("limit", number, "rate"),
            f"zcluster_rate_{limit.name} cannot be a variable of the switch, as which its dialplan reads the rate",
            "use letters, digits, '_', '.' and '-' for realm and resource",
        )
    if limit.name == SESSIONS_PER_SECOND and limit.has("sessions") and limit.sessions is not None:
        yield Fault(
            ("limit", number, "sessions"),
            f"{SESSIONS_PER_SECOND} is the core's own rate, and counts no calls at a time",
            "take this line out, and say how many in a second as rate",
        )


def _ports(number: int, link: LinkTable, *, is_needed: bool) -> Iterator[Fault]:
    """The bus, the streams and the requests need a TCP port each."""
    if not link.has("bus_port", "data_port") or not (is_needed or link.data_port is not None):
        return
    path = ("link", number, "data-port")
    first = data_port_of(link)
    if first + 1 > LAST_PORT:
        yield Fault(
            path, f"{first} and the port after it are needed, and there is none", "choose a lower one"
        )
    elif link.bus_port in (first, first + 1):
        yield Fault(
            path,
            f"{first} and the port after it are needed, and {link.bus_port} is the bus-port",
            f"choose {link.bus_port + 1}, or take this line out"
            if link.bus_port + 2 <= LAST_PORT
            else "choose others",
        )


def _within_switch(switch: SwitchTable) -> Iterator[Fault]:
    if switch.has("event_socket", "limits_port") and switch.limits_port == switch.event_socket.port:
        yield Fault(
            ("switch", "limits-port"),
            f"{switch.limits_port} is the port of the switch's own event socket",
            "choose another one, such as 8022, and name it in hash.conf.xml",
        )
    if not switch.has("pulse_ms", "pulse_limit_ms"):
        return
    least_ms = LEAST_PULSES_IN_LIMIT * switch.pulse_ms
    if switch.pulse_limit_ms < least_ms:
        yield Fault(
            ("switch", "pulse-limit-ms"),
            f"with a pulse every {switch.pulse_ms} ms a limit of {switch.pulse_limit_ms} ms hangs on a single one",
            f"set it to at least {least_ms}",
        )
