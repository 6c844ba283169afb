from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest

from zcluster.supervisor.discovery import (
    HASTY_MS,
    LOOK_AGAIN_MS,
    RETRY_MS,
    Address,
    Discovery,
    Listed,
    addresses_of,
    resolve,
)
from zcluster.supervisor.side_thread import SideThread

NAME = "nodes.example.net"


def listed(*peers: str, link: str = "ring1", network: str = "10.77.1.0/24", own: str = "10.77.1.3") -> Listed:
    parsed: list[Address | str] = [ip_address(peer) if peer[0].isdigit() else peer for peer in peers]
    return Listed(link, ip_network(network), ip_address(own), tuple(parsed))


@pytest.mark.parametrize(
    ("link", "meant", "expected"),
    [
        (listed("10.77.1.1", "10.77.1.3", "10.77.1.1"), [], ("10.77.1.1",)),
        (listed(NAME, "10.77.1.1"), ["10.77.1.2", "10.77.1.3", "10.77.1.1"], ("10.77.1.2", "10.77.1.1")),
        (listed(NAME), ["10.77.2.2", "10.77.1.2", "fd77::2"], ("10.77.1.2",)),
        (listed(NAME), ["10.77.2.2"], ("10.77.2.2",)),
        (listed(NAME), ["fd77::2"], ()),
        (listed(NAME, "other.example.net"), [], ()),
    ],
)
def test_a_node_skips_itself_and_a_name_means_what_is_on_the_link(
    link: Listed, meant: list[str], expected: tuple[str, ...]
) -> None:
    assert addresses_of(link, {NAME: meant}) == expected


class Names:
    """A name server that answers what it is told to, when it is let."""

    def __init__(self) -> None:
        self.answers: dict[str, list[str]] = {}
        self.may_answer = threading.Event()
        self.may_answer.set()

    def resolve(self, name: str, _version: int) -> list[str]:
        assert self.may_answer.wait(10)
        if name not in self.answers:
            raise OSError(-2, "Name or service not known")
        return self.answers[name]


class Desk:
    """A discovery with its thread, and a clock that a test turns."""

    def __init__(self, *links: Listed) -> None:
        self.now_ms = 1000
        self.told: list[tuple[str, tuple[str, ...]]] = []
        self.names = Names()
        self.thread = SideThread("names")
        self.discovery = Discovery(
            links,
            lambda link, addresses: self.told.append((link, addresses)),
            self.thread.submit,
            lambda: self.now_ms,
            self.names.resolve,
        )

    def look(self) -> None:
        """Run what is due and wait for its sequel."""
        assert self.discovery.deadline() == self.now_ms
        self.discovery.run(self.now_ms)
        assert self.discovery.deadline() is None
        assert select.select([self.thread], [], [], 5)[0]
        self.thread.receive()

    def close(self) -> None:
        self.names.may_answer.set()
        assert self.thread.stop()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk(listed(NAME, "10.77.1.1"))
    yield desk
    desk.close()


def test_addresses_are_told_at_once_and_names_when_they_resolve(desk: Desk) -> None:
    assert desk.told == [("ring1", ("10.77.1.1",))]
    desk.names.answers[NAME] = ["10.77.1.2"]
    desk.look()
    assert desk.told[1:] == [("ring1", ("10.77.1.2", "10.77.1.1"))]
    assert desk.discovery.deadline() == desk.now_ms + LOOK_AGAIN_MS
    desk.now_ms += LOOK_AGAIN_MS
    desk.look()
    assert len(desk.told) == 2, "nothing changed, nothing is told"
    desk.names.answers[NAME] = ["10.77.1.4", "10.77.1.3"]
    desk.now_ms += LOOK_AGAIN_MS
    desk.look()
    assert desk.told[2:] == [("ring1", ("10.77.1.4", "10.77.1.1"))]


def test_a_name_server_that_is_gone_leaves_what_was_known(desk: Desk) -> None:
    desk.look()
    assert desk.discovery.problems() == (
        f"{NAME} cannot be resolved: Name or service not known; nobody is asked there",
    )
    assert desk.discovery.deadline() == desk.now_ms + RETRY_MS
    desk.names.answers[NAME] = ["10.77.1.2"]
    desk.now_ms += RETRY_MS
    desk.look()
    assert desk.discovery.problems() == ()
    del desk.names.answers[NAME]
    desk.now_ms += LOOK_AGAIN_MS
    desk.look()
    assert "last addresses are used on" in desk.discovery.problems()[0]
    assert desk.told[-1] == ("ring1", ("10.77.1.2", "10.77.1.1"))
    assert desk.discovery.counts["names_unresolved"] == 2


def test_a_slow_name_server_never_blocks_and_is_asked_once_at_a_time(desk: Desk) -> None:
    desk.names.may_answer.clear()
    desk.discovery.run(desk.now_ms)
    desk.discovery.hasten()
    assert desk.discovery.deadline() is None
    assert desk.thread.receive() == []


def test_a_change_of_the_hosts_networks_hastens_the_next_look(desk: Desk) -> None:
    desk.names.answers[NAME] = ["10.77.1.2"]
    desk.look()
    desk.discovery.hasten()
    assert desk.discovery.deadline() == desk.now_ms + HASTY_MS
    desk.now_ms += 5 * HASTY_MS
    desk.discovery.hasten()
    assert desk.discovery.deadline() == 1000 + HASTY_MS, "once hastened is enough"


def test_without_names_there_is_nothing_to_do() -> None:
    desk = Desk(listed("10.77.1.1"))
    desk.discovery.hasten()
    assert desk.discovery.deadline() is None
    desk.close()


def test_the_systems_own_way_knows_this_host() -> None:
    assert "127.0.0.1" in resolve("localhost", 4)
    with pytest.raises(UnicodeError):  # refused before anybody is asked
        resolve("x" * 64 + ".invalid", 4)
