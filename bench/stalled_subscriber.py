"""What a subscriber that stands still for a minute does to anybody, and whether it learns what it missed.

    python -m bench.stalled_subscriber [--seconds 60] [--nodes 5] [--groups 3] [--preset standard]

In a laboratory groups move one after another, first for a minute in which every subscriber reads, then for one in
which most are stopped (SIGSTOP) and go on after it. On the client's host stand readers of one node's bus:
examples/subscriber.py twice, of which one is never stopped, examples/subscriber.js, a program with zcluster.client,
`zcluster watch --connect`, and one that only counts what PUB sent it. One JSON line. Exit 0 only if each of the stopped
ones had printed in the end what the calm one did, once and in order, and no address was answered twice. Needs node with
what examples/package.json names (.ci/packages).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgpack
import zmq

from zcluster.errors import LabError
from zcluster.lab.host import Program
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import GroupPlan, Network, make_plan
from zcluster.lab.verdict import judge
from zcluster.lab.world import run_in_world

HERE = Path(__file__).resolve().parents[1]
EXAMPLES = HERE / "examples"
NODE_MODULES = HERE / ".venv" / "node" / "node_modules"
CALM, RAW = "calm", "raw"
FOLLOW = """
import json, sys
from zcluster.client import Client, load_credential
with Client(sys.argv[1], load_credential(sys.argv[2])) as client:
    for event in client.events(is_from_start=True):
        print(json.dumps({"node": event.node, "incarnation": event.incarnation, "number": event.number}), flush=True)
"""
BUS_LIMIT_S = 30.0
MOVE_LIMIT_S = 10.0
SETTLE_S = 0.1
MOST_WARM_UPS, WARM_UP_S = 10, 3.0
CATCH_UP_LIMIT_S = 60.0


@dataclass(slots=True)
class Minute:
    """`missed_ms`: of each switchover, the longest time its address did not answer. `told`: records of the story."""

    moves: int
    told: int
    median_missed_ms: float
    worst_missed_ms: float
    answered_twice: int
    tools_rss_mib: float


@dataclass(slots=True)
class Result:
    """`dropped`: records that PUB did not send to the one that only counts. `caught_up_s`: all, after they went on."""

    seconds: float
    calm: Minute
    stalled: Minute
    dropped: int
    caught_up_s: float
    is_complete: dict[str, bool]
    worst_tick_late_ms: int


class Readers:
    """The programs on the client's host that read from the bus of `node`."""

    def __init__(self, lab: Laboratory, node: str) -> None:
        client = lab.hosts[lab.plan.client.name]
        address = next(plan for plan in lab.plan.nodes if plan.name == node).address(Network.SERVICE)
        key = lab.directory / "reader"
        made = ("-m", "zcluster", "reader-key", "--config", str(lab.config_file), "--out", str(key))
        made_log = lab.directory / "reader-key.log"
        if (
            lab.hosts[node]
            .start("reader-key", (sys.executable, *made), made_log, dict(os.environ))
            .wait(30.0)
        ):
            raise LabError(f"no reader key: {made_log.read_text()}")
        read, zcluster = (address, str(key)), (sys.executable, "-m", "zcluster")
        commands = {
            CALM: (sys.executable, str(EXAMPLES / "subscriber.py"), *read),
            "subscriber.py": (sys.executable, str(EXAMPLES / "subscriber.py"), *read),
            "subscriber.js": (shutil.which("node") or "node", str(EXAMPLES / "subscriber.js"), *read),
            "client": (sys.executable, "-c", FOLLOW, *read),
            "watch": (*zcluster, "watch", "--from-start", "--json", "--connect", address, "--key", str(key)),
            RAW: (sys.executable, "-m", "bench.stalled_subscriber", "--raw", *read),
        }
        environment = {**os.environ, "NODE_PATH": str(NODE_MODULES)}
        self._logs = {name: lab.directory / f"{name}.out" for name in commands}
        self._programs: dict[str, Program] = {
            name: client.start(name, command, self._logs[name], environment)
            for name, command in commands.items()
        }
        self.stalling = tuple(name for name in commands if name not in (CALM, RAW))

    def printed(self, name: str) -> list[Any]:
        """What its whole lines say so far: of records, who told which of his life."""
        lines = self._logs[name].read_text().splitlines(keepends=True)
        try:
            said = [json.loads(line) for line in lines if line.endswith("\n")]
        except ValueError:
            raise LabError(f"{name} says: {''.join(lines)[-500:]}") from None
        if name == RAW:
            return said
        records = [row.get("record") if "schema" in row else row for row in said]
        return [(row["node"], row["incarnation"], row["number"]) for row in records if row]

    def stall(self, number: signal.Signals) -> None:
        """Stop or continue all but the calm one."""
        for name, program in self._programs.items():
            if name != CALM:
                program.signal(number)

    def have_all(self) -> dict[str, bool]:
        """Whether each has printed what the calm one has."""
        return {name: self.printed(name) == self.printed(CALM) for name in self.stalling}


def minute(lab: Laboratory, readers: Readers, node: str, seconds: float) -> Minute:
    """Groups move one after another."""
    told = len(readers.printed(CALM))
    gaps: list[float] = []
    holders = {group.name: [lab.ownership(group.name).holder] for group in lab.plan.groups}
    lab.observer.start_over()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for group in lab.plan.groups:
            gaps += moved(lab, group)
            holders[group.name].append(lab.ownership(group.name).holder)
    orders = {address: holders[group.name] for group in lab.plan.groups for address in group.addresses}
    tools = lab.statuses()[node]["tools"]["pid"]
    return Minute(
        moves=len(gaps),
        told=len(readers.printed(CALM)) - told,
        median_missed_ms=round(statistics.median(gaps), 1),
        worst_missed_ms=round(max(gaps), 1),
        answered_twice=len(judge(lab.observer.sightings(), orders)),
        tools_rss_mib=resident_mib(tools),
    )


def moved(lab: Laboratory, group: GroupPlan) -> list[float]:
    """How long its first address was gone in a switchover; nothing if that was refused."""
    before = lab.ownership(group.name)
    since_ns = time.time_ns()
    try:
        lab.move(group.name, before.holder)
    except LabError:
        lab.wait(SETTLE_S)
        return []
    lab.wait_for(lambda: lab.ownership(group.name).epoch > before.epoch, MOVE_LIMIT_S, f"{group.name} moved")
    lab.wait(SETTLE_S)
    gap = lab.probes.outage(group.addresses[0], since_ns)
    return [gap.length_ms if gap is not None else 0.0]


def wait_for_ears(lab: Laboratory, readers: Readers) -> None:
    """Until the one that only counts hears what is told."""
    for _ in range(MOST_WARM_UPS):
        moved(lab, lab.plan.groups[0])
        if lab.comes_true(lambda: bool(readers.printed(RAW)), WARM_UP_S):
            return
    raise LabError("the one that only counts hears nothing")


def resident_mib(pid: int) -> float:
    """The process's resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20), 1)


def raw(host: str, key_file: Path) -> None:
    """Print the number of each record that PUB sends."""
    key = json.loads(key_file.read_text())
    published: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    published.curve_serverkey, published.curve_publickey = key["server"].encode(), key["public"].encode()
    published.curve_secretkey = key["secret"].encode()
    published.connect(f"tcp://{host}:{key['port']}")
    published.subscribe("zc1.event.")
    while True:
        print(msgpack.unpackb(published.recv_multipart()[1])["number"], flush=True)


def work(directory: Path, options: argparse.Namespace) -> int:
    """Build it, and do both minutes."""
    plan = replace(make_plan(options.nodes, options.groups, options.preset), has_tools=True)
    lab = Laboratory(directory, plan)
    try:
        lab.build()
        lab.wait_until_well(60.0)
        node = lab.powered[0]
        readers = Readers(lab, node)
        lab.wait_for(
            lambda: bool(readers.printed(CALM)) and all(readers.have_all().values()),
            BUS_LIMIT_S,
            "the readers hear",
        )
        wait_for_ears(lab, readers)
        calm = minute(lab, readers, node, options.seconds)
        readers.stall(signal.SIGSTOP)
        stalled = minute(lab, readers, node, options.seconds)
        readers.stall(signal.SIGCONT)
        began = time.monotonic()
        lab.comes_true(lambda: all(readers.have_all().values()), CATCH_UP_LIMIT_S)
        caught_up_s = round(time.monotonic() - began, 2)
        lab.wait(2.0)
        numbers = readers.printed(RAW)
        result = Result(
            seconds=options.seconds,
            calm=calm,
            stalled=stalled,
            dropped=numbers[-1] - numbers[0] + 1 - len(numbers),
            caught_up_s=caught_up_s,
            is_complete=readers.have_all(),
            worst_tick_late_ms=max(
                status["counters"]["worst_tick_late_ms"] for status in lab.statuses().values()
            ),
        )
    finally:
        lab.close()
    print(json.dumps(asdict(result)), flush=True)
    return 0 if all(result.is_complete.values()) and not calm.answered_twice + stalled.answered_twice else 1


def main() -> int:
    """The command."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=float, default=60.0)
    asked.add_argument("--nodes", type=int, default=5)
    asked.add_argument("--groups", type=int, default=3)
    asked.add_argument("--preset", default="standard")
    asked.add_argument("--raw", nargs=2, metavar=("HOST", "KEY"), help=argparse.SUPPRESS)
    options = asked.parse_args()
    if options.raw:
        raw(options.raw[0], Path(options.raw[1]))
    if not NODE_MODULES.is_dir():
        print("what examples/package.json names is missing: .ci/packages", file=sys.stderr)
        return 1
    return run_in_world(lambda directory: work(directory, options))


if __name__ == "__main__":
    sys.exit(main())
