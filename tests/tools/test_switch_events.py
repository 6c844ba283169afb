"""The outlet into the switch, on the laboratory's fake switch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.switch_on_socket import PASSWORD, stage
from tests.tools.switch_scene import LOST, SCENE, TAKEOVER
from zcluster.adapters.journal import Record
from zcluster.switch.wishes import Login
from zcluster.tools import switch_events as outlet_module
from zcluster.tools.loop import monotonic_ms
from zcluster.tools.ring import Ring
from zcluster.tools.switch_events import KEPT_MS, LARGEST_QUEUE, SwitchEvents, recent_of
from zcluster.tools.switch_memory import LARGEST_NODES, Told
from zcluster.tools.switch_words import headers_of

STATUS = json.loads((Path(__file__).parent / "status.json").read_text())
SUBCLASSES = tuple(sorted({f"zcluster::{record.code}" for record in SCENE}))


class Play:
    """A switch, a listener, and the outlet."""

    def __init__(self, directory: Path) -> None:
        self.records: list[Record] = []
        self.wall_ms = 1_795_721_725_000
        self._context = stage(directory, SUBCLASSES)
        self.switch = self._context.__enter__()
        self.begin_again()

    def _made(self, port: int) -> SwitchEvents:
        return SwitchEvents(
            "127.0.0.1", port, Login(PASSWORD), lambda: self.records, wall_clock=lambda: self.wall_ms
        )

    def tell(self, *records: Record) -> None:
        for record in records:
            self.records.append(record)
            self.outlet.record(record)

    def count(self, name: str) -> int:
        return self.outlet.counts().get(name, 0)

    def is_open(self) -> bool:
        return self.switch.is_listening and self.count("open") == 1

    def begin_again(self) -> None:
        """A new life of the tools process, beside the same switch."""
        self.outlet = self._made(self.switch.port)
        self.until = self.switch.until_with(self.outlet)

    def close(self) -> None:
        self.outlet.close()
        self._context.__exit__(None, None, None)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    made = Play(tmp_path)
    yield made
    made.close()


def numbered(count: int, first: int = 1) -> list[Record]:
    return [LOST._replace(number=number) for number in range(first, first + count)]


def numbers(play: Play) -> list[int]:
    return [int(event.get("Zcluster-Number")) for event in play.switch.heard]


def test_a_tool_on_the_event_socket_hears_every_record_once_and_in_order(play: Play) -> None:
    play.until(play.is_open)
    play.tell(*SCENE)
    play.until(lambda: len(play.switch.heard) >= len(SCENE) and play.count("fired") >= len(SCENE))
    for event, record in zip(play.switch.heard, SCENE, strict=True):
        assert event.subclass == f"zcluster::{record.code}"
        ours = {name: value for name, value in event.headers.items() if name.startswith("Zcluster-")}
        assert ours == headers_of(record)
    assert play.count("waiting") == 0


def test_a_burst_keeps_its_order(play: Play) -> None:
    play.until(play.is_open)
    play.tell(*numbered(500))
    play.until(lambda: len(play.switch.heard) >= 500)
    assert numbers(play) == list(range(1, 501))
    assert play.count("dropped_full") == 0


def test_the_outlet_hears_no_events_and_so_none_of_its_own(play: Play) -> None:
    play.until(play.is_open)
    play.tell(TAKEOVER)
    play.until(lambda: bool(play.switch.heard))
    assert play.switch.server is not None
    sessions = [client.session for client in play.switch.server._clients.values()]
    assert sorted(len(session._names) for session in sessions) == [0, 2]  # the listener's, and none


def test_what_is_told_while_the_switch_is_away_is_fired_when_it_is_back(play: Play) -> None:
    play.until(play.is_open)
    play.tell(*numbered(3))
    play.until(lambda: len(play.switch.heard) == 3)
    play.switch.end()
    play.until(lambda: play.count("open") == 0)
    play.tell(*numbered(3, first=4))
    play.switch.begin()
    play.until(lambda: len(play.switch.heard) == 6)
    assert numbers(play) == [1, 2, 3, 4, 5, 6]


def test_of_more_than_the_queue_holds_the_newest_are_kept_and_the_others_counted(play: Play) -> None:
    play.switch.end()
    play.tell(*numbered(LARGEST_QUEUE + 7))
    assert play.count("dropped_full") == 7
    assert play.count("waiting") == LARGEST_QUEUE


def test_what_has_waited_too_long_is_no_news(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    play.switch.end()
    monkeypatch.setattr(play.outlet, "_now_ms", monotonic_ms() - KEPT_MS - 5000)
    play.tell(*numbered(2))
    monkeypatch.undo()
    play.switch.begin()
    play.until(play.is_open)
    play.tell(*numbered(1, first=3))
    play.until(lambda: bool(play.switch.heard))
    assert numbers(play) == [3]
    assert play.count("dropped_late") == 2


def test_an_event_without_its_answer_is_not_fired_again(play: Play) -> None:
    play.until(play.is_open)
    play.tell(*numbered(1))
    play.until(lambda: play.count("fired") == 1 and numbers(play) == [1])
    play.switch.answers = False
    play.tell(*numbered(2, first=2))
    for _ in range(5):
        play.outlet.turn(monotonic_ms())
    play.switch.end()
    play.until(lambda: play.count("open") == 0)
    play.switch.answers = True
    play.switch.begin()
    play.until(play.is_open)
    play.tell(*numbered(1, first=4))
    play.until(lambda: len(play.switch.heard) > 1)
    assert numbers(play) == [1, 4]
    assert play.count("unconfirmed") == 2


def test_a_new_life_of_the_tools_fires_nothing_again(play: Play) -> None:
    play.until(play.is_open)
    play.tell(*numbered(12))
    play.until(lambda: len(play.switch.heard) == 12)
    play.outlet.close()
    play.begin_again()
    play.tell(*numbered(4, first=10))
    other = LOST._replace(node="pbx3", number=1)
    play.tell(other, LOST._replace(incarnation=LOST.incarnation + 1, number=1))
    play.until(lambda: len(play.switch.heard) == 15)
    assert numbers(play) == [*range(1, 14), 1, 1]
    assert play.count("known") == 3


def test_a_new_life_of_the_switch_knows_nothing(play: Play) -> None:
    play.until(play.is_open)
    play.tell(*numbered(3))
    play.until(lambda: len(play.switch.heard) == 3)
    play.outlet.close()
    play.switch.end()
    play.switch.begin()
    play.begin_again()
    play.until(play.is_open)
    play.tell(*numbered(3))
    play.until(lambda: len(play.switch.heard) == 6)
    assert play.count("known") == 0


def test_what_was_told_is_believed_as_far_as_it_can_be_read() -> None:
    for text in ("-ERR no reply\n", "", "[]", '{"pbx2":1}', '{"pbx2":["a",1]}', "[" * 100_000):
        told = Told()
        told.read(text)
        assert not told.knows(LOST)
    for place, known in (
        ([LOST.incarnation, LOST.number], True),
        ([LOST.incarnation, LOST.number - 1], False),
    ):
        told = Told()
        told.read(json.dumps({"pbx2": place}))
        assert told.knows(LOST) is known
    assert not told.knows(LOST._replace(number=0, incarnation=0))


def test_of_how_many_nodes_it_is_remembered_is_bounded() -> None:
    told = Told()
    for number in range(LARGEST_NODES + 5):
        told.add(LOST._replace(node=f"n{number}"))
    told.add(LOST._replace(node=f"n{LARGEST_NODES}", number=1))
    kept = json.loads(told.text())
    assert len(kept) == LARGEST_NODES
    assert kept[f"n{LARGEST_NODES}"] == [LOST.incarnation, LOST.number]


def test_no_more_is_out_than_the_bound(play: Play) -> None:
    play.until(play.is_open)
    play.switch.answers = False
    play.tell(*numbered(200))
    for _ in range(5):
        play.outlet.turn(monotonic_ms())
    assert play.count("waiting") >= 200 - outlet_module.LARGEST_OUT
    play.switch.answers = True
    play.until(lambda: len(play.switch.heard) == 200)


def test_a_code_that_is_no_subclass_is_counted(play: Play) -> None:
    play.tell(TAKEOVER._replace(code="probe"), TAKEOVER._replace(code="a\nb"), LOST)
    play.until(lambda: bool(play.switch.heard) or (play.is_open() and play.count("fired") == 1))
    assert play.count("unsayable") == 2
    assert play.count("waiting") == 0


def test_fs_cli_reads_pages(play: Play) -> None:
    play.tell(TAKEOVER._replace(facts={**TAKEOVER.facts, "group": "g1"}))
    play.outlet.status(STATUS)
    play.until(lambda: play.count("pages") >= 6)
    assert "GROUP" in play.switch.read("zcluster")
    assert play.switch.read("zcluster status") == play.switch.read("zcluster")
    assert "votes: pbx2 0 ms, pbx3 2 ms" in play.switch.read("zcluster why")
    assert "votes: pbx2 0 ms, pbx3 2 ms" in play.switch.read("zcluster why g1")
    assert "(takeover)" in play.switch.read("zcluster story")
    assert "zcluster why GROUP" in play.switch.read("zcluster help")
    assert play.switch.read("zcluster `reboot` ${system(reboot)}") == ""


def test_a_page_is_written_when_it_says_something_else_or_is_old(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlet_module, "PAGES_PAUSE_MS", 0)
    play.outlet.status(STATUS)
    play.until(lambda: "GROUP" in play.switch.read("zcluster"))
    first = play.switch.read("zcluster")

    def shown_after(document: dict[str, object], later_ms: int) -> str:
        play.wall_ms += later_ms
        play.outlet.status(document)
        before = len(play.switch.asked)
        play.tell(TAKEOVER._replace(text=f"at {play.wall_ms}"))  # its page comes behind that of the status
        play.until(lambda: any("story" in command for command in play.switch.asked[before:]))
        return play.switch.read("zcluster")

    assert shown_after({**STATUS, "up_ms": 99_000}, 2000) == first
    assert shown_after({**STATUS, "up_ms": 99_000}, 9000) != first
    moved = {**STATUS, "groups": [{**STATUS["groups"][0], "holder": ""}]}
    assert "has no holder" in shown_after(moved, 100)


def test_a_daemon_that_goes_is_said_on_the_page(play: Play) -> None:
    play.outlet.status(STATUS)
    play.until(lambda: play.count("pages") >= 2)
    play.outlet.unreachable("control.sock: no such file")
    play.until(lambda: "DOES NOT ANSWER" in play.switch.read("zcluster"))


def test_a_new_life_of_the_switch_gets_all_pages_again(play: Play) -> None:
    play.outlet.status(STATUS)
    play.until(lambda: play.count("pages") >= 5)
    play.switch.end()
    play.until(lambda: play.count("open") == 0)
    play.switch.begin()
    play.until(lambda: play.count("open") == 1 and play.count("pages") >= 10)
    assert "GROUP" in play.switch.read("zcluster")


def test_a_switch_that_permits_no_alias_has_events_all_the_same(play: Play) -> None:
    play.switch.refused = ("alias", "global_setvar")
    play.until(play.is_open)
    play.tell(TAKEOVER)
    play.until(lambda: bool(play.switch.heard) and play.count("pages_refused") > 0)
    assert play.count("alias_refused") == 1


def test_the_last_records_come_from_the_ring() -> None:
    ring = Ring()
    ring.begin("pbx2", 1)
    for number, record in enumerate(SCENE, 1):
        if record.code != "silent":  # a lone surrogate is no MessagePack
            ring.add(number, record)
    assert recent_of(ring) == [record for record in SCENE if record.code != "silent"]
