"""Session limits as a script: event in, action out; what mod_hash is told; what a hostile peer or switch can do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.switch.recorded import received
from zcluster.streams.actions import Replicated
from zcluster.streams.tables import Entry
from zcluster.streams.units import LIMITS, MARK_BYTES, Key, StreamId, record_key
from zcluster.switch.commands import Form
from zcluster.switch.esl import EslReader
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.telephony.actions import Action, ChangeRecords, Run, StreamIsWhole, Tell
from zcluster.telephony.events import (
    Answered,
    Event,
    EventsLost,
    Happened,
    Moment,
    SwitchClosed,
    SwitchOpened,
    Tick,
    Unanswered,
)
from zcluster.telephony.limit_sums import Count
from zcluster.telephony.limits import DUMP, SWITCH_KEY, Limits, LimitTiming
from zcluster.telephony.packing import pack
from zcluster.telephony.settings import TelephonySettings

TIMING = LimitTiming()
NAME = "outbound_carrier1"
OPENED = SwitchOpened("life-1", "build", "n1", False)


class Node:
    """One part, its records and those of its peers."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, Key], bytes] = {}
        self.recovered: dict[str, int] = {}
        self.now = 10_000
        self.limits = Limits(TelephonySettings("n1", ()), self, lambda: self.recovered)

    def entries(self, name: str) -> Iterator[Entry]:
        assert name == LIMITS
        for (node, key), body in self.records.items():
            yield Entry(StreamId(node, 1, LIMITS), key, bytes(MARK_BYTES) + body, False)

    def get(self, name: str, key: Key) -> Entry | None:
        raise AssertionError("nothing is shared out here")

    def do(self, event: Event, after_ms: int = 0) -> list[Action]:
        self.now += after_ms
        actions = self.limits.handle(event, Moment(self.now, self.now))
        for action in actions:
            if isinstance(action, ChangeRecords):
                for key, body in action.changes:
                    self.records.pop(("n1", key), None)
                    if body is not None:
                        self.records["n1", key] = body
        return actions

    def open(self, dump: str = "-ERR no reply\n") -> list[Action]:
        self.do(OPENED)
        (run,) = self.do(Tick())
        assert isinstance(run, Run)
        assert run.command.name == "api hash_dump limit"
        return self.do(Answered(DUMP, dump))

    def peer(self, node: str, life: str, **counts: tuple[int, int]) -> None:
        """What another node's stream says from now on."""
        self.records = {place: body for place, body in self.records.items() if place[0] != node}
        if life:
            self.records[node, SWITCH_KEY] = pack((life,))
            for name, count in counts.items():
                self.records[node, record_key("", name.encode())] = pack(count)
        self.do(Replicated(StreamId(node, 1, LIMITS), ()))
        self.do(Tick(), TIMING.look_ms)


def used(sessions: int, name: str = NAME, backend: str = "hash", rate: str = "0") -> Happened:
    realm, _, key = name.partition("_")
    headers = {"Event-Name": "CUSTOM", "Event-Subclass": "limit::usage", "backend": backend}
    return Happened(
        SwitchEvent({**headers, "realm": realm, "key": key, "usage": str(sessions), "rate": rate})
    )


def record(name: str, usage: int, recovered: int = 0) -> tuple[bytes, bytes]:
    return record_key("", name.encode()), pack((usage, recovered))


def test_the_first_dump_makes_the_stream_whole_and_the_life_comes_last() -> None:
    assert Node().open(f"L/{NAME}/2/0/0/0\n") == [
        ChangeRecords(LIMITS, (record(NAME, 2),)),
        ChangeRecords(LIMITS, ((SWITCH_KEY, pack(("life-1",))),)),
        StreamIsWhole(LIMITS),
    ]


def test_an_increment_is_told_at_once_and_a_release_at_the_next_poll() -> None:
    node = Node()
    node.open()
    assert node.do(used(1)) == [ChangeRecords(LIMITS, (record(NAME, 1),))]
    assert node.do(used(2)) == [ChangeRecords(LIMITS, (record(NAME, 2),))]
    assert node.do(Tick(), TIMING.poll_ms - 1) == []
    (run,) = node.do(Tick(), 1)
    assert isinstance(run, Run)
    assert node.do(Tick(), 10 * TIMING.poll_ms) == []  # one question at a time
    assert node.do(Answered(DUMP, "L/outbound_carrier1/1/0/0/0\n")) == [
        ChangeRecords(LIMITS, (record(NAME, 1),))
    ]
    node.do(Tick(), TIMING.poll_ms)
    gone = ((record_key("", NAME.encode()), None),)
    assert node.do(Answered(DUMP, "-ERR no reply\n")) == [ChangeRecords(LIMITS, gone)]


def test_the_events_of_a_real_switch_count() -> None:
    node = Node()
    node.open()
    for form in Form:
        reader = EslReader()
        for frame in reader.feed(received(f"limit.{form.value}")):
            if isinstance(frame, SwitchEvent):
                node.do(Happened(frame))
        assert node.records["n1", record_key("", NAME.encode())] == pack((2, 0))


def test_an_idle_switch_is_asked_seldom_and_a_lost_event_is_asked_for_at_once() -> None:
    node = Node()
    node.open()
    node.do(Tick(), TIMING.look_ms)
    assert node.do(Tick(), 1000) == []
    node.do(EventsLost("a gap"))
    assert [type(action) for action in node.do(Tick())] == [Run]
    assert node.do(Unanswered(DUMP, "too late")) == []
    assert [type(action) for action in node.do(Tick(), TIMING.poll_ms)] == [Run]


def test_mod_hash_is_told_the_others_and_what_we_recovered() -> None:
    node = Node()
    node.open(f"L/{NAME}/5/0/0/0\n")
    assert node.limits.answer() == "# none\n"
    node.peer("n2", "life-2", outbound_carrier1=(3, 1))
    node.peer("n3", "life-3", outbound_carrier1=(1, 0), other_x=(2, 0))
    node.recovered = {NAME: 2}
    assert node.do(Tick()) == [ChangeRecords(LIMITS, (record(NAME, 5, 2),))]
    assert node.limits.answer() == f"L/other_x/2/0/0/0\nL/{NAME}/7/0/0/0\n"
    row = next(row for row in node.limits.rows() if row.name == NAME)
    assert row.counts == (("n1", Count(5, 2)), ("n2", Count(3, 1)), ("n3", Count(1, 0)))
    assert (row.kept, row.total) == (0, 12)


def test_what_is_over_is_told_as_zero_for_longer_than_a_second() -> None:
    node = Node()
    node.open()
    node.peer("n2", "life-2", outbound_carrier1=(1, 0))
    assert node.limits.answer() == f"L/{NAME}/1/0/0/0\n"
    node.peer("n2", "life-2")
    assert node.limits.answer() == f"L/{NAME}/0/0/0/0\n"
    node.do(Tick(), TIMING.zero_ms + 1)
    assert node.limits.answer() == "# none\n"


def test_a_node_that_goes_counts_until_it_is_recovered_or_ten_seconds_are_over() -> None:
    node = Node()
    node.open()
    node.peer("n2", "life-2", outbound_carrier1=(4, 0))
    node.peer("n3", "life-3", outbound_carrier1=(1, 0))
    node.peer("n2", "")
    assert node.limits.answer() == f"L/{NAME}/5/0/0/0\n"
    node.peer("n3", "life-3", outbound_carrier1=(1, 3))
    assert node.limits.answer() == f"L/{NAME}/5/0/0/0\n"
    node.do(Tick(), TIMING.keep_ms)
    assert node.limits.answer() == f"L/{NAME}/4/0/0/0\n"


def test_a_node_that_is_heard_again_counts_once() -> None:
    node = Node()
    node.open()
    node.peer("n2", "life-2", outbound_carrier1=(4, 0))
    node.peer("n2", "")
    node.peer("n2", "life-2", outbound_carrier1=(4, 0))
    assert node.limits.answer() == f"L/{NAME}/4/0/0/0\n"


def test_our_own_switch_that_died_counts_like_a_node_that_did() -> None:
    node = Node()
    node.open(f"L/{NAME}/4/0/0/0\n")
    assert node.do(SwitchClosed("end of file")) == [ChangeRecords(LIMITS, ((SWITCH_KEY, pack(("",))),))]
    node.do(Tick())
    assert node.limits.answer() == f"L/{NAME}/4/0/0/0\n"
    node.do(SwitchOpened("life-2", "build", "n1", False))
    node.do(Tick())
    node.do(Answered(DUMP, "-ERR no reply\n"))
    node.do(Tick())
    assert node.limits.answer() == f"L/{NAME}/4/0/0/0\n"
    node.do(Tick(), TIMING.keep_ms)
    assert node.limits.answer() == "# none\n"


def test_a_switch_that_only_hung_up_on_us_counts_once() -> None:
    node = Node()
    node.open(f"L/{NAME}/4/0/0/0\n")
    node.do(SwitchClosed("end of file"))
    node.do(Tick())
    node.do(SwitchOpened("life-1", "build", "n1", True))
    node.do(Tick())
    node.do(Answered(DUMP, f"L/{NAME}/4/0/0/0\n"))
    node.do(Tick())
    assert node.limits.answer() == "# none\n"


def test_a_switch_that_stays_away_leaves_no_records() -> None:
    node = Node()
    node.open(f"L/{NAME}/4/0/0/0\n")
    node.do(SwitchClosed("end of file"))
    assert node.do(Tick(), TIMING.keep_ms) == [
        ChangeRecords(LIMITS, ((record_key("", NAME.encode()), None),))
    ]


def test_a_switch_without_mod_hash_is_said_once_and_stands_in_nobodys_way() -> None:
    node = Node()
    actions = node.open("-ERR hash_dump Command not found!\n")
    assert [action.code for action in actions if isinstance(action, Tell)] == ["limits-no-hash"]
    assert StreamIsWhole(LIMITS) in actions
    node.do(Tick(), TIMING.idle_poll_ms)
    assert node.do(Answered(DUMP, "-ERR hash_dump Command not found!\n")) == []


def test_a_name_with_a_slash_is_counted_and_its_trouble_said() -> None:
    node = Node()
    actions = node.open("L/a/b_c/3/0/0/0\n")
    assert actions[1] == ChangeRecords(LIMITS, (record("a/b_c", 3),))
    assert isinstance(actions[0], Tell)
    node.peer("n2", "life-2", **{"a/b_c": (3, 0)})
    assert node.limits.answer() == "# none\n"


@pytest.mark.parametrize(
    "event",
    [
        used(1, backend="db"),
        used(1, "x" * 300 + "_a"),
        used(-1),
        used(1, rate="many"),
        Happened(SwitchEvent({"Event-Name": "CUSTOM", "Event-Subclass": "limit::usage", "backend": "hash"})),
    ],
)
def test_an_event_that_says_nothing_changes_nothing(event: Happened) -> None:
    node = Node()
    node.open()
    assert node.do(event) == []


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (b"a_b", b"\xc1"),
        (b"a_b", pack((1,))),
        (b"a_b", pack(("many", 0))),
        (b"a_b", pack((True, 0))),
        (b"\xff_b", pack((1, 0))),
        (b"x" * 300 + b"_b", pack((1, 0))),
        (b"\0switch", pack((7,))),
        (b"\0switch", pack(("x" * 100,))),
    ],
)
def test_a_peers_bad_record_is_counted_and_forgotten(name: bytes, body: bytes) -> None:
    node = Node()
    node.open()
    node.peer("n2", "life-2", outbound_carrier1=(1, 0))
    node.records["n3", SWITCH_KEY] = pack(("life-3",))
    node.records["n3", record_key("", name)] = body
    assert node.limits.answer() == f"L/{NAME}/1/0/0/0\n"
    assert node.limits.counts["bad record"] == 1


def test_a_peers_enormous_count_stays_a_number_that_mod_hash_holds() -> None:
    node = Node()
    node.open()
    node.peer("n2", "life-2", outbound_carrier1=(2**62, 2**62))
    node.peer("n3", "life-3", outbound_carrier1=(-5, 0))
    assert node.limits.answer() == f"L/{NAME}/{2**31 - 1}/0/0/0\n"
