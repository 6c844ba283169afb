"""Read the cluster's file: bytes in, a `Configuration` or every fault at once out.

What must hold: one run tells all that is wrong, each with its key, its line and a mend; a file with a fault
yields no configuration at all. A syntax error alone hides the rest, because there is nothing to read behind it.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import TypeVar

from pydantic import ValidationError

from zcluster.config.configuration import (
    Configuration,
    Group,
    Hook,
    HookNodes,
    Limit,
    Link,
    LinkRole,
    Mode,
    Site,
    SwitchCondition,
    SwitchSettings,
    ToolsSettings,
)
from zcluster.config.durations import timing_of, unsafe
from zcluster.config.fault import Fault, KeyPath
from zcluster.config.hook_relations import faults_around_hooks
from zcluster.config.lines import key_lines, line_of
from zcluster.config.relations import faults_between, faults_of_the_whole, service_link_of
from zcluster.config.schema import (
    ClusterTable,
    ConditionTable,
    GroupTable,
    HookTable,
    LimitTable,
    LinkTable,
    LogTable,
    SiteTable,
    SwitchTable,
    Table,
    TimingTable,
    ToolsTable,
)
from zcluster.config.switch_relations import data_port_of, faults_around_switch
from zcluster.config.tools_relations import faults_around_tools
from zcluster.config.wording import fault_of, unknown_key
from zcluster.errors import ConfigurationError

FILE_LIMIT_BYTES = 1_048_576
MOST_CONDITIONS, MOST_LIMITS, MOST_HOOKS = 64, 256, 16
_TOP_KEYS = ("cluster", "timing", "link", "group", "site", "switch", "limit", "tools", "hook", "log")
_TomlPosition = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
AnyTable = TypeVar("AnyTable", bound=Table)


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of a file: a configuration, or the faults that forbid one. `lines` places any key.

    `content` is what was read, for who must go by the same file later.
    """

    configuration: Configuration | None
    faults: tuple[Fault, ...]
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    content: bytes = field(default=b"", repr=False)

    def placed(self, fault: Fault) -> Fault:
        """The same fault with the line of its key."""
        return fault if fault.line else replace(fault, line=line_of(fault.path, self.lines))


def load(path: Path) -> Configuration:
    """The configuration in that file; ConfigurationError lists every fault at once."""
    return accepted(read(path), path)


def accepted(reading: Reading, path: Path) -> Configuration:
    """The configuration of a reading of `path`; ConfigurationError lists every fault at once."""
    if reading.configuration is None:
        raise ConfigurationError("\n".join(fault.text(str(path)) for fault in reading.faults))
    return reading.configuration


def read(path: Path) -> Reading:
    """What is in that file; a file that cannot be read is a fault like any other."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_LIMIT_BYTES + 1)
    except OSError as error:
        mend = "name the cluster's file, as a user that may read it"
        if isinstance(error, FileNotFoundError):
            mend = (
                f"`zcluster init --out {quote(str(path))}` proposes one from the first host, the others have a copy; "
                "conf/example.toml has every key"
            )
        return Reading(None, (Fault((), f"cannot be read: {error.strerror}", mend),))
    if len(content) > FILE_LIMIT_BYTES:
        return Reading(
            None, (Fault((), f"is larger than {FILE_LIMIT_BYTES} bytes", "name the cluster's file"),)
        )
    return replace(read_bytes(content), content=content)


def read_bytes(content: bytes) -> Reading:
    """What those bytes mean as a cluster's file."""
    try:
        text = content.decode("utf-8")
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Reading(None, (Fault((), "is not UTF-8 text", "save it as UTF-8", line),))
    except tomllib.TOMLDecodeError as error:
        return Reading(None, (_syntax_fault(str(error), text),))
    except RecursionError:
        return Reading(
            None, (Fault((), "is nested too deeply", "the file needs no more than lists in tables"),)
        )
    return _Reader(document, hashlib.sha256(content).hexdigest(), key_lines(text)).reading()


class _Reader:
    """Collects faults over one document, in the order of the file where lines are known."""

    def __init__(self, document: dict[str, object], digest: str, lines: Mapping[KeyPath, int]) -> None:
        self._document = document
        self._digest = digest
        self._lines = lines
        self._faults: list[Fault] = []

    def reading(self) -> Reading:
        self._faults += (unknown_key((key,), _TOP_KEYS) for key in self._document if key not in _TOP_KEYS)
        cluster = self._cluster()
        timing = self._table(self._document.get("timing", {}), TimingTable, ("timing",))
        links = dict(self._array("link", LinkTable))
        groups = dict(self._array("group", GroupTable))
        sites = dict(self._array("site", SiteTable, is_needed=False))
        switch, conditions = self._switch()
        limits = dict(self._array("limit", LimitTable, is_needed=False, most=MOST_LIMITS))
        self._faults += faults_between(links, groups, all_links_known=self._all_links_known())
        self._faults += faults_of_the_whole(
            cluster, links, groups, sites, all_links_known=self._all_links_known()
        )
        self._faults += faults_around_switch(switch, links, groups, limits)
        tools = self._tools()
        self._faults += faults_around_tools(tools, switch, links, all_links_known=self._all_links_known())
        log = self._table(self._document.get("log", {}), LogTable, ("log",))
        hooks = dict(self._array("hook", HookTable, is_needed=False, most=MOST_HOOKS))
        self._faults += faults_around_hooks(hooks, groups)
        if (
            cluster
            and timing
            and not self._has_fault_in("timing")
            and cluster.has("preset", "expected_nodes")
        ):
            self._faults += unsafe(timing_of(cluster.preset, cluster.expected_nodes, timing))
        if self._faults:
            placed = (replace(fault, line=line_of(fault.path, self._lines)) for fault in self._faults)
            return Reading(None, tuple(sorted(placed, key=lambda fault: fault.line)), self._lines)
        assert cluster is not None, "a missing [cluster] is a fault"
        assert timing is not None, "a [timing] that is no table is a fault"
        assert log is not None, "a [log] that is no table is a fault"
        configuration = Configuration(
            name=cluster.name,
            expected_nodes=cluster.expected_nodes,
            preset=cluster.preset,
            timing=timing_of(cluster.preset, cluster.expected_nodes, timing),
            key_file=cluster.key_file,
            state_dir=cluster.state_dir,
            run_dir=cluster.run_dir,
            links=tuple(_link(table) for table in links.values()),
            groups=tuple(_group(table, links) for table in groups.values()),
            several_groups_per_node=cluster.several_groups_per_node,
            failback=cluster.failback,
            never_master=tuple(cluster.never_master),
            witnesses=tuple(cluster.witnesses),
            survivor_claims=cluster.survivor_claims,
            forget_after_s=cluster.forget_after_s,
            mode=Mode(cluster.mode),
            is_recording=cluster.recording == "on",
            sites=tuple(Site(table.name, tuple(table.nodes)) for table in sites.values()),
            switch=_switch(switch, conditions) if switch is not None else None,
            limits=tuple(Limit(table.name, table.rate, table.sessions) for table in limits.values()),
            tools=_tools(tools) if tools is not None else ToolsSettings(),
            hooks=tuple(_hook(table) for table in hooks.values()),
            log_format=log.format,
            digest=self._digest,
        )
        return Reading(configuration, (), self._lines)

    def _cluster(self) -> ClusterTable | None:
        if "cluster" not in self._document:
            mend = 'add [cluster] with at least name = "pbx" and expected-nodes = 3'
            self._faults.append(Fault(("cluster",), "this table is missing", mend))
            return None
        return self._table(self._document["cluster"], ClusterTable, ("cluster",))

    def _switch(self) -> tuple[SwitchTable | None, list[ConditionTable]]:
        """`[switch]` and its conditions; None where the file has none, or one that is no table."""
        if "switch" not in self._document:
            return None, []
        content = self._document["switch"]
        path: KeyPath = ("switch", 0) if isinstance(content, list) else ("switch",)
        switch = self._table(content, SwitchTable, path)
        found = [] if switch is None or switch.condition is None else switch.condition
        tables = self._tables(found, ConditionTable, ("switch", "condition"), MOST_CONDITIONS)
        return switch, [table for _, table in tables]

    def _tools(self) -> ToolsTable | None:
        """`[tools]`; None where the file has none, or one that is no table."""
        if "tools" not in self._document:
            return None
        return self._table(self._document["tools"], ToolsTable, ("tools",))

    def _array(
        self, name: str, model: type[AnyTable], *, is_needed: bool = True, most: int | None = None
    ) -> Iterator[tuple[int, AnyTable]]:
        """The tables of an array, each with its place in the file."""
        found = self._document.get(name, [])
        if not found and isinstance(found, list) and is_needed:
            self._faults.append(Fault((name,), f"there is no {name}", f"add at least one [[{name}]]"))
        yield from self._tables(found, model, (name,), most)

    def _tables(
        self, found: object, model: type[AnyTable], path: KeyPath, most: int | None
    ) -> Iterator[tuple[int, AnyTable]]:
        if not isinstance(found, list):
            spoken = ".".join(str(part) for part in path)
            self._faults.append(Fault(path, "there may be several of these", f"write it as [[{spoken}]]"))
            found = [found]
        if most is not None and len(found) > most:
            self._faults.append(
                Fault((*path, most), f"there are {len(found)} of these", f"{most} are read at most")
            )
            found = found[:most]
        for number, content in enumerate(found):
            table = self._table(content, model, (*path, number))
            if table is not None:
                yield number, table

    def _all_links_known(self) -> bool:
        return "link" in self._document and not self._has_fault_in("link")

    def _has_fault_in(self, top: str) -> bool:
        return any(fault.path[0] == top for fault in self._faults)

    def _table(self, content: object, model: type[AnyTable], path: KeyPath) -> AnyTable | None:
        """The table, or what is good in it; None when it is no table at all."""
        if not isinstance(content, dict):
            self._faults.append(Fault(path, "this is not a table", f"write it as a table, [{path[0]}]"))
            return None
        try:
            return model.model_validate(content)
        except ValidationError as error:
            self._faults += (fault_of(details, model, path) for details in error.errors(include_url=False))
            return model.partly(content)


def _link(table: LinkTable) -> Link:
    return Link(
        name=table.name,
        role=LinkRole(table.role),
        network=table.network,
        multicast=table.multicast,
        beacon_port=table.beacon_port,
        bus_port=table.bus_port,
        ttl=table.ttl,
        reference=tuple(table.reference),
        peers=tuple(table.peers),
        data_port=data_port_of(table),
    )


def _group(table: GroupTable, links: Mapping[int, LinkTable]) -> Group:
    link = service_link_of(table, links)
    by_name = table.interface if isinstance(table.interface, str) else None
    assert by_name or link, "a group without a place is a fault"
    return Group(
        name=table.name,
        addresses=tuple(table.addresses),
        network=link.network if link and not by_name else None,
        interface=by_name,
        link=link.name if link else "",
        priority=table.priority,
        allowed=tuple(table.allowed),
        preferred=tuple(table.preferred),
        apart_from=tuple(table.apart_from),
        profiles=tuple(table.profiles),
    )


def _switch(table: SwitchTable, conditions: Sequence[ConditionTable]) -> SwitchSettings:
    return SwitchSettings(
        event_socket=table.event_socket,
        core_db=table.core_db,
        password_file=table.password_file,
        pulse_ms=table.pulse_ms,
        pulse_limit_ms=table.pulse_limit_ms,
        limits_port=table.limits_port,
        batch_calls=table.batch_calls,
        conditions=tuple(SwitchCondition(condition.event, condition.match) for condition in conditions),
    )


def _tools(table: ToolsTable) -> ToolsSettings:
    return ToolsSettings(
        listen=tuple(table.listen),
        port=table.port,
        readers=tuple(table.readers),
        metrics=table.metrics,
        metrics_port=table.metrics_port,
        switch_events=table.switch_events,
    )


def _hook(table: HookTable) -> Hook:
    return Hook(
        name=table.name,
        command=tuple(table.command or ()),
        url=table.url or "",
        codes=tuple(table.codes),
        levels=tuple(table.levels),
        groups=tuple(table.groups),
        nodes=HookNodes(table.nodes),
        timeout_s=table.timeout_s,
        attempts=table.attempts,
    )


def _syntax_fault(message: str, text: str) -> Fault:
    """The standard library's complaint, with its line and column as numbers."""
    match = _TomlPosition.search(message)
    wrong = f"TOML syntax: {message[: match.start()] if match else message}"
    mend = "strings stand in quotes, lists in brackets, and each key has a line of its own"
    if match and match[1]:
        return Fault((), wrong, mend, int(match[1]), int(match[2]))
    return Fault((), wrong, mend, text.count("\n") + 1)
