"""Which legs belong together, and in which order calls are brought back.

What must hold: all known legs of a call come back in one batch, since a leg waits only two seconds for its partner
(switch_core_state_machine.c:on_reset). The call that has lasted longest comes first: of a call's length the part
that is over is the best guess of the part to come, and what was answered a moment before the crash has the best
chance that its last rows still arrive from other survivors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zcluster.telephony.call_record import CallRecord

LATEST = 2**62


def whole_calls(legs: Mapping[str, CallRecord]) -> list[tuple[str, ...]]:
    """The uuids of each call, longest answered first; legs are joined by `partner`, in either direction."""
    neighbours: dict[str, list[str]] = {uuid: [] for uuid in legs}
    for uuid, record in legs.items():
        if record.partner in neighbours and record.partner != uuid:
            neighbours[uuid].append(record.partner)
            neighbours[record.partner].append(uuid)
    calls = [tuple(sorted(call)) for call in _joined(neighbours)]
    return sorted(calls, key=lambda call: (min(_since_s(legs[uuid]) for uuid in call), call))


def _joined(neighbours: Mapping[str, list[str]]) -> Iterator[list[str]]:
    seen: set[str] = set()
    for first in neighbours:
        if first in seen:
            continue
        seen.add(first)
        call = [first]
        for uuid in call:
            fresh = [each for each in dict.fromkeys(neighbours[uuid]) if each not in seen]
            seen.update(fresh)
            call += fresh
        yield call


def _since_s(record: CallRecord) -> int:
    return record.answered_s or record.started_s or LATEST
