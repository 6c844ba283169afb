"""Takeover after takeover of one leg: each begins above all that was sent before, whatever was heard of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.telephony.calls_world import GROUPS, WALL_MS, record_of
from tests.telephony.twin_switch import BUILD
from zcluster.streams.tables import Entry
from zcluster.streams.units import CALLS, MARK_BYTES, Key, StreamId, record_key
from zcluster.telephony.call_record import pack_call
from zcluster.telephony.channels import Channels
from zcluster.telephony.events import Row
from zcluster.telephony.metadata import CSEQ_MARGIN, read_variables
from zcluster.telephony.settings import TelephonySettings
from zcluster.telephony.takeover import Takeover

GROUP = GROUPS[0]


@dataclass
class OneRecord:
    """What every node knows of the group's calls, read by the one that has adopted it."""

    node: str = ""
    records: dict[Key, bytes] = field(default_factory=dict)

    def entries(self, name: str) -> Iterator[Entry]:
        for key, body in self.records.items():
            yield Entry(StreamId(self.node, 1, CALLS), key, bytes(MARK_BYTES) + body, False)

    def get(self, name: str, key: Key) -> Entry | None:
        return next((each for each in self.entries(name) if each.key == key), None)


@dataclass(frozen=True)
class Master:
    """One that holds the group for a while. `rows`: how many the switch wrote that the others heard of.

    `sent`: requests in the dialog, the re-INVITE of the recovery among them. `is_unset`: the last row was written
    after the variable had been unset.
    """

    lasts_ms: int
    clock_ms: int
    rows: int
    is_unset: bool
    sent: int


MASTERS = st.builds(
    Master,
    lasts_ms=st.integers(0, 3000),
    clock_ms=st.integers(-1000, 1000),
    rows=st.integers(0, 2),
    is_unset=st.booleans(),
    sent=st.integers(1, CSEQ_MARGIN - 2),
)


def take_over(copies: OneRecord, number: int, master: Master, now_ms: int) -> int:
    """The CSeq variable that the leg is loaded with; what the others hear of it is in `copies` afterwards."""
    copies.node = f"n{number}"
    channels = Channels(TelephonySettings(copies.node, GROUPS), Counter())
    channels.begin_life(f"core-{number}", BUILD)
    channels.hold(GROUP.name)
    takeover = Takeover(GROUP, copies.node, "", copies, channels, lambda uuid: False)
    takeover.begin_reading()
    assert takeover.read()
    (row,) = takeover.next_rows(1, now_ms + master.clock_ms)
    copies.records.update(takeover.take_begun())
    for each in range(master.rows):
        metadata = row.metadata
        if master.is_unset and each == master.rows - 1:
            metadata = metadata.replace(b"sip_invite_cseq", b"sip_no_cseq")
        own = Row(channels.core_uuid, "sofia", row.profile, copies.node, row.uuid, metadata)
        channels.take_rows([(row.uuid, own)])
        for key, body in channels.take().changes:
            assert body is not None
            copies.records[key] = body
    return int(read_variables(row.metadata)["sip_invite_cseq"])


@given(st.lists(MASTERS, min_size=2, max_size=8))
@settings(deadline=None, max_examples=examples(100))
def test_each_takeover_begins_above_all_that_was_sent_before(masters: list[Master]) -> None:
    copies = OneRecord(records={record_key("g1", b"a"): pack_call(record_of("a"))})
    now_ms, last = WALL_MS, 0
    for number, master in enumerate(masters):
        cseq = take_over(copies, number, master, now_ms)
        assert cseq >= last, f"takeover {number}"
        last = cseq + master.sent + 1
        now_ms += master.lasts_ms
