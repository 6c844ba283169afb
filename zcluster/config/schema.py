"""The shape of the cluster's TOML file: which keys there are, what each may hold, and what it is when left out.

What must hold: an unknown key is an error. These models know one table each and nothing of the others (that is
`zcluster.config.relations`), so a fault in one table hides no fault in the next. Used while loading only.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from zcluster.config.configuration import SocketAddress
from zcluster.config.hook_values import CodePattern, CommandWords, UrlText
from zcluster.config.values import (
    MOST_MILLISECONDS,
    AbsolutePath,
    AddressText,
    EventText,
    FloatingText,
    LimitText,
    MatchTable,
    Milliseconds,
    MulticastText,
    Name,
    NetworkText,
    Pattern,
    PeerText,
    PlaceText,
    Port,
    SocketText,
)

MOST_NODES = 64
MOST_GROUPS = 128
MOST_PEERS = 128
MOST_PROFILES = 64
MOST_BATCH_CALLS = 500
MOST_RATE = 1_000_000
MOST_SESSIONS = 1_000_000
LEAST_FORGET_S, MOST_FORGET_S = 10, 7 * 86_400
MOST_READERS = 32
MOST_CODES = 64
MOST_LINKS_NAMED = 16


def _kebab(field: str) -> str:
    return field.replace("_", "-")


class Table(BaseModel):
    """One table of the file: keys are written with hyphens, values are taken as they are, never converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=_kebab)

    @classmethod
    def partly(cls, content: Mapping[str, object]) -> Self:
        """What is good in a table that has a fault elsewhere: fields that are bad or missing are not there.

        Ask with `has` before you read a field of such a table.
        """
        good: dict[str, Any] = {}
        bad: set[str] = set()
        for name, field in cls.model_fields.items():
            key = _kebab(name)
            if key not in content:
                if field.is_required():
                    bad.add(name)
                continue
            try:
                adapter = TypeAdapter[object](field.rebuild_annotation(), config=ConfigDict(strict=True))
                good[name] = adapter.validate_python(content[key])
            except ValidationError:
                bad.add(name)
        table = cast(Self, cls.model_construct(**good))
        for name in bad:
            table.__dict__.pop(name, None)
        return table

    def has(self, *fields: str) -> bool:
        """Are these fields there? Always, unless the table is only partly good."""
        return all(field in self.__dict__ for field in fields)


class ClusterTable(Table):
    """`[cluster]`: what concerns all of it."""

    name: Name
    expected_nodes: Annotated[int, Field(ge=1, le=MOST_NODES)]
    preset: Literal["standard", "fast", "patient"] = "standard"
    key_file: AbsolutePath = Path("/etc/zcluster/cluster.key")
    state_dir: AbsolutePath = Path("/var/lib/zcluster")
    run_dir: AbsolutePath = Path("/run/zcluster")
    several_groups_per_node: bool = False
    failback: bool = False
    never_master: list[Pattern] = []
    witnesses: list[Pattern] = []
    survivor_claims: bool = False
    forget_after_s: Annotated[int, Field(ge=LEAST_FORGET_S, le=MOST_FORGET_S)] = 600
    mode: Literal["active", "observe"] = "active"
    recording: Literal["on", "off"] = "off"


class TimingTable(Table):
    """`[timing]`: single values, in milliseconds, that replace those of the preset."""

    beat_ms: Milliseconds | None = None
    silence_ms: Milliseconds | None = None
    lease_ms: Milliseconds | None = None
    margin_ms: Milliseconds | None = None
    grant_ms: Milliseconds | None = None
    first_probe_ms: Milliseconds | None = None
    second_probe_ms: Milliseconds | None = None
    probe_wait_ms: Milliseconds | None = None
    rank_step_ms: Milliseconds | None = None
    claim_limit_ms: Milliseconds | None = None
    timer_a_ms: Milliseconds | None = None
    timer_b_ms: Annotated[int, Field(ge=-1, le=MOST_MILLISECONDS)] | None = None


class LinkTable(Table):
    """`[[link]]`: one network that beats travel on."""

    name: Name
    role: Literal["cluster", "service"] = "cluster"
    network: NetworkText
    multicast: MulticastText | None = None
    beacon_port: Port = 7700
    bus_port: Port = 7701
    data_port: Port | None = None
    ttl: Annotated[int, Field(ge=1, le=255)] = 1
    reference: list[AddressText] = []
    discovery: Literal["multicast", "unicast"] = "multicast"
    peers: Annotated[list[PeerText], Field(max_length=MOST_PEERS)] = []


class SiteTable(Table):
    """`[[site]]`: a place whose nodes share their fate."""

    name: Name
    nodes: Annotated[list[Pattern], Field(min_length=1)]


class GroupTable(Table):
    """`[[group]]`: what moves together."""

    name: Name
    addresses: Annotated[list[FloatingText], Field(min_length=1)]
    interface: PlaceText | None = None
    priority: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    allowed: Annotated[list[Pattern], Field(min_length=1)] = ["*"]
    preferred: list[Pattern] = []
    apart_from: list[Name] = []
    profiles: Annotated[list[Name], Field(max_length=MOST_PROFILES)] = []


class SwitchTable(Table):
    """`[switch]`: the FreeSWITCH that runs on every host. `condition` are tables of their own (ConditionTable)."""

    event_socket: SocketText = SocketAddress(IPv4Address("127.0.0.1"), 8021)
    password_file: AbsolutePath | None = None
    core_db: AbsolutePath = Path("/var/lib/freeswitch/db/core.db")
    pulse_ms: Annotated[int, Field(ge=20, le=10_000)] = 50
    pulse_limit_ms: Annotated[int, Field(ge=50, le=60_000)] = 500
    limits_port: Port = 8022
    batch_calls: Annotated[int, Field(ge=1, le=MOST_BATCH_CALLS)] = 50
    condition: Any = None


class ConditionTable(Table):
    """`[[switch.condition]]`: an event that means the switch is broken."""

    event: EventText
    match: MatchTable = ()


class LimitTable(Table):
    """`[[limit]]`: numbers that the whole cluster keeps to. One of the two is there, or both."""

    name: LimitText
    rate: Annotated[int, Field(ge=1, le=MOST_RATE)] | None = None
    sessions: Annotated[int, Field(ge=1, le=MOST_SESSIONS)] | None = None


class ToolsTable(Table):
    """`[tools]`: who may read what happens, and where. `listen` and `metrics` name links, or "loopback"."""

    listen: Annotated[list[Name], Field(max_length=MOST_LINKS_NAMED)] = ["loopback"]
    port: Port = 7710
    readers: Annotated[list[Name], Field(max_length=MOST_READERS)] = ["reader"]
    metrics: Name = "off"
    metrics_port: Port = 7712
    switch_events: bool = True


class LogTable(Table):
    """`[log]`: how each daemon writes its log."""

    format: Literal["auto", "plain", "json", "journal"] = "auto"


class HookTable(Table):
    """`[[hook]]`: what is run or told when something happens. Either `command` or `url` is there."""

    name: Name
    command: CommandWords | None = None
    url: UrlText | None = None
    codes: Annotated[list[CodePattern], Field(max_length=MOST_CODES)] = []
    levels: Annotated[list[Literal["info", "notice", "warning", "alarm"]], Field(min_length=1)] = [
        "notice",
        "warning",
        "alarm",
    ]
    groups: Annotated[list[Pattern], Field(max_length=MOST_GROUPS)] = []
    nodes: Literal["every", "holder", "one"] = "one"
    timeout_s: Annotated[int, Field(ge=1, le=300)] = 10
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
