"""zcluster beside keepalived: how long an address does not answer, and whether two hosts answer for it.

    python -m bench.failover [--trials 30] [--block 3] [--minutes 60] [--out docs/failover.jsonl]
    python -m bench.failover --draw          only the table and the picture of what the file holds

Five contenders in turn, a block of trials of each fault at a time, in the laboratory that `zcluster lab` uses:
three hosts, one address of each family, a client that asks both every 2 ms, an observer at every host's port.
Besides, a stranger without memory asks by broadcast every 20 ms who has the IPv4 address: whoever still answers
is heard. A trial's result is one JSON line, appended; what the file has already is not run again, so a run that
was stopped goes on where it was. Needs root. 30 trials of each take about half an hour; give it a quiet machine.

faults:  kill-host    every process of the holder is killed and all its cables are dead
         link-down    all cables of the holder are pulled; its processes live and see the carrier go
         stop-daemon  the daemon stands still (SIGSTOP) and goes on 1.5 s later, or when the address has moved
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import struct
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.contenders import CONTENDERS, Contender, keepalived_version
from bench.strip_plot import Row, draw
from zcluster.errors import LabError
from zcluster.lab.faults import Fault, KillHost, StopDaemon
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import NETWORK_PREFIX, Network, Plan, make_plan
from zcluster.lab.verdict import judge
from zcluster.lab.world import run_in_world

NODES = 3
MOVE_LIMIT_S = 12.0
STEADY_MS = 60
SETTLE_S = 0.15
STRANGER_S = 0.02
STRANGER = f"{NETWORK_PREFIX[Network.SERVICE]}.251"
STRANGER_MAC = bytes.fromhex("0200005a4301")
COLOURS = {"zcluster standard": "#1f77b4", "zcluster fast": "#17becf"}
OTHER_COLOUR = "#8c6d31"


class LinkDown(Fault):
    """All cables of the host at once."""

    name = "link-down"
    story = "all its cables are pulled; it sees its carriers go"

    def inject(self) -> None:
        """Pull them."""
        self.lab.switchboard.unplug(self.holder, *Network)

    def heal(self) -> None:
        """Put them in again."""
        self.lab.switchboard.plug(self.holder, *Network)


FAULTS: dict[str, type[Fault]] = {fault.name: fault for fault in (KillHost, LinkDown, StopDaemon)}
Line = Mapping[str, Any]


def ask_who_has(address: str) -> None:
    """The stranger: never returns. It asks as a host that does not exist, so its asking changes no cache."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((Network.SERVICE.value, 0x0806))
        head = b"\xff" * 6 + STRANGER_MAC + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1)
        question = head + STRANGER_MAC + socket.inet_aton(STRANGER) + bytes(6) + socket.inet_aton(address)
        while True:
            with suppress(OSError):
                wire.send(question)
            time.sleep(STRANGER_S)


def run_block(directory: Path, contender: Contender, plan: Plan, wanted: Sequence[str], out: Path) -> int:
    """The work of a world's first process: one laboratory, the wanted trials one after another."""
    lab = contender.laboratory(directory, plan)
    try:
        lab.build()
        (group,) = plan.groups
        lab.hosts[plan.client.name].fork("stranger", lambda: ask_who_has(group.address_v4))
        contender.wait_until_well(lab, is_first=True)
        for fault_name in wanted:
            line = run_trial(lab, contender, fault_name)
            with out.open("a") as file:
                print(json.dumps(line), file=file)
            print(_words(line), flush=True)
            contender.wait_until_well(lab)
    except LabError as error:
        print(f"{contender.name}: {error}\n{lab.log_tails()}", file=sys.stderr, flush=True)
        return 1
    finally:
        lab.close()
    return 0


def run_trial(lab: Laboratory, contender: Contender, fault_name: str) -> Line:
    """Break, wait until another host answers steadily, mend, wait until all is well, judge."""
    (group,) = lab.plan.groups
    lab.observer.collect()
    latest = lab.observer.latest(group.address_v4)
    assert latest is not None, "an address that answers was seen"
    fault = FAULTS[fault_name](lab, group.name, latest.host, Random(0))
    told = contender.told_holders(lab)
    lab.observer.start_over()
    since_ns, began_s = time.time_ns(), time.monotonic()
    fault.inject()
    has_moved = lab.comes_true(
        lambda: _taken_over_ns(lab, fault.holder) is not None and _is_steady(lab), MOVE_LIMIT_S
    )
    taken_ns = _taken_over_ns(lab, fault.holder)
    told += contender.told_holders(lab)
    lab.wait(fault.hold_s - (time.monotonic() - began_s))
    # The outage is judged before the mending: what a returning host disturbs is another matter.
    outages = [lab.probes.outage(address, since_ns) for address in group.addresses]
    fault.heal()
    lab.wait(max(SETTLE_S, 1.5 * contender.advert_s))
    told += contender.told_holders(lab)
    sightings = list(lab.observer.sightings())
    overlaps = judge(sightings, dict.fromkeys(group.addresses, told))
    outage_ms = max((gap.length_ms for gap in outages if gap is not None), default=0.0)
    return {
        "contender": contender.name,
        "fault": fault_name,
        "outage_ms": round(outage_ms, 1) if has_moved else None,
        "taken_over_ms": round((taken_ns - since_ns) / 1e6, 1) if taken_ns else None,
        "answered_twice": bool(overlaps),
        "from": fault.holder,
        "to": ",".join(sorted({seen.host for seen in sightings} - {fault.holder})),
    }


def _taken_over_ns(lab: Laboratory, holder: str) -> int | None:
    """When the last of the addresses was first used by another host; None while one was not."""
    firsts: dict[str, int] = {}
    for seen in lab.observer.sightings():
        if seen.host != holder:
            firsts[seen.address] = min(seen.when_ns, firsts.get(seen.address, seen.when_ns))
    return max(firsts.values()) if set(firsts) == set(lab.plan.floating) else None


def _is_steady(lab: Laboratory) -> bool:
    return all(lab.probes.is_answering(address, STEADY_MS) for address in lab.plan.floating)


def run(trials: int, block: int, until_s: float, out: Path) -> int:
    """Rounds of blocks until every contender has its trials; the exit status."""
    failures: Counter[str] = Counter()
    for turn in range(2 * trials):
        for contender in [*CONTENDERS[turn % len(CONTENDERS) :], *CONTENDERS[: turn % len(CONTENDERS)]]:
            wanted = missing(read(out), contender.name, trials, block)
            if not wanted or contender.obstacle() or failures[contender.name] > 3:
                continue
            if time.monotonic() > until_s:
                print("the time is up: run it again to go on", file=sys.stderr)
                return 1
            plan = make_plan(NODES, 1, contender.preset or "standard")
            work = partial(run_block, contender=contender, plan=plan, wanted=wanted, out=out)
            failures[contender.name] += run_in_world(work) != 0
    return 1 if any(failures.values()) else 0


def missing(lines: Sequence[Line], name: str, trials: int, block: int) -> list[str]:
    """The next trials of a contender, at most `block` of each fault, one fault after another."""
    done = Counter(line["fault"] for line in lines if line["contender"] == name)
    return [fault for each in range(block) for fault in FAULTS if done[fault] + each < trials]


def read(out: Path) -> list[Line]:
    """All lines so far."""
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def show(lines: Sequence[Line]) -> None:
    """The table."""
    table = Table(
        title="Outage at a client that asks every 2 ms, and when another host first used the address; ms"
    )
    for column in (
        "fault",
        "contender",
        "trials",
        "median",
        "worst",
        "taken over",
        "answered twice",
        "not moved",
    ):
        table.add_column(column, justify="left" if column in ("fault", "contender") else "right")
    for fault in FAULTS:
        for contender in CONTENDERS:
            found = [line for line in lines if (line["contender"], line["fault"]) == (contender.name, fault)]
            if not found:
                table.add_row(fault, contender.name, "0", contender.obstacle() and "skipped")
                continue
            outages = [line["outage_ms"] for line in found if line["outage_ms"] is not None]
            taken = [line["taken_over_ms"] for line in found if line["taken_over_ms"] is not None]
            figures = [f"{statistics.median(outages):.0f}", f"{max(outages):.0f}"] if outages else ["-", "-"]
            figures.append(f"{statistics.median(taken):.0f}" if taken else "-")
            twice = sum(line["answered_twice"] for line in found)
            table.add_row(
                fault, contender.name, str(len(found)), *figures, str(twice), str(len(found) - len(outages))
            )
        table.add_section()
    Console(width=120).print(table)


def picture(lines: Sequence[Line]) -> str:
    """The strip plot."""
    blocks = []
    for fault in FAULTS:
        rows = []
        for contender in CONTENDERS:
            found = [
                line
                for line in lines
                if (line["contender"], line["fault"]) == (contender.name, fault)
                and line["outage_ms"] is not None
            ]
            rows.append(
                Row(
                    contender.name,
                    [line["outage_ms"] for line in found],
                    [line["answered_twice"] for line in found],
                    COLOURS.get(contender.name, OTHER_COLOUR),
                    contender.obstacle() or "no trial",
                )
            )
        blocks.append((fault, rows))
    subtitle = "dot: a trial; bar and number: the median; at 1 ms: nothing missed; RED: two hosts answered"
    return draw("How long the address does not answer", f"{subtitle}; {keepalived_version()}", blocks)


def _words(line: Line) -> str:
    outage = "did not move" if line["outage_ms"] is None else f"{line['outage_ms']:.0f} ms"
    twice = ", answered twice" if line["answered_twice"] else ""
    return f"{line['contender']:18s} {line['fault']:12s} {outage}, {line['from']} -> {line['to']}{twice}"


def main() -> int:
    """Run what is missing, then show and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=30, help="of each fault and contender")
    parser.add_argument("--block", type=int, default=3, help="trials of each fault before the next contender")
    parser.add_argument("--minutes", type=float, default=60.0, help="no block begins later")
    parser.add_argument("--out", type=Path, default=Path("docs/failover.jsonl"))
    parser.add_argument("--draw", action="store_true", help="run nothing")
    asked = parser.parse_args()
    out = asked.out.resolve()
    for contender in CONTENDERS:
        if obstacle := contender.obstacle():
            print(f"{contender.name} is skipped: {obstacle}", file=sys.stderr)
    status = 0
    if not asked.draw:
        status = run(asked.trials, asked.block, time.monotonic() + 60 * asked.minutes, out)
    lines = read(out)
    show(lines)
    out.with_suffix(".svg").write_text(picture(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
