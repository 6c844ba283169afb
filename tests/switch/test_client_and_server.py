"""The two shells over loopback: real sockets, real time."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.switch.recorded import FROM_MOD_HASH, received
from zcluster.errors import ConfigurationError, KernelRefused, SwitchUnavailable
from zcluster.switch import answers, bounds, commands
from zcluster.switch.client import CLOSED, EslClient
from zcluster.switch.commands import Form
from zcluster.switch.frames import ApiResponse, CommandReply, Event
from zcluster.switch.notices import Answered, Closed, Happened, JobDone, Notice, Opened, PulseBack
from zcluster.switch.server import EslServer
from zcluster.switch.session import ApiAsked, Asking, EventSent
from zcluster.switch.wishes import Login, Wishes

LOOPBACK = "127.0.0.1"
PATIENCE_S = 5.0


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Switch:
    """A server that answers as a switch would: it echoes, and fires what it is given."""

    def __init__(self, port: int = 0, password: str = "ClueCon", core: str = "core-1") -> None:
        self.server = EslServer(LOOPBACK, port, password)
        self.core = core
        self.port = self.server.port

    def fileno(self) -> int:
        return self.server.fileno()

    def turn(self) -> list[Notice]:
        self._serve(self.server.receive(now_ms()))
        return []

    def _serve(self, asked: list[Asking]) -> None:
        while asked:
            match asked.pop(0):
                case ApiAsked(client=client, command="global_getvar core_uuid"):
                    asked += self.server.answer(client, self.core)
                case ApiAsked(client=client, command=command, job=""):
                    asked += self.server.answer(client, f"did {command}")
                case ApiAsked(command=command, job=job):
                    self.server.finish_job(job, command, f"ran {command}")
                case EventSent(event=event):
                    self.server.publish(event)

    def close(self) -> None:
        self.server.close()


class Caller:
    """A client and what it was told."""

    def __init__(self, port: int, password: str = "ClueCon", form: Form = Form.JSON, *names: str) -> None:
        wishes = Wishes("me", names=names or ("HEARTBEAT",), form=form)
        self.client = EslClient(LOOPBACK, port, Login(password), wishes)
        self.told: list[Notice] = []

    def fileno(self) -> int:
        return self.client.fileno()

    def turn(self) -> list[Notice]:
        self.told += self.client.receive(now_ms())
        return self.told

    def close(self) -> None:
        self.client.close()


class _Raw:
    """Somebody else's socket, read only by the test itself."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((LOOPBACK, port), timeout=PATIENCE_S)


Side = Switch | Caller


def run(sides: list[Side], until: Callable[[], bool]) -> None:
    """Turns each side when its descriptor is readable or its time has come, as a loop would."""
    poll = select.epoll()
    for side in sides:
        poll.register(side.fileno(), select.EPOLLIN)
        side.turn()
    end_s = time.monotonic() + PATIENCE_S
    while not until():
        assert time.monotonic() < end_s, [getattr(side, "told", None) for side in sides]
        readable = {descriptor for descriptor, _ in poll.poll(0.01)}
        for side in sides:
            due_ms = side.client.deadline() if isinstance(side, Caller) else None
            if side.fileno() in readable or (due_ms is not None and due_ms <= now_ms()):
                side.turn()
    poll.close()


@contextmanager
def opened(form: Form = Form.JSON, *names: str) -> Iterator[tuple[Switch, Caller]]:
    switch = Switch()
    caller = Caller(switch.port, "ClueCon", form, *names)
    try:
        run([switch, caller], lambda: caller.client.is_open)
        assert caller.told == [Opened("core-1", is_same_switch=False)]
        caller.told.clear()
        yield switch, caller
    finally:
        caller.close()
        switch.close()


def waits(connection: socket.socket, text: bytes) -> bool:
    """Whether that text came and was not read yet."""
    with suppress(BlockingIOError):
        return text in connection.recv(1000, socket.MSG_DONTWAIT | socket.MSG_PEEK)
    return False


def has(caller: Caller, kind: type[Notice]) -> Callable[[], bool]:
    return lambda: any(isinstance(notice, kind) for notice in caller.told)


@pytest.mark.parametrize("form", list(Form))
def test_requests_jobs_events_and_pulses(form: Form) -> None:
    with opened(form) as (switch, caller):
        ticket = caller.client.request(commands.api("echo", rest="grüße"), now_ms())
        caller.client.request(commands.bgapi("job-1", "status"), now_ms())
        caller.client.pulse(now_ms())
        event = commands.sendevent("HEARTBEAT", "", {"note": "a: b %41 ü"}, "body\n\n")
        caller.client.request(event, now_ms())
        run(
            [switch, caller],
            lambda: has(caller, Happened)() and has(caller, PulseBack)() and has(caller, JobDone)(),
        )
        told = [notice for notice in caller.told if isinstance(notice, Answered)]
        assert told[0].ticket == ticket
        assert told[0].answer == ApiResponse("did echo grüße")
        assert JobDone("job-1", "bgapi status", "ran status") in caller.told
        expected = Event({"Event-Name": "HEARTBEAT", "note": "a: b %41 ü"}, "body\n\n")
        assert Happened(expected) in caller.told


def test_a_switch_that_ends_is_noticed_at_once_and_found_again() -> None:
    with opened() as (switch, caller):
        switch.close()
        run([caller], has(caller, Closed))
        closed = caller.told[0]
        assert isinstance(closed, Closed)
        assert closed.was_open
        run([caller], lambda: len(caller.told) >= 3)  # refused, and tried again
        caller.told.clear()
        again = Switch(switch.port, core="core-2")
        try:
            run([again, caller], has(caller, Opened))
            assert caller.told[-1] == Opened("core-2", is_same_switch=False)
            assert caller.client.request(commands.api("status"), now_ms())
            run([again, caller], has(caller, Answered))
        finally:
            again.close()


def test_a_wrong_password_is_told() -> None:
    switch = Switch()
    caller = Caller(switch.port, "wrong")
    try:
        run([switch, caller], has(caller, Closed))
        assert caller.told == [Closed("the switch refuses our password", False, bounds.LONGEST_RETRY_MS)]
    finally:
        caller.close()
        switch.close()


def test_nobody_listening_is_told() -> None:
    switch = Switch()
    port = switch.port
    switch.close()
    caller = Caller(port)
    try:
        run([caller], has(caller, Closed))
        assert caller.told == [Closed("Connection refused", False, bounds.FIRST_RETRY_MS)]
    finally:
        caller.close()


def test_what_the_kernel_does_not_take_at_once_is_sent_when_it_does() -> None:
    """The other side says nothing meanwhile, so that only room in the kernel can wake the client."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        listener.bind((LOOPBACK, 0))
        listener.listen()
        caller = Caller(listener.getsockname()[1])
        caller.turn()
        connection, _ = listener.accept()
        with connection:
            connection.sendall(answers.AUTH_REQUEST)
            run([caller], lambda: waits(connection, b"auth ClueCon"))
            connection.sendall(answers.reply("+OK accepted"))
            run([caller], lambda: waits(connection, b"core_uuid\n\n"))
            connection.sendall(answers.reply("+OK") * 2 + answers.response("core"))
            run([caller], lambda: caller.client.is_open)
            large = commands.sendevent("HEARTBEAT", "", {}, "b" * bounds.COMMAND_BODY_BYTES)
            heard, wanted = -len(connection.recv(1000, socket.MSG_PEEK)), 0
            with suppress(SwitchUnavailable):
                while True:
                    caller.client.request(large, now_ms())
                    wanted += len(large.data)
                    caller.turn()
            connection.setblocking(False)

            def all_came() -> bool:
                nonlocal heard
                with suppress(BlockingIOError):
                    heard += len(connection.recv(1 << 20))
                return heard == wanted

            run([caller], all_came)
        caller.close()


def test_a_storm_is_told_whole_in_bounded_turns() -> None:
    with opened(Form.PLAIN, "HEARTBEAT") as (switch, caller):
        event = Event({"Event-Name": "HEARTBEAT", "filling": "x" * 2000})
        count, longest = 3000, 0
        for _ in range(count // 100):
            for _ in range(100):
                switch.server.publish(event)
            before = len(caller.told)
            caller.turn()
            longest = max(longest, len(caller.told) - before)
        run([switch, caller], lambda: len(caller.told) == count)
        assert longest * 2000 <= bounds.RECEIVES_IN_TURN * bounds.RECEIVE_BYTES
        assert all(isinstance(notice, Happened) for notice in caller.told)


@pytest.mark.parametrize(
    "garbage", [b"\0" * 100_000, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"A: b\n" * 20_000, b""]
)
def test_something_else_that_listens_there_is_left_again(garbage: bytes) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        caller = Caller(listener.getsockname()[1])
        try:
            caller.turn()
            connection, _ = listener.accept()
            with connection:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                run([caller], has(caller, Closed))
            (closed,) = caller.told
            assert isinstance(closed, Closed)
            assert not closed.was_open
        finally:
            caller.close()


def test_a_switch_that_stops_reading_loses_the_connection_and_not_our_memory() -> None:
    with opened() as (_, caller):
        large = commands.sendevent("CUSTOM", "x", {}, "b" * 1_000_000)
        for _ in range(3):
            caller.client.request(large, now_ms())
            caller.turn()
        assert caller.client.receive(now_ms() + bounds.ANSWER_MS)[-1] == Closed(
            "no answer to 'sendevent CUSTOM x' in time", True, bounds.FIRST_RETRY_MS
        )


def test_mod_hash_gets_its_answers() -> None:
    server = EslServer(LOOPBACK, 0, "zc")
    raw = _Raw(server.port)
    try:
        with raw.socket as connection:
            answered, heard = 0, b""
            connection.sendall(received(FROM_MOD_HASH))
            expected = 5 * len(answers.response("# none\n"))
            head = answers.AUTH_REQUEST + answers.reply("+OK accepted")
            while len(heard) < expected + len(head):
                asked = server.receive(now_ms())
                while asked:
                    answered += 1
                    asked = server.answer(server.clients[0], "# none\n")
                connection.settimeout(0.01)
                try:
                    heard += connection.recv(4096)
                except TimeoutError:
                    assert answered < 100
            assert answered == 5
            assert heard == head + answers.response("# none\n") * 5
    finally:
        server.close()


def test_who_does_not_authenticate_is_sent_away() -> None:
    server = EslServer(LOOPBACK, 0, "zc")
    raw = _Raw(server.port)
    try:
        with raw.socket:
            while not server.clients:
                server.receive(1000)
            assert server.deadline() == 1000 + bounds.SERVER_AUTHENTICATION_MS
            server.receive(1000 + bounds.SERVER_AUTHENTICATION_MS)
            assert server.clients == ()
            assert server.deadline() is None
            assert server.dropped_clients == 1
    finally:
        server.close()


def test_clients_are_bounded() -> None:
    server = EslServer(LOOPBACK, 0, "zc")
    raws: list[_Raw] = []
    try:
        for _ in range(bounds.SERVER_CLIENTS + 3):
            raws.append(_Raw(server.port))
            server.receive(0)
        assert len(server.clients) == bounds.SERVER_CLIENTS
        assert server.dropped_clients == 3
    finally:
        for raw in raws:
            raw.socket.close()
        server.close()


def test_a_client_that_leaves_is_forgotten() -> None:
    with opened() as (switch, caller):
        caller.client.request(commands.leave(), now_ms())
        run([switch, caller], has(caller, Closed))
        answered, closed = caller.told
        assert isinstance(answered, Answered)
        assert isinstance(answered.answer, CommandReply)
        assert answered.answer.text == "+OK bye"
        assert isinstance(closed, Closed)
        assert closed.reason in {"the switch said: Disconnected, goodbye.", CLOSED}
        assert switch.server.clients == ()


def test_what_cannot_be_listened_on_or_found_is_said() -> None:
    with pytest.raises(KernelRefused, match=r"192\.0\.2\.1"):
        EslServer("192.0.2.1", 0, "zc")
    with pytest.raises(ConfigurationError, match="localhost"):
        EslClient("localhost", 8021, Login("x"), Wishes("me"))
