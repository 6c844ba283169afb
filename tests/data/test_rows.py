"""What a reader of lists gets to see: never the keys of media, which stand in the metadata of each secured call."""

from __future__ import annotations

import json

from tests.telephony.calls_world import record_of
from zcluster.data.rows import row_makers
from zcluster.streams.tables import Entry
from zcluster.streams.units import CALLS, MARK_BYTES, StreamId
from zcluster.telephony.call_record import pack_call
from zcluster.telephony.events import Moment
from zcluster.telephony.lost_calls import LostCall
from zcluster.telephony.metadata import read_variables, unpack_metadata
from zcluster.telephony.settings import TelephonySettings

SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"


def test_no_row_of_a_call_has_a_key() -> None:
    record = record_of("a", srtp_remote_audio_crypto_key=f"inline:{SECRET}", caller_id_number="4711")
    inside = read_variables(unpack_metadata(record.metadata))
    assert inside["srtp_remote_audio_crypto_key"] == f"inline:{SECRET}", "the record itself has it"
    entry = Entry(StreamId("n1", 5, CALLS), b"g1\0a", bytes(MARK_BYTES) + pack_call(record), False)
    (row,) = row_makers(TelephonySettings("n1", ()), lambda: Moment(0, 0))[CALLS](entry)
    lost = LostCall.of("a", record, "no reason", "g1", "n1", 7)
    for told in (json.dumps(row), repr(lost), json.dumps(lost.told().facts)):
        assert SECRET not in told
        assert "crypto" not in told
    assert row["is_recoverable"] is True
