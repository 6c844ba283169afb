from __future__ import annotations

from zcluster.telephony.actions import Action, SendPulse, StreamIsWhole
from zcluster.telephony.events import Event, Moment, Tick
from zcluster.telephony.system import Telephony


class Scripted:
    def __init__(self, actions: list[Action], due_ms: int | None) -> None:
        self.actions = actions
        self.due_ms = due_ms
        self.heard: list[tuple[Event, Moment]] = []

    def handle(self, event: Event, now: Moment) -> list[Action]:
        self.heard.append((event, now))
        return self.actions

    def deadline(self) -> int | None:
        return self.due_ms


def test_every_part_hears_every_event_and_actions_keep_their_order() -> None:
    first, second = Scripted([SendPulse()], None), Scripted([StreamIsWhole("calls")], 7)
    now = Moment(5, 50)
    assert Telephony((first, second)).handle(Tick(), now) == [SendPulse(), StreamIsWhole("calls")]
    assert first.heard == second.heard == [(Tick(), now)]


def test_the_deadline_is_the_first_of_any_part() -> None:
    assert Telephony(()).deadline() is None
    assert Telephony((Scripted([], None),)).deadline() is None
    assert Telephony((Scripted([], 9), Scripted([], None), Scripted([], 7))).deadline() == 7
