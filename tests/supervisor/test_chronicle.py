from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as some

from zcluster.adapters.journal import Journal, Record, encode_line, record_from
from zcluster.adapters.log import PlainLog
from zcluster.control.actions import Tell
from zcluster.supervisor.chronicle import Chronicle
from zcluster.supervisor.restraint import MINUTE_MS, SAME_A_MINUTE
from zcluster.supervisor.side_thread import SideThread
from zcluster.supervisor.story import LARGEST_RECORDS, Story

NOW_MS = 1_800_000_000_000
LIFE = 77


class Host:
    """A chronicle with its own disk and log; `published` is what the bus got."""

    def __init__(self, directory: Path, name: str) -> None:
        self.side_thread = SideThread("disk")
        self.is_settled = False
        self.directory = directory
        self.log = io.StringIO()
        self.now_ms = 5000
        self.published: list[bytes] = []
        self.journal = Journal(directory)
        self.chronicle = Chronicle(
            name,
            LIFE,
            Story(),
            self.journal,
            self.side_thread,
            self.published.append,
            PlainLog(self.log),
            lambda: NOW_MS,
            lambda: self.now_ms,
        )

    def settle(self) -> None:
        """What was told is on the disk, and nothing more comes."""
        if not self.is_settled:
            self.is_settled = True
            assert self.side_thread.stop()
            self.journal.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path, "n1")
    yield host
    host.settle()


TOLD = Tell("notice", "takeover", "blue: n1 holds epoch 4", {"group": "blue", "epoch": 4, "votes": {"n1": 0}})


def test_what_is_told_reaches_journal_log_story_and_bus(host: Host) -> None:
    host.chronicle.tell(TOLD)
    host.settle()
    record = Record(NOW_MS, "n1", "notice", "takeover", TOLD.text, TOLD.facts, LIFE, 1)
    assert host.chronicle.story.about("") == [record]
    assert Journal(host.directory).recent(5) == [record]
    assert host.log.getvalue().endswith("notice  n1 takeover: blue: n1 holds epoch 4\n")
    assert msgpack.unpackb(host.published[0]) == record.plain()


def test_a_peer_hears_it_once_and_keeps_it_under_its_name(host: Host, tmp_path: Path) -> None:
    host.chronicle.tell(TOLD)
    peer = Host(tmp_path / "peer", "n2")
    peer.chronicle.hear(host.published * 3)
    peer.settle()
    assert [record.node for record in Journal(tmp_path / "peer").recent(5)] == ["n1"]
    assert peer.chronicle.story.last_takeover("blue", 4) is not None
    assert peer.log.getvalue() == ""
    assert peer.published == []


def nested(depth: int) -> object:
    return [nested(depth - 1)] if depth else 0


def packed(**changed: object) -> bytes:
    plain = Record(NOW_MS, "n2", "info", "state", "text", {}).plain()
    body: bytes = msgpack.packb({**plain, **changed})
    return body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgpack.packb([1, 2]),
        packed(node="n1"),
        packed(level="loud"),
        packed(at_ms=NOW_MS + 90_000_000),
        packed(facts={1: 2}),
        packed(facts={"a": [float("nan")]}),
        packed(facts={"a": float("inf")}),
        packed(at_ms=-1),
        packed(at_ms=True),
        packed(number=1),
        packed(incarnation=1),
        packed(incarnation=1, number=-1),
        packed(incarnation=2**53, number=1),
        packed(incarnation=1, number=2**53),
        packed(incarnation=1.0, number=1),
        packed(text="x" * 17_000),
        packed(facts={"group": {b"blue": 1}}),
        packed(facts={"group": b"blue"}),
        packed(facts={"group": msgpack.ExtType(5, b"blue")}),
        packed(facts={"group": nested(200)}),
        # As deep as the reader of MessagePack goes, and deeper than the writer of JSON can follow.
        packed(facts={"group": 0}).replace(b"\xa5group\x00", b"\xa5group" + b"\x91" * 1000 + b"\x00"),
    ],
)
def test_bytes_that_are_no_record_of_a_peer_are_counted_and_dropped(host: Host, body: bytes) -> None:
    host.chronicle.hear([body])
    assert host.chronicle.counts["stories_bad"] == 1
    assert host.chronicle.story.about("") == []


@given(some.lists(some.binary(max_size=60), max_size=5))
def test_no_bytes_raise(bodies: list[bytes]) -> None:
    side_thread = SideThread("disk")
    chronicle = Chronicle(
        "n1", LIFE, Story(), Journal(Path("/proc/none")), side_thread, lambda _: None, PlainLog(io.StringIO())
    )
    chronicle.hear(bodies)
    assert side_thread.stop()


fact_values = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(2**63), 2**64 - 1)
    | some.floats()
    | some.text()
    | some.binary(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text() | some.binary(), inner),
)


@given(some.dictionaries(some.text(), fact_values, max_size=3))
def test_what_is_taken_of_a_peer_can_be_said_again(facts: dict[str, object]) -> None:
    """Else the daemon would end with a defect where it writes it down, or tells a follower: every one that heard it."""
    with contextlib.suppress(ValueError):
        encode_line(record_from(msgpack.unpackb(packed(facts=facts))))


def test_a_journal_that_cannot_be_written_is_counted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    host = Host(tmp_path / "file", "n1")
    host.chronicle.tell(TOLD)
    host.settle()
    assert host.chronicle.counts["journal_failed"] == 1
    assert host.log.getvalue() != ""


@pytest.mark.parametrize("fact", ["x" * 20_000, 2**70, "\udc80"])
def test_facts_that_the_bus_cannot_carry_are_left_out_and_no_number_is_missing(
    host: Host, fact: object
) -> None:
    for tell in (TOLD, Tell("info", "state", "odd", {"fact": fact}), TOLD):
        host.chronicle.tell(tell)
    host.settle()
    records = [record_from(msgpack.unpackb(body)) for body in host.published]
    assert [record.number for record in records] == [1, 2, 3]
    assert records[1].text == "odd"
    assert len(host.published[1]) < 2000


def test_the_same_words_twice_in_a_millisecond_are_two_records(host: Host, tmp_path: Path) -> None:
    host.chronicle.tell(TOLD)
    host.chronicle.tell(TOLD)
    peer = Host(tmp_path / "peer", "n2")
    peer.chronicle.hear(host.published + host.published)
    assert [record.number for record in peer.chronicle.story.about("")] == [1, 2]
    peer.settle()
    host.settle()


def test_a_record_of_an_older_version_is_told_once_too(host: Host) -> None:
    plain = Record(NOW_MS, "n2", "info", "state", "text", {}).plain()
    del plain["incarnation"], plain["number"]
    host.chronicle.hear([msgpack.packb(plain), packed()])
    assert [record.number for record in host.chronicle.story.about("")] == [0]
    host.settle()


def test_a_flood_is_in_the_journal_and_the_log_says_how_much_of_it(host: Host) -> None:
    for number in range(50):
        host.chronicle.tell(Tell("warning", "link-silent", f"hb1: nobody is heard for {number} ms", {}))
    due_ms = host.chronicle.deadline()
    assert due_ms == 5000 + MINUTE_MS
    host.now_ms = due_ms
    host.chronicle.run(due_ms)
    host.chronicle.tell(TOLD)
    host.settle()
    lines = host.log.getvalue().splitlines()
    assert len(lines) == SAME_A_MINUTE + 2
    assert lines[SAME_A_MINUTE].endswith(
        "held-back: 40 more lines of link-silent within a minute, the last: hb1: nobody is heard for 49 ms"
    )
    assert len(Journal(host.directory).recent(100)) == 51
    assert host.chronicle.counts["log_held_back"] == 40


def test_the_ring_is_bounded_and_finds_alarms() -> None:
    story = Story()
    for number in range(LARGEST_RECORDS + 10):
        level = "alarm" if number % 100 == 0 else "info"
        story.add(Record(number, "n1", level, "code", f"text {number % 200}", {}))
    assert len(story.about("")) == LARGEST_RECORDS
    assert [record.at_ms for record in story.alarms(100)] == [400, 500]
    assert (story.oldest, story.newest) == (11, LARGEST_RECORDS + 10)


@given(some.integers(0, 900), some.integers(0, 900), some.integers(0, 40))
def test_what_comes_behind_a_place_has_no_gap(told: int, place: int, most: int) -> None:
    story = Story(Record(number, "n1", "info", "code", "", {}, 1, number) for number in range(1, told + 1))
    expected = [number for number in range(1, told + 1) if number > place and number > told - LARGEST_RECORDS]
    found = story.after(place, most)
    assert [number for number, _ in found] == expected[:most]
    assert all(record.number == number for number, record in found)


def test_what_has_left_the_ring_may_come_again() -> None:
    story = Story()
    first = Record(1, "n1", "info", "code", "", {}, 1, 1)
    assert story.add(first)
    assert not story.add(first)
    for number in range(2, LARGEST_RECORDS + 2):
        story.add(first._replace(number=number))
    assert story.add(first)


def test_the_story_of_a_group_keeps_what_names_no_group() -> None:
    story = Story()
    for facts in ({"group": "blue"}, {"group": "red"}, {}):
        story.add(Record(1, "n1", "info", "code", str(facts), facts))
    assert [record.facts for record in story.about("blue")] == [{"group": "blue"}, {}]
