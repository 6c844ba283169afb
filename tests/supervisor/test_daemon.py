"""The real daemon on hosts of the laboratory: what other tools, hands and disks do to it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import IPRoute

from tests.lab.world_check import passes_in_world
from zcluster.adapters.control_socket import ask
from zcluster.adapters.gate import Gate
from zcluster.lab.cluster_view import Ownership
from zcluster.lab.host import STATE_DIRECTORY
from zcluster.lab.laboratory import Laboratory
from zcluster.lab.plan import make_plan

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.slow]

GROUP = "g1"


@contextmanager
def cluster(directory: Path) -> Iterator[Laboratory]:
    """Three nodes and one group, all well."""
    lab = Laboratory(directory, make_plan(3, 1, "standard"))
    try:
        lab.build()
        lab.wait_until_well()
        yield lab
    except BaseException:
        print(lab.log_tails())
        raise
    finally:
        lab.close()


def on(lab: Laboratory, node: str, work: Callable[[], None]) -> None:
    assert lab.hosts[node].fork("act", work).wait(5.0) == 0


def status(lab: Laboratory, node: str) -> dict[str, Any]:
    return dict(lab.statuses()[node])


def alarms(lab: Laboratory, node: str) -> str:
    return "\n".join(warning["text"] for warning in status(lab, node)["warnings"])


def change_address(verb: str, interface: str, address: str, length: int) -> None:
    with IPRoute() as netlink:
        index = netlink.link_lookup(ifname=interface)[0]
        netlink.addr(verb, index=index, address=address, prefixlen=length)


def heard_on(lab: Laboratory, node: str, peer: str, link: str) -> bool:
    rows = {row["name"]: row for row in status(lab, node)["nodes"]}
    return any(row["name"] == link and row["is_heard"] for row in rows[peer]["links"])


def test_what_other_tools_break_is_mended_and_moves_nothing() -> None:
    def check(directory: Path) -> None:
        with cluster(directory) as lab:
            before = lab.ownership(GROUP)
            holder, others = before.holder, [node for node in lab.powered if node != before.holder]

            def remove_rules() -> None:
                Gate().remove()

            on(lab, holder, remove_rules)
            lab.wait_for(
                lambda: "removed our rules" in alarms(lab, others[0]), 3, "the alarm, on another node"
            )
            lab.wait_for(lambda: not lab.silent_addresses(), 3, "answers again")

            address = lab.plan.groups[0].address_v4
            on(lab, holder, lambda: change_address("del", "svc", address, 32))
            lab.wait_for(lambda: bool(lab.silent_addresses()), 1, "the address is gone")
            lab.wait_for(lambda: not lab.silent_addresses(), 2, "its renewal brought it back")

            own = f"10.77.1.{holder[1:]}"
            on(lab, holder, lambda: change_address("del", "ring1", own, 24))
            lab.wait_for(lambda: not heard_on(lab, others[0], holder, "ring1"), 4, "ring1 falls silent")
            on(lab, holder, lambda: change_address("add", "ring1", own, 24))
            lab.wait_for(lambda: heard_on(lab, others[0], holder, "ring1"), 4, "ring1 is heard again")

            assert lab.ownership(GROUP) == before

    passes_in_world(check)


def test_a_stop_hands_over_first_and_a_damaged_memory_is_an_alarm() -> None:
    def check(directory: Path) -> None:
        with cluster(directory) as lab:
            before = lab.ownership(GROUP)
            holder = before.holder
            daemon = lab.daemon_of(holder)

            second = lab.start_daemon(holder)
            assert second.wait(5.0) == 1, "a second daemon on the same host is refused"
            lab.hosts[holder].programs.remove(second)

            daemon.signal(signal.SIGTERM)
            assert daemon.wait(5.0) == 0
            other = next(node for node in lab.powered if node != holder)

            def is_moved() -> bool:
                now: Ownership = lab.ownership(GROUP)
                return now.holder not in ("", holder) and now.epoch > before.epoch

            lab.wait_for(is_moved, 1, "another holder")
            answer = ask(directory / "run" / other / "control.sock", {"ask": "why", "group": GROUP})
            records = answer["records"]
            assert isinstance(records, list)
            reasons = [record["facts"]["why"] for record in records if record["code"] == "takeover"]
            assert reasons[-1] == "released: stop"

            def damage() -> None:
                path = STATE_DIRECTORY / "durable.json"
                path.write_bytes(path.read_bytes()[:50])

            on(lab, holder, damage)
            lab.start_daemon(holder)
            lab.wait_until_well()
            assert "was damaged" in alarms(lab, holder)
            assert lab.ownership(GROUP).holder != holder, "it came back as a slave"

    passes_in_world(check)


def test_a_machine_that_answers_for_an_address_too_is_told_as_long_as_it_does() -> None:
    def check(directory: Path) -> None:
        with cluster(directory) as lab:
            before = lab.ownership(GROUP)
            other = next(node for node in lab.powered if node != before.holder)
            client, address = lab.plan.client.name, lab.plan.groups[0].address_v4

            def speak_up() -> None:
                """Take the address, and ask for a neighbour from it, as any machine with it does sooner or later."""
                change_address("add", "svc", address, 24)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
                    speaker.bind((address, 0))
                    speaker.sendto(b"hello", ("10.77.9.199", 9))

            def told(code: str) -> list[Any]:
                answer = ask(lab.run_of(other) / "control.sock", {"ask": "why", "group": GROUP})
                records: Any = answer["records"]
                return [record for record in records if record["code"] == code]

            on(lab, client, speak_up)
            lab.wait_for(lambda: bool(told("address-conflict")), 20, "the alarm")
            assert "a machine outside the cluster" in alarms(lab, other)
            lab.wait_for(lambda: len(told("address-conflict")) > 1, 30, "it is told again while it is true")
            assert not told("conflict-over")
            on(lab, client, lambda: change_address("del", "svc", address, 24))
            lab.wait_for(lambda: bool(told("conflict-over")), 30, "its end")
            lab.wait_for(lambda: "outside the cluster" not in alarms(lab, other), 20, "status says so")
            assert lab.ownership(GROUP) == before

    passes_in_world(check)
