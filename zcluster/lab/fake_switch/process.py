"""The fake switch as a process: its sockets, its clock and its chance.

What must hold: one thread; a stalled event thread (SIGUSR1 makes it stand still, SIGUSR2 go on) stops nothing else;
an address that this host does not have is bound all the same and cannot be sent from, as with ip_nonlocal_bind.
"""

from __future__ import annotations

import os
import secrets
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from random import Random
from types import FrameType

from zcluster.lab.fake_switch.core_db import CoreDatabase
from zcluster.lab.fake_switch.limits_poll import LimitsPoll
from zcluster.lab.fake_switch.message import DATAGRAM_BYTES
from zcluster.lab.fake_switch.outputs import Datagram, Now
from zcluster.lab.fake_switch.settings import ProfilePlan, SwitchPlan
from zcluster.lab.fake_switch.switch import FakeSwitch
from zcluster.switch.server import EslServer
from zcluster.switch.session import ApiAsked, Asking

_IP_FREEBIND = 15
_BUFFER_BYTES = 4 << 20
_DATAGRAMS_IN_TURN = 256
_NICENESS = -10


def run_switch(plan: SwitchPlan) -> None:
    """Runs until SIGTERM. Raises KernelRefused or OSError where it cannot listen."""
    with suppress(PermissionError):  # what it imitates is no Python
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    process = _Process(plan)
    signal.signal(signal.SIGUSR1, process.stall)
    signal.signal(signal.SIGUSR2, process.go_on)
    signal.signal(signal.SIGTERM, process.end)
    process.run()


class _Process:
    def __init__(self, plan: SwitchPlan) -> None:
        self._database = CoreDatabase(plan.core_db, plan.row_lag_ms)
        chance = Random(secrets.randbits(128))
        self._switch = FakeSwitch(plan, self._database, socket.gethostname(), chance, _now())
        self._server = EslServer(*plan.event_socket, plan.password)
        self._sockets = {each.name: _bind(each) for each in plan.profiles}
        self._profiles = {each.fileno(): name for name, each in self._sockets.items()}
        self._poll_of_limits = _limits_poll(plan, self._switch)
        self._poll = select.epoll()
        self._is_ending = False
        for descriptor in (self._server.fileno(), *self._profiles):
            self._poll.register(descriptor, select.EPOLLIN)

    def stall(self, number: int, frame: FrameType | None) -> None:
        """The event thread stands still."""
        self._switch.state.events.stands_still = True

    def go_on(self, number: int, frame: FrameType | None) -> None:
        """The event thread goes on."""
        self._switch.state.events.stands_still = False

    def end(self, number: int, frame: FrameType | None) -> None:
        """The process ends; nobody is told."""
        self._is_ending = True

    def run(self) -> None:
        """Until the end."""
        while not self._is_ending:
            wait_ms = max(0, self._deadline() - _now().mono_ms)
            for descriptor, _ in self._poll.poll(wait_ms / 1000):
                if descriptor in self._profiles:
                    self._receive(self._profiles[descriptor])
            now = _now()
            self._obey(self._server.receive(now.mono_ms))
            if self._poll_of_limits is not None:
                self._poll_of_limits.advance(now.mono_ms)
            datagrams, events = self._switch.advance(now)
            self._send(datagrams)
            for event in events:
                self._server.publish(event)
        self._server.close()
        self._database.close()

    def _deadline(self) -> int:
        due = [self._switch.deadline()]
        if self._poll_of_limits is not None:
            due.append(self._poll_of_limits.deadline())
        if (strangers_ms := self._server.deadline()) is not None:
            due.append(strangers_ms)
        return min(due)

    def _receive(self, profile: str) -> None:
        for _ in range(_DATAGRAMS_IN_TURN):
            try:
                data, peer = self._sockets[profile].recvfrom(DATAGRAM_BYTES)
            except OSError:  # nothing more, or an ICMP error of a peer that has gone
                return
            self._send(self._switch.datagram(profile, (peer[0], peer[1]), data, _now()))

    def _send(self, datagrams: list[Datagram]) -> None:
        waiting = list(datagrams)
        while waiting:
            each = waiting.pop(0)
            try:
                self._sockets[each.profile].sendto(each.data, each.peer)
            except OSError:  # the address is not here, or the gate is closed
                waiting += self._switch.undeliverable(each, _now())

    def _obey(self, asked: list[Asking]) -> None:
        for asking in asked:
            if isinstance(asking, ApiAsked):
                self._ask(asking)
            else:
                self._switch.send_event(asking.event, _now())

    def _ask(self, asked: ApiAsked) -> None:
        def finish(output: str) -> None:
            _log(asked.command, output)
            if asked.job:
                self._switch.finish_job(asked.job, asked.command, output, _now())
            else:
                self._obey(self._server.answer(asked.client, output))

        self._send(self._switch.ask(asked.command, finish, _now()))


def _bind(profile: ProfilePlan) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    made.bind((profile.address, profile.port))
    return made


def _limits_poll(plan: SwitchPlan, switch: FakeSwitch) -> LimitsPoll | None:
    if plan.limits_remote is None:
        return None
    return LimitsPoll(switch.state.limits, plan.limits_remote, plan.limits_password, plan.limits_poll_ms)


def _log(command: str, output: str) -> None:
    """One line a command, so that the story of a trial can be read afterwards."""
    stamp = time.strftime("%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1_000_000 % 1000:03d}"
    print(f"{stamp} {command[:200]} -> {output[:80]!r}", file=sys.stderr, flush=True)


def _now() -> Now:
    return Now(time.monotonic_ns() // 1_000_000, time.time_ns() // 1000)
