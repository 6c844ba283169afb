"""The calls of one trial: placed and standing before the fault, counted after it.

What must hold: the fault comes only when every call stands and had time to reach the other nodes; a call that never
stood, a frame that was not seen, or a CSeq that went back makes the trial one that cannot be judged.
"""

from __future__ import annotations

from dataclasses import dataclass

from zcluster.errors import LabError
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import GroupPlan
from zcluster.lab.sip_capture import SipCapture, Watch
from zcluster.lab.telephones import CALLER_PORT, CARRIER_PORT, CallCount, Telephones, count_calls

_STANDING_LIMIT_S = 10.0
# A call's record is written up to 211 ms late, as measured on the real switch, and has to reach the others; and a
# master that has just taken over looks after what it brings back for its first two seconds.
_SETTLE_S = 3.0


@dataclass(slots=True)
class TrialCalls:
    """Calls that stand. `watch`: what is seen of them on the wire."""

    lab: Laboratory
    telephones: Telephones
    count: int
    sip: SipCapture

    @property
    def watch(self) -> Watch:
        """What has been seen since the trial began."""
        return self.sip.watch

    def finish(self, problems: list[str], notes: list[str]) -> CallCount | None:
        """Waits until all are over, and counts. What makes the count useless is added to `problems`."""
        if not self.lab.comes_true(self.telephones.has_ended, self.telephones.longest_s):
            notes.append("some calls were never hung up")
        try:
            callers, carrier = self.telephones.end()
        except LabError as error:
            problems.append(str(error))
            return None
        if dropped := self.sip.dropped():
            problems.append(f"{dropped} frames of the telephones found no room: the calls cannot be judged")
        if self.watch.steps_back:
            problems.append(
                f"{len(self.watch.steps_back)} calls were invited again with a CSeq that was no higher"
            )
        result = count_calls(self.count, self.watch, callers, carrier)
        if result.recovered < self.count:
            sides = [len(self.watch.reinvites(port)) for port in (CALLER_PORT, CARRIER_PORT)]
            notes.append(
                f"invited again: {sides[0]} callers, {sides[1]} callees; "
                f"ended well: {callers.succeeded} callers, {carrier.succeeded} callees"
            )
        return result


def begin_calls(lab: Laboratory, group: GroupPlan, count: int) -> TrialCalls:
    """Places `count` calls to the group's address and waits until they stand. Raises LabError when they do not."""
    assert lab.sip is not None, "calls without a switch"
    lab.sip.collect()
    lab.sip.watch = Watch()
    telephones = lab.telephones(count)
    telephones.begin(group.address_v4)
    calls = TrialCalls(lab, telephones, count, lab.sip)
    limit_s = telephones.placing_s + _STANDING_LIMIT_S
    lab.wait_for(lambda: _stand(calls) == count, limit_s, f"{count} calls through {group.address_v4} stand")
    lab.wait(_SETTLE_S)
    return calls


def _stand(calls: TrialCalls) -> int:
    return min(calls.watch.count_established(port) for port in (CALLER_PORT, CARRIER_PORT))
