from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcluster.control.events import HealthChanged, SwitchIdentified
from zcluster.supervisor.data_words import (
    NO_DATA_PROCESS,
    NO_WORD_YET,
    REASON_PAUSE_MS,
    VERDICT_MS,
    DataWords,
)
from zcluster.wire.local_link import Completeness, Health, SwitchIdentity

READY = Completeness((("pbx2", 100),), True)
AT = 100  # when most words are heard
FILLING = Completeness((("pbx2", 40),), False, "pbx2: 40 %")


def well(holds_nothing: bool = True) -> DataWords:
    """A data process that has been well for a while."""
    words = DataWords()
    words.begin()
    words.hear(Health("switch", ""), AT)
    words.hear(READY, AT)
    assert words.events(AT, holds_nothing) == []
    return words


def test_a_node_that_holds_nothing_is_ready_when_switch_and_copies_are() -> None:
    words = DataWords()
    assert words.events(0, True) == [HealthChanged("copies", NO_DATA_PROCESS)]
    words.begin()
    assert words.events(10, True) == []  # the next reason waits a moment
    assert words.deadline(True) == REASON_PAUSE_MS
    assert words.events(1000, True) == [HealthChanged("copies", NO_WORD_YET)]
    words.hear(READY, AT)
    assert words.events(1100, True) == []
    words.hear(Health("switch", ""), AT)
    assert words.events(1200, True) == [HealthChanged("copies", "")]
    assert words.deadline(True) is None


def test_what_the_switch_is_is_told_once_and_outlives_its_data_process() -> None:
    words = well()
    words.hear(SwitchIdentity("FreeSWITCH Version 1.10.12", "fsA"), AT)
    assert words.deadline(True) == 0
    (told,) = words.events(AT, True)
    assert isinstance(told, SwitchIdentified)
    assert (told.build[:8], told.switchname) == ("1.10.12:", "fsA")
    words.hear(SwitchIdentity("FreeSWITCH Version 1.10.12", "fsA"), AT)
    assert words.events(AT, True) == []
    words.end()
    words.begin()
    assert not [e for e in words.events(9000, True) if isinstance(e, SwitchIdentified)]
    words.hear(SwitchIdentity("FreeSWITCH Version 1.11.0", "fsA"), 9000)
    (again,) = [e for e in words.events(9000, True) if isinstance(e, SwitchIdentified)]
    assert again.build != told.build


def test_copies_take_nothing_from_a_node_that_holds() -> None:
    words = well(holds_nothing=False)
    words.hear(FILLING, AT)
    assert words.events(10, False) == []
    assert words.deadline(False) is None
    assert words.deadline(True) == 0
    assert words.events(20, True) == [HealthChanged("copies", "pbx2: 40 %")]
    assert words.events(30, False) == [HealthChanged("copies", "")]


def test_a_broken_switch_is_told_at_once_and_in_its_own_name() -> None:
    words = well(holds_nothing=False)
    words.hear(Health("switch", "event socket closed: reset"), AT)
    words.hear(Health("profile sip1", "not running"), AT)
    assert words.deadline(False) == 0
    assert words.events(1, False) == [
        HealthChanged("switch profile sip1", "not running"),
        HealthChanged("switch", "event socket closed: reset"),
    ]
    words.hear(Health("gate", "the child may not speak for the gate"), AT)
    words.hear(Health("copies", "nor for the copies"), AT)
    assert {event.subject for event in words.events(2, False) if isinstance(event, HealthChanged)} == {
        "switch gate",
        "switch copies",
    }


def test_the_death_of_the_data_process_moves_nothing() -> None:
    words = well(holds_nothing=False)
    words.end()
    assert words.events(10, False) == []
    words.begin()
    words.hear(Health("switch", "not connected yet"), AT)
    words.hear(FILLING, AT)
    assert words.events(30, False) == []
    words.hear(Health("switch", ""), AT)
    assert words.events(40, False) == []


def test_a_switch_that_does_not_come_back_is_told_a_while_after_the_first_word_of_it() -> None:
    words = well(holds_nothing=False)
    words.end()
    words.begin()
    assert words.events(9 * VERDICT_MS, False) == []
    now_ms = 10 * VERDICT_MS  # a busy host: so long it took to start
    words.hear(Health("switch", "not connected yet"), now_ms)
    assert words.events(now_ms, False) == []
    assert words.deadline(False) == now_ms + VERDICT_MS
    assert words.events(now_ms + VERDICT_MS, False) == [HealthChanged("switch", "not connected yet")]
    assert words.deadline(False) is None


def test_a_problem_outlives_the_process_that_saw_it() -> None:
    words = well(holds_nothing=False)
    words.hear(Health("switch", "gone"), AT)
    words.events(0, False)
    words.end()
    words.begin()
    assert words.events(100 + 10 * VERDICT_MS, False) == []  # it has said nothing at all
    assert words.deadline(False) is None
    assert words.problems() == {"switch": "gone"}
    words.hear(Health("switch", ""), AT)
    assert words.events(200 + 10 * VERDICT_MS, False) == [HealthChanged("switch", "")]


def test_a_new_data_process_makes_a_slave_unready_until_its_copies_are_full() -> None:
    words = well()
    words.end()
    assert words.events(10, True) == [HealthChanged("copies", NO_DATA_PROCESS)]
    words.begin()
    words.hear(Health("switch", ""), AT)
    words.hear(FILLING, AT)
    assert words.events(2000, True) == [HealthChanged("copies", "pbx2: 40 %")]
    words.hear(READY, AT)
    assert words.events(2001, True) == [HealthChanged("copies", "")]


def test_percents_do_not_flood_the_beats_and_the_last_one_is_told() -> None:
    words = well()
    told = []
    for percent in range(100):
        words.hear(Completeness((), False, f"pbx2: {percent} %"), AT)
        told += words.events(5000 + 10 * percent, True)
    assert told == [HealthChanged("copies", "pbx2: 0 %")]
    assert words.deadline(True) == 5000 + REASON_PAUSE_MS
    assert words.events(6000, True) == [HealthChanged("copies", "pbx2: 99 %")]
    assert words.deadline(True) is None


_words = st.one_of(
    st.builds(Health, st.sampled_from(["switch", "paused", "gate"]), st.sampled_from(["", "broken"])),
    st.sampled_from([READY, FILLING]),
    st.sampled_from(["begin", "end"]),
)


@given(st.lists(st.tuples(_words, st.integers(0, 6000), st.booleans()), max_size=30))
def test_the_core_knows_what_is_shown_and_nothing_is_due_for_ever(
    story: list[tuple[Health | Completeness | str, int, bool]],
) -> None:
    words, known, now_ms = DataWords(), dict[str, str](), 0
    for word, later_ms, holds_nothing in story:
        now_ms += later_ms
        match word:
            case "begin":
                words.begin()
            case "end":
                words.end()
            case Health() | Completeness():
                words.hear(word, now_ms)
        for event in words.events(now_ms, holds_nothing):
            assert isinstance(event, HealthChanged)
            known[event.subject] = event.problem
        assert {subject: problem for subject, problem in known.items() if problem} == words.shown
        assert holds_nothing or "copies" not in words.shown
        due_ms = words.deadline(holds_nothing)
        assert due_ms is None or due_ms > now_ms, "a deadline that is not used up keeps the loop from waiting"


@pytest.mark.parametrize("holds_nothing", [True, False])
def test_without_a_start_nothing_is_known_of_the_switch(holds_nothing: bool) -> None:
    words = DataWords()
    words.events(0, holds_nothing)
    assert not words.is_settled
    assert words.problems() == {}
