"""What a beat leaves out when it is too long for its datagram, so that its node stays audible.

What must hold: liveness, claims and votes are never left out. What is left out is the cluster document and the change
of it that is under way: all of it, because beside the first copy a second one costs next to nothing (measured: 140
and 30 bytes with 64 nodes). With it go the switch's build and name, at most 100 bytes that only order equal slaves.
"""

from __future__ import annotations

from zcluster.control.messages import Beat

TOO_LONG = (
    "beats are too long for a datagram, so the cluster document is left out of them and cannot change: "
    "make it fewer groups, or shorter names"
)


def without_document(beat: Beat) -> Beat | None:
    """The same beat with nothing of the cluster document in it; None where nothing can be left out."""
    report = beat.report._replace(document=None, proposal=None, acceptance=None, build="", switchname="")
    return None if report == beat.report else beat._replace(report=report)
