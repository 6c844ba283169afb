"""What becomes of telephone calls in scenes that one trial of `zcluster lab` does not tell: each in a laboratory.

    python -m bench.calls [SCENE ...] [--calls 20] [--trials 30] [--switch freeswitch --freeswitch-prefix DIR]

scenes:  sizes         1, 10 and 100 calls through kill-host and kill-switch, beside ten of another master
         two-masters   two of three masters lose power at once; two slaves take their calls
         lost-slave    the slave that takes over loses power itself while calls come back; the next one has them all
         dead-links    both cluster links of every host are dead for 2 s: no call notices, and `why` tells of it
         audio         RTP both ways in 1 and 10 calls through kill-host: how long nothing is heard
         kill-switch   the switch alone is killed, again and again: how soon the address answers on the slave

Needs sipp, and root or user namespaces. One JSON line a result. Exit 0 only if no call was lost that could live and
no address was answered twice; for kill-switch also if no outage reached 50 ms, which asks for a calm machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

from zcluster.errors import LabError
from zcluster.lab.laboratory import FOUNDING_LIMIT_S, Laboratory
from zcluster.lab.plan import CLUSTER_NETWORKS, Network, SwitchKind, make_plan
from zcluster.lab.rtp_capture import RtpCapture, silence
from zcluster.lab.sip_capture import Side
from zcluster.lab.switches import check_prefix
from zcluster.lab.telephones import CARRIER_PORT, CallsWanted, Tally, count_calls, count_disturbed
from zcluster.lab.trial import NO_CALLS, Pace, run_trial
from zcluster.lab.trial_calls import TrialCalls, begin_calls
from zcluster.lab.verdict import judge
from zcluster.lab.world import run_in_world

SIZES = (1, 10, 100)
OTHERS = 10
WITH_AUDIO = (1, 10)
HEARD_AGAIN_MS = 3000.0
AUDIO_TRIALS = 3
TAKEOVER_LIMIT_S = 15.0
DEAD_S = 2.0
LONGEST_OUTAGE_MS = 50.0
LOOK_EVERY_S = 0.002


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line. `calls`: through each group; `trials`: of kill-switch, and AUDIO_TRIALS at most of audio."""

    calls: int
    trials: int


@dataclass(frozen=True, slots=True)
class Scene:
    """How many nodes and groups it needs, and what is done with them: True if all was as it should be."""

    nodes: int
    groups: int
    play: Callable[[Laboratory, Asked], bool]


def sizes(lab: Laboratory, asked: Asked) -> bool:
    del asked
    is_good, pace = True, Pace()
    group = lab.plan.groups[0]
    for fault in ("kill-host", "kill-switch"):
        for calls in SIZES:
            if fault == "kill-switch":
                lab.wait(pace.seconds_before(group.name, time.monotonic()))
                pace.count(group.name, time.monotonic())
            wanted = CallsWanted(calls, OTHERS)
            result, trial = run_trial(lab, fault, group, Random(f"{fault}:{calls}"), wanted)
            print(result.line(), flush=True)
            _say([*trial.problems, *trial.notes])
            count = result.calls
            is_whole = count is not None and count.recovered == calls and not count.others_disturbed
            is_good = is_good and is_whole and not trial.problems and not result.answered_twice
            lab.wait_until_well()
    return is_good


def two_masters(lab: Laboratory, asked: Asked) -> bool:
    groups = lab.plan.groups
    calls = begin_calls(lab, groups[0], CallsWanted(asked.calls, 2 * asked.calls))
    victims = [lab.ownership(group.name).holder for group in groups[:2]]
    _begin(calls)
    for node in victims:
        lab.cut_off(node)
    for group in groups[:2]:
        _wait_for_another(lab, group.address_v4, victims)
    lost = _end(calls, "two-masters", [group.address_v4 for group in groups[:2]])
    return _put_back(lab, victims) and not lost


def lost_slave(lab: Laboratory, asked: Asked) -> bool:
    group = lab.plan.groups[0]
    calls = begin_calls(lab, group, CallsWanted(asked.calls))
    victims = [lab.ownership(group.name).holder]
    _begin(calls)
    lab.cut_off(victims[0])
    side: Side = (group.address_v4, CARRIER_PORT)
    lab.wait_for(
        lambda: bool(calls.watch.reinvites(side)), TAKEOVER_LIMIT_S, "a first re-INVITE", LOOK_EVERY_S
    )
    seen = lab.observer.latest(group.address_v4)
    assert seen is not None, "nobody sent the re-INVITE"
    before = len(calls.watch.reinvites(side))
    victims.append(seen.host)
    calls.watch.begin(time.time_ns())
    lab.cut_off(seen.host)
    print(f"{seen.host} dies with {before} of {asked.calls} callees invited again", file=sys.stderr)
    _wait_for_another(lab, group.address_v4, victims)
    lost = _end(calls, "lost-slave", [group.address_v4])
    return _put_back(lab, victims) and not lost


def dead_links(lab: Laboratory, asked: Asked) -> bool:
    others = (len(lab.plan.groups) - 1) * asked.calls
    calls = begin_calls(lab, lab.plan.groups[0], CallsWanted(asked.calls, others))
    _begin(calls)
    for node in lab.powered:
        lab.switchboard.unplug(node, *CLUSTER_NETWORKS)
    lab.wait(DEAD_S)
    for node in lab.powered:
        lab.switchboard.plug(node, *CLUSTER_NETWORKS)
    lost = _end(calls, "dead-links", [])
    lab.wait_until_well()
    _say(lab.story(lab.plan.groups[0].name, lab.powered[0]))
    return not lost


def audio(lab: Laboratory, asked: Asked) -> bool:
    """A real switch: the fake passes no audio."""
    group, is_good = lab.plan.groups[0], True
    for count in WITH_AUDIO:
        for _ in range(min(asked.trials, AUDIO_TRIALS)):
            calls = begin_calls(lab, group, CallsWanted(count, has_audio=True))
            ear = RtpCapture(Network.SERVICE.port(lab.plan.client.name), [group.address_v4])
            lab.wait(1.0)
            holder = lab.ownership(group.name).holder
            _begin(calls)
            lab.cut_off(holder)
            _wait_for_another(lab, group.address_v4, [holder])
            lost = _end(calls, "audio", [group.address_v4])
            gone = silence(ear.end(), group.address_v4, calls.watch.since_ns, HEARD_AGAIN_MS)
            print(json.dumps({"scene": "audio", "calls": count, **gone.facts()}), flush=True)
            is_good = is_good and not lost and not gone.lost and gone.streams == 2 * count
            is_good = _put_back(lab, [holder]) and is_good
    return is_good


def kill_switch(lab: Laboratory, asked: Asked) -> bool:
    outages, twice, pace = [], 0, Pace()
    for number in range(asked.trials):
        group = lab.plan.groups[number % len(lab.plan.groups)]
        lab.wait(pace.seconds_before(group.name, time.monotonic()))
        pace.count(group.name, time.monotonic())
        result, trial = run_trial(lab, "kill-switch", group, Random(number), NO_CALLS)
        print(result.line(), flush=True)
        _say([*trial.problems, *trial.notes])
        twice += result.answered_twice
        outages.append(result.outage_ms or 0.0)
        lab.wait_until_well()
    load = os.getloadavg()[0]
    facts = {"scene": "kill-switch", "trials": asked.trials, "median_ms": median(outages)}
    print(json.dumps({**facts, "worst_ms": max(outages), "answered_twice": twice, "load": round(load, 1)}))
    return max(outages) < LONGEST_OUTAGE_MS and not twice


SCENES = {
    "sizes": Scene(4, 2, sizes),
    "two-masters": Scene(5, 3, two_masters),
    "lost-slave": Scene(5, 1, lost_slave),
    "dead-links": Scene(4, 2, dead_links),
    "audio": Scene(3, 1, audio),
    "kill-switch": Scene(4, 3, kill_switch),
}


def _begin(calls: TrialCalls) -> None:
    calls.lab.observer.start_over()
    calls.watch.begin(time.time_ns())


def _wait_for_another(lab: Laboratory, address: str, dead: Sequence[str]) -> None:
    def is_there() -> bool:
        seen = lab.observer.latest(address)
        return seen is not None and seen.host not in dead and lab.probes.is_answering(address, 100)

    lab.wait_for(is_there, TAKEOVER_LIMIT_S, f"{address} answered by another")


def _end(calls: TrialCalls, scene: str, hit: Sequence[str]) -> int:
    """Waits until all have hung up, prints a line for each address; how many were lost or disturbed."""
    lab, telephones = calls.lab, calls.telephones
    lab.comes_true(telephones.has_ended, telephones.longest_s)
    lab.collect()
    tallies = telephones.end()
    calls.also_hit = tuple(hit)
    _say(calls.complaints())
    lost = len(calls.watch.steps_back) + len(calls.watch.ghosts)
    for target, placed in telephones.wanted.items():
        known = (target, telephones.port(target), tallies.callers[target])
        if target in hit:
            count = count_calls(placed, calls.watch, *known)
            facts = count.facts()
            lost += placed - count.recovered
            _say([_ending(calls, target, tallies.callers[target])])
        else:
            disturbed = count_disturbed(calls.watch, placed, *known)
            facts = {"others": placed, "others_disturbed": disturbed}
            lost += disturbed
        gap = lab.probes.outage(target, calls.watch.since_ns)
        outage = {"outage_ms": None if gap is None else round(gap.length_ms, 1)}
        print(json.dumps({"scene": scene, "address": target, **outage, **facts}), flush=True)
    return lost + len(judge(lab.observer.sightings(), {}))


def _ending(calls: TrialCalls, target: str, callers: Tally) -> str:
    """How the calls through `target` ended, in words."""
    watch, sides = calls.watch, ((target, calls.telephones.port(target)), (target, CARRIER_PORT))
    invited = [len(watch.reinvites(side)) for side in sides]
    return (
        f"{target}: invited again {invited[0]} callers, {invited[1]} callees; ended well {callers.succeeded} callers, "
        f"{watch.count_parted(sides[1])} callees; CSeq no higher {len(watch.steps_back)}, ghosts {len(watch.ghosts)}"
    )


def _put_back(lab: Laboratory, nodes: Sequence[str]) -> bool:
    """Power returns; what the cluster tells of it is printed."""
    for node in nodes:
        lab.clear_away(node)
        lab.power_on(node)
    try:
        lab.wait_until_well(FOUNDING_LIMIT_S)
    except LabError as error:
        _say([str(error)])
        return False
    for group in lab.plan.groups:
        _say(lab.story(group.name, lab.powered[0]))
    return True


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def _work(scene: Scene, asked: Asked, kind: SwitchKind, prefix: Path | None, directory: Path) -> int:
    lab = Laboratory(directory, make_plan(scene.nodes, scene.groups, "standard", kind, prefix))
    try:
        lab.build()
        lab.wait_until_well(2 * FOUNDING_LIMIT_S)
        is_good = scene.play(lab, asked)
        if not is_good:
            _say([lab.log_tails()])
        return 0 if is_good else 1
    except LabError:
        _say([lab.log_tails()])
        raise
    finally:
        lab.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help="by default all of them")
    parser.add_argument("--calls", type=int, default=20, help="through each group")
    parser.add_argument("--trials", type=int, default=30, help="of kill-switch")
    parser.add_argument("--switch", choices=["fake", "freeswitch"], default="fake")
    parser.add_argument("--freeswitch-prefix", type=Path, dest="prefix")
    words = parser.parse_args()
    if unknown := set(words.scenes) - set(SCENES):
        parser.error(f"no such scene: {', '.join(sorted(unknown))}")
    if (words.switch == "freeswitch") != (words.prefix is not None):
        parser.error("--switch freeswitch and --freeswitch-prefix DIR belong together")
    prefix = None if words.prefix is None else check_prefix(words.prefix)
    asked, kind = Asked(words.calls, words.trials), SwitchKind(words.switch)
    failed = []
    for name in words.scenes or SCENES:
        _say([f"-- {name}"])
        if run_in_world(partial(_work, SCENES[name], asked, kind, prefix)):
            failed.append(name)
    if failed:
        _say([f"not as it should be: {', '.join(failed)}"])
    return 1 if failed else 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
