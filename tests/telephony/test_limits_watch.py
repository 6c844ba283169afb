"""A switch whose mod_hash never asks what the others use: said once, and when it is over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from zcluster.streams.tables import Entry
from zcluster.streams.units import Key
from zcluster.telephony.actions import Tell
from zcluster.telephony.events import Answered, Event, Moment, SwitchClosed, SwitchOpened, Tick
from zcluster.telephony.limit_watch import SILENCE_MS
from zcluster.telephony.limits import DUMP, Limits
from zcluster.telephony.settings import GroupSettings, TelephonySettings

OPENED = SwitchOpened("life-1", "build", "n1", False)
USED = Answered(DUMP, "L/outbound_carrier1/2/0/0/0\n")
POLL_MS = 250


class Nothing:
    """A cluster that says nothing."""

    def entries(self, name: str) -> Iterator[Entry]:
        return iter(())

    def get(self, name: str, key: Key) -> Entry | None:
        return None


class Node:
    """One part, and what it told."""

    def __init__(self, strict: dict[str, int]) -> None:
        settings = TelephonySettings("n1", (GroupSettings("a"),), strict_limits=strict, limits_port=8032)
        self.limits = Limits(settings, Nothing(), dict)
        self.now = 5000
        self.told: list[Tell] = []

    def do(self, event: Event) -> None:
        actions = self.limits.handle(event, Moment(self.now, self.now))
        self.told += [action for action in actions if isinstance(action, Tell)]

    def pass_time(self, for_ms: int, is_asking: bool = False) -> None:
        """Ticks when one is due; mod_hash asks, or does not."""
        for _ in range(for_ms // POLL_MS):
            self.now += POLL_MS
            due_ms = self.limits.deadline()
            if due_ms is not None and due_ms <= self.now:
                self.do(Tick())
            if is_asking:
                self.limits.answer()


@pytest.mark.parametrize(
    ("strict", "answer", "level"),
    [
        ({}, USED, "warning"),
        ({"outbound_carrier1": 10}, USED, "alarm"),
        ({"outbound_carrier1": 10}, Answered(DUMP, "-ERR no reply\n"), "alarm"),
    ],
)
def test_nobody_who_asks_is_said_once(strict: dict[str, int], answer: Answered, level: str) -> None:
    node = Node(strict)
    node.do(OPENED)
    node.do(answer)
    node.pass_time(SILENCE_MS - POLL_MS)
    assert node.told == []
    node.pass_time(3 * SILENCE_MS)
    (told,) = node.told
    assert (told.level, told.code) == (level, "limits-remote")
    assert "127.0.0.1:8032" in told.text
    node.pass_time(3 * SILENCE_MS, is_asking=True)
    assert [told.level for told in node.told] == [level, "notice"]


def test_a_switch_that_asks_is_not_spoken_of_until_it_stops() -> None:
    node = Node({"outbound_carrier1": 10})
    node.do(OPENED)
    node.pass_time(3 * SILENCE_MS, is_asking=True)
    assert node.told == []
    node.pass_time(2 * SILENCE_MS)
    assert [told.level for told in node.told] == ["alarm"]


def test_where_no_limit_is_used_and_where_no_switch_is_nobody_needs_to_ask() -> None:
    node = Node({})
    node.do(OPENED)
    node.pass_time(3 * SILENCE_MS)
    node.do(USED)
    node.do(SwitchClosed("end of file"))
    node.pass_time(3 * SILENCE_MS)
    assert node.told == []


def test_no_silence_makes_a_deadline_that_has_passed() -> None:
    node = Node({})
    node.do(OPENED)
    node.do(Answered(DUMP, "-ERR no reply\n"))
    for _ in range(100):
        due_ms = node.limits.deadline()
        assert due_ms is not None
        node.now = max(node.now, due_ms)
        node.do(Tick())
        node.do(Answered(DUMP, "-ERR no reply\n"))
        after_ms = node.limits.deadline()
        assert after_ms is not None
        assert after_ms > node.now
