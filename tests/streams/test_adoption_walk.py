"""A group of many records changes hands in pieces, and the end is as if it had been one."""

from __future__ import annotations

from zcluster.streams.actions import Action, GroupAdopted, Publish
from zcluster.streams.events import (
    GroupLost,
    GroupWon,
    MessageReceived,
    RecordsChanged,
    StreamLoaded,
    Tick,
)
from zcluster.streams.limits import StreamLimits
from zcluster.streams.messages import Batch, Digest
from zcluster.streams.replicator import Replicator
from zcluster.streams.units import REGISTRATIONS, StreamId, body_of, claim_key, group_of, record_key

THEIRS = StreamId("n2", 1, REGISTRATIONS)
RECORDS = 500
LIMITS = StreamLimits(turn_records=40, batch_records=32)


def key(number: int) -> bytes:
    return record_key("g", b"%d" % number)


def batch(first: int, *changes: bytes | None) -> MessageReceived:
    return MessageReceived(Batch(THEIRS, first, changes, 100), "n2")


def heir() -> Replicator:
    """A node with a whole copy of a stream that claims "g" with RECORDS records; its writer lives."""
    one = Replicator("n1", 1, b"k" * 16, LIMITS)
    changes: list[bytes | None] = [claim_key(b"g"), b"-" * 8 + (1).to_bytes(8, "little")]
    for number in range(RECORDS):
        changes += (key(number), b"%08d" % number + b"old")
    one.handle(batch(1, *changes), 0)
    one.handle(MessageReceived(Digest(THEIRS, RECORDS + 1, RECORDS + 1, 0, True), "n2"), 0)
    copy = one.tables[REGISTRATIONS].copies[THEIRS]
    assert copy.applied == RECORDS + 1
    digest = Digest(THEIRS, copy.applied, copy.table.count, copy.table.total, True)
    one.handle(MessageReceived(digest, "n2"), 0)
    copy.settle()
    assert copy.is_readable
    return one


def ours(one: Replicator) -> dict[bytes, bytes]:
    table = one.tables[REGISTRATIONS].own.table
    return {each: body_of(record) for each, record in table.items() if group_of(each) == b"g"}


def written(actions: list[Action]) -> int:
    batches = [each.message for each in actions if isinstance(each, Publish)]
    return sum(len(each.changes) // 2 for each in batches if isinstance(each, Batch))


def adopt(one: Replicator, now_ms: int) -> int:
    """Turn until it is adopted; how many turns it took."""
    for turn in range(1, 200):
        assert one.deadline() <= now_ms
        if any(isinstance(each, GroupAdopted) for each in one.handle(Tick(), now_ms)):
            return turn
    raise AssertionError("never adopted")


def test_no_turn_takes_over_more_than_a_piece_and_the_claim_comes_last() -> None:
    one = heir()
    actions = one.handle(GroupWon("g", 2), 10)
    most, turns = written(actions), 0
    while not any(isinstance(each, GroupAdopted) for each in actions):
        assert one.tables[REGISTRATIONS].own.table.claims == {}
        assert one.deadline() <= 10
        actions = one.handle(Tick(), 10)
        most, turns = max(most, written(actions)), turns + 1
    assert turns >= RECORDS // LIMITS.turn_records
    assert most < 3 * LIMITS.turn_records
    assert ours(one) == {key(number): b"old" for number in range(RECORDS)}
    assert one.tables[REGISTRATIONS].own.table.claims == {b"g": 2}


def test_a_flood_of_messages_is_no_reason_to_adopt_more_in_a_turn() -> None:
    one = heir()
    one.handle(GroupWon("g", 2), 10)
    before = len(ours(one))
    for _ in range(50):
        one.handle(MessageReceived(Digest(THEIRS, RECORDS + 1, 0, 0, True), "n2"), 10)
    assert len(ours(one)) == before


def test_what_changes_while_it_is_taken_over_is_as_it_became() -> None:
    """A superseded writer that lives changes and removes records, of those that we have and those to come."""
    one = heir()
    one.handle(GroupWon("g", 2), 10)
    for _ in range(RECORDS // LIMITS.turn_records // 2):
        one.handle(Tick(), 10)
    taken = set(ours(one))
    assert 0 < len(taken) < RECORDS
    one.handle(RecordsChanged(REGISTRATIONS, ((key(7), b"ours"),)), 10)
    changes: list[bytes | None] = []
    for number in range(0, RECORDS, 2):
        changes += (key(number), b"%08d" % (number + 1_000_000) + b"new" if number % 4 else None)
    changes += (key(9999), b"12345678late", key(7), b"12345678theirs")
    one.handle(batch(RECORDS + 2, *changes), 10)
    adopt(one, 10)
    expected = {key(number): b"old" for number in range(1, RECORDS, 2)}
    expected |= {key(number): b"new" for number in range(2, RECORDS, 4)}
    expected |= {key(9999): b"late", key(7): b"ours"}
    assert ours(one) == expected


def test_a_group_lost_on_the_way_leaves_nothing_of_it() -> None:
    one = heir()
    one.handle(GroupWon("g", 2), 10)
    one.handle(Tick(), 10)
    assert ours(one)
    one.handle(GroupLost("g"), 10)
    for _ in range(100):
        one.handle(Tick(), 10)
    assert ours(one) == {}
    one.handle(GroupWon("g", 3), 10)
    adopt(one, 10)
    assert len(ours(one)) == RECORDS


def test_a_superseded_group_goes_in_pieces_after_its_claim() -> None:
    one = Replicator("n1", 1, b"k" * 16, LIMITS)
    one.handle(GroupWon("g", 1), 0)
    one.handle(Tick(), LIMITS.claim_wait_ms)
    one.handle(RecordsChanged(REGISTRATIONS, tuple((key(each), b"x") for each in range(RECORDS))), 3000)
    one.handle(StreamLoaded(REGISTRATIONS), 3000)
    one.handle(GroupLost("g"), 3000)
    theirs: tuple[bytes | None, ...] = (claim_key(b"g"), b"-" * 8 + (2).to_bytes(8, "little"))
    one.handle(batch(1, *theirs), 3000)
    one.handle(MessageReceived(Digest(THEIRS, 1, 1, int.from_bytes(b"-" * 8, "little"), True), "n2"), 3000)
    one.handle(Tick(), 3001)
    assert len(ours(one)) == RECORDS
    now_ms = 3001 + LIMITS.retract_ms
    actions = one.handle(Tick(), now_ms)
    assert one.tables[REGISTRATIONS].own.table.claims == {}
    turns = 0
    while ours(one):
        assert written(actions) < 3 * LIMITS.turn_records
        assert one.deadline() <= now_ms
        actions = one.handle(Tick(), now_ms)
        turns += 1
    assert turns >= RECORDS // LIMITS.turn_records
