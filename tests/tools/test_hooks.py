"""Hooks with real programs, and webhooks with a real server on loopback."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.tools.canned import record, status, takeover, with_node
from tests.tools.running import Running
from zcluster.adapters.journal import Record
from zcluster.config.configuration import Hook, HookNodes
from zcluster.tools import webhook
from zcluster.tools.hooks import KEPT_MS, WEBHOOK, WEBHOOK_NEVER, HooksOutlet
from zcluster.tools.hooks_program import KILL_AGAIN_MS, Program
from zcluster.tools.hooks_queue import MOST_EVENTS
from zcluster.tools.loop import monotonic_ms

LIMIT_S = 60


class World:
    """A hooks outlet that runs; its clock can be put forward."""

    def __init__(self, directory: Path, *hooks: Hook, node: str = "n2") -> None:
        self.directory = directory
        self.ahead_ms = 0
        self.complaints: list[str] = []
        self.outlet = HooksOutlet(
            hooks, "pbx", node, directory / "run", self.complaints.append, clock=self.clock
        )
        self.running = Running(self.outlet, self.clock)

    def clock(self) -> int:
        return monotonic_ms() + self.ahead_ms

    def tell(self, *records: Record) -> None:
        for one in records:
            self.running.do(lambda one=one: self.outlet.record(one))  # type: ignore[misc]

    def status(self, document: dict[str, Any]) -> None:
        self.running.do(lambda: self.outlet.status(document))

    def count(self, name: str) -> int:
        return self.outlet.counts().get(name, 0)


def eventually(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def script(directory: Path, text: str) -> tuple[str, ...]:
    path = directory / "hook.sh"
    path.write_text(f"#!/bin/sh\ncd {directory}\n{text}\n")
    path.chmod(0o755)
    return (str(path), "one argument; $(touch shell)")


def every(name: str, **more: Any) -> Hook:
    return Hook(name, nodes=HookNodes.EVERY, **more)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_program_gets_the_event_and_no_shell(tmp_path: Path) -> None:
    command = script(tmp_path, 'cat > body; env > variables; printf "%s" "$1" > argument; pwd > /dev/null')
    world = World(tmp_path, every("page", command=command))
    os.environ["CREDENTIALS_DIRECTORY"] = "/secret"
    try:
        with world.running:
            world.tell(takeover("g1"))
            eventually(lambda: world.count("page_told") == 1)
    finally:
        del os.environ["CREDENTIALS_DIRECTORY"]
    said = json.loads((tmp_path / "body").read_text())
    assert (said["schema"], said["hook"], said["cluster"], said["here"]) == (
        "zcluster.hook/1",
        "page",
        "pbx",
        "n2",
    )
    assert (said["key"], said["attempt"], said["dropped"]) == ("n2/1795720873147/1", 1, 0)
    assert said["record"]["code"] == "takeover"
    assert said["record"]["facts"]["from_node"] == "n1"
    variables = dict(line.split("=", 1) for line in lines(tmp_path / "variables"))
    assert variables["ZCLUSTER_CODE"] == "takeover"
    assert variables["ZCLUSTER_GROUP"] == "g1"
    assert variables["ZCLUSTER_KEY"] == said["key"]
    assert "CREDENTIALS_DIRECTORY" not in variables
    assert (tmp_path / "argument").read_text() == "one argument; $(touch shell)"
    assert not (tmp_path / "shell").exists()


def test_events_are_told_in_order_though_some_fail_first(tmp_path: Path) -> None:
    text = 'n=$(cat tries 2>/dev/null | wc -l); echo x >> tries; [ "$n" -ge 2 ] || { echo "not $n" >&2; exit 3; }\n'
    world = World(tmp_path, every("page", command=script(tmp_path, text + 'echo "$ZCLUSTER_KEY" >> told')))
    with world.running:
        world.tell(*(takeover(number=number) for number in range(1, 6)))
        eventually(lambda: world.count("page_failed") == 1)
        world.ahead_ms += 1000
        eventually(lambda: world.count("page_failed") == 2)
        world.ahead_ms += 2000
        eventually(lambda: world.count("page_told") == 5)
    assert lines(tmp_path / "told") == [f"n2/1795720873147/{number}" for number in range(1, 6)]
    assert world.complaints == [
        "the hook page failed for takeover (n2/1795720873147/1): exit status 3: not 0; it is tried again"
    ]


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    command = script(
        tmp_path, "sleep 1000 & echo $! > child; echo $$ > leader; trap '' TERM INT HUP; sleep 1000"
    )
    world = World(
        tmp_path, every("page", command=command, attempts=1), every("other", command=("/bin/true",))
    )
    with world.running:
        world.tell(takeover())
        eventually(lambda: bool(lines(tmp_path / "leader")))
        eventually(lambda: world.count("other_told") == 1)
        assert world.count("page_failed") == 0
        world.ahead_ms += 10_000
        eventually(lambda: world.count("page_given_up") == 1)
        pids = [int(lines(tmp_path / name)[0]) for name in ("leader", "child")]
        eventually(lambda: not any(map(is_alive, pids)))
    assert world.complaints == [
        "the hook page is given up for takeover (n2/1795720873147/1): it took too long and was ended"
    ]


def test_a_program_that_cannot_be_ended_at_once_is_ended_again_and_nobody_spins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deadline that stays in the past would turn the loop of the tools process without a pause."""
    now_ms = monotonic_ms()
    program = Program(("/bin/sleep", "1000"), b"", {}, now_ms)
    try:
        with monkeypatch.context() as held:
            held.setattr(os, "killpg", lambda pid, number: None)
            assert program.look(now_ms) is None
        assert program.limit_ms == now_ms + KILL_AGAIN_MS
        assert program.look(now_ms + 1) is None
        ending = program.look(program.limit_ms)
        until = time.monotonic() + LIMIT_S
        while ending is None and time.monotonic() < until:
            time.sleep(0.01)
            ending = program.look(now_ms)
        assert ending is not None
        assert ending.is_late
    finally:
        program.end()


def test_a_stop_ends_programs_whatever_number_their_descriptors_have(tmp_path: Path) -> None:
    """Readers of the bus and scrapers may have taken the first thousand."""
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 1200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(1024)]
    try:
        world = World(tmp_path, every("page", command=("/bin/sleep", "1000")))
        world.outlet.record(takeover())
        world.outlet.turn(monotonic_ms())
        assert min(world.outlet.filenos()) > 1023
        world.outlet.close()
        assert world.outlet.filenos() == ()
    finally:
        for descriptor in taken:
            os.close(descriptor)


def test_a_program_that_is_not_there_or_writes_for_ever(tmp_path: Path) -> None:
    flood = script(tmp_path, "exec cat /dev/zero")
    world = World(
        tmp_path,
        every("gone", command=("/nowhere/page",), attempts=1),
        every("flood", command=flood, attempts=1),
    )
    with world.running:
        world.tell(takeover())
        eventually(lambda: world.count("gone_given_up") == 1)
        world.ahead_ms += 10_000
        eventually(lambda: world.count("flood_given_up") == 1)
    assert (
        "the hook gone is given up for takeover (n2/1795720873147/1): /nowhere/page cannot be run: "
        in str(world.complaints)
    )


def test_signals_that_we_ignore_reach_a_program(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        program = Program(("/bin/sh", "-c", "kill -TERM $$; sleep 1000"), b"", {}, monotonic_ms() + 600_000)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        while (ending := program.look(monotonic_ms())) is None:
            select.select(program.filenos(), (), (), LIMIT_S)
        assert ending.text == "ended by signal 15"
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_was_not_told_is_told_by_the_next_life(tmp_path: Path) -> None:
    command = script(
        tmp_path, 'echo "$ZCLUSTER_KEY $ZCLUSTER_ATTEMPT" >> told; [ -e open ] || exec sleep 1000'
    )
    world = World(tmp_path, every("page", command=command))
    with world.running:
        world.tell(takeover(number=1), takeover(number=2))
        eventually(lambda: len(lines(tmp_path / "told")) == 1)
    (tmp_path / "open").touch()
    world = World(tmp_path, every("page", command=command))
    with world.running:
        world.tell(takeover(number=2), takeover(number=3))
        eventually(lambda: world.count("page_told") == 3)
    assert lines(tmp_path / "told") == [f"n2/1795720873147/{number} 1" for number in (1, 1, 2, 3)]


def test_what_a_stop_tells_is_told_before_the_end(tmp_path: Path) -> None:
    command = script(tmp_path, 'echo "$ZCLUSTER_KEY" >> told')
    outlet = HooksOutlet(
        [every("page", command=command)], "pbx", "n2", tmp_path / "run", pytest.fail, lambda: 0
    )
    outlet.record(takeover(number=1))
    outlet.record(takeover(number=2))
    outlet.close()
    assert lines(tmp_path / "told") == [f"n2/1795720873147/{number}" for number in (1, 2)]


@pytest.mark.slow
def test_a_hook_that_is_too_slow_drops_the_oldest(tmp_path: Path) -> None:
    world = World(
        tmp_path, every("page", command=script(tmp_path, "[ -e open ] || exec sleep 1000; cat >> told"))
    )
    with world.running:
        world.tell(*(takeover(number=number) for number in range(1, MOST_EVENTS + 11)))
        assert world.count("page_dropped") == 10
        assert world.count("page_waiting") == MOST_EVENTS
    assert len(world.complaints) == 1


def test_one_node_speaks_and_another_one_when_it_dies(tmp_path: Path) -> None:
    hook = Hook("page", command=script(tmp_path, 'echo "$ZCLUSTER_KEY" >> told'))
    world = World(tmp_path, hook)
    with world.running:
        world.tell(takeover(number=1))
        world.status(status())
        assert world.count("page_waiting") == 0, "n1 is heard and tells it"
        world.ahead_ms += KEPT_MS + 1000
        world.tell(takeover(number=2), record("released", number=3, node="n1", group="g1"))
        world.status(status())
        world.status(with_node("n1", is_heard=False))
        eventually(lambda: world.count("page_told") == 2)
        world.tell(takeover(number=4))
        world.status(with_node("n1", is_heard=False))
        eventually(lambda: world.count("page_told") == 3)
    assert lines(tmp_path / "told") == [
        f"{key}" for key in ("n2/1795720873147/2", "n1/1795720873147/3", "n2/1795720873147/4")
    ]


# ---- webhooks


def test_the_two_sides_of_a_webhook_mean_the_same() -> None:
    assert WEBHOOK_NEVER == webhook.NEVER
    assert webhook.__file__ == str(WEBHOOK)


class Server(ThreadingHTTPServer):
    """Answers with the next of `answers`, the last one for ever."""

    def __init__(self, *answers: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.hold = threading.Event()
        self.hold.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/zcluster?token=s3cret"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        assert self.path == "/zcluster?token=s3cret"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.keys.append(self.headers["Idempotency-Key"])
        self.server.hold.wait(LIMIT_S)
        answers = self.server.answers
        self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
        self.send_header("Content-Length", "0")
        self.send_header("Location", self.server.url)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(*answers: int) -> Iterator[Server]:
    server = Server(*answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.hold.set()
        server.shutdown()
        thread.join(LIMIT_S)
        server.server_close()


def test_a_server_that_fails_twice_is_told_the_third_time(tmp_path: Path) -> None:
    with serving(503, 500, 204) as server:
        world = World(tmp_path, every("post", url=server.url))
        with world.running:
            world.tell(takeover(number=1), takeover(number=2))
            eventually(lambda: world.count("post_failed") == 1)
            world.ahead_ms += 1000
            eventually(lambda: world.count("post_failed") == 2)
            world.ahead_ms += 2000
            eventually(lambda: world.count("post_told") == 2)
        assert [body["record"]["number"] for body in server.bodies] == [1, 1, 1, 2]
        assert [body["attempt"] for body in server.bodies] == [1, 2, 3, 1]
        assert server.keys == ["n2/1795720873147/1"] * 3 + ["n2/1795720873147/2"]
        assert world.complaints == [
            "the hook post failed for takeover (n2/1795720873147/1): exit status 1: HTTP 503 Service Unavailable; "
            "it is tried again"
        ]


@pytest.mark.parametrize(("answer", "tries"), [(404, 1), (410, 1), (429, 2), (302, 2), (500, 2)])
def test_what_will_never_work_is_not_tried_again(tmp_path: Path, answer: int, tries: int) -> None:
    with serving(answer) as server:
        world = World(tmp_path, every("post", url=server.url, attempts=2))
        with world.running:
            world.tell(takeover())
            eventually(lambda: world.count("post_failed") == 1)
            world.ahead_ms += 1000
            eventually(lambda: world.count("post_given_up") == 1)
        assert len(server.bodies) == tries


def test_a_server_that_hangs_keeps_nobody_waiting(tmp_path: Path) -> None:
    with serving(204) as server:
        server.hold.clear()
        world = World(
            tmp_path, every("post", url=server.url, attempts=1), every("other", command=("/bin/true",))
        )
        with world.running:
            world.tell(takeover())
            eventually(lambda: bool(server.bodies))
            eventually(lambda: world.count("other_told") == 1)
            # What is secret in the URL stands in no list of processes.
            words = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
            assert any(b"webhook.py" in line for line in words)
            assert not any(b"s3cret" in line for line in words)
            world.ahead_ms += 12_000
            eventually(lambda: world.count("post_given_up") == 1)


def test_a_server_that_is_not_there_or_has_no_good_certificate(tmp_path: Path) -> None:
    with serving(204) as server:
        world = World(tmp_path, every("tls", url=server.url.replace("http", "https"), attempts=1))
        with world.running:
            world.tell(takeover())
            eventually(lambda: world.count("tls_given_up") == 1)
        assert server.bodies == []
    assert "SSL" in world.complaints[0]
    gone = World(tmp_path, every("gone", url=server.url, attempts=1))
    with gone.running:
        gone.tell(takeover())
        eventually(lambda: gone.count("gone_given_up") == 1)
    assert "Connection refused" in gone.complaints[0]
