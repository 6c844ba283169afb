from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.tools.canned import record, status, takeover, with_node
from zcluster.config.configuration import Hook, HookNodes
from zcluster.tools.hooks_event import (
    Told,
    environment,
    event_of,
    runs_without_asking,
    speaker,
    wants,
)
from zcluster.tools.hooks_memory import LARGEST_BYTES, HookMemory, forget_others
from zcluster.tools.hooks_queue import BACKOFF_MS, MOST_EVENTS, HookQueue
from zcluster.tools.picture import picture_of

PAGE = Hook("page", command=("/bin/true",), attempts=3)


def queue(complaints: list[str] | None = None, hook: Hook = PAGE) -> HookQueue:
    return HookQueue(hook, "pbx", "n2", (complaints if complaints is not None else []).append)


# ---- which events


def test_an_event_is_wanted_by_level_code_and_group() -> None:
    told = takeover("g1")
    assert wants(PAGE, told)
    assert not wants(PAGE, told._replace(level="info"))
    assert wants(Hook("h", codes=("take*",)), told)
    assert not wants(Hook("h", codes=("gate-*", "silent")), told)
    assert wants(Hook("h", groups=("g[12]",)), told)
    assert not wants(Hook("h", groups=("g2",)), told)
    assert wants(Hook("h", groups=("g2",)), record("gate-lost", "alarm")), (
        "it is about no group, so about any"
    )


def test_whose_affair_an_event_is() -> None:
    taken = takeover("g1")._replace(node="n2")
    assert runs_without_asking(HookNodes.HOLDER, taken, "n2")
    assert not runs_without_asking(HookNodes.HOLDER, taken, "n1")
    released = record("released", node="n1", group="g1", successor="n2")
    assert runs_without_asking(HookNodes.HOLDER, released, "n1")
    assert not runs_without_asking(HookNodes.HOLDER, released, "n2")
    assert all(runs_without_asking(HookNodes.EVERY, released, node) for node in ("n1", "n2"))
    assert runs_without_asking(HookNodes.ONE, released, "n1") is None


def test_one_node_speaks_for_the_cluster() -> None:
    assert speaker(picture_of(status())) == "n1"
    assert speaker(picture_of(with_node("n1", is_heard=False))) == "n2"
    assert speaker(picture_of(with_node("n1", is_voter=False))) == "n2"
    assert speaker(picture_of(with_node("n1", is_witness=True))) == "n2"
    assert speaker(picture_of(status(nodes=[]))) == "n2", "who hears nobody speaks for itself"
    witness = [{"name": "w", "is_voter": True, "is_heard": True, "is_witness": True}]
    assert speaker(picture_of(status(nodes=witness))) == "w"


def test_variables_are_single_lines() -> None:
    hostile = record("x", text="a\nPATH=/evil\x00\x1b[2J" + "b" * 5000, group="g1\n")
    found = environment(Told(event_of(hostile), "page", "pbx", "n2", 1, 0))
    assert found["ZCLUSTER_KEY"] == "n2/1795720873147/1"
    assert all(value.isprintable() and len(value) <= 2000 for value in found.values())
    assert not {"HOME", "CREDENTIALS_DIRECTORY"} & found.keys()


# ---- order, tries, bounds


def test_what_fails_is_tried_again_later_each_time_and_then_given_up() -> None:
    complaints: list[str] = []
    waiting = queue(complaints)
    waiting.add(event_of(takeover(number=1)))
    waiting.add(event_of(takeover(number=2)))
    now_ms = 0
    for attempt, pause_ms in enumerate(BACKOFF_MS[: PAGE.attempts - 1], 1):
        told = waiting.begin(now_ms)
        assert told is not None
        assert (told.attempt, told.event.record.number) == (attempt, 1)
        assert waiting.begin(now_ms) is None, "one at a time"
        assert waiting.failed("no answer", now_ms, is_final=False) is None
        assert waiting.begin(now_ms + pause_ms - 1) is None
        now_ms += pause_ms
    assert waiting.begin(now_ms) is not None
    gone = waiting.failed("no answer", now_ms, is_final=False)
    assert gone is not None
    assert gone.record.number == 1
    told = waiting.begin(now_ms)
    assert told is not None
    assert (told.attempt, told.event.record.number) == (1, 2)
    assert [line.split(": ")[0] for line in complaints] == [
        "the hook page failed for takeover (n2/1795720873147/1)",
        "the hook page is given up for takeover (n2/1795720873147/1)",
    ]
    assert waiting.counts == {"tried": 4, "failed": 3, "given_up": 1}


def test_what_is_of_no_use_is_not_tried_again() -> None:
    waiting = queue()
    waiting.add(event_of(takeover()))
    waiting.begin(0)
    assert waiting.failed("HTTP 404", 0, is_final=True) is not None
    assert waiting.begin(10**9) is None


def test_no_room_drops_the_oldest_and_says_so_once() -> None:
    complaints: list[str] = []
    waiting = queue(complaints)
    for number in range(1, MOST_EVENTS + 1):
        assert waiting.add(event_of(takeover(number=number))) is None
    assert waiting.begin(0) is not None
    gone = [waiting.add(event_of(takeover(number=MOST_EVENTS + extra))) for extra in (1, 2, 3)]
    assert [event.record.number for event in gone if event] == [2, 3, 4], "never the one that is being told"
    assert complaints == ["the hook page is too slow: of its events the oldest are dropped"]
    assert waiting.counts["dropped"] == 3
    assert waiting.succeeded().record.number == 1
    told = waiting.begin(0)
    assert told is not None
    assert (told.event.record.number, told.dropped) == (5, 3)
    waiting.succeeded()
    told = waiting.begin(0)
    assert told is not None
    assert told.dropped == 0


@settings(max_examples=examples(60))
@given(st.lists(st.sampled_from(["add", "well", "ill", "never", "wait"]), max_size=120), st.integers(1, 4))
def test_events_are_told_in_order_and_none_is_forgotten(steps: list[str], attempts: int) -> None:
    waiting = queue(hook=Hook("h", command=("/bin/true",), attempts=attempts))
    now_ms, added, over = 0, 0, []
    for step in steps:
        if step == "add":
            added += 1
            assert waiting.add(event_of(takeover(number=added))) is None
            continue
        if step == "wait":
            now_ms += 5000
            continue
        if waiting.begin(now_ms) is None:
            continue
        if step == "well":
            over.append(waiting.succeeded())
        elif (gone := waiting.failed("x", now_ms, is_final=step == "never")) is not None:
            over.append(gone)
    numbers = [event.record.number for event in (*over, *waiting.pending())]
    assert numbers == list(range(1, added + 1))


# ---- memory


def test_what_was_not_told_is_there_in_the_next_life(tmp_path: Path) -> None:
    memory = HookMemory(tmp_path / "hooks", "page")
    assert memory.load() == []
    events = [event_of(takeover(number=number)) for number in (1, 2, 3)]
    for event in events:
        assert memory.add(event, ())
    assert not memory.add(events[0], ()), "the story is read twice after a crash"
    memory.done(events[0])
    assert not memory.add(events[0], ())
    memory.close()
    again = HookMemory(tmp_path / "hooks", "page")
    assert again.load() == events[1:]
    assert not again.add(events[0], ())
    assert not again.add(events[1], ())
    again.done(events[1])
    again.close()
    assert HookMemory(tmp_path / "hooks", "page").load() == events[2:]


@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_torn_or_foreign_file_costs_what_it_held(foreign: bytes, cut: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        memory = HookMemory(Path(directory), "page")
        memory.add(event_of(takeover(number=1)), ())
        memory.close()
        path = Path(directory) / "page.jsonl"
        whole = path.read_bytes()
        path.write_bytes(whole[:cut] + foreign)
        kept = HookMemory(Path(directory), "page").load()
        assert len(kept) <= 1
        path.write_bytes(b"\n" + foreign.replace(b"\n", b"") + b"\n" + whole)
        assert HookMemory(Path(directory), "page").load() == [event_of(takeover(number=1))]


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    memory = HookMemory(tmp_path, "page")
    for number in range(1, 6000):
        event = event_of(takeover(number=number))
        assert memory.add(event, ())
        memory.done(event)
    memory.close()
    assert (tmp_path / "page.jsonl").stat().st_size < 2 * LARGEST_BYTES
    assert HookMemory(tmp_path, "page").load() == []


def test_a_directory_that_cannot_be_written_costs_the_memory_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory = HookMemory(tmp_path / "file" / "hooks", "page")
    assert memory.load() == []
    assert memory.add(event_of(takeover()), ())
    assert memory.unwritten == 1


def test_hooks_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    for name in ("old", "page"):
        memory = HookMemory(tmp_path, name)
        memory.add(event_of(takeover()), ())
        memory.close()
    (tmp_path / "note.txt").write_text("")
    forget_others(tmp_path, ["page"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["note.txt", "page.jsonl"]
    forget_others(tmp_path / "nowhere", [])


@pytest.mark.parametrize("number", [0, 7])
def test_an_event_without_a_number_has_a_key_too(number: int) -> None:
    told = record("x", number=number)
    assert event_of(told).key == f"n2/1795720873147/{number or told.at_ms}"
