from __future__ import annotations

import json
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.fakes import FakeSwitch, Host, free_ports, introduce, until
from zcluster.adapters.control_socket import ask
from zcluster.streams.units import CALLS, LIMITS, REGISTRATIONS
from zcluster.telephony.settings import TelephonySettings
from zcluster.wire.local_link import LARGEST_PACKET_BYTES, Health, PacketReader, Stop, SwitchIdentity

CAPTURES = Path(__file__).parent.parent / "switch" / "captures"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Host]]:
    port = free_ports()
    made = [Host(f"n{number}", f"127.0.0.{number}", port, tmp_path) for number in (1, 2, 3)]
    yield made
    for host in made:
        if host.process is not None:
            host.stop()
        host.switch.kill()


def well(hosts: list[Host]) -> None:
    until(hosts, lambda: all("switch" in host.problems and not host.faults for host in hosts))


def complete(hosts: list[Host]) -> None:
    def are_complete() -> bool:
        return all(
            host.completeness is not None
            and host.completeness.is_ready
            and all(percent == 100 for _, percent in host.completeness.percents)
            and len(host.completeness.percents) == len(hosts) - 1
            for host in hosts
        )

    until(hosts, are_complete)


def users(host: Host) -> set[bytes]:
    return {key.split(b"\0")[-2] if key.count(b"\0") > 1 else key for key in host.records(REGISTRATIONS)}


def test_a_healthy_switch_is_told_and_a_killed_one_within_two_turns(hosts: list[Host]) -> None:
    first = hosts[0]
    first.turn()
    assert first.faults == {"switch": "not connected yet"}
    well([first])
    first.switch.kill()
    for _ in range(2):
        first.turn()
    # What the loop said leaves at once; a turn of the fake host reads it.
    first.turn()
    assert "event socket closed" in first.faults["switch"]


def test_what_the_switch_is_is_told_when_it_opens(hosts: list[Host]) -> None:
    first = hosts[0]
    well([first])
    assert first.identity == SwitchIdentity("1.11.3 git abc", first.switch.core)


def test_a_stuck_event_thread_is_told(hosts: list[Host]) -> None:
    first = hosts[0]
    well([first])
    first.switch.is_echoing = False
    until([first], lambda: bool(first.faults))
    silence = re.search(r"is stuck: no pulse came back for (\d+) ms", first.faults["switch"])
    assert silence is not None
    assert int(silence[1]) >= TelephonySettings("n1", ()).pulse_limit_ms


def test_a_record_appears_on_the_others_and_a_newcomer_gets_what_exists(hosts: list[Host]) -> None:
    early, late = hosts[:2], hosts[2]
    introduce(early)
    well(early)
    early[0].owns(("blue", 1))
    complete(early)
    for number in range(50):
        early[0].switch.register(f"{100 + number}")
    until(early, lambda: len(early[1].records(REGISTRATIONS)) == 50)
    introduce(hosts, {"blue": "n1"})
    well(hosts)
    complete(hosts)
    assert late.records(REGISTRATIONS) == early[0].records(REGISTRATIONS)


@pytest.mark.slow
def test_what_one_node_lost_another_has(hosts: list[Host]) -> None:
    introduce(hosts)
    well(hosts)
    first, second, third = hosts
    first.owns(("blue", 1))
    complete(hosts)
    for number in range(20):
        first.switch.register(f"{100 + number}")
    # Its claim comes two seconds after the first master of a group began: others might have had it.
    assert third.process is not None
    winners = third.process.replicator.tables[REGISTRATIONS].winners
    until(hosts, lambda: len(third.records(REGISTRATIONS)) == 20 and b"blue" in winners())
    first.stop()
    first.switch.kill()
    survivors = [second, third]
    introduce(survivors, {"blue": "n2"})
    second.owns(("blue", 2))

    def is_adopted() -> bool:
        assert third.process is not None
        entries = list(third.process.replicator.tables[REGISTRATIONS].entries())
        return len(entries) == 20 and {entry.stream.node for entry in entries} == {"n2"}

    until(survivors, is_adopted)
    until(survivors, lambda: sum("multicast" in each for each in second.switch.asked) >= 20)


def test_a_restarted_process_gets_everything_again(hosts: list[Host]) -> None:
    pair = hosts[:2]
    introduce(pair)
    well(pair)
    pair[0].owns(("blue", 1))
    complete(pair)
    pair[0].switch.register("100")
    until(pair, lambda: len(pair[1].records(REGISTRATIONS)) == 1)
    pair[1].stop()
    pair[1].start()
    introduce(pair)
    until(pair, lambda: len(pair[1].records(REGISTRATIONS)) == 1)


def test_nothing_is_ready_before_the_peers_are_known(hosts: list[Host]) -> None:
    first = hosts[0]
    until([first], lambda: first.completeness is not None)
    assert first.completeness is not None
    assert not first.completeness.is_ready
    introduce([first])
    until([first], lambda: bool(first.completeness and first.completeness.is_ready))
    introduce(hosts)
    until([first], lambda: bool(first.completeness and not first.completeness.is_ready))
    assert first.completeness.reason == "the copy is not complete: n2 0 %, n3 0 %"


def test_it_ends_when_it_is_told_or_left_alone(hosts: list[Host]) -> None:
    first, second = hosts[:2]
    assert first.process is not None
    assert second.process is not None
    first.say(Stop())
    until([first], lambda: bool(first.process and first.process.link.is_over))
    second.channel.close()
    second.process.loop.run()


@pytest.mark.slow
def test_what_may_be_asked(hosts: list[Host]) -> None:
    first = hosts[0]
    introduce([first])
    well([first])
    first.owns(("blue", 1))
    assert first.process is not None
    claims = first.process.replicator.tables[REGISTRATIONS].own.table.claims
    until([first], lambda: bool(claims))
    for number in range(30):
        first.switch.register(f"{100 + number}")
    until([first], lambda: len(first.records(REGISTRATIONS)) == 30)
    answers: dict[str, object] = {}

    def query(name: str, **body: object) -> dict[str, object]:
        done: list[dict[str, object]] = []
        thread = threading.Thread(target=lambda: done.append(dict(ask(first.where / "data.sock", body))))
        thread.start()
        until([first], lambda: not thread.is_alive())
        answers[name] = done[0]
        return done[0]

    assert query("ping", ask="ping") == {"ok": True, "node": "n1", "version": "test"}
    page = query("page", ask="registrations", limit=12)
    rows = page["rows"]
    assert isinstance(rows, list)
    assert len(rows) == 12
    seen = {row["aor"] for row in rows}
    while page["next"]:
        page = query("page", ask="registrations", limit=12, **{"from": page["next"]})
        assert isinstance(page["rows"], list)
        seen |= {row["aor"] for row in page["rows"]}
    assert len(seen) == 30
    found = query("match", ask="registrations", match="107@")["rows"]
    assert isinstance(found, list)
    assert [row["aor"] for row in found] == ["107@pbx"]
    assert query("none", ask="registrations", group="red")["rows"] == []
    counted = query("count", ask="registrations", count=True)
    assert counted["total"] == 30
    assert counted["by"] == {"group": {"blue": 30}, "node": {"n1": 30}, "profile": {"sip1": 30}}
    assert query("calls", ask="calls")["rows"] == []
    assert query("lost", ask="lost")["rows"] == []
    assert query("limits", ask="limits")["rows"] == []
    own = query("streams", ask="streams")["own"]
    assert isinstance(own, dict)
    assert own[REGISTRATIONS]["records"] == 31  # and the claim
    assert LIMITS in own
    for bad in ({"ask": "lost", "limit": 0}, {"ask": "calls", "from": "x"}, {"ask": "calls", "match": 7}, {}):
        assert query("bad", **bad)["ok"] is False
    assert query("clear", ask="clear")["ok"] is True


def test_figures_come(hosts: list[Host]) -> None:
    first = hosts[0]
    until([first], lambda: first.figures is not None)
    assert first.figures is not None
    assert first.figures.numbers["turns"] >= 0


FILE = """
[cluster]
name = "office"
expected-nodes = 1
key-file = "{where}/cluster.key"
state-dir = "{where}"
run-dir = "{where}"

[[link]]
name = "hb1"
network = "127.0.0.0/8"
multicast = "239.77.0.1"
bus-port = {bus}
data-port = {data}

[[group]]
name = "blue"
addresses = ["10.99.0.10/24"]
interface = "lo"
profiles = ["sip1"]

[[group]]
name = "red"
addresses = ["10.99.0.11/24"]
interface = "lo"
profiles = ["sip2"]

[switch]
event-socket = "127.0.0.1:{switch}"
core-db = "{where}/core.db"
limits-port = {limits}
"""


def test_the_program_itself(tmp_path: Path) -> None:
    """As the control process starts it: its switch is told as healthy, and it ends with us."""
    switch = FakeSwitch("core-n1")
    ports = iter(range(free_ports(), 65_535, 2))
    numbers = {name: next(ports) for name in ("bus", "data", "limits")}
    file = tmp_path / "zcluster.toml"
    file.write_text(FILE.format(where=tmp_path, switch=switch.port, **numbers))
    subprocess.run([sys.executable, "-m", "zcluster", "keygen", str(tmp_path / "cluster.key")], check=True)
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = ("--fd", str(there.fileno()), "--config", str(file), "--node", "n1", "--run-dir", str(tmp_path))
    child = subprocess.Popen([sys.executable, "-m", "zcluster.data", *words], pass_fds=(there.fileno(),))
    there.close()
    here.setblocking(False)
    reader = PacketReader()
    faults: dict[str, str] = {"switch": "not told"}
    end = time.monotonic() + 30
    try:
        while any(faults.values()):
            assert time.monotonic() < end, faults
            assert child.poll() is None
            switch.turn()
            try:
                message = reader.read(here.recv(LARGEST_PACKET_BYTES))
            except BlockingIOError:
                time.sleep(0.001)
                continue
            if isinstance(message, Health):
                faults[message.subject] = message.problem
        child.terminate()
        assert ask(tmp_path / "data.sock", {"ask": "ping"})["ok"] is True
        here.close()
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait()
        switch.kill()


def written(host: Host, rows: list[dict[str, str]]) -> None:
    """What the switch writes when it tracks calls."""
    database = sqlite3.connect(host.where / "core.db", timeout=5)
    with database:
        for row in rows:
            names = ("runtime_uuid", "technology", "profile_name", "hostname", "uuid", "metadata")
            values = [row[name] for name in names]
            database.execute(f"INSERT INTO recovery ({', '.join(names)}) VALUES (?, ?, ?, ?, ?, ?)", values)
    database.close()


def in_table(host: Host) -> set[str]:
    database = sqlite3.connect(host.where / "core.db", timeout=5)
    found = {uuid for (uuid,) in database.execute("SELECT uuid FROM recovery")}
    database.close()
    return found


def test_a_call_of_a_killed_switch_is_put_into_the_next_holders_and_recovered(hosts: list[Host]) -> None:
    recorded = json.loads((CAPTURES / "recovery-rows-one-call.json").read_text())
    first, second = pair = hosts[:2]
    introduce(pair)
    well(pair)
    first.owns(("blue", 1))
    complete(pair)
    assert second.process is not None
    winners = second.process.replicator.tables[CALLS].winners
    until(pair, lambda: b"blue" in winners())
    profile = recorded[0]["profile_name"]
    rows = [
        {
            **row,
            "runtime_uuid": "core-n1",
            "profile_name": "sip1",
            "metadata": row["metadata"].replace(profile, "sip1"),
        }
        for row in recorded
    ]
    written(first, rows)
    uuids = {row["uuid"] for row in rows}
    until(pair, lambda: len(second.records(CALLS)) == len(uuids))
    assert in_table(second) == set()
    second.switch.asked.clear()
    # The kill: the holder says so, releases, and the next one wins.
    first.switch.kill()
    until(pair, lambda: "switch" in first.faults)
    first.owns()
    second.owns(("blue", 2))
    until(pair, lambda: "sofia profile sip1 recover" in second.switch.asked)
    assert in_table(second) == uuids


def test_the_switch_is_told_what_the_others_count(hosts: list[Host]) -> None:
    """As mod_hash asks it."""
    first, second = pair = hosts[:2]
    first.switch.answers["hash_dump limit"] = "L/outbound_carrier1/3/0/0/1790000000\n"
    introduce(pair)
    well(pair)
    complete(pair)
    assert second.process is not None
    until(pair, lambda: bool(second.process and second.process.limits_port))
    heard = b""
    with socket.create_connection(("127.0.0.1", second.process.limits_port)) as poller:
        poller.setblocking(False)
        poller.send(b"auth ClueCon\n\n")

        def is_told() -> bool:
            nonlocal heard
            poller.send(b"api hash_dump limit\n\n")
            try:
                heard += poller.recv(65536)
            except BlockingIOError:
                pass
            return b"L/outbound_carrier1/3/" in heard

        until(pair, is_told)
