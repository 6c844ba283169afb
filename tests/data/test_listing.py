from __future__ import annotations

from collections.abc import Iterator, Mapping

from hypothesis import given, settings
from hypothesis import strategies as some

from tests.examples import examples
from zcluster.data.copies import ReplicatedCopies
from zcluster.data.listing import LARGEST_LISTS, PIECE_ENTRIES, Listing, Wanted
from zcluster.streams.events import GroupWon, RecordsChanged
from zcluster.streams.replicator import Replicator
from zcluster.streams.tables import Entry
from zcluster.streams.units import REGISTRATIONS, body_of, group_of, record_key

NO_FILTERS = {"group": "", "node": "", "profile": ""}


def rows_of(entry: Entry) -> Iterator[Mapping[str, object]]:
    """A body is a number of rows; one of none cannot be read."""
    for number in range(int(body_of(entry.record))):
        name = entry.key.partition(b"\0")[2].decode()
        group = group_of(entry.key).decode()
        yield {"name": f"{name}.{number}", "group": group, "node": entry.stream.node, "profile": group[:1]}


class Desk:
    """A listing over records of two groups, and what it answered."""

    def __init__(self, records: int, rows_each: int = 1) -> None:
        replicator = Replicator("n1", 1, b"k" * 16)
        for group in ("blue", "red"):
            replicator.handle(GroupWon(group, 1), 0)
            changes = tuple(
                (record_key(group, b"%d" % number), b"%d" % rows_each) for number in range(records)
            )
            replicator.handle(RecordsChanged(REGISTRATIONS, changes), 0)
        self.answers: dict[int, Mapping[str, object]] = {}
        self.looked = 0

        def counted(entry: Entry) -> Iterator[Mapping[str, object]]:
            self.looked += 1
            return rows_of(entry)

        copies = ReplicatedCopies(replicator)
        self.listing = Listing(copies, {REGISTRATIONS: counted}, "n1", self.answers.__setitem__)

    def ask(self, client: int = 1, **changed: object) -> Mapping[str, object]:
        filters = {name: str(changed.pop(name, "")) for name in NO_FILTERS}
        wanted = Wanted(client, REGISTRATIONS, "s/1", filters, **changed)  # type: ignore[arg-type]
        assert self.listing.ask(wanted)
        while self.listing.has_more:
            self.listing.piece(0)
        return self.answers.pop(client)


def names(answer: Mapping[str, object]) -> list[str]:
    rows = answer["rows"]
    assert isinstance(rows, list)
    return [row["name"] for row in rows]


def test_a_piece_looks_at_few_records_however_many_there_are() -> None:
    desk = Desk(5000)
    desk.listing.ask(Wanted(1, REGISTRATIONS, "s/1", NO_FILTERS, is_count=True))
    while desk.listing.has_more:
        before = desk.looked
        desk.listing.piece(0)
        assert desk.looked - before <= PIECE_ENTRIES
    assert desk.answers[1]["total"] == 10_000
    assert desk.answers[1]["by"] == {
        "group": {"blue": 5000, "red": 5000},
        "node": {"n1": 10_000},
        "profile": {"b": 5000, "r": 5000},
    }


@settings(max_examples=examples(30))
@given(
    some.integers(min_value=0, max_value=300),
    some.integers(min_value=1, max_value=97),
    some.integers(min_value=0, max_value=3),
)
def test_pages_together_are_the_whole_each_row_once(records: int, limit: int, rows_each: int) -> None:
    desk = Desk(records, rows_each)
    found: list[str] = []
    begin = (0, 0)
    while True:
        answer = desk.ask(limit=limit, begin=begin)
        found += names(answer)
        # A record's rows are not parted.
        assert len(names(answer)) < limit + max(rows_each, 1)
        if not answer["next"]:
            break
        bucket, _, place = str(answer["next"]).partition(":")
        begin = (int(bucket), int(place))
    wanted = [
        f"{number}.{row}" for _ in ("blue", "red") for number in range(records) for row in range(rows_each)
    ]
    assert sorted(found) == sorted(wanted)


def test_filters() -> None:
    desk = Desk(30)
    assert len(names(desk.ask(group="blue"))) == 30
    assert len(names(desk.ask(profile="r"))) == 30
    assert names(desk.ask(node="n2")) == []
    assert sorted(names(desk.ask(match="17."))) == ["17.0", "17.0"]
    assert desk.ask(match="17.", is_count=True)["total"] == 2


def test_lists_take_turns_and_are_bounded() -> None:
    desk = Desk(2000)
    wanted = [Wanted(client, REGISTRATIONS, "s/1", NO_FILTERS, is_count=True) for client in range(1, 10)]
    assert [desk.listing.ask(each) for each in wanted] == [True] * LARGEST_LISTS + [False]
    while not desk.answers:
        desk.listing.piece(0)
    for _ in range(LARGEST_LISTS):
        desk.listing.piece(0)
    assert len(desk.answers) == LARGEST_LISTS
    assert not desk.listing.has_more
