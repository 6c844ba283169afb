"""Twenty nodes, sixteen groups, four slaves at `patient` in one laboratory, and what happens when they die.

    python -m bench.twenty            about four minutes; needs root or user namespaces

1. four masters die one by one: each is replaced; 2. the fifth loss follows `priority`: the least important
group goes without; 3. long-dead nodes are forgotten and more die; 4. everybody returns and is taken back;
5. four masters die at once. Exit 0 only if all of it happened and no address was answered twice.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import make_plan
from zcluster.lab.verdict import judge
from zcluster.lab.world import run_in_world

NODES = 20
GROUPS = 16
SETTLED_S = 60.0
FORGET_AFTER_S = 12


# Twenty nodes on three networks need more than a thousand neighbour entries, and all namespaces share one table.
NEIGHBOUR_LIMITS = tuple(
    Path(f"/proc/sys/net/{family}/neigh/default/gc_thresh{number}")
    for family in ("ipv4", "ipv6")
    for number in (3, 2, 1)
)
NEIGHBOURS = 8192


def main() -> int:
    before = [limit.read_text() for limit in NEIGHBOUR_LIMITS]
    try:
        for limit in NEIGHBOUR_LIMITS:
            limit.write_text(str(NEIGHBOURS))
    except OSError as error:
        _say(f"the neighbour table stays small ({error}): expect lost unicast beats")
    try:
        return run_in_world(_work)
    finally:
        for limit, text in zip(reversed(NEIGHBOUR_LIMITS), reversed(before), strict=True):
            with contextlib.suppress(OSError):
                limit.write_text(text)


def _work(directory: Path) -> int:
    plan = replace(
        make_plan(NODES, GROUPS, "patient"), lets_hold_several=False, forget_after_s=FORGET_AFTER_S
    )
    lab = Laboratory(directory, plan)
    try:
        lab.build()
        _say(f"{NODES} daemons started")
        lab.wait_until_well(120.0)
        lab.wait(2.0)
        run = _Run(lab)
        run.one_by_one(4)
        run.fifth()
        run.forgotten()
        run.everybody_back()
        run.at_once(4)
        return run.verdict()
    except Exception:
        _say(lab.log_tails())
        raise
    finally:
        lab.close()


def _say(text: str) -> None:
    print(f"{time.monotonic() - _STARTED:6.1f} s  {text}", flush=True)


_STARTED = time.monotonic()


class _Run:
    """The steps, in their order."""

    def __init__(self, lab: Laboratory) -> None:
        self.lab = lab
        self.outages: list[float] = []
        self.twice = 0
        self.dead: list[str] = []
        self.began_ns = 0

    def holders(self) -> dict[str, str]:
        statuses = self.lab.statuses()
        found = {}
        for group in self.lab.plan.groups:
            for status in statuses.values():
                for row in status["groups"]:
                    if row["name"] == group.name and row["holder"] and row["holder"] in self.lab.powered:
                        found[group.name] = str(row["holder"])
        return found

    def _judge(self) -> None:
        """Every step is judged by itself: within one, no address comes back to a host."""
        self.twice += len(judge(self.lab.observer.sightings(), {}))
        self.lab.observer.start_over()

    def kill(self, groups: list[str]) -> None:
        """The holders of these groups lose their power at the same moment."""
        self._judge()
        before = self.holders()
        self.began_ns = time.time_ns()
        for group in groups:
            self.lab.cut_off(before[group])
        self.dead = [before[group] for group in groups]

    def measure(self, groups: list[str], words: str) -> None:
        addresses = [self.lab.plan.group(group).address_v4 for group in groups]
        self.lab.wait_for(
            lambda: not set(addresses) & set(self.lab.silent_addresses()), 20.0, f"{words}: answered again"
        )
        self.lab.wait(1.0)
        for group, address in zip(groups, addresses, strict=True):
            gap = self.lab.probes.outage(address, self.began_ns)
            outage_ms = gap.length_ms if gap is not None else 0.0
            self.outages.append(outage_ms)
            _say(f"{words}: {group} answers again after {outage_ms:.0f} ms")

    def one_by_one(self, count: int) -> None:
        for group in [g.name for g in self.lab.plan.groups][:count]:
            self.kill([group])
            self.measure([group], f"{self.dead[0]} dies")

    def fifth(self) -> None:
        least = self.lab.plan.groups[-1].name
        first = self.lab.plan.groups[4].name
        self.kill([first])
        self.measure([first], f"{self.dead[0]} dies, no slave is left")
        self.lab.wait(3.0)
        held = self.holders()
        missing = [g.name for g in self.lab.plan.groups if g.name not in held]
        if missing != [least]:
            raise SystemExit(f"expected {least} to go without, but without are {missing}")
        _say(f"{least}, the least important group, goes without")

    def forgotten(self) -> None:
        self.lab.wait_for(
            lambda: all(len(s["roster"]) == NODES - 5 for s in self.lab.statuses().values()),
            FORGET_AFTER_S + 60.0,
            "five dead nodes are forgotten",
            0.5,
        )
        _say("five dead nodes are forgotten: a majority is now 8 of 15")
        victims = list(self.holders())[6:12]
        self.kill(victims)
        self.lab.wait(5.0)
        held = self.holders()
        _say(
            f"{len(victims)} more die at once (11 of 20 are dead now): {len(held)} groups are held by 9 nodes"
        )
        if len(held) != 9:
            raise SystemExit(f"expected 9 groups on 9 nodes, found {held}")

    def everybody_back(self) -> None:
        for node in self.lab.plan.nodes:
            if node.name not in self.lab.powered:
                self.lab.clear_away(node.name)
                self.lab.power_on(node.name)
        self.lab.wait_until_well(180.0)
        _say("everybody is back: all groups held, all nodes members again")

    def at_once(self, count: int) -> None:
        self.lab.wait(3.0)
        groups = [g.name for g in self.lab.plan.groups][:count]
        self.kill(groups)
        self.measure(groups, f"{count} masters die at once")

    def verdict(self) -> int:
        self.lab.wait(3.0)
        self._judge()
        median, worst = statistics.median(self.outages), max(self.outages)
        _say(f"outages: median {median:.0f} ms, worst {worst:.0f} ms; answered twice: {self.twice}")
        return 1 if self.twice else 0


if __name__ == "__main__":
    sys.exit(main())
