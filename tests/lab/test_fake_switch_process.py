"""The fake switch as the laboratory runs it: its own process, stock sipp on the loopback, our event socket's client."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from zcluster.lab.fake_switch.settings import ProfilePlan, SwitchPlan, read_plan, write_plan
from zcluster.lab.telephones import read_tally
from zcluster.switch import commands
from zcluster.switch.client import EslClient
from zcluster.switch.frames import ApiResponse
from zcluster.switch.notices import Answered, JobDone, Notice, Opened, PulseBack
from zcluster.switch.server import EslServer
from zcluster.switch.session import ApiAsked
from zcluster.switch.wishes import Login, Wishes

pytestmark = [pytest.mark.lab, pytest.mark.slow]

LIMIT_S = 20.0
CALLS = 10
PASSWORD = "secret"
FLOATING, PHONES = "127.0.9.101", "127.0.9.250"


def free_port(address: str, kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind((address, 0))
        return int(found.getsockname()[1])


def sipp() -> str:
    found = shutil.which("sipp")
    assert found, "these tests need sipp: apt-get install sip-tester"
    return found


class Stage:
    """Switches, telephones and a client, on ports of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sip_port = free_port(FLOATING)
        self.carrier_port = free_port(PHONES)
        self.running: list[subprocess.Popen[bytes]] = []
        self.client: EslClient | None = None

    def plan(self, name: str) -> SwitchPlan:
        return SwitchPlan(
            switchname=name,
            profiles=(ProfilePlan("g1", FLOATING, self.sip_port),),
            event_socket=("127.0.0.1", free_port("127.0.0.1", socket.SOCK_STREAM)),
            password=PASSWORD,
            core_db=str(self.directory / f"{name}.db"),
            carrier=(PHONES, self.carrier_port),
            begins_in_standby=False,
        )

    def start(self, plan: SwitchPlan) -> subprocess.Popen[bytes]:
        """A switch that answers already."""
        file = self.directory / f"{plan.switchname}.json"
        write_plan(plan, file)
        process = self._run([sys.executable, "-m", "zcluster.lab.fake_switch", str(file)], plan.switchname)
        if self.client is not None:
            self.client.close()
        wishes = Wishes("test", names=("CHANNEL_ANSWER",), subclasses=("sofia::register",))
        self.client = EslClient(*plan.event_socket, Login(PASSWORD), wishes)
        self.hear(lambda notice: isinstance(notice, Opened))
        return process

    def hear(self, wanted: Callable[[Notice], bool], limit_s: float = LIMIT_S) -> Notice | None:
        """The first such notice, None when there is none in time."""
        assert self.client is not None
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            select.select([self.client.fileno()], [], [], 0.02)
            for notice in self.client.receive(time.monotonic_ns() // 1_000_000):
                if wanted(notice):
                    return notice
        return None

    def ask(self, name: str, *words: str) -> str:
        """The output of an api command."""
        assert self.client is not None
        ticket = self.client.request(commands.api(name, *words), time.monotonic_ns() // 1_000_000)
        answer = self.hear(lambda notice: isinstance(notice, Answered) and notice.ticket == ticket)
        assert isinstance(answer, Answered)
        assert isinstance(answer.answer, ApiResponse)
        return answer.answer.body

    def phones(
        self, name: str, scenario: list[str], port: int, count: int, *words: str
    ) -> subprocess.Popen[bytes]:
        """One sipp."""
        statistics = ["-trace_stat", "-fd", "1", "-stf", str(self.directory / f"{name}.csv")]
        command = [
            sipp(),
            *scenario,
            *words,
            "-i",
            PHONES,
            "-p",
            str(port),
            "-m",
            str(count),
            "-nostdin",
            *statistics,
        ]
        return self._run(command, name)

    def scenario(self, name: str, patience_ms: int) -> list[str]:
        """Our own scenario, with a shorter patience."""
        file = self.directory / name
        text = (files("zcluster.lab") / "scenarios" / name).read_text()
        file.write_text(text.replace("15000", str(patience_ms)).replace("16000", str(patience_ms)))
        return ["-sf", str(file)]

    def succeeded(self, name: str, process: subprocess.Popen[bytes]) -> int:
        """How many calls of that sipp ended well."""
        process.wait(LIMIT_S)
        return read_tally((self.directory / f"{name}.csv").read_text()).succeeded

    def end(self) -> None:
        """Ends everything."""
        if self.client is not None:
            self.client.close()
        for process in self.running:
            process.kill()
            process.wait()

    def _run(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        with (self.directory / f"{name}.log").open("ab") as log:
            environment = {**os.environ, "TERM": "dumb"}
            process = subprocess.Popen(
                command, cwd=self.directory, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment
            )
        self.running.append(process)
        return process


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.end()


def rows_of(plan: SwitchPlan, count: int) -> list[tuple[str, ...]]:
    """The rows of `recovery`, as soon as there are so many."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        with sqlite3.connect(plan.core_db) as connection:
            rows = connection.execute("select * from recovery").fetchall()
        connection.close()
        if len(rows) == count:
            return rows
        time.sleep(0.02)
    raise AssertionError(f"never {count} rows")


def test_stock_scenarios_call_through_it(stage: Stage) -> None:
    stage.start(stage.plan("n1"))
    carrier = stage.phones("carrier", ["-sn", "uas"], stage.carrier_port, CALLS)
    target = f"{FLOATING}:{stage.sip_port}"
    callers = stage.phones(
        "callers", ["-sn", "uac"], free_port(PHONES), CALLS, target, "-s", "9000", "-r", "50", "-d", "200"
    )
    assert (stage.succeeded("callers", callers), stage.succeeded("carrier", carrier)) == (CALLS, CALLS)
    assert stage.ask("status").splitlines()[2] == f"{2 * CALLS} session(s) since startup"


def test_calls_of_a_killed_switch_are_invited_again_by_another_and_end_well(stage: Stage) -> None:
    first, second = stage.plan("n1"), stage.plan("n2")
    killed = stage.start(first)
    carrier = stage.phones("carrier", stage.scenario("callee.xml", 0), stage.carrier_port, CALLS)
    target = f"{FLOATING}:{stage.sip_port}"
    callers = stage.phones(
        "callers",
        stage.scenario("caller.xml", 2500),
        free_port(PHONES),
        CALLS,
        target,
        "-s",
        "9000",
        "-r",
        "100",
    )
    rows = rows_of(first, 2 * CALLS)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    stage.start(second)
    with sqlite3.connect(second.core_db) as connection:
        connection.executemany("insert into recovery values (?,?,?,?,?,?)", rows)
    connection.close()
    assert stage.client is not None
    stage.client.request(
        commands.bgapi("job-1", "sofia", "profile", "g1", "recover"), time.monotonic_ns() // 1_000_000
    )
    done = stage.hear(lambda notice: isinstance(notice, JobDone))
    assert isinstance(done, JobDone)
    assert done.body == f"Recovered {2 * CALLS} session(s)\n"
    rows_of(second, 2 * CALLS)
    assert stage.ask("show", "calls", "count") == f"\n{CALLS} total.\n"
    assert (stage.succeeded("callers", callers), stage.succeeded("carrier", carrier)) == (CALLS, CALLS)
    rows_of(second, 0)


def test_a_stalled_event_thread_swallows_pulses_and_nothing_else(stage: Stage) -> None:
    process = stage.start(stage.plan("n1"))
    assert stage.client is not None
    stage.client.pulse(time.monotonic_ns() // 1_000_000)
    assert stage.hear(lambda notice: isinstance(notice, PulseBack))
    process.send_signal(signal.SIGUSR1)
    assert stage.ask("version").startswith("FreeSWITCH Version ")
    stage.client.pulse(time.monotonic_ns() // 1_000_000)
    assert stage.hear(lambda notice: isinstance(notice, PulseBack), 0.3) is None
    process.send_signal(signal.SIGUSR2)
    assert stage.hear(lambda notice: isinstance(notice, PulseBack))


def test_it_asks_its_remote_as_mod_hash_does(stage: Stage) -> None:
    remote = EslServer("127.0.0.1", 0, "others")
    plan = replace(
        stage.plan("n1"), limits_remote=("127.0.0.1", remote.port), limits_password="others", trunk_limit=3
    )
    stage.start(plan)
    asked: list[str] = []
    until = time.monotonic() + LIMIT_S
    while len(asked) < 3 and time.monotonic() < until:
        select.select([remote.fileno()], [], [], 0.02)
        for each in remote.receive(time.monotonic_ns() // 1_000_000):
            assert isinstance(each, ApiAsked)
            asked.append(each.command)
            remote.answer(each.client, "L/laboratory_trunk/3/0/0/0\n")
    assert asked == ["hash_dump limit"] * 3
    caller = stage.phones(
        "caller", ["-sn", "uac"], free_port(PHONES), 1, f"{FLOATING}:{stage.sip_port}", "-s", "8000"
    )
    assert stage.succeeded("caller", caller) == 0
    remote.close()


def test_a_plan_survives_its_file(stage: Stage) -> None:
    plan = replace(stage.plan("n1"), limits_remote=("127.0.0.1", 8022))
    file = stage.directory / "plan.json"
    write_plan(plan, file)
    assert read_plan(file) == plan
    assert file.stat().st_mode & 0o077 == 0
