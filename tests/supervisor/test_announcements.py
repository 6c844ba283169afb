from __future__ import annotations

from zcluster.supervisor.announcements import REFRESH_MS, Announcements


def due_times(schedule: Announcements, until_ms: int) -> list[int]:
    found = []
    while (deadline_ms := schedule.deadline()) is not None and deadline_ms <= until_ms:
        assert schedule.take_due(deadline_ms - 1) == []
        assert schedule.take_due(deadline_ms) == ["blue"]
        found.append(deadline_ms)
    return found


def test_an_opening_is_repeated_soon_then_refreshed_while_held() -> None:
    schedule = Announcements()
    schedule.start("blue", 1_000_000)
    times = due_times(schedule, 1_000_000 + 5000 + 2 * REFRESH_MS)
    assert [at_ms - 1_000_000 for at_ms in times] == [100, 300, 1000, 2000, 5000, 35_000, 65_000]


def test_late_repeats_are_not_made_up_for() -> None:
    schedule = Announcements()
    schedule.start("blue", 0)
    assert schedule.take_due(2500) == ["blue"]
    assert schedule.deadline() == 5000


def test_a_closed_group_is_never_due() -> None:
    schedule = Announcements()
    schedule.start("blue", 0)
    schedule.start("green", 50)
    schedule.stop("blue")
    assert schedule.deadline() == 150
    assert schedule.take_due(10_000) == ["green"]
    schedule.stop("green")
    schedule.stop("green")
    assert schedule.deadline() is None


def test_a_group_opened_again_starts_over() -> None:
    schedule = Announcements()
    schedule.start("blue", 0)
    schedule.take_due(6000)
    schedule.start("blue", 7000)
    assert schedule.deadline() == 7100
