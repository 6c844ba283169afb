from __future__ import annotations

import json
import os
import resource
import select
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from zcluster.adapters.control_socket import (
    LARGEST_ANSWER_BYTES,
    LARGEST_CLIENTS,
    LARGEST_REQUEST_BYTES,
    ControlSocket,
    Request,
    ask,
)
from zcluster.errors import ControlSocketError


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ControlSocket]:
    server = ControlSocket(tmp_path / "run" / "control.sock")
    yield server
    server.close()


def connect(server: ControlSocket) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(2)
    connection.connect(str(server.path))
    return connection


def turn(server: ControlSocket) -> list[Request]:
    assert select.select([server], [], [], 2)[0], "nothing came"
    return server.receive()


def requests(server: ControlSocket) -> list[Request]:
    while True:
        if found := turn(server):
            return found


def test_the_file_is_for_its_owner_alone(server: ControlSocket) -> None:
    assert server.path.stat().st_mode & 0o777 == 0o600


def test_a_question_gets_its_answer(server: ControlSocket) -> None:
    answers: list[Mapping[str, object]] = []
    asking = threading.Thread(target=lambda: answers.append(ask(server.path, {"ask": "ping"})))
    asking.start()
    (request,) = requests(server)
    assert request.body == {"ask": "ping"}
    server.answer(request.client, {"ok": True})
    asking.join(2)
    assert answers == [{"ok": True}]


def test_a_client_that_goes_while_a_child_is_being_started_is_gone(server: ControlSocket) -> None:
    """Until the child is a program of its own it has our descriptors, and the kernel goes on telling of them."""
    gone_read, gone_write = os.pipe()
    with connect(server) as connection:
        turn(server)
        if not (child := os.fork()):
            connection.close()
            os.close(gone_write)
            os.read(gone_read, 1)
            os._exit(0)
        connection.sendall(b'{"a": 1}\n')
        requests(server)
    try:
        turn(server)
        assert server.receive() == []
        assert not select.select([server], [], [], 0)[0]
    finally:
        os.close(gone_write)
        os.waitpid(child, 0)
        os.close(gone_read)


def test_a_line_in_pieces_and_two_lines_at_once(server: ControlSocket) -> None:
    with connect(server) as connection:
        connection.sendall(b'{"a"')
        assert turn(server) == []
        assert turn(server) == []
        connection.sendall(b': 1}\n{"b": 2}\n')
        assert [request.body for request in requests(server)] == [{"a": 1}, {"b": 2}]


def test_a_client_that_half_closes_still_gets_a_large_answer(server: ControlSocket) -> None:
    with connect(server) as connection:
        connection.sendall(b"{}\n")
        connection.shutdown(socket.SHUT_WR)
        (request,) = requests(server)
        server.answer(request.client, {"text": "x" * 3_000_000})
        received = bytearray()
        connection.setblocking(False)
        while not received.endswith(b"\n"):
            server.receive()
            try:
                received += connection.recv(1 << 16)
            except BlockingIOError:
                pass
        assert len(json.loads(received)["text"]) == 3_000_000


def test_words_that_are_no_json_object_are_answered_so(server: ControlSocket) -> None:
    with connect(server) as connection:
        connection.sendall(b"status\n" + b"[" * 5000 + b"\n")
        turn(server)
        turn(server)
        assert connection.recv(1000).count(b'"ok":false') == 2


def test_an_endless_line_ends_the_client(server: ControlSocket) -> None:
    with connect(server) as connection:
        connection.sendall(b"x" * (LARGEST_REQUEST_BYTES + 1))
        while not server.dropped_clients:
            turn(server)
        assert connection.recv(10) == b""


def test_an_answer_beyond_the_bound_ends_the_client(server: ControlSocket) -> None:
    with connect(server) as connection:
        connection.sendall(b"{}\n")
        (request,) = requests(server)
        server.answer(request.client, {"text": "x" * LARGEST_ANSWER_BYTES})
        assert connection.recv(10) == b""
        server.answer(request.client, {})


def test_clients_beyond_the_bound_are_turned_away(server: ControlSocket) -> None:
    connections = []
    for _ in range(LARGEST_CLIENTS + 1):
        connections.append(connect(server))
        turn(server)
    assert server.dropped_clients == 1
    assert connections[-1].recv(10) == b""
    for connection in connections:
        connection.close()
    while select.select([server], [], [], 0)[0]:
        server.receive()
    with connect(server) as connection:
        connection.sendall(b"{}\n")
        assert requests(server)


def test_a_predecessors_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(ControlSocketError, match="ended without"):
        ask(path, {})
    server = ControlSocket(path)
    connect(server).close()
    server.close()
    assert not path.exists()


def test_nobody_there_names_the_mend(tmp_path: Path) -> None:
    with pytest.raises(ControlSocketError, match="systemctl status zcluster"):
        ask(tmp_path / "none", {})


def test_a_daemon_that_stands_still_is_named(server: ControlSocket) -> None:
    with pytest.raises(ControlSocketError, match="did not answer"):
        ask(server.path, {}, timeout_s=0.05)


def test_without_a_free_descriptor_a_client_is_turned_away_and_nothing_spins(
    server: ControlSocket,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    turned_away = socket.socket(socket.AF_UNIX)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        turned_away.connect(str(server.path))
        assert server.receive() == []
        assert not select.select([server], [], [], 0)[0], "nobody waits any more"
        assert turned_away.recv(1) == b""
        assert server.dropped_clients == 1
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        turned_away.close()
    another = connect(server)
    another.sendall(b'{"ask": "status"}\n')
    assert [request.body for request in requests(server)] == [{"ask": "status"}]
    another.close()
