"""The remote that mod_hash polls, over loopback, with the bytes that a real mod_hash sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.switch.recorded import FROM_MOD_HASH, received
from zcluster.data.limit_remote import REFUSAL, LimitRemote
from zcluster.errors import KernelRefused
from zcluster.switch import answers, bounds

TEXT = "L/outbound_carrier1/2/0/0/0\n"
HEAD = answers.AUTH_REQUEST + answers.reply("+OK accepted")
# Turns until an answer must have come: each waits up to a hundredth of a second for bytes.
TURNS = 300


@pytest.fixture
def remote() -> Iterator[LimitRemote]:
    made = LimitRemote(0, "zc", lambda: TEXT)
    yield made
    made.close()


def say(remote: LimitRemote, data: bytes, expected: int) -> bytes:
    """Connects, sends `data`, and reads until `expected` bytes came or the connection ended."""
    with socket.create_connection(("127.0.0.1", remote.port), timeout=0.01) as connection:
        connection.sendall(data)
        heard = b""
        for _ in range(TURNS):
            remote.receive(0)
            with suppress(TimeoutError):
                chunk = connection.recv(1 << 16)
                heard += chunk
                if not chunk:
                    break
            if len(heard) >= expected:
                break
        return heard


def test_every_poll_of_a_real_mod_hash_is_answered(remote: LimitRemote) -> None:
    expected = HEAD + answers.response(TEXT) * 5
    assert say(remote, received(FROM_MOD_HASH), len(expected)) == expected
    assert remote.counts == {"answered": 5}


@pytest.mark.parametrize(
    "question",
    ["hash_dump all", "hash_dump limit outbound", "status", "fsctl shutdown", "hash_dump limitless"],
)
def test_nothing_else_is_answered(remote: LimitRemote, question: str) -> None:
    expected = HEAD + answers.response(REFUSAL)
    data = f"auth zc\n\napi {question}\n\n".encode()
    assert say(remote, data, len(expected)) == expected
    assert remote.counts == {"refused": 1}


@pytest.mark.slow
def test_jobs_and_events_end_nothing_and_start_nothing(remote: LimitRemote) -> None:
    data = b"auth zc\n\nbgapi hash_dump limit\n\nsendevent HEARTBEAT\n\napi hash_dump limit\n\n"
    assert say(remote, data, 1 << 20).endswith(answers.response(TEXT))
    assert remote.counts == {"refused": 2, "answered": 1}


def test_a_wrong_password_asks_nothing(remote: LimitRemote) -> None:
    heard = say(remote, b"auth wrong\n\napi hash_dump limit\n\n", 1 << 20)
    assert heard == answers.AUTH_REQUEST + answers.reply("-ERR invalid") + answers.notice()
    assert not remote.counts
    assert remote.clients == 0


def test_clients_and_their_patience_are_bounded(remote: LimitRemote) -> None:
    made = []
    for _ in range(bounds.SERVER_CLIENTS + 2):
        made.append(socket.create_connection(("127.0.0.1", remote.port)))
        remote.receive(0)
    assert remote.clients == bounds.SERVER_CLIENTS
    due_ms = remote.deadline()
    assert due_ms is not None
    remote.receive(due_ms)
    assert remote.clients == 0
    for connection in made:
        connection.close()


def test_a_port_that_is_taken_is_said(remote: LimitRemote) -> None:
    with pytest.raises(KernelRefused, match=str(remote.port)):
        LimitRemote(remote.port, "zc", lambda: TEXT)
