from __future__ import annotations

import pytest

from zcluster.streams.actions import Action, CopyCompleted, GroupAdopted, Publish, Replicated, Send
from zcluster.streams.events import (
    GroupWon,
    MessageReceived,
    PathChanged,
    PeerFailed,
    PeerHeard,
    RecordsChanged,
    StreamLoaded,
    Tick,
)
from zcluster.streams.limits import MAX_RECORD_BYTES, StreamLimits
from zcluster.streams.messages import Batch, Chunk, Digest, RepairRequest, SnapshotRequest
from zcluster.streams.replicator import Replicator
from zcluster.streams.tables import pack_share
from zcluster.streams.units import (
    BEGIN,
    CALLS,
    END,
    LIMITS,
    REGISTRATIONS,
    STREAM_NAMES,
    StreamId,
    claim_key,
    record_key,
)

LIMIT_MS = StreamLimits().orphan_share_ms
THEIRS = StreamId("n2", 1, REGISTRATIONS)


def node(name: str = "n1", incarnation: int = 1) -> Replicator:
    return Replicator(name, incarnation, name.encode() * 8)


def published(actions: list[Action]) -> list[object]:
    return [action.message for action in actions if isinstance(action, Publish)]


def exchange(nodes: list[Replicator], now_ms: int, rounds: int = 12) -> int:
    """Everything arrives at once; ticks come when they are due."""
    for _ in range(rounds):
        now_ms = max(now_ms, min(each.deadline() for each in nodes))
        for source in nodes:
            waiting = [(source.node, action) for action in source.handle(Tick(), now_ms)]
            while waiting:
                name, action = waiting.pop(0)
                match action:
                    case Publish(message):
                        targets = [each for each in nodes if each.node != name]
                    case Send(target, message):
                        targets = [each for each in nodes if each.node == target]
                    case _:
                        continue
                for each in targets:
                    answers = each.handle(MessageReceived(message, name), now_ms)
                    waiting += [(each.node, answer) for answer in answers]
    return now_ms


def test_a_change_waits_a_moment_for_others_to_travel_with() -> None:
    one = node()
    one.handle(Tick(), 0)
    one.handle(RecordsChanged(REGISTRATIONS, ((record_key("", b"a"), b"1"),)), 100)
    assert one.deadline() == 105
    one.handle(RecordsChanged(REGISTRATIONS, ((record_key("", b"b"), b"2"),)), 103)
    assert published(one.handle(Tick(), 104)) == []
    (batch,) = published(one.handle(Tick(), 105))
    assert isinstance(batch, Batch)
    assert (batch.first, batch.last) == (1, 2)


def test_a_copy_reports_its_changes_and_when_it_is_complete() -> None:
    two = node("n2")
    record = bytes(8) + b"body"
    actions = two.handle(
        MessageReceived(Batch(StreamId("n1", 1, REGISTRATIONS), 1, (b"\0a", record), 20), "n1"), 0
    )
    assert Replicated(StreamId("n1", 1, REGISTRATIONS), (b"\0a", record)) in actions
    digest = Digest(StreamId("n1", 1, REGISTRATIONS), 1, 1, 0, False)
    assert not [a for a in two.handle(MessageReceived(digest, "n1"), 1) if isinstance(a, CopyCompleted)]
    assert two.completeness() == {"n1": {REGISTRATIONS: 99}}
    whole = Digest(StreamId("n1", 1, REGISTRATIONS), 1, 1, 0, True)
    assert CopyCompleted(whole.stream, True) in two.handle(MessageReceived(whole, "n1"), 2)
    assert two.completeness() == {"n1": {REGISTRATIONS: 100}}


@pytest.mark.parametrize(
    "message",
    [
        Batch(THEIRS, 2**52, (b"\0a", bytes(9)), 20),
        Chunk(THEIRS, 5, BEGIN, END, (b"\0a", bytes(9)), True),
        Digest(THEIRS, 5, 0, 0, True),
        RepairRequest(THEIRS, 1, 2**52),
        RepairRequest(StreamId("n1", 1, REGISTRATIONS), 2**52, 1),
        SnapshotRequest(StreamId("n1", 1, REGISTRATIONS), END, 64),
        SnapshotRequest(StreamId("n1", 9, REGISTRATIONS), BEGIN, 64),
        Batch(StreamId("n1", 1, REGISTRATIONS), 1, (b"\0a", bytes(9)), 20),
        Batch(StreamId("n1", 9, REGISTRATIONS), 1, (b"\0a", bytes(9)), 20),
        Batch(StreamId("n1", 1, "secrets"), 1, (b"\0a", bytes(9)), 20),
    ],
    ids=str,
)
def test_nothing_that_a_peer_says_harms(message: Batch) -> None:
    one = node()
    one.handle(Tick(), 0)
    for now_ms in range(0, 500, 100):
        actions = one.handle(MessageReceived(message, "n2"), now_ms)
        assert len(actions) < 10
    assert one.deadline() > 300
    assert one.tables[REGISTRATIONS].own.sequence == 0


def test_streams_are_bounded_in_number() -> None:
    one = Replicator("n1", 1, bytes(16), StreamLimits(streams=5))
    for number in range(20):
        stream = StreamId(f"x{number}", 1, REGISTRATIONS)
        one.handle(MessageReceived(Digest(stream, 0, 0, 0, True), stream.node), 0)
    assert len(one.tables[REGISTRATIONS].copies) == 5
    assert one.counts["too many streams"] == 15


def test_a_record_that_peers_would_refuse_is_counted_and_not_written() -> None:
    one = node()
    one.handle(RecordsChanged(REGISTRATIONS, ((b"\0a", bytes(MAX_RECORD_BYTES)), (b"\0b", b"fine"))), 0)
    assert one.counts["record too large"] == 1
    assert [entry.key for entry in one.tables[REGISTRATIONS].entries()] == [b"\0b"]


def test_the_switch_cannot_write_a_claim() -> None:
    one = node()
    one.handle(RecordsChanged(REGISTRATIONS, ((claim_key(b"g"), bytes(8)),)), 0)
    assert one.tables[REGISTRATIONS].own.table.claims == {}
    assert one.counts["record of a group not ours"] == 1


def test_another_path_is_asked_again_at_once() -> None:
    one = node()
    one.handle(Tick(), 0)
    one.handle(MessageReceived(Digest(THEIRS, 5, 5, 0, True), "n2"), 0)
    request = Send("n2", RepairRequest(THEIRS, 1, 5))
    assert request in one.handle(Tick(), 20)
    assert request not in one.handle(Tick(), 30)
    assert request in one.handle(PathChanged("n2"), 31)


def test_limits_are_summed_and_the_share_of_a_node_goes_with_it_or_moves() -> None:
    nodes = [node("n1"), node("n2"), node("n3")]
    shares = {"n1": 4, "n2": 3, "n3": 2}
    now_ms = 0
    for number, each in enumerate(nodes):
        group = f"g{number + 1}"
        each.handle(GroupWon(group, number + 1), 0)
        share = pack_share(shares[each.node])
        local = (record_key("", b"trunk"), pack_share(10))
        each.handle(RecordsChanged(LIMITS, ((record_key(group, b"trunk"), share), local)), 0)
        for name in each.tables:
            each.handle(StreamLoaded(name), 0)
    now_ms = exchange(nodes, 0)
    assert [each.tables[LIMITS].sums(now_ms, LIMIT_MS) for each in nodes] == [{b"trunk": 39}] * 3
    living = nodes[1:]
    for each in living:
        each.handle(PeerFailed("n1"), now_ms)
        # What belonged to the node alone is gone at once; what its group's calls use may yet be recovered.
        assert each.tables[LIMITS].sums(now_ms, LIMIT_MS) == {b"trunk": 29}
        assert each.tables[LIMITS].sums(now_ms + LIMIT_MS, LIMIT_MS) == {b"trunk": 25}
    living[0].handle(GroupWon("g1", 4), now_ms)
    now_ms = exchange(living, now_ms)
    late_ms = now_ms + LIMIT_MS
    assert [each.tables[LIMITS].sums(late_ms, LIMIT_MS) for each in living] == [{b"trunk": 29}] * 2
    living[0].handle(RecordsChanged(LIMITS, ((record_key("g1", b"trunk"), pack_share(1)),)), now_ms)
    now_ms = exchange(living, now_ms)
    assert [each.tables[LIMITS].sums(late_ms, LIMIT_MS) for each in living] == [{b"trunk": 26}] * 2


def test_a_new_life_replaces_the_old_copy_only_once_it_is_complete() -> None:
    one, two = node("n1"), node("n2")
    two.handle(RecordsChanged(REGISTRATIONS, ((b"\0a", b"old"),)), 0)
    two.handle(StreamLoaded(REGISTRATIONS), 0)
    now_ms = exchange([one, two], 0)
    assert [(e.stream.incarnation, e.record[8:]) for e in one.tables[REGISTRATIONS].entries()] == [
        (1, b"old")
    ]
    again = node("n2", 2)
    again.handle(RecordsChanged(REGISTRATIONS, ((b"\0a", b"new"),)), now_ms)
    now_ms = exchange([one, again], now_ms)
    assert [(e.stream.incarnation, e.record[8:]) for e in one.tables[REGISTRATIONS].entries()] == [
        (1, b"old")
    ]
    again.handle(StreamLoaded(REGISTRATIONS), now_ms)
    now_ms = exchange([one, again], now_ms)
    assert [(e.stream.incarnation, e.record[8:]) for e in one.tables[REGISTRATIONS].entries()] == [
        (2, b"new")
    ]


def test_calls_are_taken_over_before_registrations_which_wait_for_the_next_turn() -> None:
    one, two = node(), node("n2")
    two.handle(GroupWon("g", 1), 0)
    now_ms = exchange([one, two], StreamLimits().claim_wait_ms)
    for name in STREAM_NAMES:
        two.handle(RecordsChanged(name, ((record_key("g", b"a"), b"1"),)), now_ms)
        two.handle(StreamLoaded(name), now_ms)
    now_ms = exchange([one, two], now_ms)
    one.handle(PeerFailed("n2"), now_ms)
    taken = []
    actions = one.handle(GroupWon("g", 2), now_ms)
    for _ in STREAM_NAMES:
        taken.append([(each.name, each.records) for each in actions if isinstance(each, GroupAdopted)])
        assert one.deadline() <= now_ms
        actions = one.handle(Tick(), now_ms)
    assert taken == [[(CALLS, 1)], [(LIMITS, 1)], [(REGISTRATIONS, 1)]]


def claims_of(one: Replicator) -> dict[bytes, int]:
    return one.tables[CALLS].own.table.claims


def test_a_first_master_claims_at_once_when_it_has_everybody_whole() -> None:
    one, two = node(), node("n2")
    for each, other in ((one, "n2"), (two, "n1")):
        each.handle(PeerHeard(other), 0)
        for name in STREAM_NAMES:
            each.handle(StreamLoaded(name), 0)
    now_ms = exchange([one, two], 0)
    one.handle(GroupWon("g", 1), now_ms)
    assert claims_of(one) == {b"g": 1}


def test_it_waits_for_a_living_node_that_has_not_told_its_records() -> None:
    one, two = node(), node("n2")
    for name in ("n2", "n3"):
        one.handle(PeerHeard(name), 0)
    for name in STREAM_NAMES:
        two.handle(StreamLoaded(name), 0)
    now_ms = exchange([one, two], 0)
    one.handle(GroupWon("g", 1), now_ms)
    assert claims_of(one) == {}
    one.handle(PeerFailed("n3"), now_ms)
    assert claims_of(one) == {b"g": 1}


def test_a_master_who_died_before_it_could_claim_is_followed_at_once() -> None:
    one, two, three = nodes = [node(), node("n2"), node("n3")]
    for each in nodes:
        for other in nodes:
            each.handle(PeerHeard(other.node), 0)
        for name in STREAM_NAMES:
            each.handle(StreamLoaded(name), 0)
    two.handle(PeerHeard("n4"), 0)
    now_ms = exchange(nodes, 0)
    two.handle(GroupWon("g", 1), now_ms)
    two.handle(RecordsChanged(CALLS, ((record_key("g", b"a"), b"1"),)), now_ms)
    now_ms = exchange(nodes, now_ms, 2)
    assert claims_of(two) == {}, "it waits for n4"
    one.handle(PeerFailed("n2"), now_ms)
    actions = one.handle(GroupWon("g", 2), now_ms)
    assert [(each.name, each.records) for each in actions if isinstance(each, GroupAdopted)] == [(CALLS, 1)]
    assert claims_of(three) == {}
