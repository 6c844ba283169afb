"""How fast changes of a switch's core database reach us, and how long we hold its lock: one JSON line.

    .venv/bin/python bench/core_db.py [--calls-per-second 50] [--seconds 10] [--directory /dev/shm] [--busy-loop]

A stand-in writes as the switch does (two legs a call, 9.8 KB of metadata each, an insert, an update, a deletion) in a
process of its own and counts how often it found the file locked; each such time is 100 ms of a switch's patience.
With --busy-loop the interpreter's lock is contended meanwhile, as by a loop that decodes without a pause.
"""

from __future__ import annotations

import argparse
import json
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.adapters.core_file import Switch  # noqa: E402
from zcluster.adapters.core_db import CoreDb  # noqa: E402
from zcluster.adapters.core_db_table import CoreTable, RowsRead  # noqa: E402
from zcluster.telephony.actions import DropForeignRows, DropRows, LoadRows  # noqa: E402
from zcluster.telephony.events import Row  # noqa: E402

METADATA_BYTES = 9_800
ALIVE_CALLS = 200


def _row(uuid: str) -> Row:
    return Row("another life", "sofia", "sip1", "fsB", uuid, b"<cdr>" + b"z" * METADATA_BYTES)


def _spin() -> None:
    while True:
        sum(range(1000))


def write(path: Path, calls_per_second: int, seconds: int) -> None:
    """The writing process: prints (retries, operations)."""
    switch = Switch(path)
    body = "x" * METADATA_BYTES
    legs: list[str] = []
    operations = 0
    began = time.monotonic()
    for number in range(calls_per_second * seconds):
        time.sleep(max(0.0, began + number / calls_per_second - time.monotonic()))
        switch.run("BEGIN EXCLUSIVE")
        for leg in (f"{number}-a", f"{number}-b"):
            stamp = str(time.monotonic_ns())
            switch.answer(leg, stamp + body)
            switch.update(leg, stamp + body)
            legs.append(leg)
            operations += 2
            if len(legs) > 2 * ALIVE_CALLS:
                switch.hang_up(legs.pop(0))
                operations += 1
        switch.run("COMMIT")
    print(switch.retries, operations)


def follow(path: Path, calls_per_second: int, seconds: int) -> dict[str, object]:
    """Read beside the writer; how late its inserts and updates arrive."""
    core_db = CoreDb(path)
    core_db.begin()
    command = [sys.executable, __file__, "--write", str(path)]
    command += ["--calls-per-second", str(calls_per_second), "--seconds", str(seconds)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    late_ms: list[float] = []
    while writer.poll() is None or select.select([core_db], [], [], 0.2)[0]:
        select.select([core_db], [], [], 0.2)
        for event in core_db.receive():
            rows = [row for _, row in event.changes if row] if isinstance(event, RowsRead) else []
            now_ns = time.monotonic_ns()
            late_ms += [(now_ns - int(row.metadata[:-METADATA_BYTES])) / 1e6 for row in rows]
    retries, operations = map(int, writer.communicate()[0].split())
    core_db.close()
    late_ms.sort()
    return {
        "calls_per_second": calls_per_second,
        "operations": operations,
        "writer_found_it_locked": retries,
        "late_ms_p50": round(late_ms[len(late_ms) // 2], 1),
        "late_ms_p99": round(late_ms[len(late_ms) * 99 // 100], 1),
        "late_ms_worst": round(late_ms[-1], 1),
    }


def transactions(path: Path) -> dict[str, float]:
    """Milliseconds of each kind of work of ours, alone on the file; the worst of some rounds."""
    switch, table = Switch(path), CoreTable(path)
    worst: dict[str, float] = {}

    def timed(name: str, work: object) -> None:
        assert callable(work)
        began = time.perf_counter()
        work()
        worst[name] = round(max(worst.get(name, 0.0), (time.perf_counter() - began) * 1000), 2)

    while table.read() or table.has_more:
        pass
    for number in range(20):
        rows = tuple(_row(f"{number}-{leg}") for leg in range(200))
        timed("load_200_rows", lambda: table.perform(LoadRows("p", rows)))  # noqa: B023
        switch.run("update recovery set metadata = metadata || 'x' where runtime_uuid = 'another life'")
        timed("read_100_changes", table.read)
        timed("drop_60_rows", lambda: table.perform(DropRows("p", tuple(row.uuid for row in rows[:60]))))  # noqa: B023
        timed("drop_140_foreign_rows", lambda: table.perform(DropForeignRows("p", "mine")))
        while table.read() or table.has_more:
            pass
        timed("look_with_no_news", table.read)
        timed("prune", table.prune)
    for part in range(10):
        table.perform(LoadRows("p", tuple(_row(f"all-{part}-{leg}") for leg in range(1000))))
    table.close()
    timed("read_all_10000_rows", table.read)
    table.close()
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls-per-second", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--directory", default=None, help="Where the database is made.")
    parser.add_argument("--busy-loop", action="store_true")
    parser.add_argument("--write", type=Path, default=None, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.write is not None:
        write(wanted.write, wanted.calls_per_second, wanted.seconds)
        return
    if wanted.busy_loop:
        threading.Thread(target=_spin, daemon=True).start()
    with TemporaryDirectory(dir=wanted.directory) as directory:
        path = Path(directory) / "core.db"
        Switch(path).start()
        figures: dict[str, object] = {"worst_ms": transactions(path)}
        path.unlink()
        Switch(path).start()
        figures["beside_a_writer"] = follow(path, wanted.calls_per_second, wanted.seconds)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
