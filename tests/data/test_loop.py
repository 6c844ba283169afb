from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from zcluster.data.loop import SLICE_MS, Loop, monotonic_ms

STORY: list[str] = []


class Pipe:
    """A source that tells when it is read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK)
        self.due_ms: int | None = None

    def filenos(self) -> tuple[int, ...]:
        return (self.reading,)

    def deadline(self) -> int | None:
        return self.due_ms

    def turn(self, _now_ms: int) -> None:
        try:
            STORY.append(f"{self.name} {os.read(self.reading, 100).decode()}")
        except BlockingIOError:
            STORY.append(self.name)

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)


class Work:
    """Bulk: so many pieces of 1 ms."""

    def __init__(self) -> None:
        self.left = 0
        self.done = 0

    @property
    def has_more(self) -> bool:
        return self.left > 0

    def filenos(self) -> tuple[int, ...]:
        return ()

    def deadline(self) -> int | None:
        return None

    def piece(self, _now_ms: int) -> bool:
        if self.left:
            time.sleep(0.001)
            self.left -= 1
            self.done += 1
        return self.left > 0


class Cores:
    def __init__(self) -> None:
        self.due_ms = monotonic_ms() + 60_000

    def deadline(self) -> int:
        return self.due_ms

    def tick(self, are_all_read: bool) -> None:
        STORY.append(f"tick {are_all_read}")


@pytest.fixture
def parts() -> Iterator[tuple[Pipe, Pipe, Cores, Work, Loop]]:
    STORY.clear()
    urgent, later, cores, work = Pipe("urgent"), Pipe("later"), Cores(), Work()
    loop = Loop((urgent,), cores, (later,), (work,), lambda: False)
    yield urgent, later, cores, work, loop
    loop.close()
    urgent.close()
    later.close()


def test_what_is_urgent_is_read_before_time_is_told(parts: tuple[Pipe, Pipe, Cores, Work, Loop]) -> None:
    urgent, later, _, _, loop = parts
    os.write(later.writing, b"x")
    os.write(urgent.writing, b"y")
    loop.turn()
    assert STORY == ["urgent y", "tick True", "later x"]


def test_bulk_gets_a_slice_of_each_turn_and_puts_off_the_streams_time(
    parts: tuple[Pipe, Pipe, Cores, Work, Loop],
) -> None:
    _, _, _, work, loop = parts
    work.left = 100
    turns = 0
    while work.left:
        before = work.done
        loop.turn()
        turns += 1
        assert work.done - before <= SLICE_MS + 1
    assert turns >= 100 // (SLICE_MS + 1)
    assert STORY.count("tick False") == turns
    loop.turn(longest_wait_ms=1)
    assert STORY[-2] == "tick True"


def test_a_backlog_puts_time_off_not_for_ever(parts: tuple[Pipe, Pipe, Cores, Work, Loop]) -> None:
    _, _, cores, work, loop = parts
    work.left = 100
    cores.due_ms = monotonic_ms() - 1000
    loop.turn()
    assert "tick True" in STORY


def test_it_waits_until_something_is_due(parts: tuple[Pipe, Pipe, Cores, Work, Loop]) -> None:
    urgent, _, _, _, loop = parts
    began = time.monotonic()
    urgent.due_ms = monotonic_ms() + 30
    loop.turn()
    assert time.monotonic() - began > 0.02
