"""`zcluster lab demo`: narrated, a quarter of a minute: a host dies and nobody on the telephone notices for long.

What must hold: every sentence that claims something is checked before it is said; the exit status is 0 only if
all of it happened. The picture changes nothing: it is drawn between measurements, in the same thread.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import wrap

from rich.console import Console
from rich.live import Live

from zcluster.console.words import listed, ordinal
from zcluster.errors import LabError
from zcluster.lab.cluster_view import Status, holders_by_group, slaves
from zcluster.lab.laboratory import FOUNDING_LIMIT_S, LOOK_EVERY_S, Laboratory
from zcluster.lab.picture import CELL_NS, STRIP_CELLS, WIDTH, AddressRow, NodeRow, draw, plain, strip
from zcluster.lab.plan import GroupPlan, Plan, make_plan
from zcluster.lab.program import this_program
from zcluster.lab.verdict import judge

NODES, GROUPS = 4, 3
LONGEST_OUTAGE_MS = 1000.0
_TAKEOVER_LIMIT_S = 5.0
_FRAME_S = 0.2
_ASK_EVERY_S = 0.5
_STORY_LINES = 12
_FRAME_COLUMNS = 4
_STEADY_MS = 100


def demo_plan(preset: str) -> Plan:
    """Three masters and one slave."""
    return make_plan(NODES, GROUPS, preset)


def demo_work(plan: Plan, directory: Path, *, live: bool) -> int:
    """The work of the world's first process. Raises LabError when something claimed did not happen."""
    lab = Laboratory(directory, plan)
    try:
        with _Stage(lab, live) as stage:
            _play(lab, stage)
        return 0
    except LabError:
        print(lab.log_tails(), file=sys.stderr)
        raise
    finally:
        lab.close()


class _Stage:
    """Where the story is told: a live picture on a terminal, plain lines elsewhere."""

    def __init__(self, lab: Laboratory, live: bool) -> None:
        self._lab = lab
        self._said: list[str] = []
        self._statuses: Mapping[str, Status] = {}
        self._asked_s = 0.0
        self._drawn_s = 0.0
        self._begin_s = time.monotonic()
        self._live = Live(console=Console(width=WIDTH), auto_refresh=False) if live else None

    def __enter__(self) -> _Stage:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Tell one thing."""
        head = f"{time.monotonic() - self._begin_s:5.1f} s  "
        lines = wrap(
            head + text, WIDTH - _FRAME_COLUMNS, subsequent_indent=" " * len(head), drop_whitespace=True
        )
        self._said += lines
        if self._live is None:
            print("\n".join(lines), flush=True)
        else:
            self.refresh(now=True)

    def show(self) -> None:
        """On paper, one picture; a terminal shows it all the time."""
        if self._live is None:
            self._ask()
            print("\n".join(plain(self._nodes(), self._addresses())), flush=True)

    def pause(self, live_s: float, plain_s: float) -> None:
        """Give the reader time."""
        until = time.monotonic() + (live_s if self._live is not None else plain_s)
        self.wait_for(lambda: time.monotonic() >= until, live_s + plain_s + 5.0, "a pause")

    def wait_for(
        self, condition: Callable[[], bool], limit_s: float, what: str, every_s: float = LOOK_EVERY_S
    ) -> None:
        """Wait while the picture moves. Raises LabError, naming `what`, at the limit."""

        def look() -> bool:
            self.refresh()
            return condition()

        self._lab.wait_for(look, limit_s, what, every_s)

    def refresh(self, now: bool = False) -> None:
        """Draw the picture again, if it is time to."""
        now_s = time.monotonic()
        if self._live is None or (now_s - self._drawn_s < _FRAME_S and not now):
            return
        if now_s - self._asked_s > _ASK_EVERY_S:
            self._ask()
        self._drawn_s = now_s
        picture = draw(self._nodes(), self._addresses(), self._said[-_STORY_LINES:])
        self._live.update(picture, refresh=True)

    def _ask(self) -> None:
        self._asked_s = time.monotonic()
        self._statuses = self._lab.statuses()

    def _nodes(self) -> list[NodeRow]:
        rows = []
        for node in self._lab.plan.nodes:
            status = self._statuses.get(node.name)
            if node.name not in self._lab.powered:
                rows.append(NodeRow(node.name, "no power", "", ""))
            elif status is None:
                rows.append(NodeRow(node.name, "silent", "", ""))
            else:
                own = next(row for row in status["nodes"] if row["is_self"])
                note = f"{ordinal(own['position'])} slave" if own["position"] else ""
                rows.append(NodeRow(node.name, own["state"], " ".join(own["holds"]), note))
        return rows

    def _addresses(self) -> list[AddressRow]:
        self._lab.observer.collect()
        now_ns = time.time_ns()
        rows = []
        for group in self._lab.plan.groups:
            probes = self._lab.probes.probes(group.address_v4, now_ns - (STRIP_CELLS + 4) * CELL_NS)
            latest = self._lab.observer.latest(group.address_v4)
            host = latest.host if latest else "nobody"
            rows.append(AddressRow(group.name, group.address_v4, host, strip(probes, now_ns)))
        return rows


def _play(lab: Laboratory, stage: _Stage) -> None:
    stage.say(f"Building {NODES} hosts out of network namespaces: two cluster links and a service network.")
    lab.build()
    stage.say("On each host `zcluster run` starts; a client asks every address for an answer every 2 ms.")
    stage.wait_for(
        lambda: _is_well(lab), FOUNDING_LIMIT_S, "the cluster is founded and every group held", _FRAME_S
    )
    statuses = lab.wait_until_well()
    holders = {name: own.holder for name, own in holders_by_group(statuses, _groups(lab)).items()}
    ready = slaves(statuses)
    _check(len(set(holders.values())) == GROUPS and ready == _others(lab, holders), "3 masters and 1 slave")
    held = listed([f"{holder} holds {group}" for group, holder in holders.items()])
    stage.say(f"The cluster has founded itself: {held};")
    stage.say(f"{ready[0]} is the slave and stands ready for any of them.")
    stage.show()
    stage.pause(6.0, 2.0)
    victim = _let_a_host_die(lab, stage, holders, ready[0])
    _let_it_return(lab, stage, victim)
    stage.say(
        "All of this was checked on the wire, and nothing is left behind. Now break it yourself: "
        f"{this_program()} lab up"
    )
    stage.pause(2.0, 0.0)


def _let_a_host_die(lab: Laboratory, stage: _Stage, holders: Mapping[str, str], slave: str) -> str:
    group = lab.plan.groups[1]
    victim = holders[group.name]
    stage.say(f"In three seconds {victim} loses power: it holds {group.name}, {group.address_v4}.")
    stage.pause(3.0, 1.0)
    lab.observer.start_over()
    since_ns = time.time_ns()
    lab.cut_off(victim)
    # Nothing is drawn and nobody asked until the address answers again.
    lab.wait_for(
        lambda: _answers_from(lab, group, victim, since_ns),
        _TAKEOVER_LIMIT_S,
        f"{group.name} answers from another host",
    )
    gaps = [gap for address in group.addresses if (gap := lab.probes.outage(address, since_ns)) is not None]
    _check(bool(gaps) and all(gap.is_over for gap in gaps), "the client missed answers, and they came back")
    outage_ms = max(gap.length_ms for gap in gaps)
    latest = lab.observer.latest(group.address_v4)
    _check(latest is not None and latest.host == slave, f"{slave} answers for {group.name}")
    _check(
        outage_ms < LONGEST_OUTAGE_MS, f"an outage of {outage_ms:.0f} ms is below {LONGEST_OUTAGE_MS:g} ms"
    )
    stage.say(f"{victim} is dead. {slave} answers for {group.address_v4}: the outage was {outage_ms:.0f} ms.")
    untouched = [each for each in lab.plan.groups if each.name != group.name]
    for address in (address for each in untouched for address in each.addresses):
        _check(lab.probes.outage(address, since_ns) is None, f"{address} missed nothing")
    stage.say(f"{listed([each.name for each in untouched])} missed nothing.")
    stage.pause(6.0, 2.0)
    stage.show()
    order = {address: [victim, slave] for address in group.addresses}
    _check(not judge(lab.observer.sightings(), order), "no address was answered by two hosts at once")
    stage.say("Two hosts never answered for one address, ARP and neighbour discovery included.")
    return victim


def _let_it_return(lab: Laboratory, stage: _Stage, victim: str) -> None:
    stage.pause(3.0, 0.0)
    stage.say(f"{victim} gets its power back.")
    lab.clear_away(victim)
    lab.power_on(victim)
    begin_s = time.monotonic()
    stage.wait_for(lambda: _is_well(lab), FOUNDING_LIMIT_S, f"{victim} is back and all is well", _FRAME_S)
    statuses = lab.wait_until_well()
    _check(slaves(statuses) == [victim], f"{victim} is the slave")
    stage.say(
        f"{time.monotonic() - begin_s:.1f} s later {victim} is back, as slave; the group stays where it is."
    )
    stage.show()
    stage.pause(4.0, 0.0)


def _is_well(lab: Laboratory) -> bool:
    return not lab.complaints(lab.statuses())


def _answers_from(lab: Laboratory, group: GroupPlan, former: str, since_ns: int) -> bool:
    for address in group.addresses:
        seen = lab.observer.latest(address)
        if seen is None or seen.host == former or seen.when_ns < since_ns:
            return False
    return all(lab.probes.is_answering(address, _STEADY_MS) for address in group.addresses)


def _groups(lab: Laboratory) -> list[str]:
    return [group.name for group in lab.plan.groups]


def _others(lab: Laboratory, holders: Mapping[str, str]) -> list[str]:
    return [node for node in lab.powered if node not in holders.values()]


def _check(is_true: bool, claim: str) -> None:
    if not is_true:
        raise LabError(f"the demo's claim is not true: {claim}")
