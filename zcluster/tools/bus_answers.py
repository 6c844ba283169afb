"""The bodies of the bus for tools, as MessagePack (docs/bus.md).

    event       {by, incarnation, number, record: {at_ms, node, level, code, text, facts, incarnation, number}}
    status      {by, incarnation, sequence, status: the status document}
    heartbeat   {by, incarnation, number, is_reachable, reason}
    answer      {id, ok, error} or {id, ok, by, incarnation, number, lost, more, events: [{number, record}], status}

`by` is the node whose tools process says it; `incarnation` and the `number` beside it are those of its daemon, which
counts from 1 without a gap what it took in, of whatever node.

What must hold: pure. A record is packed once, in the ring, and never again.
"""

from __future__ import annotations

from collections.abc import Mapping

from zcluster.tools.bus_questions import Identity
from zcluster.tools.outlet import StatusDocument
from zcluster.tools.packed import packed, packed_array, packed_map
from zcluster.tools.ring import Entry, Ring

LARGEST_STORY_BYTES = 512 << 10


def event_body(ring: Ring, entry: Entry) -> bytes:
    """One event."""
    return packed_map(by=packed(ring.node), **_place(ring, entry.number), record=entry.body)


def status_body(ring: Ring, sequence: int, document: StatusDocument) -> bytes:
    """A status; `sequence` counts those of this life of the tools process."""
    return packed_map(
        by=packed(ring.node),
        incarnation=packed(ring.incarnation),
        sequence=packed(sequence),
        status=packed(dict(document)),
    )


def heartbeat_body(ring: Ring, node: str, reason: str) -> bytes:
    """Sign of life of `node`; `reason`: why its daemon does not answer, "" while it does."""
    return packed_map(
        by=packed(node),
        **_place(ring, ring.newest),
        is_reachable=packed(not reason),
        reason=packed(reason),
    )


def story_body(identity: Identity, ring: Ring, number: int, status: StatusDocument | None = None) -> bytes:
    """The events after `number`, oldest first, as many as fit; `lost`: how many of them nobody has any more.

    With more of them the last one's number is where the next question begins.
    """
    entries = ring.after(number, LARGEST_STORY_BYTES)
    # What is missing between two of them is lost as well as what went out of the ring before the first.
    last = entries[-1].number if entries else ring.newest
    lost = max(last - number - len(entries), 0)
    events = [packed_map(number=packed(entry.number), record=entry.body) for entry in entries]
    fields = {
        "id": packed(identity),
        "ok": packed(True),
        "by": packed(ring.node),
        **_place(ring, ring.newest),
        "lost": packed(lost),
        "more": packed(last < ring.newest),
        "events": packed_array(events),
    }
    if status is not None:
        fields["status"] = packed(dict(status))
    return packed_map(**fields)


def passed_body(identity: Identity, answer: Mapping[str, object]) -> bytes:
    """What another process of this host answered."""
    return packed({"id": identity, **answer})


def refusal_body(identity: Identity, text: str) -> bytes:
    """Why there is no answer."""
    return packed({"id": identity, "ok": False, "error": text})


def _place(ring: Ring, number: int) -> dict[str, bytes]:
    return {"incarnation": packed(ring.incarnation), "number": packed(number)}
