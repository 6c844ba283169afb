from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from zcluster.adapters.round_trips import round_trips


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def connected(stack: ExitStack, family: socket.AddressFamily, address: str) -> int:
    """A connection over which something went both ways; the port of its listening side."""
    listener = stack.enter_context(socket.create_server((address, 0), family=family))
    port = int(listener.getsockname()[1])
    ours = stack.enter_context(socket.create_connection((address, port)))
    theirs = stack.enter_context(listener.accept()[0])
    for one, other in ((ours, theirs), (theirs, ours)):
        one.sendall(b"beat")
        other.recv(4)
    return port


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_kernel_says_how_long_the_way_is(
    stack: ExitStack, family: socket.AddressFamily, address: str
) -> None:
    port = connected(stack, family, address)
    found = round_trips([port])
    assert list(found) == [address]
    assert 0 <= found[address] < 10_000_000


def test_connections_of_other_ports_are_nobodys(stack: ExitStack) -> None:
    connected(stack, socket.AF_INET, "127.0.0.1")
    assert round_trips([1]) == {}
