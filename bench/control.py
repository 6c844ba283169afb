"""What the control process costs: CPU, memory, and how late its beats are, with 4, 20 and 64 nodes.

    python -m bench.control [--nodes 4,20,64] [--seconds 20] [--out docs/control.jsonl] [--no-bus] [--profile DIR]
    python -m bench.control --draw           only the table and the picture of what the file holds

One real daemon in a network namespace, holding one group; its peers are played on the wire (see
`bench.simulated_peers`), so that a small machine can show a large cluster. Each size is measured twice: quiet,
and beside four busy loops of ordinary priority. Needs root. Takes about (20 + 2 x seconds) s a size; results are
appended to the file as JSON lines, and the table shows the newest of each kind.

CPU is what the scheduler counted for all threads of the process (/proc/PID/task/*/schedstat). Lateness is the
time between two beats as the kernel stamped them at a peer, less the beat interval: what comes earlier because
it is urgent is not late.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.bar_chart import Bar, Panel, draw_bars
from bench.simulated_peers import HEARD, listen_to_daemon, peers_work
from zcluster.config.keyfile import load_key, write_key
from zcluster.control.timing import PRESETS, preset_timing
from zcluster.errors import LabError
from zcluster.lab.cluster_view import Status, ask_status
from zcluster.lab.configuration import cluster_file
from zcluster.lab.host import Host, Program, Storage
from zcluster.lab.network import Switchboard
from zcluster.lab.plan import CLIENT, NETWORK_PREFIX, SERVICE_PREFIX_V6, GroupPlan, HostPlan, Network, Plan
from zcluster.lab.world import RUN, run_in_world
from zcluster.wire.keys import derive

BUSY_LOOPS = 4
PEERS_NUMBER = 250
FIRST_FLOATING = 100
READY_LIMIT_S = 40.0
SETTLE_S = 6.0
LOG_TAIL_LINES = 15


def make_large_plan(nodes: int, groups: int, preset: str) -> Plan:
    """Larger than the laboratory's own plans: `nodes` up to 99, `groups` up to 100."""
    return Plan(
        nodes=tuple(HostPlan(f"n{number:02d}", number) for number in range(1, nodes + 1)),
        client=HostPlan(CLIENT, PEERS_NUMBER),
        groups=tuple(
            GroupPlan(
                f"g{number}",
                f"{NETWORK_PREFIX[Network.SERVICE]}.{FIRST_FLOATING + number}",
                f"{SERVICE_PREFIX_V6}{FIRST_FLOATING + number}",
            )
            for number in range(1, groups + 1)
        ),
        preset=preset,
    )


def groups_of(nodes: int) -> int:
    """A fifth of the nodes are slaves; a large cluster has no more than sixteen groups."""
    return min(nodes - max(nodes // 5, 1), 16)


class Stage:
    """The daemon's host, the peers' host, and what is measured between them."""

    def __init__(self, directory: Path, plan: Plan, has_bus: bool) -> None:
        self.directory = directory
        self.plan = plan
        self.switchboard = Switchboard()
        self.record = directory / "heard"
        self.log = directory / "daemon.log"
        key_file = directory / "cluster.key"
        write_key(key_file)
        keys = derive(load_key(key_file))
        config_file = directory / "zcluster.toml"
        config_file.write_text(_only_for_the_daemon(cluster_file(plan, key_file), plan))
        self.switchboard.build_bridges()
        self.peers = self._host(plan.client)
        self._timing = preset_timing(plan.preset, len(plan.nodes))
        self.peers.fork("peers", peers_work(plan, keys, self._timing, has_bus))
        self.peers.fork("ear", lambda: listen_to_daemon(keys, plan.nodes[0].name, str(self.record)))
        self.host = self._host(plan.nodes[0])
        command = [sys.executable, "-m", "zcluster", "run", "--config", str(config_file)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.daemon: Program = self.host.start("daemon", command, self.log, environment)

    def _host(self, plan: HostPlan) -> Host:
        host = Host(plan, Storage(self.directory / RUN / plan.name, self.directory / "state" / plan.name))
        self.switchboard.connect(plan, host.process)
        host.configure()
        return host

    def wait_until_ready(self) -> None:
        """Until the daemon holds its group and hears every peer. Raises LabError with what is still wrong."""
        until = time.monotonic() + READY_LIMIT_S
        while (wrong := self._wrong()) and time.monotonic() < until:
            time.sleep(0.3)
        if wrong:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
            raise LabError(f"not ready after {READY_LIMIT_S:g} s: {wrong}\n{tail}")

    def status(self) -> Status | None:
        """What the daemon says."""
        return ask_status(self.directory / RUN / self.plan.nodes[0].name, 1.0)

    def _wrong(self) -> str:
        if not self.daemon.is_running():
            raise LabError(f"the daemon ended: {self.log.read_text(errors='replace')[-2000:]}")
        status = self.status()
        if status is None:
            return "the daemon does not answer"
        deaf = [row["name"] for row in status["nodes"] if not (row["is_heard"] or row["is_self"])]
        heard = len(status["nodes"]) - len(deaf)
        holder = {row["name"]: row["holder"] for row in status["groups"]}.get("g1")
        if heard != len(self.plan.nodes) or holder != self.plan.nodes[0].name:
            return f"it hears {heard} of {len(self.plan.nodes)}, g1 is held by {holder or 'nobody'}"
        return ""

    def measure(self, seconds: float) -> dict[str, object]:
        """One window."""
        before, begin_ns = thread_seconds(self.daemon.process), time.time_ns()
        counted = self._counters()
        yardstick = yardstick_us(seconds)
        after, end_ns = thread_seconds(self.daemon.process), time.time_ns()
        told = self._counters()
        elapsed_s = (end_ns - begin_ns) / 1e9
        used = {name: round(100 * (after[name] - before.get(name, 0.0)) / elapsed_s, 2) for name in after}
        beat_ms = self._timing.beat_ms
        late = sorted(max(gap - beat_ms, 0.0) for gap in gaps_ms(self.record, begin_ns, end_ns))
        memory = memory_kib(self.daemon.process)
        return {
            "cpu_percent": round(sum(used.values()), 2),
            "threads_percent": used,
            "rss_mib": round(memory["Rss"] / 1024, 1),
            "pss_mib": round(memory["Pss"] / 1024, 1),
            "beats": len(late) + 1,
            "late_ms": {f"p{share:g}": round(_at(late, share), 2) for share in (50, 99, 99.9, 100)},
            "turns_per_s": round((told["turns"] - counted["turns"]) / elapsed_s),
            "events_per_s": round((told["events"] - counted["events"]) / elapsed_s),
            "yardstick_us": yardstick,
            "wrong_at_end": self._wrong(),
        }

    def _counters(self) -> dict[str, int]:
        status = self.status()
        if status is None:
            raise LabError("the daemon does not answer")
        return dict(status["counters"])

    def close(self) -> None:
        """The processes go with the world."""
        self.switchboard.close()


def _only_for_the_daemon(text: str, plan: Plan) -> str:
    """The laboratory's file, with the first group bound to the real daemon, and one group a node."""
    text = text.replace("several-groups-per-node = true", "several-groups-per-node = false")
    return text.replace(
        '[[group]]\nname = "g1"\n', f'[[group]]\nname = "g1"\nallowed = ["{plan.nodes[0].name}"]\n'
    )


def yardstick_us(seconds: float) -> float:
    """What a fixed piece of Python costs meanwhile, in microseconds of a processor: the median of one a second.

    Where neighbours share caches and processors, the same work takes more of them: compare figures by this.
    """
    until, found = time.monotonic() + seconds, []
    while (left_s := until - time.monotonic()) > 0:
        before = time.thread_time_ns()
        sum(number * number for number in range(20_000))
        found.append((time.thread_time_ns() - before) / 1000)
        time.sleep(min(left_s, 1.0))
    return round(sorted(found)[len(found) // 2])


def thread_seconds(process: int) -> dict[str, float]:
    """Seconds on a processor so far, of the loop, ZeroMQ's threads and the other threads."""
    found: dict[str, float] = {}
    for task in Path(f"/proc/{process}/task").iterdir():
        name = (task / "comm").read_text().strip()
        kind = "loop" if task.name == str(process) else "zeromq" if name.startswith("ZMQ") else "side"
        nanoseconds = int((task / "schedstat").read_text().split()[0])
        found[kind] = found.get(kind, 0.0) + nanoseconds / 1e9
    return found


def memory_kib(process: int) -> dict[str, int]:
    """Rss and Pss of a process."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) for line in lines}


def gaps_ms(record: Path, begin_ns: int, end_ns: int) -> Iterator[float]:
    """The times between beats that follow each other, within the window."""
    before: tuple[int, int] | None = None
    for sequence, stamp_ns in HEARD.iter_unpack(_whole(record.read_bytes())):
        if begin_ns <= stamp_ns <= end_ns:
            if before is not None and sequence == before[0] + 1:
                yield (stamp_ns - before[1]) / 1e6
            before = (sequence, stamp_ns)


def _whole(data: bytes) -> bytes:
    return data[: len(data) - len(data) % HEARD.size]


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share / 100), len(ordered) - 1)] if ordered else 0.0


def busy_loop() -> None:
    """Ordinary priority, never waits."""
    while True:
        pass


def measure_size(directory: Path, plan: Plan, asked: argparse.Namespace) -> int:
    """The work of a world's first process: build, measure quiet and loaded, append."""
    stage = Stage(directory, plan, not asked.no_bus)
    try:
        stage.wait_until_ready()
        time.sleep(SETTLE_S)
        for loops in (0, BUSY_LOOPS):
            spinning = [stage.peers.fork("busy", busy_loop) for _ in range(loops)]
            time.sleep(1.0)
            found = stage.measure(asked.seconds)
            for program in spinning:
                program.signal(signal.SIGKILL)
            head = {"nodes": len(plan.nodes), "groups": len(plan.groups), "preset": plan.preset}
            head |= {"busy_loops": loops, "has_bus": not asked.no_bus, "seconds": asked.seconds}
            with asked.out.open("a") as out:
                print(json.dumps({**head, **found}), file=out)
            print(json.dumps({**head, **found}), flush=True)
        if asked.profile:
            profile(stage.daemon.process, asked.profile / f"{len(plan.nodes)}.raw")
    finally:
        stage.close()
    return 0


def profile(process: int, target: Path) -> None:
    """Where the loop's time goes, with py-spy if it is there."""
    spy = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))
    if not Path(spy).exists():
        print("no profile: py-spy is not installed", file=sys.stderr)
        return
    command = [spy, "record", "-p", str(process), "-d", "15", "-r", "400", "-f", "raw"]
    command += ["-o", str(target)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)


def newest_rows(out: Path) -> list[dict[str, Any]]:
    """The newest result of each kind, smaller clusters first."""
    newest: dict[tuple[int, int, bool], dict[str, Any]] = {}
    for line in out.read_text().splitlines():
        row = json.loads(line)
        newest[row["nodes"], row["busy_loops"], row["has_bus"]] = row
    return [row for _, row in sorted(newest.items())]


def picture(rows: Sequence[dict[str, Any]]) -> str:
    """CPU, memory and lateness by the size of the cluster."""
    shown = [row for row in rows if row["has_bus"]]
    labels = [f"{row['nodes']}\n{'busy' if row['busy_loops'] else 'quiet'}" for row in shown]
    cpu = [
        tuple(row["threads_percent"].get(kind, 0.0) for kind in ("loop", "zeromq", "side")) for row in shown
    ]
    late = [row["late_ms"]["p100"] for row in shown]
    return draw_bars(
        "The control process by the number of nodes",
        f"standard, {max(row['groups'] for row in shown)} groups at most; quiet, and beside {BUSY_LOOPS} busy loops",
        (
            Panel(
                "CPU, % of a core",
                list(map(Bar, labels, cpu)),
                ("loop", "libzmq", "side"),
                (5.0, "aim at 20"),
            ),
            Panel(
                "memory (RSS), MiB",
                [Bar(label, (row["rss_mib"],)) for label, row in zip(labels, shown, strict=True)],
                (),
                (60.0, "aim at 20"),
            ),
            Panel(
                "latest beat of 20 s, ms late",
                [Bar(label, (ms,)) for label, ms in zip(labels, late, strict=True)],
            ),
        ),
    )


def show(out: Path) -> None:
    """The newest result of each kind, as a table and beside the file as a picture."""
    rows = newest_rows(out)
    out.with_suffix(".svg").write_text(picture(rows))
    table = Table(title="The control process at standard: CPU in per cent of one core, lateness in ms")
    for column in ("nodes", "groups", "busy", "bus", "CPU", "loop", "zmq", "side", "RSS MiB", "PSS MiB"):
        table.add_column(column, justify="right")
    for column in ("late p50", "p99", "p99.9", "worst", "turns/s", "yardstick"):
        table.add_column(column, justify="right")
    for row in rows:
        threads, late = row["threads_percent"], row["late_ms"]
        cells = [row["nodes"], row["groups"], row["busy_loops"], "yes" if row["has_bus"] else "no"]
        cells += [row["cpu_percent"], *(threads.get(kind, 0.0) for kind in ("loop", "zeromq", "side"))]
        cells += [
            row["rss_mib"],
            row["pss_mib"],
            *late.values(),
            row["turns_per_s"],
            row.get("yardstick_us", ""),
        ]
        table.add_row(*map(str, cells))
    Console(width=150).print(table)


def main() -> int:
    """One world a size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", default="4,20,64", help="sizes, with commas between")
    parser.add_argument(
        "--groups", type=int, default=0, help="groups; 0: four fifths of the nodes, at most 16"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="length of one window")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="standard")
    parser.add_argument("--out", type=Path, default=Path("docs/control.jsonl"))
    parser.add_argument("--no-bus", action="store_true", help="leave the bus of the peers out")
    parser.add_argument("--profile", type=Path, help="a directory for py-spy's stacks")
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    asked = parser.parse_args()
    asked.out = asked.out.resolve()
    status = 0
    for nodes in [] if asked.draw else map(int, asked.nodes.split(",")):
        plan = make_large_plan(nodes, asked.groups or groups_of(nodes), asked.preset)
        status |= run_in_world(lambda where, plan=plan: measure_size(where, plan, asked))  # type: ignore[misc]
    show(asked.out)
    return status


if __name__ == "__main__":
    sys.exit(main())
