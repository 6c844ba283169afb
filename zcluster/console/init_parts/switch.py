"""What the switch of this host tells about itself: its running profiles, their addresses, where its database is.

What must hold: asking changes nothing and always ends; nothing that the switch says is trusted: what is no name
or no address is left out. A switch that cannot be asked is an answer with a reason.
Source: mod_sofia.c, cmd_xml_status (recorded in tests/switch/captures/api-registered.recv).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from zcluster.config.configuration import SocketAddress, SwitchSettings
from zcluster.config.names import is_name
from zcluster.console.doctor_checks.questions import ask_these
from zcluster.errors import CommandRefused
from zcluster.switch.commands import Command, api

Address = IPv4Address | IPv6Address

LARGEST_PROFILES = 64
DEFAULT_CORE_DB = Path("/var/lib/freeswitch/db/core.db")
_ROW = re.compile(
    r"<profile>\s*<name>([^<]*)</name>\s*<type>profile</type>\s*<data>[^<]*</data>\s*<state>([^<]*)</state>"
)


@dataclass(frozen=True, slots=True)
class ProfileSeen:
    """A profile that runs. `sip` and `rtp` are where it listens, None where that was not told; `external` what
    it says of itself to the outside ("" for nothing else).
    """

    name: str
    sip: Address | None
    rtp: Address | None
    external: str


@dataclass(frozen=True, slots=True)
class SwitchSeen:
    """`problem`: why there is nothing to say, "" when it was asked. `unnamed`: profiles whose names do not fit."""

    problem: str
    profiles: tuple[ProfileSeen, ...] = ()
    core_db: Path = DEFAULT_CORE_DB
    unnamed: tuple[str, ...] = ()


def look(event_socket: SocketAddress, password_file: Path | None) -> SwitchSeen:
    """Ask; within ten seconds."""
    switch = SwitchSettings(event_socket, DEFAULT_CORE_DB, password_file)
    first = ask_these(switch, {"sofia": api("sofia", "xmlstatus"), "db_dir": api("global_getvar", "db_dir")})
    if "sofia" not in first.texts:
        return SwitchSeen(first.problem or "it did not say which profiles run")
    names, unnamed = profile_names(first.texts["sofia"])
    questions = _questions(names)
    second = ask_these(switch, questions) if questions else first
    profiles = tuple(profile_of(name, second.texts.get(name, "")) for name in questions)
    return SwitchSeen("", profiles, _core_db(first.texts), unnamed)


def profile_names(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of `sofia xmlstatus`: the profiles that run, and those whose names cannot stand in the file."""
    rows = [name for name, state in _ROW.findall(text)[:LARGEST_PROFILES] if state.startswith("RUNNING")]
    fitting = tuple(name for name in rows if is_name(name))
    return fitting, tuple(name for name in rows if not is_name(name))


def profile_of(name: str, text: str) -> ProfileSeen:
    """Of `sofia xmlstatus profile NAME`."""
    external = _value(text, "ext-sip-ip") or _value(text, "ext-rtp-ip")
    own = {_value(text, "sip-ip"), _value(text, "rtp-ip")}
    return ProfileSeen(
        name, _address(text, "sip-ip"), _address(text, "rtp-ip"), "" if external in own else external
    )


def _questions(names: tuple[str, ...]) -> dict[str, Command]:
    questions = {}
    for name in names:
        try:
            questions[name] = api("sofia", "xmlstatus", "profile", name)
        except CommandRefused:
            continue
    return questions


def _core_db(texts: Mapping[str, str]) -> Path:
    told = texts.get("db_dir", "").strip()
    is_sound = told.startswith("/") and told.isprintable() and len(told) < 1024
    return Path(told) / "core.db" if is_sound else DEFAULT_CORE_DB


def _value(text: str, tag: str) -> str:
    found = re.search(rf"<{tag}>([^<\n]{{0,200}})</{tag}>", text)
    return found[1].strip() if found is not None else ""


def _address(text: str, tag: str) -> Address | None:
    try:
        return ip_address(_value(text, tag))
    except ValueError:
        return None
