"""A daemon that is none: real control sockets with a made-up cluster behind them, for what only looks at one.

    python -c "from bench.canned_daemon import main; main()" --dir DIR [--nodes 20] [--groups 16]

What must hold: the sockets, the story and its followers are the real ones; the documents have every key of
`zcluster.supervisor.status` and `zcluster.data.questions`. A move is accepted and carried out in the document.
"""

from __future__ import annotations

import argparse
import select
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zcluster.adapters.control_socket import ControlSocket, Request
from zcluster.adapters.journal import Record
from zcluster.supervisor.following import Following
from zcluster.supervisor.story import Story

LINKS = ("ring1", "ring2", "service")
BUILD = "1.10.12:8b2d3f04"
TURN_S = 0.05


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def node_name(number: int) -> str:
    return f"pbx{number}"


class CannedCluster:
    """`nodes` nodes, the first `groups` of which hold a group each; the last one is silent when `is_troubled`."""

    def __init__(self, nodes: int, groups: int, is_troubled: bool = True) -> None:
        self.names = [node_name(number) for number in range(1, nodes + 1)]
        self.groups = [f"sip{number}" for number in range(1, groups + 1)]
        self.holders = {group: self.names[at % nodes] for at, group in enumerate(self.groups)}
        self.epochs = {group: 3 + at for at, group in enumerate(self.groups)}
        self.changed_s = {group: -7980 - 61 * at for at, group in enumerate(self.groups)}
        self.silent = self.names[-1] if is_troubled and nodes > 2 else ""
        self.changes = 1000
        self.begun_s = time.monotonic()

    @property
    def slaves(self) -> list[str]:
        held = set(self.holders.values())
        return [name for name in self.names if name not in held and name != self.silent]

    def status(self) -> dict[str, Any]:
        """The status document."""
        now_s = time.monotonic() - self.begun_s
        return {
            "schema": "zcluster.status/1",
            "ok": True,
            "node": self.names[0],
            "cluster": "office",
            "cluster_id": "pbx1-18c2",
            "mode": "active",
            "generation": 7,
            "roster": self.names,
            "is_settled": True,
            "is_forced": False,
            "forgotten": [],
            "unadmitted": [],
            "pins": [],
            "quorum": len(self.names) // 2 + 1,
            "hears_majority": True,
            "state": "MASTER",
            "version": "0.1.0",
            "incarnation": 1795720927946,
            "up_ms": int(371_000_000 + now_s * 1000),
            "expected_nodes": len(self.names),
            "groups": [self._group(at, group, now_s) for at, group in enumerate(self.groups)],
            "nodes": [self._node(at, name, now_s) for at, name in enumerate(self.names)],
            "links": [
                {
                    "name": link,
                    "is_up": True,
                    "interface": f"eth{at}",
                    "address": f"10.77.{at + 1}.1",
                    "is_service": at == 2,
                }
                for at, link in enumerate(LINKS)
            ],
            "slaves": self.slaves,
            "switch": {"is_known": True, "problems": [], "pid": 4711, "restarts": 0},
            "copies": {
                "is_ready": True,
                "reason": "",
                "nodes": [{"name": name, "percent": 100} for name in self.names[1:]],
            },
            "warnings": [],
            "counters": {"turns": int(now_s * 100), "data_pulse_ms": 20 + int(now_s) % 7},
        }

    def _group(self, at: int, group: str, now_s: float) -> dict[str, Any]:
        return {
            "name": group,
            "addresses": [f"10.20.0.{at + 10}", f"fd20::{at + 10}"],
            "holder": self.holders[group],
            "counter": self.epochs[group],
            "since_ms": int((now_s - self.changed_s[group]) * 1000),
            "phase": "HOLDING" if self.holders[group] == self.names[0] else "",
            "last_holder": self.holders[group],
        }

    def _node(self, at: int, name: str, now_s: float) -> dict[str, Any]:
        holds = [group for group in self.groups if self.holders[group] == name]
        is_heard = name != self.silent
        slaves = self.slaves
        heard_ms = 8 + (at * 7 + int(now_s * 3)) % 20 if is_heard else int(now_s * 1000) + 14_200
        links = [
            {
                "name": link,
                "is_heard": is_heard,
                "heard_ms": heard_ms,
                "loss_per_mille": (at * 3 + int(now_s)) % 4 if at % 5 == 0 else 0,
                "round_trip_us": 180 + 40 * at,
                "behind_ms": 0,
            }
            for link in LINKS
        ]
        return {
            "name": name,
            "is_self": at == 0,
            "is_heard": is_heard,
            "is_voter": True,
            "is_witness": False,
            "state": "FAILED" if not is_heard else "MASTER" if holds else "SLAVE",
            "position": slaves.index(name) + 1 if name in slaves else None,
            "holds": holds,
            "unready": [],
            "heard_ms": 0 if at == 0 else heard_ms,
            "hears_us": is_heard,
            "generation": 7,
            "version": "0.1.0",
            "build": BUILD,
            "switchname": name,
            "clock_offset_ms": None if at == 0 else (at * 5) % 11 - 5,
            "links": [] if at == 0 else links,
        }

    def streams(self) -> dict[str, Any]:
        """The answer to `streams`."""
        self.changes += 37
        names = ("registrations", "limits", "calls")
        return {
            "schema": "zcluster.streams/1",
            "ok": True,
            "node": self.names[0],
            "own": {
                name: {"records": 60 + at, "claims": 1, "sequence": self.changes, "is_whole": True}
                for at, name in enumerate(names)
            },
            "copies": [
                {
                    "node": writer,
                    "incarnation": 1795720927946,
                    "stream": name,
                    "records": 60 + at,
                    "claims": 1,
                    "sequence": self.changes + at,
                    "behind": 0,
                    "percent": 100,
                    "is_orphan": writer == self.silent,
                }
                for name in names
                for at, writer in enumerate(self.names[1:])
            ],
            "paths": dict.fromkeys(self.names[1:], "ring1"),
            "links": {},
            "figures": {"turns": self.changes, "cpu_ms": 2335},
        }

    def limits(self) -> dict[str, Any]:
        """The answer to `limits`."""
        nodes = {name: {"sessions": at % 3 + 1, "recovered": 0} for at, name in enumerate(self.names[:4])}
        row = {"name": "trunk", "total": 9, "kept": 0, "nodes": nodes}
        return {"schema": "zcluster.limits/1", "ok": True, "node": self.names[0], "rows": [row], "next": ""}

    def move(self, group: str, target: str) -> str:
        """Carry a switchover out; what the core would say."""
        before, self.holders[group] = self.holders[group], target
        self.epochs[group] += 1
        self.changed_s[group] = int(time.monotonic() - self.begun_s)
        return f"{group} moves from {before} to {target}"


class CannedDaemon:
    """Answers on `control.sock` and `data.sock` in `directory`. `telling_ms`: a record so often, 0 for none."""

    def __init__(self, directory: Path, cluster: CannedCluster, telling_ms: int = 0) -> None:
        self.cluster = cluster
        self.control = ControlSocket(directory / "control.sock")
        self.data = ControlSocket(directory / "data.sock")
        self.story = Story()
        self.incarnation = time.time_ns() // 1_000_000
        node = cluster.names[0]
        self.following = Following(self.control, self.story, node, self.incarnation, monotonic_ms)
        self._telling_ms = telling_ms
        self._tell_ms = monotonic_ms() + telling_ms
        self._told = 0
        self.tell("notice", "started", f"zcluster 0.1.0 starts as {node} of office", {})
        if cluster.silent:
            text = f"{cluster.silent} fell silent: last heard on ring1 202 ms ago"
            self.tell("warning", "silent", text, {"node": cluster.silent})

    def tell(self, level: str, code: str, text: str, facts: Mapping[str, object], node: str = "") -> None:
        """A record of the story."""
        self._told += 1
        teller = node or self.cluster.names[0]
        at_ms = time.time_ns() // 1_000_000
        self.story.add(Record(at_ms, teller, level, code, text, facts, self.incarnation, self._told))

    def serve(self, wait_s: float = TURN_S) -> None:
        """One turn."""
        select.select([self.control.fileno(), self.data.fileno()], [], [], wait_s)
        for request in self.control.receive():
            answer = self._answer(request)
            if answer is not None:
                self.control.answer(request.client, answer)
        for request in self.data.receive():
            asked = request.body.get("ask")
            is_streams = asked == "streams"
            self.data.answer(request.client, self.cluster.streams() if is_streams else self.cluster.limits())
        now_ms = monotonic_ms()
        if self._telling_ms and now_ms >= self._tell_ms:
            self._tell_ms = now_ms + self._telling_ms
            self.tell("info", "state", f"something happened, number {self._told}", {})
        due_ms = self.following.deadline()
        if due_ms is not None and due_ms <= now_ms:
            self.following.run(now_ms)

    def _answer(self, request: Request) -> Mapping[str, object] | None:
        body = request.body
        match body.get("ask"):
            case "status":
                return self.cluster.status()
            case "follow":
                return self.following.follow(request)
            case "move":
                group, target = str(body.get("group")), str(body.get("to"))
                before = self.cluster.holders[group]
                text = self.cluster.move(group, target)
                facts: dict[str, object] = {
                    "group": group,
                    "epoch": self.cluster.epochs[group],
                    "from_node": before,
                    "to_node": target,
                    "why": "released: operator",
                    "released_ms": 2,
                    "open_ms": 9,
                    "won_ms": 5,
                    "votes": {target: 0},
                    "quorum": 1,
                    "roster": 1,
                }
                took = f"{group}: {target} holds epoch {self.cluster.epochs[group]} (released: operator)"
                self.tell("notice", "takeover", took, facts, target)
                return {"ok": True, "text": text}
        return {"ok": False, "error": "ask for status, follow or move"}

    def close(self) -> None:
        """Give the sockets back."""
        self.control.close()
        self.data.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--groups", type=int, default=16)
    parser.add_argument("--telling-ms", type=int, default=0)
    parser.add_argument("--told", type=int, default=0)
    wanted = parser.parse_args()
    daemon = CannedDaemon(wanted.dir, CannedCluster(wanted.nodes, wanted.groups), wanted.telling_ms)
    for at in range(wanted.told):
        daemon.tell("info", "state", f"something had happened, number {at}", {})
    print("ready", flush=True)
    try:
        while True:
            daemon.serve()
    except KeyboardInterrupt:
        daemon.close()
