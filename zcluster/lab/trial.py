"""`zcluster lab trial`: the same fault again and again, each trial judged from the client and from the wire.

What must hold: a trial that could not be judged is never counted as a good one. The figures come from the
client's probes (outage) and from the observer's sightings (two hosts at once), never from the daemons; they
only say who holds what at which epoch.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from zcluster.control.takeover import HEALTH_MOVES_LIMIT, HEALTH_MOVES_WINDOW_MS
from zcluster.errors import LabError
from zcluster.lab.catalogue import FAULTS
from zcluster.lab.cluster_view import Ownership, holders_by_group
from zcluster.lab.faults import Fault, PowerAll
from zcluster.lab.laboratory import FOUNDING_LIMIT_S, Laboratory
from zcluster.lab.plan import GroupPlan, Plan
from zcluster.lab.result import Result, summary
from zcluster.lab.telephones import CallCount, CallsWanted
from zcluster.lab.trial_calls import SETTLE_S, TrialCalls, begin_calls
from zcluster.lab.verdict import judge

MOVE_LIMIT_S = 10.0
RETURN_LIMIT_S = 30.0
_STEADY_MS = 100
_SETTLE_S = 0.15  # the newest probes are only judged when an answer can no longer come; see LATE_NS
_PACE_MARGIN_S = 1.0
_LATE_GAP_MS = 1000.0  # a gap that begins this long after the fault has another cause: worth a look
_NS_PER_MS = 1_000_000
NO_CALLS = CallsWanted()


@dataclass(slots=True)
class Trial:
    """What is known of a trial while it runs. `problems` is why it cannot be counted as judged."""

    lab: Laboratory
    fault: Fault
    group: GroupPlan
    before: dict[str, Ownership]
    since_ns: int = 0
    # Per group, the ownerships that the daemons told of, in the order they were told.
    told: dict[str, list[Ownership]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    wanted: CallsWanted = NO_CALLS
    calls: TrialCalls | None = None
    # Whether the calls are over with this trial.
    ends_calls: bool = True
    notes: list[str] = field(default_factory=list)

    def listen_to_daemons(self) -> None:
        """Note who holds what now, for the verdict."""
        statuses = self.lab.statuses()
        for name, ownership in holders_by_group(
            statuses, [group.name for group in self.lab.plan.groups]
        ).items():
            self.told.setdefault(name, [self.before[name]]).append(ownership)

    def holders(self, group: str) -> list[str]:
        """The holders of a group in the order of their epochs, none left out: a group may move and come back
        between two looks at the daemons.
        """
        by_epoch = {item.epoch: item.holder for item in self.told.get(group, []) if item.holder}
        first = self.before[group].epoch
        by_epoch |= {epoch: who for epoch, who in self.lab.takeovers(group).items() if epoch > first}
        return [by_epoch[epoch] for epoch in sorted(by_epoch)]


class Pace:
    """A holder gives a group away for its health only so often (no loops): trials must not come faster."""

    def __init__(self) -> None:
        self._moves_s: dict[str, deque[float]] = {}

    def seconds_before(self, group: str, now_s: float, moves: int = 1) -> float:
        """How long to wait before the group may be moved so many times in a row."""
        assert 1 <= moves <= HEALTH_MOVES_LIMIT, "more than a holder ever moves"
        earlier = self._moves(group)
        if len(earlier) + moves <= HEALTH_MOVES_LIMIT:
            return 0.0
        oldest_s = earlier[len(earlier) + moves - HEALTH_MOVES_LIMIT - 1]
        return max(oldest_s + HEALTH_MOVES_WINDOW_MS / 1000 + _PACE_MARGIN_S - now_s, 0.0)

    def count(self, group: str, now_s: float) -> None:
        """It is moved now."""
        self._moves(group).append(now_s)

    def _moves(self, group: str) -> deque[float]:
        return self._moves_s.setdefault(group, deque(maxlen=HEALTH_MOVES_LIMIT))


def run_trials(
    lab: Laboratory, fault_name: str, count: int, seed: int, as_json: bool, wanted: CallsWanted = NO_CALLS
) -> int:
    """Run `count` trials in a laboratory that has just been built; print a line each and a summary.

    Where the calls are to meet the fault again, a trial has two lines. Returns the exit status: 1 if a trial could
    not be judged, or an address was answered twice.
    """
    lab.wait_until_well(FOUNDING_LIMIT_S)
    results: list[Result] = []
    is_good = True
    pace = Pace()
    for number in range(count):
        is_judged = True
        for result, trial in _faults_of(lab, fault_name, number, seed, wanted, pace):
            results.append(result)
            print(result.line() if as_json else result.words(), flush=True)
            for text in [*trial.problems, *trial.notes]:
                print(f"trial {number + 1}: {text}", file=sys.stderr, flush=True)
            is_judged = is_judged and not trial.problems
            is_good = is_good and not trial.problems and not result.answered_twice
        if not is_judged and number + 1 < count:
            try:  # a trial may only begin where all is well
                lab.wait_until_well()
            except LabError as error:
                print(f"stopped after {number + 1} of {count} trials: {error}", file=sys.stderr)
                break
    print(summary(fault_name, lab.plan, results), file=sys.stderr)
    if not is_good:
        print(lab.log_tails(), file=sys.stderr)
    return 0 if is_good else 1


def _faults_of(
    lab: Laboratory, fault_name: str, number: int, seed: int, wanted: CallsWanted, pace: Pace
) -> Iterator[tuple[Result, Trial]]:
    """One trial: a fault, and where it is wanted the same fault once more for the same calls."""
    group = lab.plan.groups[number % len(lab.plan.groups)]
    times = 2 if wanted.is_again else 1
    calls: TrialCalls | None = None
    for time_of in range(times):
        if FAULTS[fault_name].is_health_move:
            if time_of == 0:
                lab.wait(pace.seconds_before(group.name, time.monotonic(), times))
            pace.count(group.name, time.monotonic())
        chance = Random(f"{seed}:{number}:{time_of}" if time_of else f"{seed}:{number}")
        is_last = time_of + 1 == times
        result, trial = run_trial(lab, fault_name, group, chance, wanted, calls, ends_calls=is_last)
        yield result, trial
        calls = trial.calls
        if trial.problems:
            if calls is not None and not is_last:
                calls.finish(trial.problems, trial.notes)
            return


def run_trial(
    lab: Laboratory,
    fault_name: str,
    group: GroupPlan,
    chance: Random,
    wanted: CallsWanted = NO_CALLS,
    calls: TrialCalls | None = None,
    *,
    ends_calls: bool = True,
) -> tuple[Result, Trial]:
    """One trial where all is well: place calls, break, wait, mend, wait until all is well again, judge.

    `calls`: those that stand already. Without `ends_calls` they stand afterwards, and are counted by their
    re-INVITEs alone.
    """
    before = holders_by_group(lab.statuses(), [each.name for each in lab.plan.groups])
    fault = FAULTS[fault_name](lab, group.name, before[group.name].holder, chance)
    trial = Trial(lab, fault, group, before, wanted=wanted, calls=calls, ends_calls=ends_calls)
    is_ready = not wanted.calls or _have_calls(trial)
    lab.observer.start_over()
    trial.since_ns = time.time_ns()
    if not is_ready:
        return _result(trial, None), trial
    if trial.calls is not None:
        trial.calls.watch.begin(trial.since_ns)
    outage_ms: float | None = None
    try:
        if isinstance(fault, PowerAll):
            outage_ms = _power_cut(trial, fault)
        else:
            _break_and_mend(trial)
        lab.wait_until_well()
        trial.problems += fault.complaints()
    except LabError as error:
        trial.problems.append(str(error))
    if fault.way:
        trial.notes.append(f"{fault_name} by {fault.way}")
    lab.wait(_SETTLE_S)
    # What broke only after all was well belongs to this trial: its end is waited for as well.
    lab.comes_true(lambda: not lab.silent_addresses(), MOVE_LIMIT_S)
    trial.listen_to_daemons()
    if not isinstance(fault, PowerAll):
        outage_ms = _outage_ms(trial)
    return _result(trial, outage_ms), trial


def _have_calls(trial: Trial) -> bool:
    """Whether the calls stand. That they could not be placed is this trial's problem, not the run's."""
    try:
        if trial.calls is None:
            trial.calls = begin_calls(trial.lab, trial.group, trial.wanted)
        else:
            trial.lab.wait(SETTLE_S)
    except LabError as error:
        trial.problems.append(str(error))
        return False
    return True


def _break_and_mend(trial: Trial) -> None:
    lab, fault = trial.lab, trial.fault
    begin = time.monotonic()
    fault.inject()
    if fault.moves:
        has_moved = lab.comes_true(lambda: _has_moved(trial), MOVE_LIMIT_S)
        if not has_moved:
            trial.problems.append(
                f"{trial.group.name} did not move within {MOVE_LIMIT_S:g} s of {fault.name}"
            )
        trial.listen_to_daemons()
    lab.wait(fault.hold_s - (time.monotonic() - begin))
    fault.heal()


def _has_moved(trial: Trial) -> bool:
    """Whether another host than before answers for every address of the group, steadily."""
    for address in trial.group.addresses:
        latest = trial.lab.observer.latest(address)
        if latest is None or latest.host == trial.fault.holder or latest.when_ns < trial.since_ns:
            return False
    return all(trial.lab.probes.is_answering(address, _STEADY_MS) for address in trial.group.addresses)


def _power_cut(trial: Trial, fault: PowerAll) -> float:
    """Returns how long after power returned the last address of all groups answered, in ms."""
    lab = trial.lab
    fault.inject()
    lab.observer.start_over()
    returned_ns = time.time_ns()
    fault.heal()
    lab.wait_for(
        lambda: not lab.silent_addresses(), RETURN_LIMIT_S, "every group held again after the power cut"
    )
    answers = {address: lab.probes.first_answer_ns(address, returned_ns) for address in lab.plan.floating}
    trial.listen_to_daemons()
    fault.restore()
    last_ns = max(when for when in answers.values() if when is not None)
    return round((last_ns - returned_ns) / _NS_PER_MS, 1)


def _outage_ms(trial: Trial) -> float | None:
    """The longest gap of the group's addresses; of all addresses where nothing should have moved."""
    lab = trial.lab
    addresses = trial.group.addresses if trial.fault.moves else lab.plan.floating
    gaps = [gap for address in addresses if (gap := lab.probes.outage(address, trial.since_ns)) is not None]
    if not gaps:
        return None
    if any(not gap.is_over for gap in gaps):
        trial.problems.append(f"an address of {trial.group.name} still does not answer")
    longest = max(gaps, key=lambda gap: gap.length_ms)
    after_ms = (longest.begin_ns - trial.since_ns) / _NS_PER_MS
    if after_ms > _LATE_GAP_MS:
        trial.notes.append(f"the longest gap began {after_ms:.0f} ms after the fault")
    return round(longest.length_ms, 1)


def _result(trial: Trial, outage_ms: float | None) -> Result:
    lab, name = trial.lab, trial.group.name
    after = trial.told[name][-1] if name in trial.told else trial.before[name]
    try:
        sightings = lab.observer.sightings()
    except LabError as error:
        trial.problems.append(str(error))
        sightings = []
    holders = {address: trial.holders(group.name) for group in lab.plan.groups for address in group.addresses}
    overlaps = judge(sightings, holders)
    trial.notes += [
        f"{overlap.host} answered for {overlap.address} after {overlap.other} had begun to"
        for overlap in overlaps
    ]
    trial.notes += _collateral(trial)
    return Result(
        fault=trial.fault.name,
        preset=lab.plan.preset,
        group=name,
        source=trial.before[name].holder,
        target=after.holder,
        outage_ms=outage_ms,
        answered_twice=bool(overlaps),
        epoch=after.epoch,
        calls=_call_count(trial),
    )


def _call_count(trial: Trial) -> CallCount | None:
    if trial.calls is None:
        return CallCount(trial.wanted.calls, 0, None, None) if trial.wanted.calls else None
    if trial.ends_calls:
        return trial.calls.finish(trial.problems, trial.notes)
    return trial.calls.count(trial.problems)


def _collateral(trial: Trial) -> list[str]:
    """What happened to groups whose holder was not hit: nothing should have."""
    notes = []
    for group in trial.lab.plan.groups:
        if trial.before[group.name].holder in trial.fault.hit:
            continue
        for address in group.addresses:
            if (gap := trial.lab.probes.outage(address, trial.since_ns)) is not None:
                notes.append(
                    f"{address} of {group.name}, whose holder was not hit: {gap.length_ms:.0f} ms missed"
                )
    return notes


def trial_work(
    plan: Plan,
    fault_name: str,
    count: int,
    seed: int,
    as_json: bool,
    directory: Path,
    wanted: CallsWanted = NO_CALLS,
) -> int:
    """The work of the world's first process: build, run the trials, let go."""
    lab = Laboratory(directory, plan)
    try:
        lab.build()
        return run_trials(lab, fault_name, count, seed, as_json, wanted)
    except LabError:
        print(lab.log_tails(), file=sys.stderr)
        raise
    finally:
        lab.close()
