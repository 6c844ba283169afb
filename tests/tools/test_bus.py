"""The bus for tools with real sockets: what is published, what is answered, and who is let in."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from tests.tools.bus_stage import GRAFANA, KEYS, WITHDRAWN, BusStage, Reader, received
from tests.tools.small_daemon import INCARNATION, NODE, told
from zcluster.adapters.control_socket import ControlSocket
from zcluster.adapters.tools_bus import PUBLISH_QUEUE_MESSAGES
from zcluster.wire.keys import CurvePair, derive


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[BusStage]:
    made = BusStage(tmp_path)
    yield made
    made.close()


@pytest.fixture
def reader(stage: BusStage) -> Iterator[Reader]:
    made = Reader(stage.port)
    yield made
    made.close()


def events_from(subscriber: zmq.Socket[bytes], count: int) -> list[dict[str, Any]]:
    return [received(subscriber)[1] for _ in range(count)]


def test_events_are_published_with_the_numbers_of_the_daemon(stage: BusStage, reader: Reader) -> None:
    with reader.subscriber("zc1.") as subscriber:
        while not received(subscriber)[0].startswith("zc1.heartbeat."):
            pass
        stage.tell(told(1))
        stage.tell(told(41, node="n2", incarnation=5))
        found: list[tuple[str, dict[str, Any]]] = []
        while len(found) < 2:
            topic, body = received(subscriber)
            if topic.startswith("zc1.event."):
                found.append((topic, body))
    assert [topic for topic, _ in found] == ["zc1.event.n1", "zc1.event.n2"]
    first, second = (body for _, body in found)
    assert (first["by"], first["incarnation"], first["number"]) == (NODE, INCARNATION, 1)
    assert second["number"] == 2
    assert first["record"] == told(1).plain()
    assert (second["record"]["incarnation"], second["record"]["number"]) == (5, 41)


@pytest.mark.slow
def test_the_status_comes_each_second_with_a_sequence(stage: BusStage, reader: Reader) -> None:
    with reader.subscriber("zc1.status.") as subscriber:
        topics, bodies = zip(*(received(subscriber) for _ in range(2)), strict=True)
    assert set(topics) == {"zc1.status.n1"}
    assert bodies[1]["sequence"] == bodies[0]["sequence"] + 1
    assert bodies[0]["status"]["schema"] == "zcluster.status/1"
    assert (bodies[0]["by"], bodies[0]["incarnation"]) == (NODE, INCARNATION)


def test_the_heartbeat_has_the_newest_number_and_says_when_the_daemon_is_gone(
    stage: BusStage, reader: Reader
) -> None:
    stage.tell(told(1))
    with reader.subscriber("zc1.heartbeat.") as subscriber:
        while (beat := received(subscriber)[1])["number"] != 1:
            pass
        assert (beat["is_reachable"], beat["reason"], beat["by"]) == (True, "", NODE)
        stage.end_daemon()
        while (beat := received(subscriber)[1])["is_reachable"]:
            pass
    assert "no daemon listens" in beat["reason"] or "closed the connection" in beat["reason"]
    answer = reader.ask(ask="snapshot")
    assert answer["ok"] is False
    assert answer["error"] == beat["reason"]


def test_a_snapshot_is_the_status_and_what_is_left_of_the_story(stage: BusStage, reader: Reader) -> None:
    for number in range(1, 4):
        stage.tell(told(number))
    stage.until(lambda: stage.ring.newest == 3)
    answer = reader.ask(ask="snapshot", id="first")
    assert (answer["ok"], answer["id"], answer["lost"], answer["more"]) == (True, "first", 0, False)
    assert (answer["by"], answer["incarnation"], answer["number"]) == (NODE, INCARNATION, 3)
    assert [event["number"] for event in answer["events"]] == [1, 2, 3]
    assert answer["events"][2]["record"] == told(3).plain()
    assert answer["status"]["node"] == NODE


def test_since_gives_what_came_after(stage: BusStage, reader: Reader) -> None:
    for number in range(1, 6):
        stage.tell(told(number))
    stage.until(lambda: stage.ring.newest == 5)
    answer = reader.ask(ask="since", incarnation=INCARNATION, number=3)
    assert [event["number"] for event in answer["events"]] == [4, 5]
    assert answer["lost"] == 0
    assert "status" not in answer
    assert reader.ask(ask="since", incarnation=INCARNATION, number=5)["events"] == []
    other = reader.ask(ask="since", incarnation=INCARNATION - 1, number=3)
    assert (other["incarnation"], len(other["events"])) == (INCARNATION, 5), "another life: all there is"


def test_a_long_story_comes_in_parts(stage: BusStage, reader: Reader) -> None:
    long = {"group": "g1", "what": "x" * 15_000}
    for number in range(1, 101):
        record = told(number)._replace(facts=long)
        stage.tell(record)
    stage.until(lambda: stage.ring.newest == 100)
    found: list[int] = []
    parts, number, more = 0, 0, True
    while more:
        answer = reader.ask(ask="since", incarnation=INCARNATION, number=number)
        found += [event["number"] for event in answer["events"]]
        number, more, parts = found[-1], answer["more"], parts + 1
        assert answer["lost"] == 0
    assert found == list(range(1, 101))
    assert parts > 2


def test_what_the_daemon_lost_is_told_as_lost(stage: BusStage, reader: Reader) -> None:
    stage.tell(told(1))
    stage.until(lambda: stage.ring.newest == 1)
    stage.do(lambda: stage.daemon.drop(7))
    stage.do(lambda: stage.daemon.ring.append((8, told(8))))
    stage.tell(told(9))
    stage.until(lambda: stage.ring.newest == 9)
    answer = reader.ask(ask="since", incarnation=INCARNATION, number=1)
    assert [event["number"] for event in answer["events"]] == [9]
    assert answer["lost"] == 7


@pytest.mark.slow
def test_a_subscriber_that_stalls_harms_nobody_and_learns_what_it_missed(
    stage: BusStage, reader: Reader
) -> None:
    """Far more than its queue holds: the others get all of it, and it asks for the rest."""
    total = 4 * PUBLISH_QUEUE_MESSAGES - 100
    with (
        reader.subscriber("zc1.event.", rcvhwm=10, rcvbuf=4096) as stalled,
        reader.subscriber("zc1.event.") as lively,
    ):
        number = 0
        for subscriber in (stalled, lively):
            while not subscriber.poll(10):
                number += 1
                stage.tell(told(number))
        heard = [received(lively)[1]["number"]]
        padded = {"group": "g1", "pad": "y" * 700}
        while number < total:
            number += 1
            record = told(number)._replace(facts=padded)
            stage.tell(record)
            while lively.poll(0):
                heard.append(received(lively)[1]["number"])
        while heard[-1] < total:
            heard.append(received(lively)[1]["number"])
        assert heard == list(range(heard[0], total + 1)), "nobody else missed anything"

        found: list[int] = []
        while stalled.poll(500):
            found.append(received(stalled)[1]["number"])
    assert found == sorted(set(found))
    assert found[-1] < total, "what came last did not fit its queue"
    begin = found[-1]
    while found[-1] < total:
        answer = reader.ask(ask="since", incarnation=INCARNATION, number=found[-1])
        assert answer["lost"] == 0
        found += [event["number"] for event in answer["events"]]
    assert found[found.index(begin) :] == list(range(begin, total + 1)), "and now it has it all"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pair", "server"),
    [
        (WITHDRAWN, KEYS.server.public),
        (derive(b"t" * 32).reader, KEYS.server.public),
        (KEYS.client, KEYS.server.public),
        (GRAFANA, derive(b"t" * 32).server.public),
    ],
    ids=[
        "a name that was taken out",
        "another cluster",
        "a member of the cluster is no reader",
        "not our server",
    ],
)
def test_a_key_that_is_not_a_readers_is_refused(stage: BusStage, pair: CurvePair, server: bytes) -> None:
    stranger, known = Reader(stage.port, pair, server), Reader(stage.port)
    try:
        with stranger.subscriber("zc1.") as subscriber, stranger.asker() as asker:
            asker.send(msgpack.packb({"ask": "ping"}))
            assert known.ask(ask="ping")["ok"] is True
            with known.subscriber("zc1.") as admitted:
                for _ in range(4):
                    received(admitted)
            assert not subscriber.poll(0)
            assert not asker.poll(0)
        if server == KEYS.server.public:
            stage.until(lambda: stage.bus.counts["refused"] >= 1)
    finally:
        stranger.close()
        known.close()


@pytest.mark.slow
def test_without_curve_nothing_is_heard(stage: BusStage) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as plain:
        plain.linger = 0
        plain.subscribe(b"")
        plain.connect(f"tcp://127.0.0.1:{stage.port}")
        assert not plain.poll(1500)


HOSTILE = [
    b"",
    b"\xc1",
    b"\x00",
    os.urandom(400),
    msgpack.packb({"ask": "move", "group": "g1", "to": "n2"}),
    msgpack.packb({"ask": "restart"}),
    msgpack.packb({"ask": "clear"}),
    msgpack.packb({"ask": "follow", "from": "start"}),
    msgpack.packb({"ask": "roster", "verb": "force", "names": ["n2"]}),
    msgpack.packb({"ask": "status", "also": {"ask": "move"}}),
    msgpack.packb({"ask": ["status"]}),
    msgpack.packb({"ask": "since", "incarnation": -1, "number": 1}),
    msgpack.packb({"ask": "since", "number": 1}),
    msgpack.packb({"ask": "why", "group": "g" * 300}),
    msgpack.packb({"ask": "ping", "id": 1.5}),
    msgpack.packb({"ask": "ping", "id": "\x1b" * 65}),
    b"\xdf\xff\xff\xff\xff",
    b"\x81" * 8000,
]


def test_whatever_comes_gets_a_refusal_and_nothing_reaches_the_daemon(
    stage: BusStage, reader: Reader
) -> None:
    stage.until(lambda: stage.daemon.statuses > 0)
    with reader.asker() as asker:
        for content in HOSTILE:
            asker.send(content)
            answer = msgpack.unpackb(asker.recv())
            assert answer["ok"] is False
            assert answer["error"]
    assert reader.ask(ask="ping")["ok"] is True
    asked = {str(question["ask"]) for question in stage.do(lambda: list(stage.daemon.questions))}
    assert asked == {"follow", "status", "ping"}


def test_too_long_and_too_many_frames_end_or_are_left_out(stage: BusStage, reader: Reader) -> None:
    with reader.asker() as asker:
        asker.send_multipart([b"x"] * 50)
        asker.send(msgpack.packb({"ask": "ping"}))
        assert msgpack.unpackb(asker.recv())["ok"] is True
        asker.send(b"x" * 100_000)
    stage.until(lambda: stage.bus.counts["frames"] == 1)
    assert reader.ask(ask="ping")["ok"] is True


@pytest.mark.slow
def test_a_subscription_that_no_topic_needs_ends_its_connection(stage: BusStage, reader: Reader) -> None:
    """Each byte of one is kept by the publisher."""
    with (
        reader.subscriber("zc1.heartbeat.", "x" * 1000) as greedy,
        reader.subscriber("zc1.heartbeat.") as other,
    ):
        for _ in range(3):
            received(other)
        assert not greedy.poll(0)
    with reader.subscriber("zc1.", routing_id=b"r" * 255) as named:
        received(named)


def test_a_req_socket_is_answered_too(stage: BusStage, reader: Reader) -> None:
    made = reader._socket(zmq.REQ, {})
    with made:
        made.connect(f"tcp://127.0.0.1:{stage.port + 1}")
        made.send(msgpack.packb({"ask": "ping"}))
        assert msgpack.unpackb(made.recv())["ok"] is True


def test_an_asker_that_reads_no_answer_costs_a_short_queue(stage: BusStage, reader: Reader) -> None:
    padded = {"group": "g1", "pad": "z" * 10_000}
    for number in range(1, 60):
        stage.tell(told(number)._replace(facts=padded))
    stage.until(lambda: stage.ring.newest == 59)
    deaf = reader._socket(zmq.DEALER, {"rcvhwm": 1, "rcvbuf": 4096})
    with deaf:
        deaf.connect(f"tcp://127.0.0.1:{stage.port + 1}")
        question = msgpack.packb({"ask": "since", "incarnation": INCARNATION, "number": 0})
        sent = 0
        while not stage.do(lambda: stage.bus.counts["answers_dropped"]):
            deaf.send(question)
            sent += 1
            assert sent < 500, "its answers have to end somewhere"
        assert reader.ask(ask="ping")["ok"] is True, "others are answered"


def test_lists_are_handed_on_to_the_data_process(stage: BusStage, reader: Reader) -> None:
    assert "no data process" in reader.ask(ask="calls")["error"]
    data = ControlSocket(stage.run_dir / "data.sock")
    rows = [{"uuid": "1", "caller": "4711"}]
    try:
        with reader.asker() as asker:
            asker.send(msgpack.packb({"ask": "calls", "group": "g1", "limit": 5, "id": 9}))
            end = time.monotonic() + 30
            while not (requests := data.receive()):
                assert time.monotonic() < end
                time.sleep(0.001)
            assert requests[0].body == {"ask": "calls", "group": "g1", "limit": 5}
            data.answer(
                requests[0].client, {"schema": "zcluster.calls/1", "ok": True, "rows": rows, "next": ""}
            )
            answer = msgpack.unpackb(asker.recv())
    finally:
        data.close()
    assert (answer["id"], answer["ok"], answer["rows"]) == (9, True, rows)


@pytest.mark.slow
def test_many_questions_for_a_process_that_is_busy_are_refused_and_then_given_up(
    stage: BusStage, reader: Reader
) -> None:
    data = ControlSocket(stage.run_dir / "data.sock")
    try:
        with reader.asker() as asker:
            for _ in range(6):
                asker.send(msgpack.packb({"ask": "streams"}))
            answers = [msgpack.unpackb(asker.recv()) for _ in range(6)]
    finally:
        data.close()
    assert [("too many" in answer["error"], "does not answer" in answer["error"]) for answer in answers] == [
        *[(True, False)] * 2,
        *[(False, True)] * 4,
    ]


@pytest.mark.slow
def test_a_port_that_is_taken_is_tried_again_and_told_once(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1] - 1  # the one of the questions is taken
        stage = BusStage(tmp_path, port)
        stage.until(lambda: stage.outlet.counts()["unopened"] >= 1)
    reader = Reader(port)
    try:
        assert reader.ask(ask="ping")["ok"] is True
    finally:
        reader.close()
        stage.close()
    (complaint,) = stage.complaints
    assert complaint.startswith("no bus on loopback yet: ")


def test_the_passed_answers_are_plain_json_values(stage: BusStage, reader: Reader) -> None:
    answer = reader.ask(ask="status")
    del answer["id"]
    assert json.loads(json.dumps(answer))["schema"] == "zcluster.status/1"
