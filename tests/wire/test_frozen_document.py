"""A frozen cluster document on the wire and on disk; what is not frozen stays as older versions wrote it."""

from __future__ import annotations

import zlib
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.samples import ORDINARY_REPORT, ballots, counters, freezes, names, rosters
from zcluster.adapters.durable import decode, encode
from zcluster.control.document import Acceptance, Document, Durable, Freeze, Pin, Proposal
from zcluster.control.frozen import LARGEST_REASON_BYTES, LARGEST_WHO_BYTES
from zcluster.control.messages import PROTOCOL_MINOR, Report
from zcluster.control.units import Ballot
from zcluster.errors import BadMessage
from zcluster.wire import report as rows
from zcluster.wire.bounds import MAX_PAYLOAD_BYTES
from zcluster.wire.report import Slow, pack_slow, unpack_slow

BEFORE = Document("c1", 3, ("a", "b"), ("c",), (Pin("g1", "a"),))
FREEZE = Freeze("switches are replaced", "alice", "a", 1_790_000_000_000, 0, (Pin("g1", "a"),), True)
FROZEN = BEFORE._replace(freeze=FREEZE)

documents = st.builds(Document, names, counters, rosters, rosters, st.just(()), freeze=st.none() | freezes)


def report_with(document: Document | None) -> Report:
    return ORDINARY_REPORT._replace(
        document=document,
        proposal=Proposal(4, Ballot(1, "a"), document),
        acceptance=Acceptance(4, Ballot(1, "a"), Ballot(1, "a"), document),
        minor=PROTOCOL_MINOR,
    )


def fields(document: Document) -> dict[Any, Any]:
    found: dict[Any, Any] = msgpack.unpackb(
        zlib.decompress(pack_slow(Slow(report_with(document), ()))), strict_map_key=False
    )
    return found


def read(found: dict[Any, Any]) -> Report:
    return unpack_slow(zlib.compress(msgpack.packb(found))).report


@given(st.none() | documents, ballots)
def test_what_is_sent_comes_back(document: Document | None, ballot: Ballot) -> None:
    sent = report_with(document)._replace(acceptance=Acceptance(4, ballot, ballot, document))
    assert unpack_slow(pack_slow(Slow(sent, ()))).report == sent


@given(documents, ballots)
def test_what_is_stored_comes_back(document: Document, ballot: Ballot) -> None:
    durable = Durable(7, 64, document=document, acceptance=Acceptance(4, ballot, ballot, document))
    assert decode(encode(durable)) == durable


def test_what_is_not_frozen_is_written_as_older_versions_did() -> None:
    found = fields(BEFORE)
    assert [len(found[key]) for key in (rows.DOCUMENT,)] == [6]
    assert [len(found[key][-1]) for key in (rows.PROPOSAL, rows.ACCEPTANCE)] == [6, 6]
    assert b'"document": [\n   "c1",\n   3,' in encode(Durable(1, document=BEFORE))
    assert encode(Durable(1, document=BEFORE)).count(b"null") == encode(Durable(1)).count(b"null") - 1


def test_an_older_version_reads_a_frozen_document_as_one_that_is_not() -> None:
    assert fields(FROZEN)[rows.DOCUMENT][:6] == fields(BEFORE)[rows.DOCUMENT]


def test_a_report_of_an_older_version_knows_no_freezing() -> None:
    found = fields(BEFORE)
    del found[rows.MINOR]
    assert read(found).minor == 0
    assert read(found).document == BEFORE


def test_what_a_later_version_appends_is_cut_off() -> None:
    found = fields(FROZEN)
    found[rows.DOCUMENT].append("later")
    found[rows.DOCUMENT][6].append("later still")
    assert read(found).document == FROZEN


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, "bell\a"),
        (0, "x" * (LARGEST_REASON_BYTES + 1)),
        (1, 7),
        (2, ""),
        (3, -1),
        (4, True),
        (5, [["g1", "a"], ["g1", "b"]]),
        (5, [["g1", ""]]),
        (6, 1),
    ],
)
def test_a_freeze_that_is_malformed_is_refused(place: int, value: object) -> None:
    found = fields(FROZEN)
    found[rows.DOCUMENT][6][place] = value
    with pytest.raises(BadMessage, match=r"freeze|frozen|pin"):
        read(found)


def test_twenty_nodes_and_sixteen_groups_fit_their_datagram_while_they_freeze() -> None:
    nodes = tuple(f"pbx{number:02}.example" for number in range(20))
    holders = tuple(Pin(f"group{number:02}", nodes[number]) for number in range(16))
    freeze = FREEZE._replace(
        reason="ä" * (LARGEST_REASON_BYTES // 2), who="w" * LARGEST_WHO_BYTES, holders=holders
    )
    sent = report_with(Document(f"{nodes[0]}-1a20c7f8fc6", 3, nodes, freeze=freeze))
    plain = report_with(Document(f"{nodes[0]}-1a20c7f8fc6", 3, nodes))
    more = len(pack_slow(Slow(sent, ()))) - len(pack_slow(Slow(plain, ())))
    assert more < 300
    assert len(pack_slow(Slow(sent, ()))) < MAX_PAYLOAD_BYTES // 2
