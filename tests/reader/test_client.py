"""The client against real buses: events in order and once, what was missed, and errors that say what to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.bus_stage import GRAFANA, KEYS, PATIENCE_S, WITHDRAWN, BusStage, free_ports
from tests.tools.small_daemon import INCARNATION, SmallDaemon, told
from zcluster.adapters.tools_bus import PUBLISH_QUEUE_MESSAGES
from zcluster.client import BusError, BusRefused, Client, Credential, Event, load_credential

CREDENTIAL = Credential(KEYS.server.public, GRAFANA.public, GRAFANA.secret)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[BusStage]:
    made = BusStage(tmp_path)
    yield made
    made.close()


def host_of(*stages: BusStage) -> list[str]:
    return [f"127.0.0.1:{stage.port}" for stage in stages]


class Listener:
    """A client that follows in a thread."""

    def __init__(self, hosts: list[str], is_from_start: bool = False) -> None:
        self.found: list[Event] = []
        self._client = Client(hosts, CREDENTIAL)
        self._is_over = False
        self._is_from_start = is_from_start
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over:
            for event in self._client.events(self._is_from_start, timeout_s=0.2):
                self.found.append(event)

    def until(self, count: int) -> None:
        end = time.monotonic() + PATIENCE_S
        while len(self.found) < count:
            assert time.monotonic() < end, self.texts()
            time.sleep(0.01)

    def texts(self) -> list[str]:
        return [event.text for event in self.found]

    def close(self) -> None:
        self._is_over = True
        self._thread.join(PATIENCE_S)
        self._client.close()


def warm(listener: Listener, *stages: BusStage) -> int:
    """Tell until it hears from each bus; the number of the last."""
    number = 0
    for stage in stages:
        known = len(listener.found)
        end = time.monotonic() + PATIENCE_S
        while len(listener.found) == known:
            assert time.monotonic() < end
            number += 1
            stage.tell(told(number))
            time.sleep(0.05)
    return number


def test_events_come_in_order_and_each_once_over_two_buses(tmp_path: Path, stage: BusStage) -> None:
    other = BusStage(tmp_path / "other", daemon=SmallDaemon(tmp_path / "other"))
    listener = Listener(host_of(stage, other))
    try:
        number = warm(listener, stage)
        time.sleep(0.5)  # the other connection is there too, or its gaps are filled
        last = number + 60
        for each in range(number + 1, last + 1):
            for bus in (stage, other) if each % 3 else (other, stage):
                bus.tell(told(each))
        end = time.monotonic() + PATIENCE_S
        while not listener.found or listener.found[-1].number < last:
            assert time.monotonic() < end
            time.sleep(0.01)
        handed = [event.number for event in listener.found]
        assert handed == list(range(handed[0], last + 1))
        assert sum(event.missed for event in listener.found) == 0
    finally:
        listener.close()
        other.close()


def test_what_was_dropped_on_the_way_is_asked_for(stage: BusStage) -> None:
    """The bus publishes nothing for a while, as to a subscriber that lags: the heartbeat tells that there was more."""
    listener = Listener(host_of(stage))
    try:
        number = warm(listener, stage)
        publish = stage.bus.publish
        stage.do(
            lambda: setattr(
                stage.bus, "publish", lambda topic, body: b".heartbeat." in topic and publish(topic, body)
            )
        )
        for each in range(number + 1, number + 21):
            stage.tell(told(each))
        end = time.monotonic() + PATIENCE_S
        while listener.found[-1].number < number + 20:
            assert time.monotonic() < end
            time.sleep(0.01)
        handed = [event.number for event in listener.found]
        assert handed == list(range(handed[0], number + 21))
    finally:
        listener.close()


def test_a_client_that_stalls_gets_what_it_missed_when_it_reads_again(stage: BusStage) -> None:
    with Client(host_of(stage), CREDENTIAL) as client:
        connection = client._connections[0]
        connection.subscriber.rcvhwm = 10
        number = 0
        found: list[Event] = []
        while not found:
            number += 1
            stage.tell(told(number))
            found += client.events(timeout_s=0.05)
        total = 3 * PUBLISH_QUEUE_MESSAGES
        for each in range(number + 1, total + 1):
            stage.tell(told(each))
        for event in client.events(timeout_s=PATIENCE_S):
            found.append(event)
            if event.number == total:
                break
        handed = [event.number for event in found]
        assert handed == list(range(handed[0], total + 1))


def test_from_the_start_and_across_a_new_life_of_the_daemon(tmp_path: Path, stage: BusStage) -> None:
    for number in range(1, 5):
        stage.tell(told(number))
    stage.until(lambda: stage.ring.newest == 4)
    listener = Listener(host_of(stage), is_from_start=True)
    try:
        listener.until(4)
        stage.end_daemon()
        daemon = SmallDaemon(tmp_path, INCARNATION + 1)
        for number in (3, 4):
            daemon.tell(told(number))
        daemon.tell(told(1, "started", incarnation=INCARNATION + 1))
        stage.begin_daemon(daemon)
        listener.until(5)
        lives = [(event.incarnation, event.number) for event in listener.found]
        assert lives == [*((INCARNATION, number) for number in range(1, 5)), (INCARNATION + 1, 1)]
    finally:
        listener.close()


def test_questions_are_answered_by_the_first_that_can(stage: BusStage) -> None:
    stage.until(lambda: stage.daemon.statuses > 0)
    with Client([f"127.0.0.1:{free_ports()}", *host_of(stage)], CREDENTIAL) as client:
        assert client.ask("status", limit_s=1)["node"] == "n1"
    with Client(host_of(stage)[0], CREDENTIAL) as client:
        assert client.status()["schema"] == "zcluster.status/1"
        assert client.snapshot()["events"] == []
        with pytest.raises(BusError, match="takes no wishes"):
            client.ask("move", group="g1")
        with pytest.raises(BusError, match="no data process"):
            client.ask("calls")


@pytest.mark.slow
def test_a_key_that_is_not_admitted_is_told_so(stage: BusStage) -> None:
    withdrawn = Credential(KEYS.server.public, WITHDRAWN.public, WITHDRAWN.secret)
    with Client(host_of(stage), withdrawn) as client:
        with pytest.raises(BusRefused, match="not admitted"):
            client.status()
        with pytest.raises(BusRefused, match="not admitted"):
            next(client.events())


def test_where_nobody_listens_is_told_so() -> None:
    with Client(f"127.0.0.1:{free_ports()}", CREDENTIAL) as client:
        with pytest.raises(BusError, match="no answer"):
            client.ask("status", limit_s=0.3)
        assert list(client.events(timeout_s=0.3)) == []


@pytest.mark.parametrize("host", ["", "a b:x", "127.0.0.1:notaport"])
def test_what_is_no_place_is_told_so(host: str) -> None:
    with pytest.raises(BusError):
        Client(host, CREDENTIAL)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"schema": "zcluster.reader/1"}', '{"schema": "zcluster.reader/1", "server": "x"}'],
)
def test_a_file_that_is_no_credential_is_told_so(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    with pytest.raises(BusError, match="cannot be read"):
        load_credential(file)
    file.write_text(content)
    with pytest.raises(BusError, match="not a reader's key"):
        load_credential(file)
