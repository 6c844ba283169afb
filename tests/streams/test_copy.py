from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.streams.test_table import twin
from zcluster.streams.limits import StreamLimits
from zcluster.streams.messages import Batch, Chunk, Digest, Forgotten, RepairRequest, SnapshotRequest
from zcluster.streams.reader import Copy
from zcluster.streams.units import BEGIN, REGISTRATIONS, StreamId, body_of, record_key
from zcluster.streams.writer import Writer

STREAM = StreamId("n1", 1, REGISTRATIONS)
LIMITS = StreamLimits(batch_records=3, log_records=12, chunk_bytes=150, chunks_asked=2, held_batches=4)
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 30).map(lambda number: record_key("g", b"%d" % number)),
        st.none() | st.binary(max_size=20),
    ),
    max_size=60,
)


def written(limits: StreamLimits = LIMITS) -> Writer:
    writer = Writer(STREAM, b"k" * 16, limits)
    writer.is_whole = True
    return writer


def change(writer: Writer, key: bytes, body: bytes | None) -> None:
    if body is None:
        writer.delete(key, 0)
    else:
        writer.put(key, body, 0)


def bodies(copy: Copy) -> dict[bytes, bytes]:
    return {key: body_of(record) for key, record in copy.table.items()}


def converse(writer: Writer, copy: Copy, now_ms: int, rounds: int = 500) -> int:
    """Let the copy ask and be answered until it wants nothing; returns the time. It must come to an end."""
    for _ in range(rounds):
        due = copy.deadline()
        if due is None:
            return now_ms
        now_ms = max(now_ms, due)
        match copy.ask(now_ms):
            case RepairRequest(_, first, last):
                answer = writer.repair(first, last)
                if isinstance(answer, Forgotten):
                    copy.receive_forgotten(answer, now_ms)
                else:
                    for batch in answer:
                        copy.receive_batch(batch, now_ms)
            case SnapshotRequest(_, begin, chunks):
                for chunk in writer.chunks(begin, chunks):
                    copy.receive_chunk(chunk, now_ms)
            case None:
                return now_ms
    raise AssertionError("the copy asks without end")


@settings(deadline=None, max_examples=examples(60))
@given(CHANGES, st.data())
def test_whatever_arrives_in_whatever_order_the_copy_becomes_equal(
    changes: list[tuple[bytes, bytes | None]], data: st.DataObject
) -> None:
    writer, copy = written(), Copy(STREAM, LIMITS)
    batches: list[Batch] = []
    for key, body in changes:
        change(writer, key, body)
        if data.draw(st.booleans()):
            batches += writer.flush()
    batches += writer.flush()
    if batches:
        for batch in data.draw(st.lists(st.sampled_from(batches), max_size=2 * len(batches))):
            copy.receive_batch(batch, 0)
            # What is applied is always some earlier state of the writer, never a mixture.
            assert bodies(copy) == twin(_up_to(batches, copy.applied))
    copy.receive_digest(writer.digest(), 0)
    converse(writer, copy, 0)
    assert copy.is_complete
    assert copy.percent == 100
    assert copy.digest() == writer.digest()
    assert bodies(copy) == twin(changes)


def _up_to(batches: list[Batch], sequence: int) -> list[tuple[bytes, bytes | None]]:
    found: list[tuple[bytes, bytes | None]] = []
    for batch in batches:
        for place in range(len(batch.changes) // 2):
            if batch.first + place <= sequence:
                key, record = batch.changes[2 * place : 2 * place + 2]
                assert key is not None
                found.append((key, None if record is None else body_of(record)))
    return found


@settings(deadline=None, max_examples=examples(60))
@given(CHANGES, CHANGES, st.integers(0, 2**32))
def test_a_snapshot_while_the_writer_goes_on_is_exact(
    before: list[tuple[bytes, bytes | None]], meanwhile: list[tuple[bytes, bytes | None]], seed: int
) -> None:
    random = Random(seed)
    writer, copy = written(), Copy(STREAM, LIMITS)
    for key, body in before:
        change(writer, key, body)
    writer.flush()
    copy.fill(0)
    now_ms, left = 0, list(meanwhile)
    under_way: list[Chunk | Batch] = []
    for _ in range(400):
        if left and random.random() < 0.5:
            change(writer, *left.pop(0))
            if random.random() < 0.5:
                under_way += writer.flush()
        now_ms += 50
        request = copy.ask(now_ms)
        if isinstance(request, SnapshotRequest):
            under_way += writer.chunks(request.begin, request.chunks)
        if under_way:
            message = under_way.pop(random.randrange(min(3, len(under_way))))
            if isinstance(message, Chunk):
                copy.receive_chunk(message, now_ms)
            else:
                copy.receive_batch(message, now_ms)
        if not left and not under_way and copy.percent >= 99 and copy.is_complete:
            break
        if isinstance(request, RepairRequest):
            break
    for key, body in left:
        change(writer, key, body)
    writer.flush()
    copy.receive_digest(writer.digest(), now_ms)
    converse(writer, copy, now_ms)
    copy.receive_digest(writer.digest(), now_ms)
    assert copy.resyncs == 0
    assert copy.digest() == writer.digest()


def test_a_digest_finds_what_no_gap_shows() -> None:
    writer, copy = written(), Copy(STREAM, LIMITS)
    for number in range(30):
        writer.put(record_key("g", b"%d" % number), b"body", 0)
    copy.receive_digest(writer.digest(), 0)
    now_ms = converse(writer, copy, 0)
    assert copy.is_complete
    copy.table.apply((record_key("g", b"3"), None))
    copy.receive_digest(writer.digest(), now_ms)
    assert (copy.resyncs, copy.is_complete) == (1, False)
    now_ms = converse(writer, copy, now_ms)
    copy.receive_digest(writer.digest(), now_ms)
    assert (copy.resyncs, copy.is_complete) == (1, True)
    assert copy.digest() == writer.digest()


def test_the_percentage_grows_and_reaches_a_hundred_only_when_complete() -> None:
    limits = StreamLimits(log_records=10, chunk_bytes=2000)
    writer, copy = written(limits), Copy(STREAM, limits)
    for number in range(3000):
        writer.put(record_key("g", b"%d" % number), b"body", 0)
    copy.receive_digest(writer.digest(), 0)
    seen = [copy.percent]
    copy.fill(0)
    while not copy.is_complete:
        request = copy.ask(0)
        assert isinstance(request, SnapshotRequest)
        for chunk in writer.chunks(request.begin, request.chunks):
            assert copy.percent < 100
            copy.receive_chunk(chunk, 0)
            seen.append(copy.percent)
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 100
    assert len(set(seen)) > 20


def test_a_request_is_repeated_seldomer_each_time_and_at_once_on_another_path() -> None:
    copy = Copy(STREAM, LIMITS)
    copy.receive_digest(Digest(STREAM, 5, 5, 1, True), 0)
    times: list[int] = []
    while len(times) < 9:
        due = copy.deadline()
        assert due is not None
        assert copy.ask(due - 1) is None
        assert copy.ask(due) == RepairRequest(STREAM, 1, 5)
        times.append(due)
    assert times == [20, 220, 620, 1420, 3020, 6220, 11220, 16220, 21220]
    copy.hurry(21_300)
    assert copy.ask(21_300) == RepairRequest(STREAM, 1, 5)
    assert copy.deadline() == 21_500


def test_what_is_held_back_is_bounded() -> None:
    copy = Copy(STREAM, LIMITS)
    for first in range(2, 5000):
        copy.receive_batch(Batch(STREAM, first, (b"g\0a", bytes(8)), 30), 0)
    assert copy.applied == 0
    copy.receive_batch(Batch(STREAM, 1, (b"g\0a", bytes(8)), 30), 0)
    assert copy.applied == 1 + LIMITS.held_batches
    assert copy.known == 4999


def test_an_old_life_of_a_chunk_changes_nothing() -> None:
    writer, copy = written(), Copy(STREAM, LIMITS)
    for number in range(30):
        writer.put(record_key("g", b"%d" % number), b"old", 0)
    old = writer.chunks(writer.chunks(BEGIN, 1)[0].end, 1)
    for number in range(30):
        writer.put(record_key("g", b"%d" % number), b"new", 0)
    copy.fill(0)
    request = copy.ask(0)
    assert isinstance(request, SnapshotRequest)
    copy.receive_chunk(writer.chunks(request.begin, 1)[0], 0)
    before = bodies(copy)
    copy.receive_chunk(old[0], 0)
    assert bodies(copy) == before


def test_a_gap_that_no_survivor_can_fill_is_stepped_over() -> None:
    copy = Copy(STREAM, LIMITS)
    copy.receive_batch(Batch(STREAM, 1, (b"g\0a", bytes(8)), 30), 0)
    copy.receive_batch(Batch(STREAM, 3, (b"g\0b", bytes(8)), 30), 0)
    copy.orphan()
    assert (copy.applied, copy.is_lacking, copy.deadline()) == (1, True, None)
    copy.settle()
    assert (copy.applied, copy.is_lacking, copy.is_complete) == (3, False, True)
    assert not copy.digest().is_whole
    assert copy.chunks(SnapshotRequest(STREAM, BEGIN, 1)) == []
    assert isinstance(copy.repair(2, 2), Forgotten)
    assert copy.repair(2, 3) == [Batch(STREAM, 3, (b"g\0b", bytes(8)), 30)]


def test_one_survivor_at_a_time_is_asked_for_what_the_writer_can_tell_no_more() -> None:
    copy = Copy(STREAM, LIMITS)
    copy.receive_batch(Batch(STREAM, 1, (b"g\0a", bytes(8)), 30), 0)
    copy.orphan()
    copy.receive_holding(Digest(STREAM, 2, 2, 7, True), "n2", 0)
    copy.receive_holding(Digest(STREAM, 3, 3, 7, True), "n3", 0)
    assert (copy.target, copy.ask(20)) == ("n2", RepairRequest(STREAM, 2, 2))
    copy.receive_batch(Batch(STREAM, 2, (b"g\0b", bytes(8)), 30), 30)
    assert (copy.target, copy.ask(1000)) == (None, None)
    copy.receive_holding(Digest(STREAM, 3, 3, 7, True), "n3", 1000)
    assert (copy.target, copy.ask(1020)) == ("n3", RepairRequest(STREAM, 3, 3))


def test_survivors_fill_each_others_holes_before_anybody_steps_over_them() -> None:
    one, two = Copy(STREAM, LIMITS), Copy(STREAM, LIMITS)
    batches = [Batch(STREAM, first, (b"g\0%d" % first, bytes(8)), 30) for first in range(1, 6)]
    for copy, firsts in ((one, (1, 3, 5)), (two, (1, 2, 4))):
        for first in firsts:
            copy.receive_batch(batches[first - 1], 0)
        copy.orphan()
    for asker, other in ((one, two), (two, one)):
        request = asker.lost()
        assert request is not None
        answer = other.repair(request.first, request.last)
        assert not isinstance(answer, Forgotten)
        for batch in answer:
            asker.receive_batch(batch, 0)
    assert (one.applied, two.applied) == (5, 4)
    two.receive_holding(one.digest(), "n2", 0)
    assert two.ask(20) == RepairRequest(STREAM, 5, 5)


def test_a_copy_without_a_hole_takes_no_snapshot_from_one_with_holes() -> None:
    exact = Copy(STREAM, LIMITS)
    exact.receive_batch(Batch(STREAM, 1, (b"g\0a", bytes(8)), 30), 0)
    exact.orphan()
    exact.settle()
    exact.receive_holding(Digest(STREAM, 1, 9, 9, False), "n2", 0)
    assert (exact.target, exact.deadline()) == (None, None)
    holed = Copy(STREAM, LIMITS)
    holed.receive_batch(Batch(STREAM, 1, (b"g\0a", bytes(8)), 30), 0)
    holed.receive_batch(Batch(STREAM, 3, (b"g\0c", bytes(8)), 30), 0)
    holed.orphan()
    holed.settle()
    holed.receive_holding(Digest(STREAM, 3, 3, 7, False), "n2", 0)
    assert holed.target is None
    holed.receive_holding(Digest(STREAM, 3, 3, 7, True), "n2", 0)
    assert isinstance(holed.ask(0), SnapshotRequest)


def test_a_claim_in_a_snapshot_shows_only_when_the_snapshot_is_whole() -> None:
    writer, copy = written(), Copy(STREAM, LIMITS)
    for number in range(40):
        writer.put(record_key("g", b"%d" % number), b"body", 0)
    writer.claim(b"g", 7, 0)
    copy.receive_digest(writer.digest(), 0)
    copy.fill(0)
    shown = []
    while not copy.is_complete:
        request = copy.ask(0)
        assert isinstance(request, SnapshotRequest)
        for chunk in writer.chunks(request.begin, request.chunks):
            copy.receive_chunk(chunk, 0)
            shown.append((copy.table.claims, copy.claims, copy.is_complete))
    assert any(claims and not is_complete for claims, _, is_complete in shown)
    assert all((claims == {b"g": 7}) == is_complete for _, claims, is_complete in shown)
