from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from tests.switch.recorded import received
from zcluster.streams.tables import Entry
from zcluster.streams.units import Key
from zcluster.switch.frames import Event as SwitchEvent
from zcluster.telephony.actions import Action, Run, SendPulse, SwitchHealth, Tell
from zcluster.telephony.events import (
    Answered,
    Event,
    Happened,
    HealthCleared,
    Moment,
    PulseReturned,
    SwitchClosed,
    SwitchOpened,
    Tick,
    Unanswered,
)
from zcluster.telephony.pulse import PAUSED, POLL_MS, PROFILES, STALL_MS, Pulse, running_profiles
from zcluster.telephony.settings import Condition, GroupSettings, TelephonySettings

STATUS = """
                     Name	   Type	                                      Data	State
=================================================================================================
                      own	profile	             sip:mod_sofia@10.77.0.11:5070	RUNNING (0)
                     vip1	profile	            sip:mod_sofia@10.77.0.100:5060	RUNNING (7)
               10.77.0.11	  alias	                                       own	ALIASED
                     vip2	gateway	                       sip:joe@example.com	NOREG
=================================================================================================
2 profiles 1 alias
"""
BOTH = STATUS + " vip2 profile sip:mod_sofia@10.77.0.101:5060 RUNNING (0)\n"
GATEWAY_DOWN = Condition("sofia::gateway_state", (("Gateway", "carrier"), ("State", "DOWN")))
SETTINGS = TelephonySettings(
    "n1",
    (GroupSettings("blue", ("vip1",)), GroupSettings("red", ("vip2",))),
    conditions=(Condition("HEARTBEAT", (("Up-Time", "never"),)), GATEWAY_DOWN),
)


class NoCopies:
    def entries(self, name: str) -> list[Entry]:
        raise AssertionError(name)

    def get(self, name: str, key: Key) -> Entry | None:
        raise AssertionError(name)


class Watched:
    """A pulse part whose every event is followed by the ticks that are due, as the loop does."""

    def __init__(self, settings: TelephonySettings = SETTINGS) -> None:
        self.part = Pulse(settings, NoCopies())  # type: ignore[arg-type]
        self.now_ms = 1_000_000
        self.problems: dict[str, str] = {}
        self.pulses: list[int] = []
        self.asked: list[str] = []
        self.told: list[str] = []
        self.take(Tick())

    def take(self, event: Event) -> list[Action]:
        actions = self.part.handle(event, Moment(self.now_ms, 0))
        for action in actions:
            match action:
                case SwitchHealth(subject, problem):
                    self.problems[subject] = problem
                case SendPulse():
                    self.pulses.append(self.now_ms)
                case Run(purpose, _, _):
                    self.asked.append(purpose)
                case Tell(_, code, _, _):
                    self.told.append(code)
        return actions

    def tick(self) -> None:
        for _ in range(100):
            due_ms = self.part.deadline()
            if due_ms is None or due_ms > self.now_ms:
                return
            self.take(Tick())
        raise AssertionError("always something is due")

    def run_to(self, end_ms: int, echo_ms: int | None = None) -> None:
        """Ticks on time; pulses come back after `echo_ms`."""
        while True:
            due_ms = self.part.deadline()
            back_ms = self.pulses[0] + echo_ms if echo_ms is not None and self.pulses else None
            next_ms = min(each for each in (due_ms, back_ms, end_ms) if each is not None)
            self.now_ms = max(self.now_ms, next_ms)
            if self.now_ms >= end_ms:
                return
            if back_ms is not None and back_ms <= self.now_ms:
                self.pulses.pop(0)
                self.take(PulseReturned(self.now_ms - back_ms + (echo_ms or 0)))
            self.tick()

    def open(self, is_same_life: bool = False) -> None:
        self.take(SwitchOpened("core", "1.11", "fsA", is_same_life))
        self.tick()

    @property
    def faults(self) -> dict[str, str]:
        return {subject: problem for subject, problem in self.problems.items() if problem}


def healthy() -> Watched:
    watched = Watched()
    watched.open()
    watched.take(Answered(PROFILES, BOTH))
    watched.take(Answered(PAUSED, "false"))
    watched.take(PulseReturned(0))
    watched.pulses.clear()
    assert watched.faults == {}
    return watched


def test_the_running_profiles_of_a_real_switch() -> None:
    assert running_profiles(STATUS) == {"own", "vip1"}
    recorded = received("bgapi.plain").decode()
    assert running_profiles(recorded) == {"own", "vip1"}
    assert running_profiles("-ERR sofia Command not found!") == frozenset()


def test_a_switch_that_was_never_there_is_not_fit() -> None:
    watched = Watched()
    assert watched.faults == {"switch": "not connected yet"}
    watched.take(SwitchClosed("Connection refused"))
    assert watched.faults == {"switch": "not connected yet"}


def test_it_is_fit_only_once_heard_and_seen() -> None:
    watched = Watched()
    watched.open()
    assert watched.pulses == [watched.now_ms]
    assert set(watched.asked) == {PROFILES, PAUSED}
    watched.take(PulseReturned(0))
    assert "switch" in watched.faults
    watched.take(Answered(PROFILES, STATUS))
    assert watched.faults == {"profile vip2": "not running"}
    other = Watched()
    other.open()
    other.take(Answered(PROFILES, BOTH))
    assert "switch" in other.faults


def test_a_killed_switch_is_told_at_once_and_first() -> None:
    watched = healthy()
    actions = watched.take(SwitchClosed("the switch closed the connection"))
    assert actions == [SwitchHealth("switch", "event socket closed: the switch closed the connection")]
    watched.take(SwitchClosed("Connection refused"))
    assert "the switch closed the connection" in watched.faults["switch"]
    watched.open()
    assert "switch" in watched.faults
    watched.take(Answered(PROFILES, BOTH))
    watched.take(PulseReturned(0))
    assert watched.faults == {}


def test_a_conversation_that_ended_alone_has_until_the_pulse_limit() -> None:
    watched = healthy()
    watched.take(SwitchClosed("queue overflow", is_gone=False))
    assert watched.faults == {}
    watched.run_to(watched.now_ms + 400)
    assert watched.faults == {}
    watched.open(is_same_life=True)
    assert watched.faults == {}
    watched.take(SwitchClosed("queue overflow", is_gone=False))
    watched.run_to(watched.now_ms + 501)
    assert watched.faults == {"switch": "its event socket takes no connection"}


def test_the_rest_of_the_switch_going_is_told_at_once() -> None:
    watched = healthy()
    watched.take(SwitchClosed("end", is_gone=False))
    watched.take(SwitchClosed("end"))
    assert watched.faults == {"switch": "event socket closed: end"}


def test_a_stuck_event_thread_is_told_at_the_limit_and_not_before() -> None:
    watched = healthy()
    watched.run_to(watched.now_ms + 3000, echo_ms=20)
    assert watched.faults == {}
    watched.run_to(watched.now_ms + 150)
    stuck_ms = watched.pulses[0]
    watched.run_to(stuck_ms + 500)
    assert watched.faults == {}
    watched.run_to(stuck_ms + 501)
    assert watched.faults == {"switch": "its event thread is stuck: no pulse came back for 500 ms"}
    watched.run_to(stuck_ms + 2000)
    watched.take(PulseReturned(2000))
    assert watched.faults == {}


def test_a_lost_pulse_before_one_that_came_back_is_nothing() -> None:
    watched = healthy()
    watched.run_to(watched.now_ms + 250)
    watched.take(PulseReturned(watched.now_ms - watched.pulses[-1]))
    watched.pulses.clear()
    watched.run_to(watched.now_ms + 3000, echo_ms=20)
    assert watched.faults == {}


def test_our_own_stall_is_not_the_switchs() -> None:
    watched = healthy()
    watched.run_to(watched.now_ms + 101)
    watched.now_ms += 5000
    watched.take(Happened(SwitchEvent({"Event-Name": "HEARTBEAT"})))
    watched.tick()
    assert watched.faults == {}
    watched.run_to(watched.now_ms + 390)
    assert watched.faults == {}
    watched.run_to(watched.now_ms + 120)
    assert "stuck" in watched.faults["switch"]


def test_small_lateness_does_not_put_the_judgement_off_for_ever() -> None:
    watched = healthy()
    began_ms = watched.now_ms
    while not watched.faults:
        due_ms = watched.part.deadline()
        assert due_ms is not None
        watched.now_ms = max(watched.now_ms, due_ms + STALL_MS - 1)
        watched.tick()
        assert watched.now_ms < began_ms + 700


@given(
    some.lists(some.integers(min_value=0, max_value=450), min_size=1, max_size=40),
    some.lists(some.integers(min_value=0, max_value=3000), min_size=1, max_size=40),
)
def test_a_switch_that_answers_within_its_limit_is_never_judged(echoes: list[int], stalls: list[int]) -> None:
    """However long we stand still: everything that came meanwhile is handed in before time is told."""
    watched = healthy()
    answers: list[tuple[int, int]] = []
    for number in range(60):
        due_ms = watched.part.deadline()
        assert due_ms is not None
        back_ms = min((back for back, _ in answers), default=due_ms)
        stall_ms = stalls[number % len(stalls)] if number % 3 == 0 else 0
        watched.now_ms = max(watched.now_ms, min(due_ms, back_ms)) + stall_ms
        for back, sent in sorted(answers):
            if back <= watched.now_ms:
                answers.remove((back, sent))
                watched.take(PulseReturned(watched.now_ms - sent))
        watched.tick()
        answers += [(sent + echoes[sent % len(echoes)], sent) for sent in watched.pulses]
        watched.pulses.clear()
        assert "switch" not in watched.faults


def test_a_lost_profile_is_told_and_its_return_too() -> None:
    watched = healthy()
    watched.asked.clear()
    watched.run_to(watched.now_ms + POLL_MS + 1, echo_ms=5)
    assert set(watched.asked) == {PROFILES, PAUSED}
    watched.take(Answered(PROFILES, STATUS))
    assert watched.faults == {"profile vip2": "not running"}
    watched.take(Answered(PROFILES, BOTH))
    assert watched.faults == {}


def test_an_event_about_profiles_asks_at_once() -> None:
    watched = healthy()
    watched.asked.clear()
    for headers in (
        {"Event-Name": "CUSTOM", "Event-Subclass": "sofia::profile_start"},
        {"Event-Name": "FAILURE", "module_name": "mod_sofia"},
    ):
        watched.take(Happened(SwitchEvent(headers)))
        watched.take(Happened(SwitchEvent(headers)))
        watched.tick()
        watched.take(Answered(PROFILES, BOTH))
    assert watched.asked == [PROFILES, PROFILES]


def test_silence_about_profiles_judges_nothing_and_is_asked_again() -> None:
    watched = healthy()
    watched.take(Unanswered(PROFILES, "too late"))
    assert watched.faults == {}
    watched.asked.clear()
    watched.run_to(watched.now_ms + POLL_MS + 1, echo_ms=5)
    assert PROFILES in watched.asked


def test_a_paused_switch_is_not_fit() -> None:
    watched = healthy()
    watched.take(Answered(PAUSED, "true\n"))
    assert watched.faults == {"paused": "the switch is paused (fsctl pause)"}
    watched.take(Answered(PAUSED, "-ERR unknown"))
    assert "paused" in watched.faults
    watched.take(Answered(PAUSED, "false"))
    assert watched.faults == {}


def test_a_condition_needs_every_header_and_stays() -> None:
    watched = healthy()
    down = {"Event-Name": "CUSTOM", "Event-Subclass": "sofia::gateway_state", "Gateway": "carrier"}
    watched.take(Happened(SwitchEvent({**down, "State": "NOREG"})))
    watched.take(Happened(SwitchEvent({**down, "Gateway": "other", "State": "DOWN"})))
    watched.take(Happened(SwitchEvent({"Event-Name": "sofia::gateway_state", "State": "DOWN"})))
    assert watched.faults == {}
    watched.take(Happened(SwitchEvent({**down, "State": "DOWN"})))
    watched.take(Happened(SwitchEvent({**down, "State": "DOWN"})))
    assert list(watched.faults) == ["condition 2"]
    assert watched.told == ["condition-met"]
    watched.take(SwitchClosed("end"))
    watched.open(is_same_life=True)
    watched.take(Answered(PROFILES, BOTH))
    watched.take(PulseReturned(0))
    assert list(watched.faults) == ["condition 2"]


def test_a_condition_ends_with_the_switchs_life_or_by_an_operator() -> None:
    for ending in (SwitchOpened("core-2", "1.11", "fsA", False), HealthCleared()):
        watched = healthy()
        watched.take(Happened(SwitchEvent({"Event-Name": "HEARTBEAT", "Up-Time": "never"})))
        assert list(watched.faults) == ["condition 1"]
        watched.take(ending)
        assert watched.faults == {}


def test_health_is_told_once_for_each_change() -> None:
    watched = healthy()
    told = [watched.take(Answered(PROFILES, BOTH)) for _ in range(3)]
    assert told == [[], [], []]
