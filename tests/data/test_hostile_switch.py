"""A data process whose switch, core database or mod_hash is broken or hostile: it goes on, and nobody else notices."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest

from tests.data.fakes import PASSWORD, RECOVERY, FakeSwitch, Host, free_ports, introduce, until
from zcluster.streams.units import CALLS, REGISTRATIONS
from zcluster.switch.bounds import SERVER_CLIENTS
from zcluster.telephony.events import Row

LOGIN = (
    b"Content-Type: auth/request\n\n",
    b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n",
)
RANDOM = Random(4)
FLOODERS = 50
GARBAGE = RANDOM.randbytes(200_000)
BYTES = {
    "noise": GARBAGE,
    "noise after the login": b"".join(LOGIN) + GARBAGE,
    "headers without end": LOGIN[0] + b"A-Header: value\n" * 20_000,
    "one line without end": LOGIN[0] + b"x" * 300_000,
    "more than memory": LOGIN[0]
    + b"Content-Type: api/response\nContent-Length: 99999999999999\n\n"
    + b"x" * 1000,
    "less than nothing": LOGIN[0] + b"Content-Type: api/response\nContent-Length: -5\n\n" + b"x" * 1000,
    "no number": LOGIN[0] + b"Content-Type: text/event-plain\nContent-Length: many\n\n" + b"x" * 1000,
    "an event that is shorter than it says": (
        b"".join(LOGIN)
        + b"Content-Type: text/event-plain\nContent-Length: 30\n\n"
        + b"Event-Name: CUSTOM\n\n" * 50
    ),
    "answers that nobody asked for": b"".join(LOGIN)
    + b"Content-Type: api/response\nContent-Length: 2\n\nok" * 2000,
    "a refusal": b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n",
}


class RawSwitch:
    """Says these bytes to whoever connects, whatever is asked, and closes now and then."""

    def __init__(self, port: int, script: bytes) -> None:
        self.port = port
        self.script = script
        self.asked: list[str] = []
        self.connections = 0
        self._open: list[tuple[socket.socket, bytearray]] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)

    def turn(self) -> None:
        with suppress(BlockingIOError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            self.connections += 1
            self._open.append((connection, bytearray(self.script)))
        for connection, left in list(self._open):
            with suppress(OSError):
                connection.recv(65536)
                if not left:
                    connection.close()
                    self._open.remove((connection, left))
            with suppress(OSError):
                del left[: connection.send(left[:20_000])]

    def kill(self) -> None:
        self._listener.close()
        for connection, _ in self._open:
            connection.close()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Host]]:
    port = free_ports()
    made = [Host(f"n{number}", f"127.0.0.{number}", port, tmp_path) for number in (1, 2)]
    introduce(made, {"blue": "n1"})
    until(made, lambda: all("switch" in host.problems and not host.faults for host in made))
    made[0].owns(("blue", 1))

    def is_ready() -> bool:
        return all(host.completeness is not None and host.completeness.is_ready for host in made)

    until(made, is_ready)
    yield made
    for host in made:
        host.stop()
        host.switch.kill()


def register_and_see(hosts: list[Host], user: str) -> None:
    """The streams and the control messages still go their way: a phone of the second host's group is seen here."""
    first, second = hosts
    second.owns(("red", 1000))
    assert first.process is not None

    def is_seen() -> bool:
        return any(user.encode() in key for key in first.records(REGISTRATIONS))

    def fire() -> bool:
        second.switch.register(user, "sip2")
        return is_seen()

    until(hosts, fire)


@pytest.mark.slow
@pytest.mark.parametrize("words", BYTES.values(), ids=BYTES.keys())
def test_what_a_switch_may_never_say(hosts: list[Host], words: bytes) -> None:
    first, second = hosts
    before = list(second.switch.asked)
    first.switch.kill()
    raw = RawSwitch(first.switch.port, words)
    first.switch = raw  # type: ignore[assignment]
    until(hosts, lambda: "switch" in first.faults and raw.connections >= 3)
    register_and_see(hosts, "300")
    assert second.faults == {}
    assert "switch" in first.faults
    fresh = second.switch.asked[len(before) :]
    assert not [each for each in fresh if each.startswith("event multicast::event")]


def test_a_switch_that_comes_to_its_senses_is_well_again(hosts: list[Host]) -> None:
    first = hosts[0]
    port = first.switch.port
    first.switch.kill()
    raw = RawSwitch(port, GARBAGE)
    first.switch = raw  # type: ignore[assignment]
    until(hosts, lambda: "switch" in first.faults and raw.connections >= 2)
    raw.kill()
    first.switch = FakeSwitch("core-n1", port)
    until(hosts, lambda: not first.faults)


EVILS = {
    "from_user": "evil\n\napi shutdown",
    "from_host": "pbx\r\nevil: 1",
    "contact": '"" <sip:evil@10.1.1.1:5060>\n\napi shutdown\n\n',
    "call_id": "evil\nContent-Length: 4",
    "user_agent": "evil\r\n\r\nsendevent CUSTOM",
    "network_ip": "10.1.1.1\nevil",
    "username": "evil\n",
    "presence_hosts": "evil\n\nexit",
}


@pytest.mark.slow
def test_nothing_with_a_line_break_reaches_another_switch(hosts: list[Host]) -> None:
    first, second = hosts
    plain = {
        "profile_name": "sip1",
        "from_user": "evil",
        "from_host": "pbx",
        "presence_hosts": "pbx",
        "contact": '"" <sip:evil@10.1.1.1:5060>',
        "call_id": "call-id-evil",
        "status": "Registered(UDP)",
        "expires": "3600",
        "network_ip": "10.1.1.1",
        "network_port": "5060",
        "username": "evil",
        "realm": "pbx",
        "user_agent": "phone",
    }
    for number, (name, value) in enumerate(EVILS.items()):
        first.switch.fire("sofia::register", **{**plain, "from_user": f"evil{number}", name: value})
    first.switch.register("good")
    # The second is the only one that is left: everything of the first goes into its own profile.
    until(hosts, lambda: any(b"good" in key for key in second.records(REGISTRATIONS)))
    first.owns()
    second.owns(("blue", 2))
    until(hosts, lambda: any("good@" in each for each in second.switch.asked))
    for _ in range(50):
        for host in hosts:
            host.turn()
    reached = [each for each in second.switch.asked if "evil" in each]
    assert all("\n" not in each and "\r" not in each for each in second.switch.asked)
    assert not {"shutdown", "exit"} & set(second.switch.asked)
    assert not reached
    assert hosts[1].faults == {}


def test_a_storm_of_events_delays_no_word_of_the_control_process(hosts: list[Host]) -> None:
    """Far more than a switch fires. Between any two floods a turn takes a pulse, a word and a message."""
    first, second = hosts
    assert first.process is not None
    won: list[int] = []
    for round_number in range(40):
        for number in range(250):
            first.switch.fire(
                "sofia::register", profile_name="none", from_user=f"{number}", padding="x" * 200
            )
        first.owns(("blue", 1), ("red", 10 + round_number))
        for host in hosts:
            host.turn()
        won.append(len(first.process.replicator.tables[REGISTRATIONS].own.table.claims))
    assert first.faults == {}
    assert second.faults == {}
    first.owns(("blue", 1))
    until(hosts, lambda: first.figures is not None and first.figures.numbers["pulses_unsent"] == 0)
    register_and_see(hosts, "301")
    assert first.faults == {}


def row(uuid: str, life: str) -> Row:
    metadata = b"<cdr><variables></variables></cdr>"
    return Row(life, "sofia", "sip1", "host", uuid, metadata)


def write(path: Path, *rows: Row) -> None:
    with closing(sqlite3.connect(path, timeout=10)) as database, database:
        database.executemany("INSERT INTO recovery VALUES (?, ?, ?, ?, ?, ?)", rows)


def calls_are(host: Host, *uuids: str) -> bool:
    return {key.split(b"\0")[1].decode() for key in host.records(CALLS) if b"\0" in key} == set(uuids)


def test_a_core_database_that_is_broken_replaced_and_whole_again(hosts: list[Host]) -> None:
    first, second = hosts
    path = first.where / "core.db"
    write(path, row("a", "core-n1"))
    until(hosts, lambda: calls_are(second, "a"))
    fresh = path.with_name("fresh.db")
    # As when a disk goes bad under it.
    fresh.write_bytes(RANDOM.randbytes(20_000))
    os.replace(fresh, path)
    until(hosts, lambda: any(told.code == "core-database" for told in first.told))
    register_and_see(hosts, "302")
    assert calls_are(second, "a"), "nothing that ended was told"
    with closing(sqlite3.connect(fresh)) as database:
        database.executescript(RECOVERY)
    write(fresh, row("b", "core-n1"))
    os.replace(fresh, path)
    until(hosts, lambda: calls_are(second, "b"))
    assert {subject: problem for subject, problem in first.faults.items() if subject == "switch"} == {}


def test_a_locked_core_database_holds_nobody_else_up(hosts: list[Host]) -> None:
    first, second = hosts
    path = first.where / "core.db"
    assert first.process is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        database.execute("INSERT INTO recovery VALUES (?, ?, ?, ?, ?, ?)", row("a", "core-n1"))
        register_and_see(hosts, "303")
        before = first.process.loop.figures.turns
        for _ in range(100):
            for host in hosts:
                host.turn()
        assert first.process.loop.figures.turns == before + 100
        assert "switch" not in first.faults
        database.execute("COMMIT")
    until(hosts, lambda: calls_are(second, "a"))


def test_a_flood_at_the_port_of_the_limits(hosts: list[Host]) -> None:
    first = hosts[0]
    assert first.process is not None
    until(hosts, lambda: bool(first.process and first.process.limits_port))
    address = ("127.0.0.1", first.process.limits_port)
    clients = [socket.socket() for _ in range(FLOODERS)]
    try:
        for number, client in enumerate(clients):
            client.setblocking(False)
            client.connect_ex(address)
            first.turn()
            with suppress(OSError):
                client.send((b"auth " + PASSWORD.encode() + b"\n\n") if number % 2 else GARBAGE[:5000])
        for turn in range(60):
            for number, client in enumerate(clients):
                with suppress(OSError):
                    client.send(
                        b"api hash_dump limit\n\n" * 50 if number % 3 else GARBAGE[turn * 100 :][:3000]
                    )
            for host in hosts:
                host.turn()
        register_and_see(hosts, "304")
        assert first.faults == {}
        assert first.figures is not None
        assert first.figures.numbers["limit_clients"] <= SERVER_CLIENTS
    finally:
        for client in clients:
            client.close()
    heard = b""
    with socket.create_connection(address) as poller:
        poller.setblocking(False)
        poller.send(b"auth " + PASSWORD.encode() + b"\n\napi hash_dump limit\n\n")

        def is_answered() -> bool:
            nonlocal heard
            with suppress(BlockingIOError):
                heard += poller.recv(65536)
            return b"api/response" in heard

        until(hosts, is_answered)
