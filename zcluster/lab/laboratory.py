"""The whole laboratory in one object: hosts with power, the daemon on each, the client and the observer.

What must hold: every wait is bounded and says what it waited for. While something is being measured nobody
but the client and the wire is asked, so that looking costs the daemons nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from zcluster.adapters.control_socket import FILE_NAME, ask
from zcluster.adapters.journal import Journal
from zcluster.config.keyfile import write_key
from zcluster.console.why import render as render_why
from zcluster.errors import ControlSocketError, LabError
from zcluster.lab.client import ProbeRecord, probe_forever
from zcluster.lab.cluster_view import Ownership, Status, ask_status, complaints, ownership_of
from zcluster.lab.configuration import cluster_file
from zcluster.lab.host import Host, Program, Storage
from zcluster.lab.network import Switchboard, allow_foreign_addresses
from zcluster.lab.observer import Observer
from zcluster.lab.plan import HostPlan, Network, Plan, SwitchKind
from zcluster.lab.sip_capture import SipCapture
from zcluster.lab.switches import SWITCH, prepare_switch, write_password
from zcluster.lab.telephones import Telephones
from zcluster.lab.world import RUN
from zcluster.supervisor.daemon import EXIT_RESTART

DAEMON = "daemon"
_DAEMON = (sys.executable, "-m", "zcluster", "run")
CONFIG_FILE = "zcluster.toml"
HOSTS_FILE = "hosts.json"  # name to process id inside the world, for `zcluster lab shell`
FOUNDING_LIMIT_S = 60.0  # a few seconds where nothing else runs
WELL_LIMIT_S = 30.0
LOOK_EVERY_S = 0.02
_ASK_EVERY_S = 0.1
_ASK_LIMIT_S = 0.5
_WISH_LIMIT_S = 15.0
_ANSWERING_MS = 100
_LOG_TAIL_LINES = 15
_JOURNAL_RECORDS = 2000


class Laboratory:
    """Built and used by the first process of a world (`zcluster.lab.world`); one thread.

    `daemon` is the command that runs on each host; without it, the real one. With `is_service_manager` a planned
    restart that somebody else asked for has its next life while time passes here, as with the unit for systemd.
    """

    def __init__(self, directory: Path, plan: Plan, daemon: Sequence[str] | None = None) -> None:
        self.plan = plan
        self.directory = directory
        self.config_file = directory / CONFIG_FILE
        self.hosts: dict[str, Host] = {}
        self.switchboard = Switchboard()
        self.observer = Observer(plan.floating)
        self.probes = ProbeRecord(plan.floating)
        self._daemon = daemon or [*_DAEMON, "--config", str(self.config_file)]
        self._without_power: set[str] = set()
        self.is_service_manager = False
        self.sip: SipCapture | None = None

    def build(self) -> None:
        """Lay the networks, power on every host, start every daemon and the client. Raises LabError."""
        key_file = self.directory / "cluster.key"
        write_key(key_file)
        has_switch = self.plan.switch is not SwitchKind.NONE
        password_file = write_password(self.directory) if has_switch else None
        self.config_file.write_text(cluster_file(self.plan, key_file, password_file))
        self.switchboard.build_bridges()
        client = self._make_host(self.plan.client)
        client.fork("client", lambda: probe_forever(self.probes))
        if has_switch:
            self.sip = self._listen_to_telephones()
        for node in self.plan.nodes:
            self.power_on(node.name)

    def close(self) -> None:
        """Let go of everything that is open; the processes end with the world."""
        self.observer.close()
        if self.sip is not None:
            self.sip.close()
        self.switchboard.close()

    # Hosts

    @property
    def powered(self) -> list[str]:
        """The nodes with power, in the order of the plan."""
        return [
            node.name
            for node in self.plan.nodes
            if node.name in self.hosts and node.name not in self._without_power
        ]

    def power_on(self, node: str) -> None:
        """Give a host power: a new kernel state, its disk as it was, the switch if there is one, and the daemon."""
        self._make_host(self._plan_of(node))
        self.observer.listen(node)
        if self.plan.switch is not SwitchKind.NONE:
            self.start_switch(node)
        self.start_daemon(node)

    def cut_off(self, node: str) -> None:
        """Kill every process of a host and silence its cables, at once."""
        self._without_power.add(node)
        self.hosts[node].signal_all(signal.SIGKILL)
        self.switchboard.mute(node, *Network)
        self.switchboard.unplug(node, *Network)

    def clear_away(self, node: str) -> None:
        """Forget a host that was cut off: its kernel's state and what lay in its memory."""
        self.observer.forget(node)
        self.switchboard.forget(node)
        self.hosts.pop(node).power_off()
        self._without_power.discard(node)
        self._storage(node).lose_power()

    def lose_disk(self, node: str) -> None:
        """Empty the disk of a host that was cleared away."""
        shutil.rmtree(self._storage(node).state, ignore_errors=True)

    def start_daemon(self, node: str) -> Program:
        """Start the daemon on a host, as its service manager would."""
        log = self.log_of(node)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        return self.hosts[node].start(DAEMON, self._daemon, log, environment)

    def start_switch(self, node: str) -> Program:
        """Start the switch on a host, as its service manager would."""
        if self.hosts[node].fork("settings", allow_foreign_addresses).wait(5.0) != 0:
            raise LabError(f"{node}: addresses that are not there cannot be bound")
        command = prepare_switch(self.plan, node, self.directory, self._storage(node).state)
        return self.hosts[node].start(SWITCH, command, self.directory / f"{node}.{SWITCH}.log", os.environ)

    def daemon_of(self, node: str) -> Program:
        """The newest daemon of a host."""
        return self._newest(node, DAEMON)

    def switch_of(self, node: str) -> Program:
        """The newest switch of a host."""
        return self._newest(node, SWITCH)

    def telephones(self, wanted: Mapping[str, int], patience_ms: int) -> Telephones:
        """Callers and a carrier in the client's host; `wanted`: how many calls go to each floating address."""
        client = self.plan.client
        address = client.address(Network.SERVICE)
        return Telephones(
            self.hosts[client.name], self.directory / "telephones", address, wanted, patience_ms
        )

    def ended_daemons(self) -> dict[str, int]:
        """The exit status (negative: the signal) of every newest daemon that runs no more, on hosts with power."""
        daemons = {node: self.daemon_of(node) for node in self.powered}
        return {node: each.wait(0.0) for node, each in daemons.items() if not each.is_running()}

    def log_of(self, node: str) -> Path:
        """Where the daemon of that node writes."""
        return self.directory / f"{node}.log"

    def run_of(self, node: str) -> Path:
        """Where the sockets of that node lie."""
        return self._storage(node).run

    # What the daemons say

    def statuses(self) -> dict[str, Status]:
        """The status of every daemon that answers."""
        asked = ((node, ask_status(self._storage(node).run, _ASK_LIMIT_S)) for node in self.powered)
        return {node: status for node, status in asked if status is not None}

    def is_heard(self, node: str, by: str) -> bool:
        """Whether the daemon of `by` hears that node."""
        rows = self.statuses().get(by, {}).get("nodes", [])
        return any(row["name"] == node and row["is_heard"] for row in rows)

    def ownership(self, group: str) -> Ownership:
        """Who holds a group now, as the daemons say."""
        return ownership_of(group, self.statuses())

    def takeovers(self, group: str) -> dict[int, str]:
        """By epoch, every holder of a group that a daemon has told of: from the journals on all disks."""
        found: dict[int, str] = {}
        for node in self.plan.nodes:
            for record in Journal(self._storage(node.name).state).recent(_JOURNAL_RECORDS):
                facts = record.facts
                epoch = facts.get("epoch")
                if record.code == "takeover" and facts.get("group") == group and isinstance(epoch, int):
                    found[epoch] = str(facts.get("to_node"))
        return found

    def story(self, group: str, by: str) -> list[str]:
        """What `zcluster why` tells of a group on the host of `by`. Raises LabError."""
        try:
            answer = ask(self._storage(by).run / FILE_NAME, {"ask": "why", "group": group}, _WISH_LIMIT_S)
        except ControlSocketError as error:
            raise LabError(f"{by} does not tell why: {error}") from error
        records = answer.get("records")
        return render_why(records, group) if isinstance(records, list) else []

    def move(self, group: str, by: str, to: str = "") -> None:
        """Ask the daemon of `by` for a switchover. Raises LabError when it is refused."""
        self._wish(by, {"ask": "move", "group": group, "to": to}, f"move {group}")

    def restart_daemon(self, node: str) -> None:
        """Ask a daemon to end for its next life, so that nothing moves. Raises LabError when it is refused."""
        self._wish(node, {"ask": "restart"}, "restart")

    def change_roster(self, by: str, verb: str, *names: str) -> None:
        """Ask the daemon of `by` to change who may vote. Raises LabError when it is refused."""
        self._wish(by, {"ask": "roster", "verb": verb, "names": list(names)}, f"{verb} {' '.join(names)}")

    def _wish(self, by: str, wish: dict[str, object], words: str) -> None:
        try:
            answer = ask(self._storage(by).run / FILE_NAME, wish, _WISH_LIMIT_S)
        except ControlSocketError as error:
            raise LabError(f"{by} could not be asked to {words}: {error}") from error
        if answer.get("ok") is not True:
            raise LabError(f"{by} refused to {words}: {answer.get('text') or answer.get('error')}")

    # Waiting

    def collect(self) -> None:
        """Read what the ears have heard, and begin the next lives that are due."""
        self.observer.collect()
        if self.sip is not None:
            self.sip.collect()
        if self.is_service_manager:
            for node, status in self.ended_daemons().items():
                if status == EXIT_RESTART:
                    self.start_daemon(node)

    def wait(self, seconds: float) -> None:
        """Let time pass; the observer's rings are read meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _ASK_EVERY_S))
            self.collect()

    def wait_for(
        self, condition: Callable[[], bool], limit_s: float, what: str, every_s: float = LOOK_EVERY_S
    ) -> None:
        """Wait until `condition` holds. Raises LabError, naming `what`, when it does not within the limit."""
        if not self.comes_true(condition, limit_s, every_s):
            raise LabError(f"{what}: not within {limit_s:g} s")

    def comes_true(
        self, condition: Callable[[], bool], limit_s: float, every_s: float = LOOK_EVERY_S
    ) -> bool:
        """Whether `condition` comes to hold within the limit."""
        until = time.monotonic() + limit_s
        while True:
            self.collect()
            if condition():
                return True
            if time.monotonic() > until:
                return False
            time.sleep(every_s)

    def wait_until_well(self, limit_s: float = WELL_LIMIT_S) -> dict[str, Status]:
        """Wait until every daemon with power agrees that all is well, and every address answers the client.

        Returns the statuses that said so. Raises LabError with what is still wrong.
        """
        until = time.monotonic() + limit_s
        while True:
            self.collect()
            statuses = self.statuses()
            wrong = self.complaints(statuses)
            if not wrong:
                return statuses
            if time.monotonic() > until:
                raise LabError(f"the cluster is not well after {limit_s:g} s: {'; '.join(wrong)}")
            time.sleep(_ASK_EVERY_S)

    def complaints(self, statuses: Mapping[str, Status]) -> list[str]:
        """What is not well, as these statuses and the client say; empty when all is.

        Raises LabError where waiting is in vain: a daemon ended by itself.
        """
        wrong = complaints(statuses, self.powered, [group.name for group in self.plan.groups])
        wrong += [f"{address} does not answer" for address in self.silent_addresses()]
        if wrong:
            self._refuse_dead_daemons()
        return wrong

    def _refuse_dead_daemons(self) -> None:
        for node, status in self.ended_daemons().items():
            raise LabError(f"the daemon of {node} ended by itself with status {status}")

    def silent_addresses(self) -> list[str]:
        """The floating addresses that do not answer the client steadily."""
        return [
            address for address in self.plan.floating if not self.probes.is_answering(address, _ANSWERING_MS)
        ]

    # Reading

    def log_tails(self) -> str:
        """The last lines of every daemon's log, for a failure's report."""
        parts = []
        for node in self.plan.nodes:
            with contextlib.suppress(OSError):
                lines = self.log_of(node.name).read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
                parts.append("\n".join([f"-- {node.name}", *lines]))
        return "\n".join(parts)

    def _newest(self, node: str, name: str) -> Program:
        return next(program for program in reversed(self.hosts[node].programs) if program.name == name)

    def _listen_to_telephones(self) -> SipCapture:
        port = Network.SERVICE.port(self.plan.client.name)
        try:
            return SipCapture(port, [group.address_v4 for group in self.plan.groups])
        except OSError as error:
            raise LabError(f"cannot listen on the port of the telephones: {error}") from error

    def _make_host(self, plan: HostPlan) -> Host:
        host = Host(plan, self._storage(plan.name))
        self.switchboard.connect(plan, host.process)
        host.configure()
        self.hosts[plan.name] = host
        record = {name: each.process for name, each in self.hosts.items()}
        unfinished = self.directory / f"{HOSTS_FILE}.new"
        unfinished.write_text(json.dumps(record))
        unfinished.replace(self.directory / HOSTS_FILE)  # `lab shell` never reads half of it
        return host

    def _plan_of(self, name: str) -> HostPlan:
        return next(host for host in self.plan.hosts if host.name == name)

    def _storage(self, name: str) -> Storage:
        return Storage(run=self.directory / RUN / name, state=self.directory / "state" / name)


def check_node(lab: Laboratory, node: str) -> None:
    """Raise LabError unless that node exists and has power."""
    if node not in lab.powered:
        raise LabError(f"there is no node {node!r} with power: {', '.join(lab.powered)}")
