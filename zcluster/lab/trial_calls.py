"""The calls of one trial: placed and standing before the fault, counted after it.

What must hold: the fault comes only when every call stands and had time to reach the other nodes; a call that never
stood, a frame that was not seen, or a CSeq that went back makes the trial one that cannot be judged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from zcluster.errors import LabError
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import GroupPlan
from zcluster.lab.sip_capture import SipCapture, Watch
from zcluster.lab.telephones import (
    AGAIN_MS,
    CARRIER_PORT,
    PATIENCE_MS,
    CallCount,
    CallsWanted,
    Tallies,
    Telephones,
    count_calls,
    count_disturbed,
    spread,
)

_STANDING_LIMIT_S = 10.0
# A call's record is written up to 211 ms late, as measured on the real switch, and has to reach the others; and a
# master that has just taken over looks after what it brings back for its first two seconds.
SETTLE_S = 3.0
# A caller that is patient for so much longer, and hangs up so soon, has waited for something else.
_HASTY_NS = 5_000_000_000


@dataclass(slots=True)
class TrialCalls:
    """Calls that stand. `target`: the floating address of the group that is hit; `also_hit`: those of others."""

    lab: Laboratory
    telephones: Telephones
    target: str
    wanted: CallsWanted
    sip: SipCapture
    also_hit: tuple[str, ...] = ()

    @property
    def watch(self) -> Watch:
        """What has been seen on the wire."""
        return self.sip.watch

    def finish(self, problems: list[str], notes: list[str]) -> CallCount | None:
        """Waits until all are over, and counts. What makes the count useless is added to `problems`."""
        if not self.lab.comes_true(self.telephones.has_ended, self.telephones.longest_s):
            notes.append("some calls were never hung up")
        try:
            tallies = self.telephones.end()
        except LabError as error:
            problems.append(str(error))
            return None
        result = self.count(problems, tallies)
        if result.recovered < self.wanted.calls:
            ports = (self.telephones.port(self.target), CARRIER_PORT)
            sides = [len(self.watch.reinvites((self.target, port))) for port in ports]
            parted = self.watch.count_parted((self.target, CARRIER_PORT))
            notes.append(
                f"invited again: {sides[0]} callers, {sides[1]} callees; "
                f"ended well: {tallies.callers[self.target].succeeded} callers, {parted} callees"
            )
        return result

    def complaints(self) -> list[str]:
        """What makes these calls ones that cannot be judged, or was wrong with them on the wire."""
        self.sip.collect()
        watch = self.watch
        problems: list[str] = []
        if dropped := self.sip.dropped():
            problems.append(f"{dropped} frames of the telephones found no room: the calls cannot be judged")
        if watch.steps_back:
            problems.append(
                f"{len(watch.steps_back)} calls were invited again with a CSeq that was no higher"
            )
        if early := sum(when_ns < watch.since_ns for when_ns, _ in watch.ended.values()):
            problems.append(
                f"{early} legs ended before the fault: this machine is too slow for so many calls"
            )
        for target in self.telephones.wanted:
            side = (target, self.telephones.port(target))
            if target in (self.target, *self.also_hit) and (hasty := watch.hung_up_alone(side, _HASTY_NS)):
                problems.append(
                    f"{hasty} callers of {target} hung up within {_HASTY_NS / 1e9:g} s of the fault, uninvited: their "
                    "patience began long before; this machine is too slow for so many calls"
                )
        if watch.ghosts:
            problems.append(f"{len(watch.ghosts)} legs of calls that had ended were invited again")
        return problems

    def count(self, problems: list[str], tallies: Tallies | None = None) -> CallCount:
        """What has become of them by now; without `tallies`, before anybody has hung up."""
        problems += self.complaints()
        callers = {} if tallies is None else tallies.callers
        port = self.telephones.port(self.target)
        result = count_calls(self.wanted.calls, self.watch, self.target, port, callers.get(self.target))
        if not self.wanted.others:
            return result
        disturbed = sum(
            count_disturbed(self.watch, calls, target, self.telephones.port(target), callers.get(target))
            for target, calls in self.telephones.wanted.items()
            if target != self.target
        )
        return replace(result, others=self.wanted.others, others_disturbed=disturbed)


def begin_calls(lab: Laboratory, group: GroupPlan, wanted: CallsWanted) -> TrialCalls:
    """Places the calls and waits until they stand. Raises LabError when they do not; then all are over."""
    assert lab.sip is not None, "calls without a switch"
    lab.sip.collect()
    lab.sip.watch = Watch()
    others = [each.address_v4 for each in lab.plan.groups if each.name != group.name]
    if wanted.others and not others:
        raise LabError("there is no other group that calls could go through")
    targets = {group.address_v4: wanted.calls} | (spread(wanted.others, others) if wanted.others else {})
    telephones = lab.telephones(targets, PATIENCE_MS + (AGAIN_MS if wanted.is_again else 0))
    telephones.has_audio = wanted.has_audio
    telephones.begin()
    calls = TrialCalls(lab, telephones, group.address_v4, wanted, lab.sip)
    limit_s = telephones.placing_s + _STANDING_LIMIT_S
    if not lab.comes_true(lambda: not _missing(calls), limit_s):
        missing = _missing(calls)
        # Those that stand hang up by themselves: nothing is left in a switch.
        lab.comes_true(telephones.has_ended, telephones.longest_s)
        telephones.silence()
        raise LabError(f"calls that did not stand within {limit_s:g} s: {missing}")
    lab.wait(SETTLE_S)
    return calls


def _missing(calls: TrialCalls) -> str:
    """By floating address, how many calls do not stand yet; "" when all do."""
    telephones, watch = calls.telephones, calls.watch
    words = []
    for target, count in telephones.wanted.items():
        sides = ((target, telephones.port(target)), (target, CARRIER_PORT))
        if (lacking := count - min(len(watch.standing(side)) for side in sides)) > 0:
            words.append(f"{lacking} of {count} through {target}")
    return ", ".join(words)
