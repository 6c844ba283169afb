"""What a subscriber that stands still for a minute does to anybody, and whether it learns what it missed.

    python -m bench.stalled_subscriber [--seconds 60] [--nodes 5] [--groups 3] [--preset standard]

In a laboratory groups move one after another, first for a minute in which every subscriber reads, then for one in
which some are stopped (SIGSTOP) and go on after it. On the client's host stand three readers of one node's bus:
examples/subscriber.py twice, of which one is never stopped, examples/subscriber.js, and one that only counts what PUB
sent it. One JSON line. Exit 0 only if the stopped ones printed in the end what the other one did, once and in order,
and no address was answered twice. Needs node with what examples/package.json names (.ci/packages).
"""

from __future__ import annotations

import argparse
import json
import os
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
from zcluster.lab.plan import Network, make_plan
from zcluster.lab.verdict import judge
from zcluster.lab.world import run_in_world

HERE = Path(__file__).resolve().parents[1]
EXAMPLES = HERE / "examples"
NODE_MODULES = HERE / ".venv" / "node" / "node_modules"
BUS_LIMIT_S = 30.0
MOVE_LIMIT_S = 10.0
SETTLE_S = 0.3
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
    """`dropped`: records that PUB did not send to the one that only counts. `caught_up_s`: after it went on."""

    seconds: float
    calm: Minute
    stalled: Minute
    dropped: int
    caught_up_s: float
    is_complete: bool
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
        commands = {
            "calm": (sys.executable, str(EXAMPLES / "subscriber.py")),
            "python": (sys.executable, str(EXAMPLES / "subscriber.py")),
            "node": ("node", str(EXAMPLES / "subscriber.js")),
            "raw": (sys.executable, "-m", "bench.stalled_subscriber", "--raw"),
        }
        environment = {**os.environ, "NODE_PATH": str(NODE_MODULES)}
        self._logs = {name: lab.directory / f"{name}.out" for name in commands}
        self._programs: dict[str, Program] = {
            name: client.start(name, (*command, address, str(key)), self._logs[name], environment)
            for name, command in commands.items()
        }

    def printed(self, name: str) -> list[Any]:
        """What its whole lines say so far."""
        lines = self._logs[name].read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def stall(self, number: signal.Signals) -> None:
        """Stop or continue all but the calm one."""
        for name, program in self._programs.items():
            if name != "calm":
                program.signal(number)

    def are_equal(self) -> bool:
        """Whether everybody has printed the same."""
        return self.printed("calm") == self.printed("python") == self.printed("node")


def minute(lab: Laboratory, readers: Readers, node: str, seconds: float) -> Minute:
    """Groups move one after another."""
    told = len(readers.printed("calm"))
    gaps: list[float] = []
    lab.observer.start_over()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for group in lab.plan.groups:
            gaps += moved(lab, group.name, group.addresses[0])
    tools = lab.statuses()[node]["tools"]["pid"]
    return Minute(
        moves=len(gaps),
        told=len(readers.printed("calm")) - told,
        median_missed_ms=round(statistics.median(gaps), 1),
        worst_missed_ms=round(max(gaps), 1),
        answered_twice=len(judge(lab.observer.sightings(), {})),
        tools_rss_mib=resident_mib(tools),
    )


def moved(lab: Laboratory, group: str, address: str) -> list[float]:
    """How long its address was gone in a switchover; nothing if that was refused."""
    before = lab.ownership(group)
    since_ns = time.time_ns()
    try:
        lab.move(group, before.holder)
    except LabError:
        lab.wait(SETTLE_S)
        return []
    lab.wait_for(lambda: lab.ownership(group).epoch > before.epoch, MOVE_LIMIT_S, f"{group} moved")
    lab.wait(SETTLE_S)
    gap = lab.probes.outage(address, since_ns)
    return [gap.length_ms if gap is not None else 0.0]


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
            lambda: bool(readers.printed("calm")) and readers.are_equal(), BUS_LIMIT_S, "the readers hear"
        )
        moved(lab, lab.plan.groups[0].name, lab.plan.groups[0].addresses[0])
        lab.wait_for(lambda: bool(readers.printed("raw")), BUS_LIMIT_S, "the one that counts hears")
        calm = minute(lab, readers, node, options.seconds)
        readers.stall(signal.SIGSTOP)
        stalled = minute(lab, readers, node, options.seconds)
        readers.stall(signal.SIGCONT)
        began = time.monotonic()
        is_complete = lab.comes_true(readers.are_equal, CATCH_UP_LIMIT_S)
        caught_up_s = round(time.monotonic() - began, 2)
        lab.wait(2.0)
        numbers = readers.printed("raw")
        result = Result(
            seconds=options.seconds,
            calm=calm,
            stalled=stalled,
            dropped=numbers[-1] - numbers[0] + 1 - len(numbers),
            caught_up_s=caught_up_s,
            is_complete=is_complete and readers.are_equal(),
            worst_tick_late_ms=max(
                status["counters"]["worst_tick_late_ms"] for status in lab.statuses().values()
            ),
        )
    finally:
        lab.close()
    print(json.dumps(asdict(result)), flush=True)
    return 0 if result.is_complete and not calm.answered_twice + stalled.answered_twice else 1


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
