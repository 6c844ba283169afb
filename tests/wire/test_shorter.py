from __future__ import annotations

from tests.wire.crowd import crowded
from tests.wire.samples import ORDINARY, ORDINARY_REPORT
from zcluster.control.messages import Beat
from zcluster.errors import BadMessage
from zcluster.wire.beacon import Envelope
from zcluster.wire.codec import BeatEncoder
from zcluster.wire.keys import derive
from zcluster.wire.shorter import without_document

ENVELOPE = Envelope((derive(b"s" * 32),))


def is_sendable(beat: Beat) -> bool:
    try:
        ENVELOPE.seal(BeatEncoder().encode(beat))
    except BadMessage:
        return False
    return True


def test_a_beat_that_is_too_long_is_sent_without_the_document() -> None:
    beat = crowded(40)
    less = without_document(beat)
    assert less is not None
    assert (is_sendable(beat), is_sendable(less)) == (False, True)


def test_what_keeps_a_cluster_alive_is_never_left_out() -> None:
    beat = crowded(40)
    less = without_document(beat)
    assert less is not None
    assert less._replace(report=beat.report) == beat
    assert (less.report.build, less.report.switchname) == ("", "")
    kept = less.report._replace(
        document=beat.report.document,
        proposal=beat.report.proposal,
        acceptance=beat.report.acceptance,
        build=beat.report.build,
        switchname=beat.report.switchname,
    )
    assert kept == beat.report


def test_where_nothing_can_be_left_out_there_is_no_shorter_one() -> None:
    assert without_document(ORDINARY._replace(report=ORDINARY_REPORT._replace(document=None))) is None
