"""Is a real switch under calls ever held for stuck? An hour of pulses beside call load, in a laboratory.

    python -m bench.pulse_hour --freeswitch-prefix DIR [--minutes 60] [--calls 40] [--hold-s 20]

Stock sipp places calls through every floating address all the time, --calls of them standing at once in each group.
Nothing is broken, so whatever a daemon tells of its switch, and whatever moves, is wrong. One JSON line. Exit 0 only
if no problem of a switch was told, no group moved and no address was answered twice.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

from zcluster.adapters.control_socket import ask
from zcluster.adapters.journal import Journal
from zcluster.data.questions import FILE_NAME
from zcluster.errors import ControlSocketError, LabError
from zcluster.lab.laboratory import FOUNDING_LIMIT_S, Laboratory
from zcluster.lab.plan import Network, SwitchKind, make_plan
from zcluster.lab.switches import check_prefix
from zcluster.lab.telephones import CALLER_PORT, CARRIER_NUMBER, CARRIER_PORT, SIP_PORT, Tally, read_tally
from zcluster.lab.verdict import judge
from zcluster.lab.world import RUN, run_in_world

LOOK_EVERY_S = 20.0
SAY_EVERY_S = 300.0
ANSWER_LIMIT_S = 5.0
RECORDS = 5000
ENDLESS = 10_000_000
# What a healthy hour may tell: everything else stands in the result.
ORDINARY = ("started", "founded", "state")
PULSE, OVERSLEEP, TURN = "longest_pulse_ms", "worst_oversleep_ms", "worst_turn_us"


@dataclass(slots=True)
class Result:
    """`told`: how often each code stands in the journals after the calls began, but for ORDINARY ones.

    `longest_pulse_ms`, `worst_oversleep_ms`, `worst_turn_ms`: of any data process since it started. `missed`: the
    longest gap of each address that missed a probe, in ms. `unjudged`: looks of LOOK_EVERY_S at the wire that
    missed frames. `loads`: of the machine, lowest and highest seen.
    """

    minutes: float
    nodes: int
    groups: int
    calls_at_once: int
    placed: int
    failed: int
    takeovers: int
    answered_twice: int
    unjudged: int
    missed: dict[str, float]
    told: dict[str, int]
    longest_pulse_ms: int
    worst_oversleep_ms: int
    worst_turn_ms: int
    loads: tuple[float, float]

    @property
    def is_good(self) -> bool:
        """Whether nothing was told and nothing moved."""
        return not (self.takeovers or self.answered_twice or self.told)


def watch(lab: Laboratory, options: argparse.Namespace) -> Result:
    """The hour."""
    begin_calls(lab, options.calls, options.hold_s)
    lab.wait(5.0)
    before = {group.name: lab.ownership(group.name) for group in lab.plan.groups}
    began, since_ms, said = time.monotonic(), time.time_ns() // 1_000_000, time.monotonic()
    missed: dict[str, float] = {}
    twice, unjudged, loads = 0, 0, [os.getloadavg()[0]]
    while time.monotonic() - began < 60.0 * options.minutes:
        since_ns = time.time_ns()
        lab.observer.start_over()
        lab.wait(LOOK_EVERY_S)
        try:
            twice += len(judge(lab.observer.sightings(), {}))
        except LabError:  # frames that found no room: the ear had no processor for a while
            unjudged += 1
        loads.append(os.getloadavg()[0])
        for address in lab.plan.floating:
            if (gap := lab.probes.outage(address, since_ns)) is not None:
                missed[address] = max(missed.get(address, 0.0), round(gap.length_ms, 1))
        if time.monotonic() - said >= SAY_EVERY_S:
            said = time.monotonic()
            print(
                f"{time.strftime('%H:%M:%S')} {figures(lab)} {told(lab, since_ms)}",
                file=sys.stderr,
                flush=True,
            )
    tallies = [tally(lab, group.address_v4) for group in lab.plan.groups]
    found = figures(lab)
    return Result(
        minutes=round((time.monotonic() - began) / 60.0, 1),
        nodes=options.nodes,
        groups=options.groups,
        calls_at_once=options.calls * options.groups,
        placed=sum(each.succeeded + each.failed for each in tallies),
        failed=sum(each.failed for each in tallies),
        takeovers=sum(lab.ownership(name) != owner for name, owner in before.items()),
        answered_twice=twice,
        unjudged=unjudged,
        missed=missed,
        told=told(lab, since_ms),
        longest_pulse_ms=found[PULSE],
        worst_oversleep_ms=found[OVERSLEEP],
        worst_turn_ms=found[TURN] // 1000,
        loads=(round(min(loads), 1), round(max(loads), 1)),
    )


def begin_calls(lab: Laboratory, calls: int, hold_s: int) -> None:
    """Callers to every group, and the carrier; each call ends by itself and another one begins."""
    sipp = shutil.which("sipp")
    if sipp is None:
        raise LabError("calls need `sipp`: apt-get install sip-tester")
    client = lab.plan.client
    host, address = lab.hosts[client.name], client.address(Network.SERVICE)
    common = ("-i", address, "-m", str(ENDLESS), "-nostdin", "-trace_stat", "-fd", "5")
    texts = {
        name: (files("zcluster.lab") / "scenarios" / name).read_text()
        for name in ("callee.xml", "caller.xml")
    }
    for name, text in texts.items():
        (lab.directory / name).write_text(text.replace("15000", str(1000 * hold_s)))
    jobs: list[tuple[str, str, int, tuple[str, ...]]] = [
        ("carrier", "callee.xml", CARRIER_PORT, ("-l", str(4 * calls * len(lab.plan.groups))))
    ]
    for number, group in enumerate(lab.plan.groups):
        rate = ("-r", str(calls), "-rp", str(1000 * hold_s), "-l", str(2 * calls))
        dialled = (f"{group.address_v4}:{SIP_PORT}", "-s", CARRIER_NUMBER, *rate)
        jobs.append((group.address_v4, "caller.xml", CALLER_PORT + number, dialled))
    for name, scenario, port, words in jobs:
        command = [sipp, "-sf", str(lab.directory / scenario), *words, *common, "-p", str(port)]
        command += ["-stf", str(lab.directory / f"{name}.csv")]
        host.start(name, command, lab.directory / f"{name}.log", {**os.environ, "TERM": "dumb"})


def tally(lab: Laboratory, name: str) -> Tally:
    """What sipp says now."""
    return read_tally((lab.directory / f"{name}.csv").read_text())


def figures(lab: Laboratory) -> dict[str, int]:
    """The worst of all data processes."""
    worst = dict.fromkeys((PULSE, OVERSLEEP, TURN), 0)
    for node in lab.powered:
        with suppress(ControlSocketError):
            answer = ask(lab.directory / RUN / node / FILE_NAME, {"ask": "streams"}, ANSWER_LIMIT_S)
            found = answer.get("figures")
            if isinstance(found, dict):
                worst = {name: max(value, int(found[name])) for name, value in worst.items()}
    return worst


def told(lab: Laboratory, since_ms: int) -> dict[str, int]:
    """What stands in the journals since then, by code."""
    counts: Counter[str] = Counter()
    for node in lab.powered:
        for record in Journal(lab.directory / "state" / node).recent(RECORDS):
            if record.at_ms >= since_ms and record.node == node and record.code not in ORDINARY:
                counts[record.code] += 1
    return dict(counts)


def _work(options: argparse.Namespace, directory: Path) -> int:
    plan = make_plan(
        options.nodes, options.groups, options.preset, SwitchKind.FREESWITCH, check_prefix(options.prefix)
    )
    lab = Laboratory(directory, plan)
    try:
        lab.build()
        lab.wait_until_well(2 * FOUNDING_LIMIT_S)
        result = watch(lab, options)
        print(json.dumps(asdict(result)), flush=True)
        if not result.is_good:
            for group in plan.groups:
                print("\n".join(lab.story(group.name, lab.powered[0])), file=sys.stderr)
            print(lab.log_tails(), file=sys.stderr)
        return 0 if result.is_good else 1
    finally:
        lab.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--freeswitch-prefix", type=Path, dest="prefix", required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--hold-s", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--groups", type=int, default=2)
    parser.add_argument("--preset", default="standard")
    return run_in_world(partial(_work, parser.parse_args()))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
